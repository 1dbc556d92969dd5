"""A part of a host while the store is away: only the store and the agent are played."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast

import pytest
import redis

from swarm_tasks.models.job import HostTask, Specialist
from swarm_tasks.models.policy import Policy
from swarm_tasks.models.report import HostReport, StopReason
from swarm_tasks.store.leases import Lease
from swarm_tasks.store.ledger import Closing
from workers.investigate import Investigated, failed_report
from workers.parts import Parts

TASK = HostTask(
    job="abcdefgh",
    part="alpha/napper",
    host="alpha",
    specialist=Specialist(name="napper", title="", prompt="", tools=()),
    deadline_at=60.0,
)


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

    def close_part(self, report: HostReport, attempt: int | None) -> Closing:
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


def parts_of(ledger: AwayOnce) -> Parts:
    """A host's parts, whose agents have ended as soon as they begin."""
    ended = Unheard()
    report = failed_report(TASK, StopReason.ERROR, "as it ended")
    ended.set_result(Investigated(report, {}, frozenset()))
    history = SimpleNamespace(raised=dict, add=nothing)
    events = SimpleNamespace(emit=nothing, flush=nothing)
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
