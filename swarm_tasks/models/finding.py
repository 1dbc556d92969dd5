"""What an agent says is wrong, and the measured claims that carry it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from swarm_tasks.models.base import Frozen, HostName, Moment, Name, digest

MOST = 10**100
"""No machine measures more. What is beyond any float could be neither reckoned with nor shown."""

MeasuredValue = (
    bool
    | Annotated[int, Field(ge=-MOST, le=MOST)]
    | Annotated[float, Field(ge=-MOST, le=MOST)]
    | str
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

    verified: measured again on the host, and it holds. refuted: measured again, and it never
    held. stale: it held when taken and has changed since. unverifiable: nothing could measure
    it again. unsupported: the evidence it names does not say it.
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


class EvidenceRef(Frozen):
    """Where in which evidence a claim's value stands.

    Args:
        pointer: An RFC 6901 JSON pointer into the evidence's `data`.
        sha256: The digest of that `data`.
    """

    call_id: str
    pointer: str
    sha256: str


class Claim(Frozen):
    """A measured statement: `metric` of `subject` stands in `comparator` to `value`.

    Args:
        metric: A name of the metric table, such as `disk.used_percent`.
        subject: What exactly was measured: a mount point with its device, a unit, a pid.
        comparator: One of >=, <=, >, <, ==, !=.
        value: The limit that is claimed to be crossed, in `unit`.
        observed: What the evidence says.
        remeasured: What a second measurement said; None where there was none.
    """

    metric: str
    subject: str
    comparator: str
    value: MeasuredValue
    unit: str
    observed: MeasuredValue
    observed_at: Moment
    remeasured: MeasuredValue | None = None
    verdict: Verdict = Verdict.UNVERIFIABLE
    evidence: tuple[EvidenceRef, ...] = ()


class Finding(Frozen):
    """Something that is wrong on a host.

    Args:
        id: Unique in its report.
        fingerprint: The same for the same trouble on the same host in every audit.
        title: What is wrong, without a number: numbers stand in the claims.
        subject: What it is about, precisely.
        advice: What to do next.
        related: The `call_id` of other evidence that shows the cause, such as a log.
        explanation: What a model makes of it; empty where none was asked.
        source: Who raised it. The rules raise only what they measured.
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

    @property
    def counts(self) -> bool:
        """Whether it is told as a fact. A model's word is one only once it was measured again."""
        return self.verdict is Verdict.VERIFIED or (self.verdict.counts and not self.opinion)

    @property
    def opinion(self) -> bool:
        """Whether a model says so and nothing has withdrawn or confirmed it: a note."""
        return self.source == "model" and self.verdict is Verdict.UNVERIFIABLE


def fingerprint(host: str, metric: str, subject: str) -> str:
    """Sixteen hexadecimal digits that name this trouble on this host for good."""
    return digest([host, metric, subject])[:16]
