"""What of a job's progress is worth telling."""

from __future__ import annotations

from swarm_tasks.models.base import now_utc
from swarm_tasks.models.event import Event, EventKind
from swarm_tasks.store.events import worth_telling

STARTED, ENDED = EventKind.TOOL_STARTED, EventKind.TOOL_ENDED


def event(kind: EventKind, part: str = "alpha/storage", tool: str = "") -> Event:
    return Event(kind=kind, at=now_utc(), part=part, host="alpha", tool=tool)


def told(*events: Event, job: str = "one") -> list[Event]:
    return [one for _, one in worth_telling([(job, one) for one in events])]


def test_a_tool_that_has_ended_is_told_by_its_end_alone() -> None:
    began = event(EventKind.PART_STARTED)
    start, end = event(STARTED, tool="mounts"), event(ENDED, tool="mounts")
    closed = event(EventKind.PART_CLOSED)
    assert told(began, start, end, closed) == [began, end, closed]


def test_a_tool_that_still_runs_is_told() -> None:
    first, second = event(STARTED, tool="nap"), event(STARTED, tool="nap")
    end = event(ENDED, tool="nap")
    # Twice at the same time: one of them runs on.
    assert len(told(first, second, end)) == 2
    again = event(STARTED, tool="nap")
    assert told(first, end, again) == [end, again]


def test_another_part_s_or_another_tool_s_end_ends_nothing() -> None:
    start = event(STARTED, tool="nap")
    others = (event(ENDED, tool="mounts"), event(ENDED, part="alpha/network", tool="nap"))
    assert told(start, *others) == [start, *others]
    elsewhere = ("two", event(ENDED, tool="nap"))
    assert worth_telling([("one", start), elsewhere]) == [("one", start), elsewhere]
