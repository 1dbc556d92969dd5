"""The pool of a host's worker: few threads for many agents, in real workers that are told to end,
grow and outlive their store."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.service import Fleet
from swarm_tasks import contracts, routing
from swarm_tasks.contracts import ClaimCheck, RemoteCall
from swarm_tasks.models.event import EventKind
from swarm_tasks.models.job import AuditRequest, Job
from swarm_tasks.models.report import HostReport, StopReason
from swarm_tasks.store import keys
from swarm_tasks.store.events import read_events
from tests.support import odd_tools
from tests.support.fleets import NAPPER, TestFleet, specialist
from tests.support.waiting import wait_until
from workers.pool import OTHERS, THREADS

ODD = ["tests.support.fake_tools", "tests.support.odd_tools"]


@pytest.fixture
def lone_fleet(tmp_path: Path) -> Generator[TestFleet]:
    """A store and no process yet. No worker passes for dead because its machine is busy: its parts
    would be begun again, and these tests count what is begun."""
    with TestFleet(
        tmp_path, tool_modules=["tests.support.fake_tools"], heartbeat_seconds=2.0
    ) as running:
        yield running


@pytest.fixture
def short() -> Generator[Path]:
    """A directory whose socket has the same path each time that its store starts."""
    with tempfile.TemporaryDirectory(prefix="hs-") as directory:
        yield Path(directory)


def napping(number: int, seconds: float, tool: str = "nap") -> dict[str, dict[str, Any]]:
    """So many specialists that each nap once."""
    names = [f"s{index}" for index in range(number)]
    return {name: specialist(name, tool, seconds=seconds) for name in names}


def send(fleet: TestFleet, specialists: Mapping[str, Any]) -> tuple[Fleet, Job]:
    """A job of these specialists on all hosts, and who asked."""
    producer = fleet.asking(specialists=specialists)
    return producer, producer.audit(AuditRequest(specialists=tuple(specialists)))


def told(producer: Fleet, job: Job) -> list[EventKind]:
    """What happened in a job so far."""
    return [event.kind for _, event in read_events(producer.client, job.id, "0", 0.01)]


def started(producer: Fleet, job: Job) -> int:
    return told(producer, job).count(EventKind.TOOL_STARTED)


def closed(producer: Fleet, job: Job) -> list[HostReport]:
    """The reports that are there."""
    return list(producer.ledger.reports(job.id))


def test_no_more_are_under_way_than_the_worker_has_places(lone_fleet: TestFleet) -> None:
    lone_fleet.start_workers("alpha", agents=2)
    producer, job = send(lone_fleet, napping(5, 0.2))
    wait_until("all are closed", lambda: len(closed(producer, job)) == 5)
    under_way, most = 0, 0
    for kind in told(producer, job):
        under_way += {EventKind.PART_STARTED: 1, EventKind.PART_CLOSED: -1}.get(kind, 0)
        most = max(most, under_way)
    assert most == 2
    producer.close()


def test_a_pool_says_how_large_it_is_and_does_what_celery_s_commands_ask(
    lone_fleet: TestFleet,
) -> None:
    lone_fleet.start_workers("alpha", agents=1)
    with lone_fleet.celery() as app:
        node = [routing.worker_node("alpha")]

        def size() -> tuple[int, int]:
            (stats,) = app.control.inspect(destination=node, timeout=10).stats().values()
            assert stats["pool"]["implementation"] == "workers.pool:AgentPool"
            return stats["pool"]["max-concurrency"], stats["pool"]["threads"]

        assert size() == (1, 1)
        app.control.pool_grow(9, destination=node)
        wait_until("it has grown", lambda: size() == (10, THREADS))
        producer, job = send(lone_fleet, napping(8, 60))
        wait_until("all run at the same time", lambda: started(producer, job) == 8)
        app.control.pool_shrink(50, destination=node)
        wait_until("it has shrunk", lambda: size()[0] == 1)
        (active,) = app.control.inspect(destination=node, timeout=10).active().values()
        app.control.revoke(active[0]["id"], terminate=True, destination=node)
        (report,) = wait_until("one is closed", lambda: closed(producer, job))
        assert report.stop is StopReason.LOST
        assert report.reason == "its task was revoked"
    producer.close()


@pytest.mark.parametrize(
    "signals", [(signal.SIGTERM,), (signal.SIGQUIT,), (signal.SIGTERM, signal.SIGQUIT)]
)
def test_a_worker_that_is_told_to_end_puts_back_what_it_began_and_gives_back_the_rest(
    lone_fleet: TestFleet, signals: tuple[signal.Signals, ...]
) -> None:
    begun, parts = THREADS + 2, THREADS + 4
    lone_fleet.start_workers("alpha", agents=begun)
    producer, job = send(lone_fleet, napping(parts, 60, "child_nap"))
    wait_until("its places are taken", lambda: started(producer, job) == begun)
    process = lone_fleet.process("alpha")
    sleeps = process.children(recursive=True)
    for number in signals:
        process.send_signal(number)
    process.wait(20)
    assert closed(producer, job) == []
    records = producer.ledger.parts(job.id)
    assert {one.state for one in records} == {"sent"}
    assert sorted(one.returns for one in records) == [0] * (parts - begun) + [1] * begun
    assert not any(sleep.is_running() for sleep in sleeps)
    # In its next life the host takes up all of it, and each part once.
    lone_fleet.start_workers("alpha", agents=parts + 1)
    wait_until("all of it runs", lambda: started(producer, job) == begun + parts)
    producer.close()


def test_a_task_that_cannot_be_begun_fails_as_any_other_and_is_acknowledged(
    lone_fleet: TestFleet,
) -> None:
    lone_fleet.start_workers("alpha", agents=1)
    with lone_fleet.celery() as app:
        for name in (contracts.INVESTIGATE, contracts.TOOL):
            sent = app.send_task(name, ({}, "one too many"), queue=routing.host_queue("alpha"))
            failed = f"Task {name}[{sent.id}] raised unexpected: TypeError"
            wait_until("it failed", lambda failed=failed: failed in lone_fleet.log("alpha"))
    producer, job = send(lone_fleet, {"napper": NAPPER})
    wait_until("the next one is closed", lambda: closed(producer, job))
    unacked = keys.UNACKED.at(owner="alpha")
    wait_until("no message is left", lambda: not producer.client.exists(unacked))
    producer.close()


def test_agents_that_end_while_the_store_is_away_lose_no_report(short: Path) -> None:
    parts = 3 * THREADS
    gate = short / "open"
    holding = {
        f"s{index}": specialist(f"s{index}", "hold", path=str(gate)) for index in range(parts)
    }

    def end_in_vain() -> None:
        gate.touch()
        wait_until(
            "every thread has asked in vain",
            lambda: running.log("alpha").count("the store is away") >= 2 * THREADS,
        )

    with TestFleet(
        short, tool_modules=["tests.support.fake_tools"], heartbeat_seconds=2.0
    ) as running:
        running.start_workers("alpha", agents=parts)
        producer, job = send(running, holding)
        wait_until("all are at work", lambda: started(producer, job) == parts)
        running.restart_store(end_in_vain)
        wait_until("all are closed", lambda: len(closed(producer, job)) == parts)
        assert {one.stop for one in closed(producer, job)} == {StopReason.ANSWERED}
        producer.close()


def test_another_pool_of_celery_s_begins_and_waits(lone_fleet: TestFleet) -> None:
    lone_fleet.start_workers("alpha", words=("--pool", "solo"))
    producer, job = send(lone_fleet, {"napper": NAPPER})
    wait_until("the next one is closed", lambda: closed(producer, job))
    producer.close()


def test_control_s_tasks_run_beside_agents_where_one_process_plays_both_roles(
    lone_fleet: TestFleet,
) -> None:
    queues = (*routing.worker_queues("alpha"), routing.CONTROL)
    words = ("--queues", ",".join(queues))
    lone_fleet.start_workers("alpha", roles="worker,control", words=words, agents=1)
    producer, job = send(lone_fleet, {"napper": NAPPER})
    ended = f"Task swarm.synthesize[{job.id}:synthesize] succeeded"
    wait_until("the chord's body ended", lambda: ended in lone_fleet.log("alpha"))
    assert producer.report(job.id).coverage.answered == ("alpha",)
    producer.close()


def queued(fleet: TestFleet, host: str, task: str, *args: object) -> str:
    """Put a task in a host's queue, whoever else would; its id."""
    with fleet.celery() as app:
        sent = app.send_task(task, args, queue=routing.host_queue(host), ignore_result=True)
        return sent.id


def test_errands_and_reports_go_on_while_every_agent_s_place_is_taken(tmp_path: Path) -> None:
    with TestFleet(tmp_path, tool_modules=ODD) as running:
        words = ("--queues", ",".join((*routing.worker_queues("alpha"), routing.CONTROL)))
        running.start_workers("alpha", roles="worker,control", words=words, agents=1)
        producer, job = send(running, napping(1, 60))
        wait_until("its place is taken", lambda: started(producer, job) == 1)
        with running.celery() as app:
            # As many as may be under way: each waits for an errand, which is to come through.
            ids = [
                app.send_task(odd_tools.ASKS, ("alpha",), queue=routing.CONTROL).id
                for _ in range(OTHERS)
            ]
        for one in ids:
            done = f"Task {odd_tools.ASKS}[{one}] succeeded"
            wait_until("it has its answer", lambda done=done: done in running.log("alpha"))
        assert closed(producer, job) == []
        producer.close()


def test_what_asks_for_the_end_of_the_process_ends_only_itself(tmp_path: Path) -> None:
    with TestFleet(tmp_path, tool_modules=ODD) as running:
        running.start_workers("alpha", agents=1)
        queued(running, "alpha", odd_tools.EXITS)
        wait_until(
            "it failed",
            lambda: (
                "asked for the end of the whole process: SystemExit('no work today')"
                in running.log("alpha")
            ),
        )
        producer, job = send(running, {"ends": specialist("ends", "exits")})
        (report,) = wait_until("it is closed", lambda: closed(producer, job))
        assert report.stop is StopReason.ERROR
        assert "asked for the end of the whole process" in report.reason
        after, other = send(running, {"napper": NAPPER})
        (report,) = wait_until("the next one is closed", lambda: closed(after, other))
        assert report.stop is StopReason.ANSWERED
        for one in (producer, after):
            one.close()


def test_what_came_to_a_host_by_mistake_is_not_done_there(lone_fleet: TestFleet) -> None:
    lone_fleet.start_workers("alpha", agents=1)
    until = lone_fleet.fleet.ledger.now() + 60
    call = RemoteCall(
        call="one", host="bravo", tool="nap", arguments={"seconds": 0}, expires_at=until
    )
    check = ClaimCheck(call="two", job="abcdefgh", host="bravo", claims=(), expires_at=until)
    for task, payload in (
        (contracts.TOOL, call.model_dump(mode="json")),
        (contracts.CHECK, check.model_dump(mode="json")),
        (contracts.INVESTIGATE, "no part at all"),
    ):
        done = f"Task {task}[{queued(lone_fleet, 'alpha', task, payload)}] succeeded"
        wait_until("it was put aside", lambda done=done: done in lone_fleet.log("alpha"))
    log = lone_fleet.log("alpha")
    assert log.count("an errand for bravo came to alpha by mistake") == 2
    assert "a part was refused: its task cannot be read: all of it" in log
    for name in ("one", "two"):
        assert not lone_fleet.fleet.client.exists(keys.ANSWER.at(call=name))
