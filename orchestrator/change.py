"""What became of findings from one job to another, as data. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from swarm_tasks.models.base import Frozen, HostName, Moment, Name
from swarm_tasks.models.finding import MeasuredValue, Severity, Verdict
from swarm_tasks.models.report import JobStatus, Report

DIFF_SCHEMA = "hostswarm.diff/1"


class Change(StrEnum):
    """What became of a finding from one job to another.

    worse: graver; or as grave, and further past its limit by more than two measurements of the
    same thing may differ. better: the reverse. unknown: it is gone, and nobody looked who could
    tell. not_asked: it is gone, and the later job did not ask its specialist on its host.
    """

    NEW = "new"
    WORSE = "worse"
    UNKNOWN = "unknown"
    SAME = "same"
    BETTER = "better"
    RESOLVED = "resolved"
    NOT_ASKED = "not_asked"


class Side(Frozen):
    """A finding as one of the jobs has it, with what it measured first.

    Args:
        id: In that job's report.
        value: The newest measurement; None where the finding has none.
        limit: The level that is crossed.
    """

    id: str
    severity: Severity
    verdict: Verdict
    metric: str = ""
    value: MeasuredValue | None = None
    comparator: str = ""
    limit: MeasuredValue | None = None
    unit: str = ""
    acknowledged: bool = False


class Difference(Frozen):
    """One finding in both jobs.

    Args:
        why: What the change rests on, where the values do not say it.
        old: None where the earlier job does not have it.
        new: None where the later one does not.
        alarms: Whether it is new or worse and may wake somebody.
    """

    change: Change
    fingerprint: str
    host: HostName
    specialist: Name
    title: str
    subject: str
    source: Literal["rules", "model"]
    why: str = ""
    old: Side | None = None
    new: Side | None = None
    alarms: bool = False


class Compared(Frozen):
    """One of the two jobs."""

    id: str
    question: str
    created: Moment
    status: JobStatus


class Diff(Frozen):
    """What `diff OLD NEW --json` prints.

    Args:
        counts: How many findings there are of each change.
        notes: What is to be known when reading it, for people.
        findings: What calls for eyes first; then by severity, host and title.
    """

    schema_: Literal["hostswarm.diff/1"] = Field(default=DIFF_SCHEMA, alias="schema")
    old: Compared
    new: Compared
    counts: dict[Change, int]
    notes: tuple[str, ...] = ()
    findings: tuple[Difference, ...] = ()

    def to_json(self) -> str:
        """As JSON text."""
        return self.model_dump_json(by_alias=True, indent=2)


def exit_code_of(diff: Diff, new: Report) -> int:
    """What a monitoring plugin leaves with: 2 where something critical is new or worse, 1 for a
    warning, 3 where the later job does not know enough to say that nothing is, else 0.

    Information, opinions and what is acknowledged count for nothing, gone or not.
    """
    alarms = {one.new.severity for one in diff.findings if one.alarms and one.new is not None}
    if Severity.CRITICAL in alarms:
        return 2
    if Severity.WARNING in alarms:
        return 1
    whole = new.coverage.whole and new.job.status is JobStatus.COMPLETE
    unsure = any(_unsure(one) or _lost(one) for one in diff.findings)
    return 0 if whole and not unsure else 3


def _lost(one: Difference) -> bool:
    """Whether it was grave enough to wake somebody, and nobody can tell what became of it."""
    if one.change is not Change.UNKNOWN or one.old is None:
        return False
    return one.old.severity is not Severity.INFO and not one.old.acknowledged


def _unsure(one: Difference) -> bool:
    """Whether it is new or worse as far as it was measured, and nobody could measure it again."""
    risen = one.change in (Change.NEW, Change.WORSE) and one.new is not None
    if not risen or one.new is None or one.new.acknowledged:
        return False
    return one.new.verdict is not Verdict.VERIFIED and one.new.severity is not Severity.INFO
