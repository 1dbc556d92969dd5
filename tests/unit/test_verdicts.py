"""What is said of a part that nobody runs. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from swarm_tasks.models.job import ANY_HOST
from swarm_tasks.models.report import HostStatus, StopReason
from swarm_tasks.store.leases import MOST_ATTEMPTS, MOST_FALLS
from swarm_tasks.store.records import JobHead, PartRecord
from swarm_tasks.watch.verdicts import (
    CANCEL_SECONDS,
    HostState,
    Verdict,
    dark,
    ended_by_its_job,
    ended_by_itself,
    report_of,
)

NOW = 1_800_000_000.0
PART = PartRecord(
    part="alpha/storage",
    host="alpha",
    bound=True,
    specialist="storage",
    state="sent",
    attempt=0,
    owner="",
)
RUNNING = PART.model_copy(update={"state": "running", "attempt": 1, "owner": "a life"})
AGAIN = RUNNING.model_copy(update={"attempt": 3})
ANYWHERE = PART.model_copy(update={"part": "*/storage", "host": "", "bound": False})


@dataclass(frozen=True, slots=True)
class Case:
    """A part in its job.

    Args:
        left: Seconds to the deadline.
        cancelled: Seconds since the job was cancelled.
        said: None where the part goes on.
    """

    part: PartRecord
    said: StopReason | None
    left: float = 60.0
    cancelled: float | None = None
    reason: str = ""


ITS_JOB = {
    "waits": Case(PART, None),
    "runs": Case(RUNNING, None),
    "waits too long": Case(PART, StopReason.DEADLINE, 0, reason="was not begun by the deadline"),
    "runs too long": Case(
        RUNNING, StopReason.DEADLINE, -1, reason="did not finish by the deadline"
    ),
    "ran too long again": Case(AGAIN, StopReason.DEADLINE, -1, reason=", begun 3 times"),
    "waits for nobody": Case(PART, StopReason.CANCELLED, cancelled=0, reason="was cancelled"),
    "is just told to stop": Case(RUNNING, None, cancelled=1),
    "does not stop": Case(RUNNING, StopReason.CANCELLED, cancelled=CANCEL_SECONDS + 1),
    "is told to stop at its deadline": Case(RUNNING, StopReason.DEADLINE, 0, cancelled=1),
}


@pytest.mark.parametrize("case", ITS_JOB.values(), ids=ITS_JOB.keys())
def test_a_part_ends_with_its_job(case: Case) -> None:
    head = JobHead(
        id="abcdefgh",
        state="open",
        total=1,
        closed=0,
        deadline_at=NOW + case.left,
        cancelled_at=None if case.cancelled is None else NOW - case.cancelled,
    )
    verdict = ended_by_its_job(head, case.part, NOW)
    assert (verdict.stop if verdict else None) is case.said
    assert verdict is None or case.reason in verdict.reason


BROKEN = PART.model_copy(update={"broken": "attempt: no number"})
WORN = PART.model_copy(update={"falls": MOST_FALLS})
STOPPED = PART.model_copy(update={"attempt": MOST_FALLS + 1, "returns": MOST_FALLS})
ENDLESS = PART.model_copy(update={"attempt": MOST_ATTEMPTS})
ITSELF = {
    "on a live host": (PART, HostState.ALIVE, None),
    "on a silent host": (PART, HostState.SILENT, None),
    "on a drained host": (PART, HostState.DRAINED, StopReason.DRAINED),
    "for any host": (ANYWHERE, HostState.DRAINED, None),
    "broken": (BROKEN, HostState.ALIVE, StopReason.ERROR),
    "took its workers down": (WORN, HostState.ALIVE, StopReason.LOST),
    "given back in order": (STOPPED, HostState.ALIVE, None),
    "begun for ever": (ENDLESS, HostState.ALIVE, StopReason.LOST),
}


@pytest.mark.parametrize("part, host, said", ITSELF.values(), ids=ITSELF.keys())
def test_a_part_that_waits_is_begun_again_unless_that_is_of_no_use(
    part: PartRecord, host: HostState, said: StopReason | None
) -> None:
    verdict = ended_by_itself(part, host)
    assert (verdict.stop if verdict else None) is said


def test_the_report_says_whose_part_it_was() -> None:
    report = report_of("abcdefgh", PART, Verdict(StopReason.DEADLINE, "was not begun"))
    assert (report.job, report.part, report.host, report.specialist) == (
        *("abcdefgh", "alpha/storage", "alpha", "storage"),
    )
    assert (report.status, report.stop, report.started) == ("failed", "deadline", None)
    assert report.findings == ()
    nobody = report_of("abcdefgh", ANYWHERE, Verdict(StopReason.DEADLINE, "was not begun"))
    assert nobody.host == ANY_HOST


def test_a_dark_host_is_said_to_be_silent_and_one_that_never_came_is_not() -> None:
    seen = dark(known=True, view=None)
    assert (seen.status, seen.stop) == (HostStatus.DARK, StopReason.DARK)
    assert seen.reason == "its worker gives no sign of life"
    assert dark(known=False, view=None).reason == "its worker never came"
