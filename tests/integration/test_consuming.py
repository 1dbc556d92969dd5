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

PLACES = 4
TOOLS = ["tests.support.fake_tools", "tests.support.deaf_tools"]


@pytest.fixture(scope="module")
def fleet() -> Generator[TestFleet]:
    """A fleet whose store has the same address each time that it starts, and whose workers pass for
    dead only where they are: not because their machine is busy, or their store away for a while."""
    options: dict[str, Any] = {"grace_seconds": 0, "heartbeat_seconds": 5.0, "agents": PLACES}
    with (
        tempfile.TemporaryDirectory(prefix="hs-") as directory,
        TestFleet(Path(directory), tool_modules=TOOLS, **options) as running,
    ):
        yield running


@pytest.fixture
def running(fleet: TestFleet) -> TestFleet:
    """The same, with a worker that may be left over from another test."""
    if not fleet.fleet.presence.beats(("alpha",)):
        fleet.start_workers("alpha")
    return fleet


@pytest.fixture
def gate(tmp_path: Path) -> Generator[Path]:
    """What agents wait for; in the end no place is kept by any."""
    path = tmp_path / "open"
    yield path
    path.touch()


def send(fleet: TestFleet, number: int, tool: str, **arguments: object) -> tuple[Fleet, Job]:
    """A job of so many specialists on alpha that each call one tool, and who asked."""
    named = {f"s{one}": specialist(f"s{one}", tool, **arguments) for one in range(number)}
    producer = fleet.asking(specialists=named)
    request = AuditRequest(specialists=tuple(named), hosts=("alpha",))
    return producer, producer.audit(request)


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


def under_way(fleet: TestFleet, gate: Path) -> tuple[Fleet, Job]:
    """A job that has every place, and who asked."""
    producer, job = send(fleet, PLACES, "hold", path=str(gate))
    begun = EventKind.TOOL_STARTED
    wait_until("all are at work", lambda: happened(producer, job, begun) == PLACES)
    return producer, job


LOST, BACK = "Connection to broker lost", "Connected to"


def test_a_store_that_is_killed_and_comes_back_costs_no_worker_and_no_second_run(
    running: TestFleet, gate: Path
) -> None:
    process = running.process("alpha")
    producer, job = under_way(running, gate)
    lost, back = (running.log("alpha").count(words) for words in (LOST, BACK))
    running.kill_store()
    wait_until("the worker has lost it", lambda: running.log("alpha").count(LOST) > lost)
    running.revive_store()
    wait_until("the worker has it back", lambda: running.log("alpha").count(BACK) > back)
    gate.touch()
    all_answered_once(running, producer, job, PLACES)
    assert running.process("alpha").pid == process.pid
    more, another = send(running, 1, "nap", seconds=0)
    all_answered_once(running, more, another, 1)
    for one in (producer, more):
        one.close()


def cut(fleet: TestFleet, producer: Fleet) -> None:
    """Cut all connections but the asker's, and wait until the worker has others."""
    back = fleet.log("alpha").count(BACK)
    for kind in ("normal", "pubsub"):
        cast(Any, producer.client).client_kill_filter(_type=kind, skipme=True)
    wait_until("it is back", lambda: fleet.log("alpha").count(BACK) > back)


def test_connections_that_are_cut_cost_no_second_run(running: TestFleet, gate: Path) -> None:
    producer, job = under_way(running, gate)
    lost = running.log("alpha").count(LOST)
    cut(running, producer)
    assert running.log("alpha").count(LOST) > lost
    gate.touch()
    all_answered_once(running, producer, job, PLACES)
    producer.close()


def waiting(producer: Fleet, queue: str) -> int:
    """How many messages are in all lanes of a queue."""
    return sum(producer.client.llen(key) for key in producer.client.scan_iter(match=f"{queue}*"))


def test_parts_stay_in_their_queue_and_errands_are_done_while_every_place_is_taken(
    running: TestFleet, gate: Path
) -> None:
    producer, job = send(running, PLACES + 3, "hold", path=str(gate))
    begun = EventKind.TOOL_STARTED
    wait_until("all places are taken", lambda: happened(producer, job, begun) == PLACES)
    for _ in range(3):
        evidence = producer.call_tool("alpha", "nap", {"seconds": 0}, 20.0)
        assert evidence.status is EvidenceStatus.OK
    assert waiting(producer, routing.host_queue("alpha")) == 3
    assert happened(producer, job, EventKind.PART_STARTED) == PLACES
    gate.touch()
    all_answered_once(running, producer, job, PLACES + 3)
    producer.close()


def test_shared_work_goes_to_every_worker_that_has_a_place(running: TestFleet, gate: Path) -> None:
    hosts = {"alpha", "bravo", "charlie"}
    running.start_workers("bravo", "charlie")
    producer = running.asking(specialists={"s": specialist("s", "hold", path=str(gate))})
    request: Mapping[str, Any] = {
        "specialists": ["s"],
        "anywhere": [{"question": f"What of {number}?"} for number in range(24)],
    }
    job = producer.audit(AuditRequest.model_validate(request))
    parts, reports = producer.ledger.parts, producer.ledger.reports
    wait_until(
        "each has some",
        lambda: {one.host for one in parts(job.id) if one.state == "running"} == hosts,
    )
    gate.touch()
    wait_until("all are closed", lambda: len(tuple(reports(job.id))) == 24)
    assert {one.host for one in reports(job.id)} == hosts
    assert attempts(producer, job) == {1: 24}
    producer.close()


def test_a_worker_that_lost_its_connection_gives_all_back_when_it_stops(
    running: TestFleet, gate: Path
) -> None:
    producer, job = send(running, PLACES + 1, "hold", path=str(gate))
    begun = EventKind.TOOL_STARTED
    wait_until("all places are taken", lambda: happened(producer, job, begun) == PLACES)
    cut(running, producer)
    running.terminate("alpha")
    # What had begun was put back and sent anew, and one had never been taken.
    assert not producer.client.exists(keys.UNACKED.at(owner="alpha"))
    assert waiting(producer, routing.host_queue("alpha")) == PLACES + 1
    producer.close()


def test_a_deaf_worker_connects_anew_and_hears(running: TestFleet) -> None:
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
    producer, _ = send(running, 1, "deafen_for_good")
    assert wait_until("it ended", lambda: running.exit_code("alpha")) == 1
    log = running.log("alpha")
    assert "in spite of that: this process ends" in log
    producer.close()
