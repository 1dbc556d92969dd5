"""What is to become of a part that nobody runs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from swarm_tasks.models.job import ANY_HOST
from swarm_tasks.models.outside import OutsideView, dark_reason
from swarm_tasks.models.report import HostReport, HostStatus, StopReason
from swarm_tasks.store.leases import MOST_ATTEMPTS, MOST_FALLS
from swarm_tasks.store.records import JobHead, PartRecord

CANCEL_SECONDS = 10.0
"""How long agents of a cancelled job may take to close their own parts."""


class HostState(Enum):
    """How a part's host stands."""

    ALIVE = "alive"
    DRAINED = "drained"
    SILENT = "silent"
    """It gives no sign of life, and may come back."""

    AWAY = "away"
    """Nothing was heard of it just now, and it is too early to call it silent."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A part that is to be closed in its runner's stead.

    Args:
        reason: For people; follows the host's name in a sentence.
    """

    stop: StopReason
    reason: str
    status: HostStatus = HostStatus.FAILED


def ended_by_its_job(head: JobHead, part: PartRecord, now: float) -> Verdict | None:
    """Why a part ends with its job's time, or its asker's; None while it goes on."""
    if head.cancelled_at is not None and (
        part.state == "sent" or now - head.cancelled_at > CANCEL_SECONDS
    ):
        return Verdict(StopReason.CANCELLED, "was cancelled")
    if now >= head.deadline_at:
        began = "did not finish" if part.state == "running" else "was not begun"
        again = f", begun {part.attempt} times" if part.attempt > 1 else ""
        return Verdict(StopReason.DEADLINE, f"{began} by the deadline{again}")
    return None


def unreadable(part: PartRecord) -> Verdict | None:
    """The verdict on a part whose entry is broken; None for one that is whole."""
    if part.broken:
        return Verdict(StopReason.ERROR, f"its entry in the ledger is broken: {part.broken}")
    return None


def ended_by_itself(part: PartRecord, host: HostState) -> Verdict | None:
    """Why a part that waits is not to be begun again; None while it may be."""
    if verdict := unreadable(part):
        return verdict
    if part.falls >= MOST_FALLS or part.attempt >= MOST_ATTEMPTS:
        times = max(part.falls, part.attempt)
        return Verdict(StopReason.LOST, f"was begun {times} times, and never came to an end")
    if part.bound and host is HostState.DRAINED:
        return Verdict(
            StopReason.DRAINED,
            f"is drained; `hostswarm drain {part.host} --undo` lets it take parts again",
        )
    return None


def too_new(part: PartRecord, payload: Mapping[str, object]) -> Verdict:
    """The verdict on a part that no host which is there knows the form of."""
    version, needed = payload.get("version") or "an unknown version", payload.get("format")
    return Verdict(
        StopReason.REFUSED,
        f"was made by hostswarm {version} in form {needed}, which no host that is there knows "
        f"(asked: {', '.join(part.refused)}): upgrade hostswarm on one of them",
    )


def dark(*, known: bool, view: OutsideView | None) -> Verdict:
    """The verdict on a host that gives no sign of life.

    When it was last seen stands in the report's table of hosts, not in the reason as well.

    Args:
        known: Whether it ever gave one.
        view: What a peer saw of it.
    """
    return Verdict(StopReason.DARK, dark_reason(view, known=known), HostStatus.DARK)


def report_of(
    job: str, part: PartRecord, verdict: Verdict, view: OutsideView | None = None
) -> HostReport:
    """The report of a part that is closed by this verdict.

    Args:
        view: What a peer saw of a host that is dark.
    """
    return HostReport(
        job=job,
        part=part.part,
        host=part.host or ANY_HOST,
        specialist=part.specialist,
        status=verdict.status,
        stop=verdict.stop,
        reason=verdict.reason,
        outside=view,
    )
