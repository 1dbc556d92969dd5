"""Jobs and parts as the ledger has them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from pydantic import ValidationError

from swarm_tasks.models.base import HOST_PATTERN, NAME_PATTERN, Frozen, HostOrAny, Moment, Name
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


class JobHead(Frozen):
    """What of a job changes while it is open, in one short read.

    Args:
        deadline_at: On the store's clock.
        cancelled_at: On the same; None while nobody wants it to end early.
    """

    id: str
    state: Literal["open", "closed"]
    total: int
    closed: int
    deadline_at: float
    cancelled_at: float | None = None


class PartRecord(Frozen):
    """A part as the ledger has it, without its report.

    Args:
        host: Where it is to be done; of one for any host, who took it last; empty if nobody did.
        bound: Whether no other host may do it.
        owner: The life of the worker that holds it, or held it last.
        lease_until: On the store's clock; 0 where nobody holds it.
        sends: How often a message of it was sent beyond the first.
        returns: How often it was put back.
        falls: How often of these because its worker was not heard of any more.
        lane: Which line of its queue it waits in.
        refused: Hosts that run a version which cannot do it.
        broken: What of its entry cannot be read; the rest is then made up.
    """

    part: str
    host: HostOrAny
    bound: bool
    specialist: Name
    state: Literal["sent", "running", "closed"]
    attempt: int
    owner: str
    lease_until: float = 0.0
    sends: int = 0
    returns: int = 0
    falls: int = 0
    lane: int = 0
    refused: tuple[str, ...] = ()
    broken: str = ""


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


HEAD_FIELDS = ("state", "total", "closed", "deadline_at", "cancelled_at")

PART_FIELDS = (
    *("host", "holder", "specialist", "state", "attempt", "owner", "lease_until"),
    *("sends", "returns", "falls", "lane", "refused"),
)


def part_of(name: str, row: Mapping[str, str | None]) -> PartRecord:
    """A part from the fields of its hash. One that is gone, half written or was tampered with is
    made up from its name and says so: it must not keep its job from its end."""
    known = {field: value for field, value in row.items() if value is not None}
    bound = known.pop("host", "")
    holder = known.pop("holder", "")
    refused = tuple(filter(None, known.pop("refused", "").split("\n")))
    try:
        return PartRecord.model_validate(
            {"part": name, "host": bound or holder, "bound": bool(bound), "refused": refused}
            | known
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        what = f"{first['loc'][0]}: {first['msg']}" if known else "it is gone"
    host, _, rest = name.partition("/")
    specialist = rest.partition("/")[0]
    named = re.fullmatch(HOST_PATTERN, host)
    return PartRecord(
        part=name,
        host=host if named else "",
        bound=bool(named),
        specialist=specialist if re.fullmatch(NAME_PATTERN, specialist) else "unknown",
        state="closed" if known.get("state") == "closed" else "sent",
        attempt=0,
        owner="",
        broken=what,
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
