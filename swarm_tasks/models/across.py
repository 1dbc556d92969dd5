"""What stands out over a whole fleet: patterns, likely causes, outliers, and what to do first."""

from __future__ import annotations

from pydantic import Field

from swarm_tasks.models.base import Frozen, HostName
from swarm_tasks.models.finding import Severity


class Pattern(Frozen):
    """The same trouble on several hosts. Its findings stay in the report as they are.

    Args:
        id: Unique in its report: `p1`, `p2`, …
        subject: What it is about, without what differs from host to host, such as a device.
        severity: The gravest of its findings'.
        hosts: Every host that has it, sorted.
        findings: The ids of its findings.
        well: How many other hosts measured the same and have no such finding.
    """

    id: str
    metric: str
    subject: str
    title: str
    severity: Severity
    hosts: tuple[HostName, ...]
    findings: tuple[str, ...]
    well: int = Field(default=0, ge=0)


class Cause(Frozen):
    """What several findings likely come from. Found by rule, and never more than likely.

    Args:
        id: Unique in its report: `c1`, `c2`, …
        kind: Which rule spoke, such as `resolver`.
        title: What is likely the cause.
        why: What speaks for it.
        advice: What to do about it.
        hosts: Every host that it concerns, sorted.
        findings: The ids of the findings that it is seen by: they are gone when it is mended.
        symptoms: The ids of other findings that it may explain.
    """

    id: str
    kind: str
    title: str
    why: str
    advice: str
    severity: Severity
    hosts: tuple[HostName, ...]
    findings: tuple[str, ...] = ()
    symptoms: tuple[str, ...] = ()


class Outlier(Frozen):
    """A host unlike its peers in one measured value. Information, never an alarm.

    Args:
        id: Unique in its report: `o1`, `o2`, …
        value: What was measured, in `unit`.
        median: What is usual among its peers, in `unit`.
        spread: The median absolute deviation of its peers, in `unit`.
        score: The modified z-score: how many deviations it stands off.
        peers: How many hosts were compared, this one among them.
        group: Who its peers are, in words.
    """

    id: str
    host: HostName
    metric: str
    subject: str
    unit: str
    value: float
    median: float
    spread: float
    score: float
    peers: int
    group: str


class Action(Frozen):
    """One step of the order to act in.

    Args:
        rank: 1 for what to do first.
        what: What to do.
        why: What it is for.
        hosts: Where, sorted.
        findings: The ids of the findings that it settles; none for a host that is dark.
        cause: The id of the likely cause that it removes; empty for none.
        pattern: The id of the pattern that it settles; empty for none.
        after: The ranks of steps that may settle this one by themselves.
    """

    rank: int
    what: str
    why: str
    severity: Severity
    hosts: tuple[HostName, ...]
    findings: tuple[str, ...] = ()
    cause: str = ""
    pattern: str = ""
    after: tuple[int, ...] = ()
