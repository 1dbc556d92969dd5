"""Whole audits over the other brokers and stores: Sentinels, RabbitMQ beside a Valkey, and TLS."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from swarm_tasks.embedded import EmbeddedStore
from swarm_tasks.models.job import AuditRequest
from swarm_tasks.models.report import JobStatus, Report
from tests.support.fleets import NAPPER, TestFleet, specialist
from tests.support.servers import RabbitBroker, SentinelStore, TlsStore
from tests.support.waiting import wait_until

HOSTS = ("alpha", "bravo")
SPECIALISTS = {
    "napper": NAPPER,
    **{f"napper{number}": specialist(f"napper{number}", "nap", seconds=0.1) for number in range(8)},
    "sleeper": specialist("sleeper", "nap", seconds=1.5),
}
CROWD = AuditRequest(specialists=tuple(f"napper{number}" for number in range(8)))
BOTH = AuditRequest(specialists=("napper", "sleeper"))


@contextmanager
def fleet_over(directory: Path, broker_url: str, **options: Any) -> Generator[TestFleet]:
    """Control and two hosts over a broker that runs already."""
    with TestFleet(
        directory,
        broker_url,
        tool_modules=["tests.support.fake_tools"],
        specialists=SPECIALISTS,
        **options,
    ) as running:
        running.start_control()
        running.start_workers(*HOSTS)
        yield running


def check_books(report: Report, parts: int) -> None:
    """All is answered, and each part is counted once."""
    assert report.job.status is JobStatus.COMPLETE, report.coverage
    assert report.coverage.answered == HOSTS
    assert sum(len(line.specialists) for line in report.hosts) == parts
    assert report.usage.tool_calls == parts
    assert len({item.call_id for item in report.evidence}) == parts


def test_an_audit_goes_on_when_its_master_is_killed(tmp_path: Path) -> None:
    with SentinelStore(tmp_path / "store") as store, fleet_over(tmp_path, store.url) as fleet:
        asking = fleet.fleet
        check_books(asking.wait(asking.audit(CROWD).id), 16)

        job = asking.audit(BOTH).id
        wait_until("the quick half is closed", lambda: asking.record(job).closed >= 2)
        first = store.leader()
        store.kill("master")
        check_books(asking.wait(job), 4)
        assert store.leader() != first


def test_rabbitmq_carries_the_messages_and_valkey_keeps_the_state(tmp_path: Path) -> None:
    with (
        RabbitBroker(tmp_path / "rabbit") as rabbit,
        EmbeddedStore(tmp_path) as store,
        fleet_over(tmp_path, rabbit.url, store_url=store.url) as fleet,
    ):
        asking = fleet.fleet
        check_books(asking.wait(asking.audit(CROWD).id), 16)
        answer = asking.call_tool("bravo", "nap", {"seconds": 0.1})
        assert answer.host == "bravo"
        assert not list(fleet.fleet.client.scan_iter(match="*unacked*"))


def test_a_store_over_tls_with_a_password_serves_a_fleet(tmp_path: Path) -> None:
    with (
        TlsStore(tmp_path / "store") as store,
        fleet_over(tmp_path, store.url, broker_ca=store.certificate) as fleet,
    ):
        asking = fleet.fleet
        check_books(asking.wait(asking.audit(CROWD).id), 16)
