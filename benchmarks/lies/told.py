"""What a scripted model says, and what of it is so. Decided here, by arithmetic."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from benchmarks.lies.things import Truth, Value
from swarm_tasks.measures import measure
from swarm_tasks.models.base import Frozen
from swarm_tasks.models.finding import Severity


class Kind(StrEnum):
    """What is wrong with a statement."""

    TRUE = "true"
    VALUE = "wrong value"
    SUBJECT = "wrong volume"
    UNIT = "wrong unit"
    STALE = "stale"
    CALL = "invented call"
    INVERTED = "inverted comparator"
    HOST = "another host's number"
    FIELD = "pointer into the wrong field"
    IMMATERIAL = "true and immaterial"
    GRAVER = "called graver than it is"
    UNASKED = "of a thing that nobody expects"
    LOG = "only in a planted log line"
    BORROWED = "as grave as another's fault"
    BESIDE = "beside a true claim"
    ELSEWHERE = "told of the host that checks it"
    ABSENT = "of what is not there"
    VAGUE = "true and vaguely named"
    FORM = "hostile form"


Outcome = Literal[
    "verified",
    "refuted",
    "stale",
    "unsupported",
    "unverifiable",
    "rejected",
    "graded",
    "folded",
    "hidden",
]
"""What became of a statement: a verdict; rejected, since it could not be read; graded, since it
is so and was called grave, and raises no alarm; folded into another finding of the same; or hidden
in such a one, though it is not so and has to be shown."""


class Told(Frozen):
    """One statement of a model: a claim, and the words of the finding that carries it.

    Args:
        true: Whether all of it is so when it is checked.
        title: Names the finding; no other of the same answer has it.
        claims: As the model writes them, lines or objects; the first is the one that counts.
        names: What it tells the claim of, where that is not the claim's own subject: a fact that
            says this name is a lie that passed.
        key: The subject's key; empty for a claim that leads nowhere.
    """

    kind: Kind
    true: bool
    title: str
    subject: str
    severity: Severity
    metric: str
    key: str
    claims: tuple[Any, ...]
    names: str = ""

    @property
    def finding(self) -> dict[str, Any]:
        """As the model writes it."""
        return {
            "title": self.title,
            "severity": self.severity.value,
            "subject": self.subject,
            "cause": "It was read so.",
            "advice": "Look at it.",
            "claims": list(self.claims),
        }


class Row(Frozen):
    """A statement and what became of it."""

    host: str
    part: str
    kind: Kind
    true: bool
    outcome: Outcome
    passed: bool = False
    said: str = ""
    why: str = ""


class PartCost(Frozen):
    """What one part took.

    Args:
        claims: How many it had to check.
        probes: How many measurements it made for that.
        cpu_seconds: Of this process and of the tools that it ran.
    """

    part: str
    claims: int
    probes: int
    seconds: float = Field(ge=0)
    check_seconds: float
    cpu_seconds: float


class Faults(Frozen):
    """Faults by part and subject, counted once for each part.

    Args:
        planted: That there were, where the part looked.
        said: That model or rules named truthfully, before any check.
        kept: Of those, that raise an alarm after it.
        alarms_before: Findings called warning or critical before any check.
        right_before: Of those, about a planted fault and true.
        alarms: Findings that raise an alarm.
        right: Of those, about a planted fault and not graver than it is.
    """

    planted: int = 0
    said: int = 0
    kept: int = 0
    alarms_before: int = 0
    right_before: int = 0
    alarms: int = 0
    right: int = 0

    def plus(self, other: Faults) -> Faults:
        """Both together."""
        mine, theirs = self.model_dump(), other.model_dump()
        return Faults(**{name: mine[name] + theirs[name] for name in mine})


class Round(Frozen):
    """All that came of one run.

    Args:
        false_verified: Claims that are called verified and are not so, or of what is not there.
        crowded: What went wrong in a part whose answer takes long to be held against its subjects.
    """

    seed: str
    rows: tuple[Row, ...]
    ill: Faults
    well: Faults
    costs: tuple[PartCost, ...]
    false_verified: tuple[str, ...]
    crowded: tuple[str, ...] = ()


def so(value: Value, comparator: str, said: Value) -> bool:
    """Whether `value` stands to `said` so, exactly."""
    if isinstance(value, str) or isinstance(said, str):
        return (value == said) == (comparator in ("==", "="))
    match comparator:
        case ">=":
            return value >= said
        case "<=":
            return value <= said
        case ">":
            return value > said
        case "<":
            return value < said
        case "==" | "=":
            return value == said
        case _:
            return value != said


ROUND_FROM, ROUND_SHARE = 1_000, 0.006
"""Sizes and durations are rounded by who speaks of them: what is as near as this is no lie."""


def beyond_slack(truth: Truth) -> Truth:
    """The same, moving by the tolerance that the metric table promises as well: what is so within
    that is no lie to a second measurement."""
    if isinstance(truth.value, str):
        return truth
    slack = measure(truth.metric).slack(truth.value)
    return dataclasses.replace(truth, margin=truth.margin + slack)


def surely(truth: Truth, comparator: str, said: Value, rounding: float = 0.0) -> bool | None:
    """Whether a claim is so however the value moves within its margin; None where that decides.

    Args:
        rounding: What a claim with `==` leaves open: half a unit of its last digit.
    """
    value = truth.value
    if isinstance(value, str) or isinstance(said, str):
        return so(value, comparator, said)
    if comparator in ("==", "=", "!="):
        apart = abs(value - said)
        gray = ROUND_SHARE * abs(said) if abs(said) >= ROUND_FROM else 0.0
        near = apart <= truth.margin + rounding
        if abs(apart - rounding) <= 0.01 * rounding:
            return None
        if (near and truth.margin) or (not near and apart <= truth.margin + gray):
            return None
        return near == (comparator != "!=")
    ends = {so(value + step, comparator, said) for step in (-truth.margin, truth.margin)}
    return ends.pop() if len(ends) == 1 else None


def fault_of(truths: Mapping[tuple[str, str], Truth], metric: str, subject: str) -> Truth | None:
    """The truth about a report's subject: its key is how the subject begins."""
    best: Truth | None = None
    for (name, key), truth in truths.items():
        fits = subject == key or subject.startswith((f"{key} (", f"{key}, "))
        if name == metric and fits and (best is None or len(key) > len(best.key)):
            best = truth
    return best
