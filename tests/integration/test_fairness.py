"""Who goes first, on a real worker with two places: told by the order of what was closed."""

from __future__ import annotations

from collections.abc import Generator

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
def alone(tmp_path_factory: pytest.TempPathFactory) -> Generator[TestFleet]:
    """One host with two places for agents."""
    with TestFleet(
        tmp_path_factory.mktemp("alone"),
        tool_modules=["tests.support.fake_tools"],
        specialists={"napper": specialist("napper", "nap", seconds=0.02)},
        agents=PLACES,
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


def passed(fleet: TestFleet, first: AuditRequest, second: AuditRequest) -> int:
    """How many parts of a job were closed until another was done that was asked behind it."""
    bulk = fleet.fleet.audit(first)
    wait_until("it is under way", lambda: fleet.fleet.record(bulk.id).closed > 2)
    job = fleet.fleet.audit(second)
    before = fleet.fleet.record(bulk.id).closed
    wait_until("it is done", lambda: fleet.fleet.record(job.id).closed == len(second.anywhere))
    assert fleet.fleet.record(bulk.id).closed < len(first.anywhere)
    fleet.fleet.cancel(bulk.id)
    # Messages of what was cancelled have their turns too: they are gone before the next test.
    lanes = [lane_key(SHARED, lane) for lane in range(LANES)]
    wait_until("none is left", lambda: not any(map(fleet.fleet.client.llen, lanes)))
    end = closings(fleet, job)[-1]
    return sum(one < end for one in closings(fleet, bulk)) - before


def test_a_job_of_four_is_done_long_before_one_of_two_hundred_that_was_asked_first(
    alone: TestFleet,
) -> None:
    # The large one has eight parts in the same line.
    assert passed(alone, naps(200), naps(4)) <= 8 + PLACES + MORE_IN_TURN


def test_what_somebody_waits_for_goes_before_what_nobody_does(alone: TestFleet) -> None:
    most = PLACES + MORE_IN_TURN + 24 // 8
    assert passed(alone, naps(100, priority="periodic"), naps(24)) <= most
