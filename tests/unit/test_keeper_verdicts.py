"""When control speaks for a part that nobody else will close, and what it says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import pytest

from orchestrator.keeper import CANCEL_SECONDS, dark_report, verdict_on
from swarm_tasks.models.host import Beat
from swarm_tasks.models.job import Job
from swarm_tasks.models.report import HostReport, HostStatus, StopReason
from swarm_tasks.store.records import JobRecord, PartRecord

State = Literal["sent", "running", "closed"]

NOW = 1_000_000.0
SEEN = datetime(2026, 3, 2, 9, 14, 7, tzinfo=UTC)
ALIVE = Beat(host="alpha", instance="this life", at=SEEN, load1=0, agents=1, capacity=8)
REBORN = ALIVE.model_copy(update={"instance": "next life"})


@dataclass(frozen=True)
class Case:
    """How a part stands, and what is to be said of it.

    Args:
        left: Seconds until the deadline; not more than zero once it is past.
        cancelled: Seconds since the job was cancelled; None where it was not.
    """

    state: State
    beat: Beat | None
    said: StopReason | None
    left: float = 60.0
    cancelled: float | None = None
    reason: str = ""


def verdict(case: Case) -> HostReport | None:
    job = Job(
        id="abcdefgh",
        hosts=("alpha",),
        specialists=("storage",),
        created=SEEN,
        deadline_seconds=300,
    )
    record = JobRecord(
        job=job,
        state="open",
        total=1,
        closed=0,
        deadline_at=NOW + case.left,
        cancelled_at=None if case.cancelled is None else NOW - case.cancelled,
    )
    part = PartRecord(
        part="alpha/storage",
        host="alpha",
        bound=True,
        specialist="storage",
        state=case.state,
        attempt=0 if case.state == "sent" else 1,
        owner="" if case.state == "sent" else "this life",
    )
    return verdict_on(record, part, case.beat, NOW, {"alpha": SEEN})


CASES = {
    "waiting on a live host": Case("sent", ALIVE, None),
    "running on a live host": Case("running", ALIVE, None),
    "waiting on a dark host": Case("sent", None, StopReason.DARK, reason="no sign of life"),
    "running on a dark host": Case("running", None, StopReason.DARK, reason="no sign of life"),
    "waiting on a host that restarted": Case("sent", REBORN, None),
    "running on a host that restarted": Case(
        "running", REBORN, StopReason.LOST, reason="restarted while it ran"
    ),
    "waiting just before the deadline": Case("sent", ALIVE, None, left=0.01),
    "waiting at the deadline": Case(
        "sent", ALIVE, StopReason.DEADLINE, left=0, reason="was not begun by the deadline"
    ),
    "running at the deadline": Case(
        "running", ALIVE, StopReason.DEADLINE, left=-5, reason="did not finish by the deadline"
    ),
    "dark at the deadline": Case("running", None, StopReason.DARK, left=-5),
    "restarted at the deadline": Case("running", REBORN, StopReason.LOST, left=-5),
    "waiting in a cancelled job": Case(
        "sent", ALIVE, StopReason.CANCELLED, cancelled=0, reason="was cancelled"
    ),
    "just told to stop": Case("running", ALIVE, None, cancelled=1),
    "does not stop": Case("running", ALIVE, StopReason.CANCELLED, cancelled=CANCEL_SECONDS + 1),
    "waiting in a cancelled job on a dark host": Case(
        "sent", None, StopReason.CANCELLED, cancelled=0
    ),
    "just told to stop, and dark": Case("running", None, StopReason.DARK, cancelled=1),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_control_speaks_only_where_nobody_else_will(case: Case) -> None:
    report = verdict(case)
    assert (report.stop if report else None) is case.said
    if report is None:
        return
    assert case.reason in report.reason
    dark = case.said is StopReason.DARK
    assert report.status is (HostStatus.DARK if dark else HostStatus.FAILED)
    assert (report.job, report.part, report.host, report.specialist) == (
        *("abcdefgh", "alpha/storage", "alpha", "storage"),
    )
    assert report.started is None
    assert report.findings == ()


def test_a_dark_host_s_report_says_that_it_is_silent() -> None:
    seen = dark_report("abcdefgh", "alpha/storage", "alpha", "storage", {"alpha": SEEN})
    assert seen.reason == "its worker gives no sign of life"


def test_a_host_that_never_came_is_not_said_to_have_been_seen() -> None:
    never = dark_report("abcdefgh", "alpha/storage", "alpha", "storage", {"bravo": SEEN})
    assert never.reason == "its worker never came"
