"""Who goes first, on a real worker with two places: told by the order of what was closed."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from swarm_tasks.models.event import EventKind
from swarm_tasks.models.job import LANES, Anywhere, AuditRequest, Job
from swarm_tasks.routing import SHARED
from swarm_tasks.store.events import read_events
from swarm_tasks.watch.messages import lane_key
from tests.support.fleets import TestFleet, specialist
from tests.support.waiting import wait_until

PLACES = 2
MORE_IN_TURN = 4
"""Parts that may pass besides: one in eight is taken from the other lines first."""


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the agents that have the places first wait for."""
    return tmp_path_factory.mktemp("gate") / "open"


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, gate: Path) -> Generator[TestFleet]:
    """One host with two places for agents."""
    with TestFleet(
        tmp_path_factory.mktemp("alone"),
        tool_modules=["tests.support.fake_tools"],
        specialists={
            "napper": specialist("napper", "nap", seconds=0),
            "holder": specialist("holder", "hold", path=str(gate)),
        },
        agents=PLACES,
        heartbeat_seconds=2.0,
    ) as running:
        running.start_workers("alpha")
        yield running


def naps(parts: int, **more: str) -> AuditRequest:
    """So many naps, wherever there is a place."""
    asked = tuple(Anywhere(specialist="napper") for _ in range(parts))
    return AuditRequest.model_validate({"anywhere": asked, **more})


def closings(fleet: TestFleet, job: Job) -> list[tuple[int, ...]]:
    """When the parts of a job were closed, in the order of the whole store."""
    found: list[tuple[int, ...]] = []
    last = "0"
    while portion := list(read_events(fleet.fleet.client, job.id, last, 0.001)):
        last = portion[-1][0]
        found += [
            tuple(map(int, identifier.split("-")))
            for identifier, event in portion
            if event.kind is EventKind.PART_CLOSED
        ]
    return found


def passed(fleet: TestFleet, gate: Path, first: AuditRequest, second: AuditRequest) -> int:
    """How many parts of a job were closed until another was done that was asked behind it.

    Both wait in their lines before anything is done: agents that wait for the gate have the places.
    """
    gate.unlink(missing_ok=True)
    holders = tuple(Anywhere(specialist="holder") for _ in range(PLACES))
    held = fleet.fleet.audit(AuditRequest(anywhere=holders)).id
    parts = fleet.fleet.ledger.parts
    wait_until("no place is left", lambda: all(one.state == "running" for one in parts(held)))
    bulk, job = fleet.fleet.audit(first), fleet.fleet.audit(second)
    gate.touch()
    wait_until("it is done", lambda: fleet.fleet.record(job.id).closed == len(second.anywhere))
    fleet.fleet.cancel(bulk.id)
    # Messages of what was cancelled have their turns too: they are gone before the next test.
    lanes = [lane_key(SHARED, lane) for lane in range(LANES)]
    wait_until("none is left", lambda: not any(map(fleet.fleet.client.llen, lanes)))
    end = closings(fleet, job)[-1]
    return sum(one < end for one in closings(fleet, bulk))


def test_a_job_of_four_is_done_long_before_one_of_two_hundred_that_was_asked_first(
    alone: TestFleet, gate: Path
) -> None:
    # The large one has eight parts in the same line.
    assert passed(alone, gate, naps(200), naps(4)) <= 8 + PLACES + MORE_IN_TURN


def test_what_somebody_waits_for_goes_before_what_nobody_does(alone: TestFleet, gate: Path) -> None:
    most = PLACES + MORE_IN_TURN + 24 // 8
    assert passed(alone, gate, naps(100, priority="periodic"), naps(24)) <= most
