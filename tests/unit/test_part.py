"""A part of a host while the store is away: only the store and the agent are played."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast

import pytest
import redis
from celery.exceptions import Ignore

from swarm_tasks.models.job import HostTask, Specialist
from swarm_tasks.models.policy import Policy
from swarm_tasks.models.report import HostReport, StopReason
from swarm_tasks.store.leases import Held, Lease
from swarm_tasks.store.ledger import Closing
from swarm_tasks.store.records import PartRecord, part_of
from workers.assignment import Assignment
from workers.investigate import Investigated, failed_report
from workers.parts import Parts

TASK = HostTask(
    job="abcdefgh",
    part="alpha/napper",
    host="alpha",
    specialist=Specialist(name="napper", title="", prompt="", tools=()),
    deadline_at=60.0,
)
HELD = Held(TASK.job, TASK.part, 1)


class AwayOnce:
    """A ledger whose store is away at the first try to close a part."""

    def __init__(self) -> None:
        self.closed: list[HostReport] = []
        self._away = True

    @property
    def leases(self) -> AwayOnce:
        return self

    def take(self, job: str, part: str, owner: str, host: str, lease_seconds: float) -> Lease:
        return Lease(attempt=1, now=0.0, deadline_at=60.0)

    def part_records(self, members: list[str]) -> dict[str, PartRecord]:
        waits = part_of(TASK.part, {"host": "alpha", "specialist": "napper", "state": "sent"})
        return dict.fromkeys(members, waits)

    def close_part(
        self, report: HostReport, attempt: int | None, seen: PartRecord | None = None
    ) -> Closing:
        if self._away:
            self._away = False
            raise redis.ConnectionError("away")
        self.closed.append(report)
        return Closing.CLOSED


class Unheard(Future[Any]):
    """The moment between a future's end and its callbacks, for ever."""

    def add_done_callback(self, fn: Callable[[Future[Any]], object]) -> None:
        """Whoever waits is told first."""


def always(answer: object) -> Callable[..., object]:
    """Something to be called, whose answer is always the same."""

    def called(*_: object, **__: object) -> object:
        return answer

    return called


nothing = always(None)


REPORT = failed_report(TASK, StopReason.ERROR, "as it ended")
INVESTIGATED = Investigated(REPORT, {}, frozenset())


def parts_of(
    ledger: AwayOnce,
    result: Investigated | None = INVESTIGATED,
    emit: Callable[..., object] = nothing,
) -> Parts:
    """A host's parts, whose agents have ended as soon as they begin."""
    ended = Unheard()
    ended.set_result(result)
    history = SimpleNamespace(raised=dict, add=nothing)
    events = SimpleNamespace(emit=emit, flush=nothing)
    shelf = SimpleNamespace(ledger=ledger, history=history, events=events)
    return Parts(
        cast(Any, SimpleNamespace(host="alpha", policy=Policy(), presence_ttl_seconds=6.0)),
        "instance",
        cast(Any, shelf),
        cast(Any, SimpleNamespace(start=always(ended))),
        cast(Any, SimpleNamespace(investigate=nothing)),
        cast(Any, SimpleNamespace(wanted=nothing)),
        lambda task: None,
    )


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has been up for longer than anybody is patient."""
    clock = time.monotonic
    monkeypatch.setattr("workers.patience.time.monotonic", lambda: clock() + 86_400.0)


@pytest.mark.usefixtures("late")
def test_a_part_that_is_finished_before_its_end_was_noted_is_patient_all_the_same() -> None:
    ledger = AwayOnce()
    begun = parts_of(ledger).begin(TASK.model_dump(mode="json"))
    assert begun.finish() == TASK.part
    assert [report.reason for report in ledger.closed] == ["as it ended"]


def test_a_part_that_cannot_be_read_is_closed_as_patiently_as_any() -> None:
    ledger = AwayOnce()
    begun = parts_of(ledger).begin({"job": TASK.job, "part": TASK.part})
    assert begun.finish() == TASK.part
    (report,) = ledger.closed
    assert report.reason.startswith("its task cannot be read: ")


@pytest.mark.parametrize("payload", ["text", None, ["abcdefgh", "alpha/napper"], {"part": 3}])
def test_a_part_that_does_not_say_which_it_is_is_refused(payload: Any) -> None:
    ledger = AwayOnce()
    parts_of(ledger).begin(payload).finish()
    assert ledger.closed == []


def test_a_part_that_cannot_be_begun_is_renewed_no_more() -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("cannot start new thread")

    parts = parts_of(AwayOnce(), emit=broken)
    with pytest.raises(RuntimeError):
        parts.begin(TASK.model_dump(mode="json"))
    assert not parts.holds(HELD)


def raises(*_: object) -> None:
    raise RuntimeError("before the body")


@pytest.mark.parametrize("tracer", [raises, nothing], ids=["raises", "returns"])
def test_a_part_whose_body_celery_never_comes_to_is_renewed_no_more(
    tracer: Callable[..., Any],
) -> None:
    parts = parts_of(AwayOnce())
    request: dict[str, Any] = {"args": (TASK.model_dump(mode="json"),), "kwargs": {}}
    task = cast(Any, SimpleNamespace(begin=parts.begin))
    assignment = Assignment(task, tracer, ("investigate", "id", request), None, nothing)
    assignment.begin(task)
    assert parts.holds(HELD)
    assignment.finish()
    assert not parts.holds(HELD)


def test_a_part_is_given_back_only_once_nothing_renews_it() -> None:
    class Returns(AwayOnce):
        """A ledger that notes whether what is put back is held."""

        held: tuple[bool, ...] = ()

        def put_back(self, job: str, part: str, attempt: int, why: str, host: str) -> bool:
            self.held += (parts.holds(Held(job, part, attempt)),)
            return True

    ledger = Returns()
    parts = parts_of(ledger, result=None)
    parts.leaving = True
    begun = parts.begin(TASK.model_dump(mode="json"))
    assert parts.holds(HELD)
    with pytest.raises(Ignore):
        begun.finish()
    assert ledger.held == (False,)
