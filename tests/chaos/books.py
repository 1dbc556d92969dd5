"""What must hold after a round, whatever befell the fleet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from orchestrator.service import Fleet
from swarm_tasks.models.event import EventKind
from swarm_tasks.models.report import HostStatus, StopReason
from swarm_tasks.store import keys
from swarm_tasks.store.events import read_events
from swarm_tasks.store.ledger import Ledger

LATE_SECONDS = 5.0
"""How much longer than its deadline a job may take."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A job that has ended.

    Args:
        id: The job.
        parts: How many were asked for.
        seconds: How long it took, by the test's own clock.
        deadline_seconds: How long it might.
    """

    id: str
    parts: int
    seconds: float
    deadline_seconds: float


@dataclass(frozen=True, slots=True)
class Books:
    """What a round came to.

    Args:
        parts: How many were asked for in all.
        answered: How many of them were.
        lost: Parts that no report tells of.
        twice: Closings beyond one of a part or a job.
        late: Jobs that took longer than they might.
        redone: Parts that were begun more than once.
        put_back: How often parts were put back.
        sent_again: How often parts were sent again.
        unanswered: The others, by why.
        unexplained: Those of them that had to be answered: all that any host may do, and those of
            hosts that were never made silent.
        degraded: Parts that the rules answered in place of a model.
    """

    parts: int
    answered: int
    lost: tuple[str, ...]
    twice: tuple[str, ...]
    late: tuple[str, ...]
    redone: int
    put_back: int
    sent_again: int
    unanswered: Counter[StopReason]
    unexplained: tuple[str, ...]
    degraded: int

    @property
    def add_up(self) -> bool:
        """Whether nothing was lost, counted twice, late, or not answered without a reason."""
        return not (self.lost or self.twice or self.late or self.unexplained)


def audit_of(fleet: Fleet, jobs: Sequence[Ended], silent: Collection[str] = ()) -> Books:
    """Go through the books of these jobs.

    Args:
        silent: Hosts that were made silent, so that what is bound to them may be dark.
    """
    ledger = fleet.ledger
    lost: list[str] = []
    twice: list[str] = []
    unanswered: Counter[StopReason] = Counter()
    unexplained: list[str] = []
    answered = redone = put_back = sent_again = degraded = 0
    for job in jobs:
        record, reports = ledger.record(job.id), ledger.reports(job.id)
        report = fleet.report(job.id)
        told = sum(len(line.parts) for line in report.hosts)
        parts = ledger.parts(job.id)
        counts = (record.total, record.closed, len(reports), len(parts), told)
        if set(counts) != {job.parts}:
            lost.append(f"{job.id}: {job.parts} asked; {counts}")
        twice += _twice(fleet, job.id)
        others = [one for one in reports if one.status is not HostStatus.ANSWERED]
        answered += len(reports) - len(others)
        degraded += sum(1 for one in reports if one.degraded)
        unanswered += Counter(one.stop for one in others)
        bound = {part.part for part in parts if part.bound}
        unexplained += [
            f"{job.id} {one.part} on {one.host}: {one.stop.value}, {one.reason}"
            for one in others
            if not (one.part in bound and one.stop is StopReason.DARK and one.host in silent)
        ]
        redone += sum(1 for part in parts if part.attempt > 1)
        put_back += sum(part.returns for part in parts)
        sent_again += sum(part.sends for part in parts)
    return Books(
        parts=sum(job.parts for job in jobs),
        answered=answered,
        lost=tuple(lost),
        twice=tuple(twice),
        late=tuple(
            f"{job.id}: {job.seconds:.1f} s of {job.deadline_seconds:.0f}"
            for job in jobs
            if job.seconds > job.deadline_seconds + LATE_SECONDS
        ),
        redone=redone,
        put_back=put_back,
        sent_again=sent_again,
        unanswered=unanswered,
        unexplained=tuple(unexplained),
        degraded=degraded,
    )


def _twice(fleet: Fleet, job: str) -> list[str]:
    """What the job's events tell more than once of what happens once."""
    closings: Counter[str] = Counter()
    last = "0"
    while events := list(read_events(fleet.client, job, last, 0.01)):
        last = events[-1][0]
        for _, event in events:
            if event.kind in (EventKind.PART_CLOSED, EventKind.JOB_CLOSED):
                closings[event.part or "the job"] += 1
    return [f"{job}: {what} closed {times} times" for what, times in closings.items() if times > 1]


def left_over(ledger: Ledger) -> list[str]:
    """What of ended jobs is still kept as under way."""
    client = ledger.client
    found = [f"open: {job}" for job in ledger.open_jobs()]
    for key in (keys.WAITING, keys.LEASES):
        found += [f"{key.pattern}: {member}" for member in client.zrange(key.at(), 0, -1)]
    return found
