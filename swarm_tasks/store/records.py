"""Jobs and parts as the ledger has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from swarm_tasks.models.base import Frozen, Moment
from swarm_tasks.models.job import Job
from swarm_tasks.models.report import JobStatus


class JobRecord(Frozen):
    """A job as the ledger has it."""

    job: Job
    state: Literal["open", "closed"]
    total: int
    closed: int
    deadline_at: float
    cancelled_at: float | None = None
    status: JobStatus | None = None


class PartRecord(Frozen):
    """A part as the ledger has it, without its report.

    Args:
        host: Where it is to be done; of one for any host, who took it last; empty if nobody did.
        bound: Whether no other host may do it.
        owner: The life of the worker that holds it, or held it last.
        lease_until: On the store's clock; 0 where nobody holds it.
        sends: How often a message of it was sent beyond the first.
        returns: How often it was put back.
    """

    part: str
    host: str
    bound: bool
    specialist: str
    state: Literal["sent", "running", "closed"]
    attempt: int
    owner: str
    lease_until: float = 0.0
    sends: int = 0
    returns: int = 0


class JobSummary(Frozen):
    """A job in a list."""

    id: str
    question: str
    created: Moment
    hosts: int
    specialists: int
    state: Literal["open", "closed"]
    status: JobStatus | None
    total: int
    closed: int
    asked_by: str


PART_FIELDS = (
    *("host", "holder", "specialist", "state", "attempt", "owner", "lease_until"),
    *("sends", "returns"),
)


def part_of(name: str, row: Mapping[str, str | None]) -> PartRecord:
    """A part from the fields of its hash.

    Raises:
        ValidationError: It was tampered with, or is half written.
    """
    known = {field: value for field, value in row.items() if value is not None}
    bound = known.pop("host", "")
    holder = known.pop("holder", "")
    return PartRecord.model_validate(
        {"part": name, "host": bound or holder, "bound": bool(bound), **known}
    )


def summary_of(record: JobRecord) -> JobSummary:
    """A job as it stands in a list."""
    return JobSummary(
        id=record.job.id,
        question=record.job.question,
        created=record.job.created,
        hosts=len(record.job.hosts),
        specialists=len(record.job.specialists),
        state=record.state,
        status=record.status,
        total=record.total,
        closed=record.closed,
        asked_by=record.job.asked_by,
    )
