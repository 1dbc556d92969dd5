"""Whole audits over the other brokers and stores: Sentinels, RabbitMQ beside a Valkey, and TLS."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from pydantic import SecretStr

from orchestrator.service import Fleet
from orchestrator.surfaces.server_checks import broker_checks, sentinel_checks
from swarm_tasks import routing
from swarm_tasks.app import close_app, make_app
from swarm_tasks.config import Settings
from swarm_tasks.embedded import EmbeddedStore
from swarm_tasks.errors import StoreError
from swarm_tasks.models.job import LANES, AuditRequest
from swarm_tasks.models.report import JobStatus, Report
from swarm_tasks.servers import check_broker
from swarm_tasks.store.client import connect
from swarm_tasks.transport import RABBIT_PRIORITIES
from tests.support.fleets import NAPPER, TestFleet, specialist
from tests.support.servers import RabbitBroker, SentinelStore, TlsStore
from tests.support.waiting import wait_until

SPECIALISTS = {
    "napper": NAPPER,
    **{f"napper{number}": specialist(f"napper{number}", "nap", seconds=0.1) for number in range(8)},
    "sleeper": specialist("sleeper", "nap", seconds=1.5),
}
CROWD = AuditRequest(specialists=tuple(f"napper{number}" for number in range(8)))
BOTH = AuditRequest(specialists=("napper", "sleeper"))


@contextmanager
def fleet_over(directory: Path, broker_url: str, **options: Any) -> Generator[TestFleet]:
    """A process that is host and control over a broker that runs already."""
    with TestFleet(
        directory,
        broker_url,
        tool_modules=["tests.support.fake_tools"],
        specialists=SPECIALISTS,
        **options,
    ) as running:
        queues = ",".join((*routing.worker_queues("alpha"), routing.CONTROL))
        running.start_workers("alpha", roles="worker,control", words=("--queues", queues))
        yield running


@contextmanager
def queue_of(app: Celery, **arguments: object) -> Generator[Any]:
    """A queue of one's own on an app's broker."""
    connection: Any
    with app.connection_for_write() as connection:
        queue = connection.SimpleQueue("servers-test", queue_args=arguments)
        try:
            yield queue
        finally:
            queue.close()


def in_the_middle(asking: Fleet) -> str:
    """A job whose quick parts are closed, and the others run."""
    job = asking.audit(BOTH).id
    half = asking.record(job).total // 2
    wait_until("the quick half is closed", lambda: asking.record(job).closed >= half)
    return job


def check_books(report: Report, parts: int) -> None:
    """All is answered, and each part is counted once."""
    assert report.job.status is JobStatus.COMPLETE, report.coverage
    assert report.coverage.asked == report.coverage.answered
    assert sum(len(line.specialists) for line in report.hosts) == parts
    assert report.usage.tool_calls == parts
    assert len({item.call_id for item in report.evidence}) == parts


def test_an_audit_goes_on_when_its_master_is_killed(tmp_path: Path) -> None:
    with SentinelStore(tmp_path / "store") as store, fleet_over(tmp_path, store.url) as fleet:
        fleet.start_workers("bravo")
        asking = fleet.fleet
        job = in_the_middle(asking)
        first = store.leader()
        store.kill("master")
        check_books(asking.wait(job), 4)
        assert store.leader() != first
        check_books(asking.wait(asking.audit(CROWD).id), 16)

        said = [check.said for check in sentinel_checks(fleet.settings(), asking.client)]
        assert said == [f"main is 127.0.0.1:{store.leader()}, as 3 of 3 Sentinels say"]
        store.kill(f"sentinel{store.ports[2]}")
        said = [check.said for check in sentinel_checks(fleet.settings(), asking.client)]
        assert f"the Sentinel at 127.0.0.1:{store.ports[2]}: " in said[0]
        assert said[1].endswith("as 2 of 3 Sentinels say")


def test_sentinels_and_their_store_are_reached_over_tls(tmp_path: Path) -> None:
    with SentinelStore(tmp_path / "store", tls=True) as store:
        settings = Settings(broker_url=SecretStr(store.url), broker_ca=store.certificate)
        client, app = connect(settings), make_app(settings, listens=False)
        try:
            assert client.ping()
            backend: Any = app.backend
            backend.client.set("by", "by the backend")
            assert client.get("by") == "by the backend"
            with queue_of(app) as queue:
                queue.put("by the broker")
                assert queue.get(timeout=30).payload == "by the broker"

            store.hand_over()
            client.hset("told", "to", "the master of now")
            assert store.kept("told", "to") == "the master of now"
        finally:
            client.close()
            close_app(app)
        with pytest.raises(StoreError, match=r"cannot be reached: .*self-signed certificate"):
            connect(Settings(broker_url=SecretStr(store.url)))


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Generator[RabbitBroker]:
    """A RabbitMQ for the tests of this module: it takes five seconds to start."""
    with RabbitBroker(tmp_path_factory.mktemp("rabbit")) as running:
        yield running


def test_rabbitmq_carries_the_messages_and_valkey_keeps_the_state(
    rabbit: RabbitBroker, tmp_path: Path
) -> None:
    apart: dict[str, Any] = {"broker_ca": rabbit.certificate}
    with (
        EmbeddedStore(tmp_path) as store,
        fleet_over(tmp_path, rabbit.tls_url, store_url=store.url, **apart) as fleet,
    ):
        asking = fleet.fleet
        check_books(asking.wait(asking.audit(CROWD).id), 8)
        answer = asking.call_tool("alpha", "nap", {"seconds": 0.1})
        assert answer.host == "alpha"

        job = in_the_middle(asking)
        rabbit.kill("rabbitmq")
        rabbit.revive("rabbitmq")
        check_books(asking.wait(job), 2)
        assert not list(asking.client.scan_iter(match="*unacked*"))


def test_rabbitmq_gives_the_first_lane_first(rabbit: RabbitBroker, store: EmbeddedStore) -> None:
    app = make_app(
        Settings(broker_url=SecretStr(rabbit.url), store_url=SecretStr(store.url)), listens=False
    )
    try:
        with queue_of(app, **{"x-max-priority": RABBIT_PRIORITIES}) as queue:
            for lane in (0, *reversed(range(LANES))):
                queue.put(lane, priority=lane)
            got = [queue.get(timeout=30) for _ in range(LANES + 1)]
            for message in got:
                message.ack()
            assert [message.payload for message in got] == [0, *range(LANES)]
    finally:
        close_app(app)


def test_a_rabbitmq_that_is_not_as_the_settings_say_is_told(
    rabbit: RabbitBroker, store: EmbeddedStore
) -> None:
    def refused(url: str, says: str) -> None:
        with pytest.raises(StoreError, match=f"the broker at .* cannot be reached: .*{says}"):
            check_broker(Settings(broker_url=SecretStr(url), store_url=SecretStr(store.url)))

    own = Settings(broker_url=SecretStr(rabbit.url), store_url=SecretStr(store.url))
    (check,) = broker_checks(own)
    assert check.said == f"RabbitMQ answers at amqp://guest:***@127.0.0.1:{rabbit.port}//"
    refused(rabbit.tls_url, "self-signed certificate")
    refused(rabbit.url.replace("guest@", "other@"), "ACCESS_REFUSED")
    refused("amqp://127.0.0.1:1//", "refused")


def test_a_store_over_tls_with_a_password_serves_a_fleet(tmp_path: Path) -> None:
    with (
        TlsStore(tmp_path / "store") as store,
        fleet_over(tmp_path, store.url, broker_ca=store.certificate) as fleet,
    ):
        asking = fleet.fleet
        check_books(asking.wait(asking.audit(CROWD).id), 8)
