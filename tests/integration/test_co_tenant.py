"""A worker as a guest on its machine: it takes on less while that is strained, its tools give way,
and what a killed one leaves behind is ended by its next life."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import psutil
import pytest

from orchestrator.service import Fleet
from swarm_tasks.config import Settings
from swarm_tasks.models.event import EventKind
from swarm_tasks.models.host import Beat
from swarm_tasks.models.job import AuditRequest, Job
from swarm_tasks.store.events import read_events
from tests.support.fleets import TestFleet, run_cli, specialist
from tests.support.waiting import wait_until
from workers.orphans import MARK

NICENESS: int = Settings.model_fields["tool_niceness"].default
SECONDS = "97.5"
AGENTS = 8

HOST = f"alpha-{os.getpid()}"
"""Another fleet's tests on this machine may start a worker of a plainer name, which would end what
a worker of that name left."""


@pytest.fixture
def strangers() -> Generator[list[psutil.Process]]:
    """Programs that look like the tool's own and are not: without a mark, and another host's."""
    gone = f"{os.getpid()} 1"
    marks: tuple[dict[str, str], ...] = ({}, {MARK: f"{HOST}b {gone}"})
    running = [subprocess.Popen(["sleep", SECONDS], env=mark) for mark in marks]
    yield [psutil.Process(one.pid) for one in running]
    for one in running:
        one.kill()
        one.wait()


def sleeps(worker: psutil.Process) -> list[psutil.Process]:
    """What its tools run now."""
    return [one for one in worker.children() if one.name() == "sleep"]


def test_tools_give_way_and_what_a_killed_worker_leaves_is_ended_by_its_next_life(
    lone_fleet: TestFleet, strangers: list[psutil.Process]
) -> None:
    lone_fleet.start_workers(HOST, agents=1)
    napping = {"napper": specialist("napper", "child_nap", seconds=float(SECONDS))}
    producer = lone_fleet.asking(specialists=napping)
    producer.audit(AuditRequest(specialists=("napper",)))
    worker = lone_fleet.process(HOST)
    (tool,) = wait_until("the tool runs", lambda: sleeps(worker))

    low = min(19, worker.nice() + NICENESS)
    wait_until("it gives way", lambda: tool.nice() == low)
    if sys.platform == "linux":
        last = (psutil.IOPRIO_CLASS_BE, 7)
        wait_until("disks serve it last", lambda: tool.ionice() == last)
        assert worker.ionice() != last
    mark = f"{HOST} {worker.pid} "
    # A program that is just being loaded has no environment yet.
    wait_until("it bears the mark", lambda: tool.environ().get(MARK, "").startswith(mark))

    lone_fleet.kill(HOST)
    assert tool.is_running()
    lone_fleet.start_workers(HOST, agents=1)
    wait_until("the orphan is gone", lambda: not tool.is_running())
    ended = "ended what a former life's tools left: processes: 1"
    wait_until("it is said", lambda: ended in lone_fleet.log(HOST))
    assert all(one.is_running() for one in strangers)
    producer.close()


def told(producer: Fleet, job: Job) -> list[EventKind]:
    """What happened in a job so far."""
    return [event.kind for _, event in read_events(producer.client, job.id, "0", 0.01)]


def beat_of(fleet: TestFleet) -> Beat:
    """The last sign of life of the only host; it may come late."""
    beats = fleet.fleet.presence.beats
    (beat,) = wait_until("a sign of life", lambda: tuple(beats(["alpha"]).values()))
    return beat


def send(fleet: TestFleet, seconds: float) -> tuple[Fleet, Job]:
    """A job of so many agents as one host may have, and who asked."""
    napping = {f"s{one}": specialist(f"s{one}", "nap", seconds=seconds) for one in range(AGENTS)}
    producer = fleet.asking(specialists=napping)
    return producer, producer.audit(AuditRequest(specialists=tuple(napping)))


def test_a_strained_host_has_one_agent_at_a_time_and_says_why(tmp_path: Path) -> None:
    # No machine uses less memory than that; unlike load, it is the same on each that runs this.
    tools = ["tests.support.fake_tools"]
    strained: dict[str, Any] = {"busy_memory_percent": 0.001, "heartbeat_seconds": 2.0}
    with TestFleet(tmp_path, tool_modules=tools, **strained) as running:
        running.start_workers("alpha", agents=AGENTS)
        wait_until("it is held back", lambda: beat_of(running).capacity == 1)
        assert beat_of(running).strain.startswith("memory in use ")
        shown = run_cli("hosts", environment={"HOSTSWARM_BROKER_URL": running.url}).stdout
        assert "alpha is held back: memory in use" in shown
        producer, job = send(running, 0.1)
        ends = EventKind.PART_CLOSED
        wait_until("all are closed", lambda: told(producer, job).count(ends) == AGENTS)
        under_way, most = 0, 0
        for kind in told(producer, job):
            under_way += {EventKind.PART_STARTED: 1, EventKind.PART_CLOSED: -1}.get(kind, 0)
            most = max(most, under_way)
        assert most == 1
        producer.close()


def test_a_host_that_is_well_has_all_the_agents_it_may(lone_fleet: TestFleet) -> None:
    lone_fleet.start_workers("alpha", agents=AGENTS)
    producer, job = send(lone_fleet, 60)
    begun = EventKind.PART_STARTED
    wait_until("all are begun", lambda: told(producer, job).count(begun) >= AGENTS)
    beat = beat_of(lone_fleet)
    assert (beat.capacity, beat.strain) == (AGENTS, "")
    producer.close()
