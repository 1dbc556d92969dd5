"""Workers whose store dies, whose connections are cut, who go deaf, and whose places are full."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from orchestrator.service import Fleet
from swarm_tasks import routing
from swarm_tasks.models.event import EventKind
from swarm_tasks.models.evidence import EvidenceStatus
from swarm_tasks.models.job import AuditRequest, Job
from swarm_tasks.models.report import StopReason
from swarm_tasks.store import keys
from swarm_tasks.store.events import read_events
from tests.support.fleets import TestFleet, specialist
from tests.support.waiting import wait_until

PARTS = 20
TOOLS = ["tests.support.fake_tools", "tests.support.deaf_tools"]


@pytest.fixture
def running() -> Generator[TestFleet]:
    """A fleet whose store has the same address each time that it starts."""
    with (
        tempfile.TemporaryDirectory(prefix="hs-") as directory,
        TestFleet(Path(directory), tool_modules=TOOLS, grace_seconds=0) as fleet,
    ):
        yield fleet


def send(fleet: TestFleet, number: int, tool: str, **arguments: object) -> tuple[Fleet, Job]:
    """A job of so many specialists that each call one tool, and who asked."""
    named = {f"s{one}": specialist(f"s{one}", tool, **arguments) for one in range(number)}
    producer = fleet.asking(specialists=named)
    return producer, producer.audit(AuditRequest(specialists=tuple(named)))


def happened(producer: Fleet, job: Job, kind: EventKind) -> int:
    """How often this was told of a job."""
    return [event.kind for _, event in read_events(producer.client, job.id, "0", 0.01)].count(kind)


def attempts(producer: Fleet, job: Job) -> Counter[int]:
    """How often the parts of a job were begun."""
    return Counter(part.attempt for part in producer.ledger.parts(job.id))


def all_answered_once(fleet: TestFleet, producer: Fleet, job: Job, number: int) -> None:
    """Wait until a job is done: each part by its first attempt, each message acknowledged."""
    reports = producer.ledger.reports
    wait_until("all are closed", lambda: len(tuple(reports(job.id))) == number)
    assert {one.stop for one in reports(job.id)} == {StopReason.ANSWERED}
    assert attempts(producer, job) == {1: number}
    assert happened(producer, job, EventKind.PART_STARTED) == number
    unacked = keys.UNACKED.at(owner="alpha")
    wait_until("no message is left", lambda: not producer.client.exists(unacked))


def test_a_store_that_is_killed_and_comes_back_costs_no_worker_and_no_second_run(
    running: TestFleet,
) -> None:
    running.start_workers("alpha", agents=PARTS)
    process = running.process("alpha")
    producer, job = send(running, PARTS, "nap", seconds=1)
    wait_until("all nap", lambda: happened(producer, job, EventKind.TOOL_STARTED) == PARTS)
    running.kill_store()
    lost = "Connection to broker lost"
    wait_until("the worker has lost it", lambda: lost in running.log("alpha"))
    running.revive_store()
    all_answered_once(running, producer, job, PARTS)
    assert running.process("alpha").pid == process.pid
    more, another = send(running, 1, "nap", seconds=0)
    all_answered_once(running, more, another, 1)
    for one in (producer, more):
        one.close()


def test_connections_that_are_cut_cost_no_second_run(running: TestFleet) -> None:
    running.start_workers("alpha", agents=PARTS)
    producer, job = send(running, PARTS, "nap", seconds=1)
    wait_until("all nap", lambda: happened(producer, job, EventKind.TOOL_STARTED) == PARTS)
    for kind in ("normal", "pubsub"):
        cast(Any, producer.client).client_kill_filter(_type=kind, skipme=True)
    wait_until("it is noticed", lambda: "Connection to broker lost" in running.log("alpha"))
    all_answered_once(running, producer, job, PARTS)
    producer.close()


def test_a_worker_that_lost_its_connection_gives_all_back_when_it_stops(
    running: TestFleet,
) -> None:
    running.start_workers("alpha", agents=2)
    producer, job = send(running, 3, "nap", seconds=60)
    wait_until("two nap", lambda: happened(producer, job, EventKind.TOOL_STARTED) == 2)
    for kind in ("normal", "pubsub"):
        cast(Any, producer.client).client_kill_filter(_type=kind, skipme=True)
    log = "Connected to"
    wait_until("it is back", lambda: running.log("alpha").count(log) >= 2)
    running.terminate("alpha")
    # Two were put back and sent anew, and one had never been taken.
    assert not producer.client.exists(keys.UNACKED.at(owner="alpha"))
    assert waiting(producer, routing.host_queue("alpha")) == 3
    producer.close()


def waiting(producer: Fleet, queue: str) -> int:
    """How many messages are in all lanes of a queue."""
    return sum(producer.client.llen(key) for key in producer.client.scan_iter(match=f"{queue}*"))


def test_parts_stay_in_their_queue_and_errands_are_done_while_every_place_is_taken(
    running: TestFleet,
) -> None:
    running.start_workers("alpha", agents=2)
    producer, job = send(running, 6, "nap", seconds=60)
    wait_until("two nap", lambda: happened(producer, job, EventKind.TOOL_STARTED) == 2)
    for _ in range(3):
        evidence = producer.call_tool("alpha", "nap", {"seconds": 0}, 20.0)
        assert evidence.status is EvidenceStatus.OK
    assert waiting(producer, routing.host_queue("alpha")) == 4
    assert happened(producer, job, EventKind.PART_STARTED) == 2
    producer.close()


def test_shared_work_goes_to_every_worker_that_has_a_place(running: TestFleet) -> None:
    hosts = ("alpha", "bravo", "charlie")
    running.start_workers(*hosts, agents=2)
    named = {"s": specialist("s", "nap", seconds=0.3)}
    producer = running.asking(specialists=named)
    request: Mapping[str, Any] = {
        "specialists": ["s"],
        "anywhere": [{"question": f"What of {number}?"} for number in range(24)],
    }
    job = producer.audit(AuditRequest.model_validate(request))
    reports = producer.ledger.reports
    wait_until("all are closed", lambda: len(tuple(reports(job.id))) == 24)
    shares = Counter(one.host for one in reports(job.id))
    assert shares.keys() == set(hosts)
    assert attempts(producer, job) == {1: 24}
    producer.close()


def test_a_deaf_worker_connects_anew_and_hears(running: TestFleet) -> None:
    running.start_workers("alpha", agents=2)
    pid = running.process("alpha").pid
    deafened, first = send(running, 1, "deafen")
    wait_until("it is deaf", lambda: tuple(deafened.ledger.reports(first.id)))
    producer, job = send(running, 2, "nap", seconds=0)
    wait_until("it hears", lambda: len(tuple(producer.ledger.reports(job.id))) == 2)
    assert "the consumer connects anew" in running.log("alpha")
    assert running.process("alpha").pid == pid
    for one in (deafened, producer):
        one.close()


def test_a_worker_that_stays_deaf_ends_with_an_error(running: TestFleet) -> None:
    running.start_workers("alpha", agents=2)
    producer, _ = send(running, 1, "deafen_for_good")
    assert wait_until("it ended", lambda: running.exit_code("alpha")) == 1
    log = running.log("alpha")
    assert "in spite of that: this process ends" in log
    producer.close()
