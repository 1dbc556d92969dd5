"""Every key in the store is declared, of the kind it was declared to be, and has an end."""

from __future__ import annotations

import re
from collections.abc import Generator
from datetime import timedelta
from typing import Protocol, cast

import pytest

from swarm_tasks import contracts
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.charge import Charge, Tier
from swarm_tasks.models.event import EventKind
from swarm_tasks.models.finding import Acknowledgement, Finding
from swarm_tasks.models.job import AuditRequest
from swarm_tasks.models.report import Report
from swarm_tasks.models.tally import Tally
from swarm_tasks.store import keys
from tests.support.fleets import TestFleet, specialist
from tests.support.model_script import Script, answers, call, calls, fails, role
from tests.support.model_server import ModelServer
from tests.support.trusted import count_claims
from tests.support.waiting import wait_until

OWNERS = ("alpha", "bravo")


class Inspect(Protocol):
    """What a test asks of the store, beyond what the project does."""

    def scan_iter(self, match: str) -> list[str]: ...
    def type(self, name: str) -> str: ...
    def pttl(self, name: str) -> int: ...


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Generator[TestFleet]:
    """A fleet that has done everything it can: findings, samples, calls, slots, cancels, kills.

    One job of it is still under way.
    """
    directory = tmp_path_factory.mktemp("keys")
    gauge = directory / "gauge"
    gauge.write_text("99")
    own = {
        "gauges": specialist("gauges", "gauge", path=str(gauge)),
        "volumes": specialist("volumes", "disk_usage"),
        "slow": specialist("slow", "nap", seconds=100),
        "thinking": specialist("thinking", "nap", seconds=0),
    }
    # A model that calls one tool, and then says nothing for ever.
    musing = role("musing", "/thinking", calls(call("nap", seconds=0.01)), fails(hang=True))
    script = Script(roles=(musing, role("brief", None, answers({"answer": "Well."}))))
    with (
        ModelServer(script) as server,
        TestFleet(
            directory,
            tool_modules=["tests.support.fake_tools"],
            specialists=own,
            router_url=server.url,
        ) as running,
    ):
        running.start_control()
        running.start_workers(*OWNERS)
        fleet = running.fleet
        quick = AuditRequest(specialists=("gauges", "volumes"))
        fleet.wait(fleet.audit(quick).id)
        slot = quick.model_copy(update={"slot": "often", "slot_seconds": 600.0})
        job = fleet.audit_once(slot)
        assert job is not None
        fleet.wait(job.id)
        before = len(fleet.jobs())
        with running.celery() as app:
            asked = {"specialists": ["gauges"]}
            app.send_task(contracts.AUDIT, kwargs=asked, queue="control", ignore_result=True)
        wait_until("the producer's job is there", lambda: len(fleet.jobs()) > before)
        fleet.wait(fleet.jobs()[0].id)
        fleet.call_tool("alpha", "nap", {"seconds": 0})
        # An answer that nobody has taken yet.
        fleet.client.rpush(keys.ANSWER.at(call="untaken"), "{}")
        fleet.client.expire(keys.ANSWER.at(call="untaken"), 60)
        cancelled = fleet.audit(AuditRequest(specialists=("slow",)))
        fleet.cancel(cancelled.id)
        fleet.wait(cancelled.id)
        under_way = fleet.audit(
            AuditRequest(specialists=("slow", "thinking"), img=("https://example.org/rack.png",))
        )
        planned = Charge(tier=Tier.ORCHESTRATOR, model="orchestrator", prompt_tokens=1)
        fleet.ledger.charge_job(under_way.id, planned)
        known = finding_of(fleet.report(job.id))
        fleet.acks.add(
            Acknowledgement(
                fingerprint=known.fingerprint,
                severity=known.severity,
                until=now_utc() + timedelta(days=1),
                reason="it is known",
                at=now_utc(),
            )
        )
        count_claims(fleet.client, [Tally(model="worker", specialist="thinking", verified=1)])
        for event in fleet.follow(under_way.id):
            if event.kind is EventKind.TOOL_STARTED and event.specialist == "slow":
                break
        yield running
        fleet.cancel(under_way.id)


def finding_of(report: Report) -> Finding:
    """What somebody may know of: the gauge is high."""
    return next(one for one in report.findings if one.specialist == "gauges")


def inspect(fleet: TestFleet) -> Inspect:
    return cast(Inspect, fleet.fleet.client)


def pattern_of(key: keys.Key) -> re.Pattern[str]:
    """What keys of this family look like; only the last name in them may hold a colon."""
    *inner, last = re.split(r"\{\w+\}", key.pattern)
    if not inner:
        return re.compile(re.escape(f"{keys.PREFIX}:{last}"))
    parts = [re.escape(part) for part in (*inner, last)]
    body = "[^:]+".join(parts[:-1]) + ".+" + parts[-1]
    return re.compile(f"{keys.PREFIX}:{body}", re.DOTALL)


def families(name: str) -> list[keys.Key]:
    return [key for key in keys.ALL if pattern_of(key).fullmatch(name)]


def bound_ms(fleet: TestFleet, key: keys.Key) -> float:
    """The longest life that a key of this family may have, in milliseconds."""
    settings = fleet.settings()
    seconds = {
        "result": settings.result_ttl_seconds,
        "presence": settings.presence_ttl_seconds,
        "forget": settings.forget_seconds,
        "history": keys.HISTORY_TTL_SECONDS,
        "sweep": keys.SWEEP_TTL_SECONDS,
        "trust": keys.TRUST_TTL_SECONDS,
    }
    return 1000 * seconds[key.lifetime]


def test_every_key_of_ours_belongs_to_one_family_and_is_of_its_kind(busy: TestFleet) -> None:
    store = inspect(busy)
    for name in store.scan_iter(match=f"{keys.PREFIX}:*"):
        found = families(name)
        assert len(found) == 1, f"{name} belongs to {[key.pattern for key in found]}"
        kind = store.type(name)
        assert kind in (found[0].kind, "none"), name


def test_every_key_of_ours_has_an_end_or_a_reason_to_have_none(busy: TestFleet) -> None:
    store = inspect(busy)
    for name in store.scan_iter(match=f"{keys.PREFIX}:*"):
        (key,) = families(name)
        left = store.pttl(name)
        if left == -2:
            continue  # it ended just now, as a sign of life may
        if key.lifetime == "for ever":
            assert left == -1, name
            assert key.reason
        else:
            assert 0 <= left <= bound_ms(busy, key), name


RARE = {
    key.pattern
    for key in (
        # There for an instant only: the sweep's lock, and what waits for a host that is free.
        *(keys.UNACKED_MUTEX, keys.WAITING),
        # There only where something is out of order, or an operator wants it.
        *(keys.OUTSIDE, keys.LOOKED, keys.DRAINED),
    )
}


def test_the_fleet_has_used_nearly_every_family(busy: TestFleet) -> None:
    store = inspect(busy)

    def unused() -> set[str]:
        seen = {
            key.pattern
            for name in store.scan_iter(match=f"{keys.PREFIX}:*")
            for key in families(name)
        }
        return {key.pattern for key in keys.ALL} - seen - RARE

    wait_until(f"all are there but {unused()}", lambda: not unused(), 10)


def test_of_celery_s_own_keys_only_queues_and_their_bindings_stay(busy: TestFleet) -> None:
    store = inspect(busy)
    queues = {"swarm", "control", *(f"host.{host}" for host in OWNERS)}
    stay = {
        name
        for name in store.scan_iter(match="*")
        if not name.startswith(f"{keys.PREFIX}:") and store.pttl(name) == -1
    }
    others = {name for name in stay - queues if not name.startswith("_kombu.binding")}
    assert others == set()


def test_a_job_that_has_ended_leaves_no_open_ends(busy: TestFleet) -> None:
    client = busy.fleet.client
    (under_way,) = client.smembers(keys.OPEN.at())
    assert busy.fleet.record(under_way).state == "open"
    for summary in busy.fleet.jobs():
        assert summary.state == "closed" or summary.id == under_way


def test_a_host_that_is_forgotten_leaves_nothing_that_stays(busy: TestFleet) -> None:
    busy.terminate("bravo")
    assert busy.fleet.presence.forget("bravo")
    assert not busy.fleet.presence.forget("bravo")
    names = list(busy.fleet.client.scan_iter(match=f"{keys.PREFIX}:*bravo*"))
    left = {key.pattern for name in names for key in families(name)}
    assert left <= {keys.PART.pattern, keys.STEPS.pattern, keys.SAMPLES.pattern}
    assert [view.host for view in busy.fleet.hosts()] == ["alpha"]
