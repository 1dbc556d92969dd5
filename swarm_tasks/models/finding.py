"""What an agent says is wrong, and the measured claims that carry it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from swarm_tasks.models.base import HOST_PATTERN, Frozen, HostName, Moment, Name, digest

MOST = 10**100
"""No machine measures more. What is beyond any float could be neither reckoned with nor shown."""

MOST_CHARACTERS = 300
"""Of a value that is a word: a state, or the name of one."""

MeasuredValue = (
    bool
    | Annotated[int, Field(ge=-MOST, le=MOST)]
    | Annotated[float, Field(ge=-MOST, le=MOST)]
    | Annotated[str, Field(max_length=MOST_CHARACTERS)]
)
"""A `JsonScalar` that can be reckoned with."""


class Severity(StrEnum):
    """How urgent a finding is, in the words of monitoring plugins."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for critical, 1 for warning, 2 for info: the order of a report."""
        return _RANKS[self]


_RANKS = {severity: rank for rank, severity in enumerate(Severity)}


class Verdict(StrEnum):
    """What became of a claim when it was checked.

    verified: measured again on the host, and it holds. refuted: measured again otherwise, and
    nothing that can be trusted says that it ever held. stale: it held when taken and has changed
    since. unverifiable: nothing could measure it again. unsupported: the evidence it names does
    not say it.
    """

    VERIFIED = "verified"
    REFUTED = "refuted"
    STALE = "stale"
    UNVERIFIABLE = "unverifiable"
    UNSUPPORTED = "unsupported"

    @property
    def counts(self) -> bool:
        """Whether what has this verdict stands: no check withdrew it."""
        return self in (Verdict.VERIFIED, Verdict.UNVERIFIABLE)

    @classmethod
    def worst(cls, verdicts: Iterable[Verdict]) -> Verdict:
        """What several claims come to: one that is wrong spoils those beside it."""
        return max(verdicts, key=_GRAVITY.index, default=cls.UNVERIFIABLE)


_GRAVITY = (
    Verdict.VERIFIED,
    Verdict.UNVERIFIABLE,
    Verdict.STALE,
    Verdict.UNSUPPORTED,
    Verdict.REFUTED,
)


Comparator = Literal[">=", "<=", ">", "<", "==", "!="]


class EvidenceRef(Frozen):
    """Where in which evidence a claim's value stands.

    Args:
        pointer: An RFC 6901 JSON pointer into the evidence's `data`.
        sha256: The digest of that `data`.
    """

    call_id: str
    pointer: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Claim(Frozen):
    """A measured statement: `metric` of `subject` stands in `comparator` to `value`.

    Args:
        id: Unique in its report, such as `f3.c1`; empty until the report is joined.
        metric: A name of the metric table, such as `disk.used_percent`.
        host: The host it is about; empty means the one that its finding is of.
        subject: What exactly was measured: a mount point with its device, a unit, a pid.
        value: The limit that is claimed to be crossed, in `unit`.
        observed: What the evidence says; None where no evidence was gathered on that host.
        observed_at: When the evidence was taken.
        remeasured: What a second measurement said; None where there was none.
        remeasured_at: When that was taken.
        reason: Why the verdict is what it is, where the numbers do not say it.
    """

    id: str = ""
    metric: str
    host: str = Field(default="", pattern=f"{HOST_PATTERN}|^$")
    subject: str
    comparator: Comparator
    value: MeasuredValue
    unit: str
    observed: MeasuredValue | None
    observed_at: Moment | None
    remeasured: MeasuredValue | None = None
    remeasured_at: Moment | None = None
    verdict: Verdict = Verdict.UNVERIFIABLE
    reason: str = ""
    evidence: tuple[EvidenceRef, ...] = ()


class Acknowledgement(Frozen):
    """Somebody knows of a finding and wants no alarm for it until a date.

    Args:
        severity: How grave it was then: one that becomes graver is an alarm again.
        by: Who said so, as far as known.
    """

    fingerprint: str = Field(pattern=r"^[0-9a-f]{16}$")
    severity: Severity
    until: Moment
    reason: str = Field(min_length=1, max_length=500)
    by: str = Field(default="", max_length=100)
    at: Moment


class Finding(Frozen):
    """Something that is wrong on a host.

    Args:
        id: Unique in its report.
        fingerprint: The same for the same trouble on the same host in every audit.
        severity: What its verified values justify, by the rules.
        title: What is wrong, without a number: numbers stand in the claims.
        subject: What it is about, precisely.
        advice: What to do next.
        related: The `call_id` of other evidence that shows the cause, such as a log.
        explanation: What a model makes of it; empty where none was asked.
        source: Who raised it. The rules raise only what they measured.
        model: The model's name, where a model raised it.
        said_severity: What its source called it, where the rules justify less.
        doubted: Whether too many claims of that model were wrong of late.
        acknowledged: Who wants no alarm for it, until when and why.
    """

    id: str
    fingerprint: str
    host: HostName
    specialist: Name
    severity: Severity
    title: str
    subject: str
    advice: str
    verdict: Verdict
    claims: tuple[Claim, ...] = ()
    related: tuple[str, ...] = ()
    explanation: str = ""
    source: Literal["rules", "model"] = "rules"
    model: str = ""
    said_severity: Severity | None = None
    doubted: bool = False
    acknowledged: Acknowledgement | None = None

    @property
    def counts(self) -> bool:
        """Whether it is told as a fact: all of it was measured again and holds."""
        return self.verdict is Verdict.VERIFIED

    @property
    def alarms(self) -> bool:
        """Whether it may wake somebody: a fact that is grave and not acknowledged."""
        return self.counts and self.severity is not Severity.INFO and self.acknowledged is None

    @property
    def unsure(self) -> bool:
        """Whether the rules measured it once and nothing could measure it again: no fact, and no
        reason to be calm either."""
        return self.source == "rules" and self.verdict is Verdict.UNVERIFIABLE

    @property
    def opinion(self) -> bool:
        """Whether a model says so and nothing has withdrawn or confirmed it: a note."""
        return self.source == "model" and self.verdict is Verdict.UNVERIFIABLE


def fingerprint(host: str, metric: str, subject: str) -> str:
    """Sixteen hexadecimal digits that name this trouble on this host for good."""
    return digest([host, metric, subject])[:16]
