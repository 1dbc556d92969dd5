"""What happens in a job, as it happens."""

from __future__ import annotations

from enum import StrEnum

from swarm_tasks.models.base import Frozen, Moment


class EventKind(StrEnum):
    """What an event tells."""

    JOB_OPENED = "job_opened"
    PART_STARTED = "part_started"
    PART_PUT_BACK = "part_put_back"
    TOOL_STARTED = "tool_started"
    TOOL_ENDED = "tool_ended"
    PART_CLOSED = "part_closed"
    JOB_CLOSED = "job_closed"


class Event(Frozen):
    """One thing that happened in a job.

    Args:
        part: Empty for what concerns the whole job.
        status: A part's, tool call's or job's outcome, or why a part was put back.
        total: For `job_opened`: how many parts there are.
    """

    kind: EventKind
    at: Moment
    part: str = ""
    host: str = ""
    specialist: str = ""
    tool: str = ""
    status: str = ""
    seconds: float = 0.0
    findings: int = 0
    total: int = 0
