"""A model's answer becomes findings with claims, each held against the evidence it cites. Pure.

A model names a metric, a comparator, a value and a place in a result. What is measured there, and
of what, is read by the rules, not taken from the model.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from swarm_tasks.brain.base import Answer, Transcript, Unusable
from swarm_tasks.brain.words import json_object
from swarm_tasks.measures import measures
from swarm_tasks.models.base import JsonScalar
from swarm_tasks.models.charge import Charge
from swarm_tasks.models.evidence import Evidence
from swarm_tasks.models.finding import (
    Claim,
    Comparator,
    EvidenceRef,
    Finding,
    Severity,
    Verdict,
    fingerprint,
)
from swarm_tasks.models.report import NotSeen
from swarm_tasks.unseen import plain, plain_line
from workers.briefing import named
from workers.comparing import compares
from workers.paging import cited
from workers.rules.brain import Review, RulesBrain
from workers.rules.rule import Reading

CLAIM = re.compile(
    r"\s*(?P<metric>[a-z][a-z0-9_.]*)\s*(?P<comparator>>=|<=|==|!=|>|<|=)\s*"
    r"(?:(?P<number>[-+]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,30})(?:\.[0-9]{1,30})?"
    r"(?:[eE][-+]?[0-9]{1,3})?)\s*"
    r"(?P<unit>%|[A-Za-z]{1,20})?|\"(?P<quoted>[^\"]{1,80})\"|(?P<word>[A-Za-z][\w.-]{0,80}))"
    r"\s*@\s*(?P<call>c[1-9][0-9]{0,5})(?P<pointer>/\S{0,500})?\s*"
)
"""`METRIC COMPARATOR VALUE [UNIT] @RESULT/POINTER`: a third of the tokens of an object."""

NO_ANSWER = "it holds no JSON object of the form asked for"

NO_TOOL = "other"
"""In place of a tool's name where a model could not see something that no tool shows."""

UNIT_SIGNS = {"%": "percent", "s": "seconds", "ms": "milliseconds", "B": "bytes"}
MOST_PROBLEMS = 5


class WireFinding(BaseModel):
    """A finding as a model writes it."""

    model_config = ConfigDict(extra="ignore")

    title: str = Field(min_length=1, max_length=300)
    severity: Severity = Severity.INFO
    subject: str = Field(default="", max_length=300)
    cause: str = Field(default="", max_length=2000)
    advice: str = Field(default="", max_length=2000)
    claims: list[Annotated[str, Field(max_length=800)]] = Field(
        default_factory=list[str], max_length=20
    )


class WireAnswer(BaseModel):
    """An answer as a model writes it."""

    model_config = ConfigDict(extra="ignore")

    answer: str = Field(default="", max_length=8000)
    findings: list[WireFinding] = Field(default_factory=list[WireFinding], max_length=50)
    explained: dict[str, str] = Field(default_factory=dict[str, str])
    ruled_out: list[str] = Field(default_factory=list[str], max_length=50)
    not_seen: list[str] = Field(default_factory=list[str], max_length=50)


@dataclass(slots=True)
class Reader:
    """Reads answers to one task.

    Args:
        rules: What reads values in evidence.
        transcript: What was gathered.
        review: What the rules raised before the model began: what it was asked to explain.
        lenient: Whether a claim that cannot be resolved marks its finding rather than sends the
            answer back, since the model was told before.
    """

    rules: RulesBrain
    transcript: Transcript
    review: Review
    lenient: bool = False
    problems: list[str] = field(default_factory=list[str])
    digests: dict[str, str] = field(default_factory=dict[str, str])

    def read(self, text: str, charge: Charge) -> Answer | Unusable:
        """The answer in a model's words, or why there is none that can be used."""
        found = json_object(text, WireAnswer.model_fields)
        if found is None:
            return Unusable(said=text[:2000], problem=NO_ANSWER, charge=charge)
        try:
            wire = WireAnswer.model_validate(found)
        except ValidationError as error:
            return Unusable(said=text[:2000], problem=_told(error), charge=charge)
        findings = tuple(self._finding(number, one) for number, one in enumerate(wire.findings, 1))
        if self.problems and not self.lenient:
            told = "; ".join(self.problems[:MOST_PROBLEMS])
            return Unusable(said=text[:4000], problem=told, charge=charge)
        raised = named(self.review.findings)
        return Answer(
            findings=findings,
            text=plain(wire.answer).strip(),
            explained={
                raised[name].fingerprint: plain(cause).strip()
                for name, cause in wire.explained.items()
                if name in raised and plain(cause).strip()
            },
            ruled_out=tuple(line for one in wire.ruled_out if (line := plain_line(one))),
            not_seen=tuple(
                self._not_seen(line) for one in wire.not_seen if (line := plain_line(one))
            ),
            charge=charge,
        )

    def _finding(self, number: int, wire: WireFinding) -> Finding:
        task = self.transcript.task
        before = len(self.problems)
        claims = tuple(
            claim
            for at, text in enumerate(wire.claims, 1)
            if (claim := self._claim(f"finding {number}, claim {at}", text)) is not None
        )
        title, subject = plain_line(wire.title), plain_line(wire.subject)
        if not title:
            self._problem(f"finding {number}", "it has no title")
        unsupported = len(self.problems) > before or any(
            claim.verdict is Verdict.UNSUPPORTED for claim in claims
        )
        if claims:
            subject = claims[0].subject
        mark = fingerprint(
            task.host,
            claims[0].metric if claims else f"opinion of {task.specialist.name}",
            subject if claims else f"{title.casefold()} {subject}",
        )
        return Finding(
            id=mark,
            fingerprint=mark,
            host=task.host,
            specialist=task.specialist.name,
            # What a value justifies is for the rules to say, and they have said it by now: what
            # a model adds is a note.
            severity=Severity.INFO,
            title=title,
            subject=subject,
            advice=plain(wire.advice).strip(),
            verdict=Verdict.UNSUPPORTED if unsupported else Verdict.UNVERIFIABLE,
            claims=claims,
            explanation=plain(wire.cause).strip(),
            source="model",
        )

    def _claim(self, place: str, text: str) -> Claim | None:
        """The claim that a text makes, with what the evidence says of it; None and a problem
        where it cannot be read."""
        match = CLAIM.fullmatch(text)
        if match is None:
            form = "METRIC COMPARATOR VALUE @RESULT/POINTER"
            return self._problem(place, f"{text[:100]!r} is not `{form}`")
        evidence = cited(self.transcript, match["call"])
        if evidence is None:
            return self._problem(place, f"{match['call']} was never gathered")
        reading = self._reading(place, match["metric"], evidence, match["pointer"] or "")
        if reading is None:
            return None
        metric = measures()[match["metric"]]
        unit = UNIT_SIGNS.get(match["unit"] or "", match["unit"]) or metric.unit
        if unit != metric.unit:
            return self._problem(place, f"{metric.name} is in {metric.unit}, not in {unit}")
        said = match["number"] or match["quoted"] or match["word"]
        value = _value(said, numeric=not metric.states)
        if value is None:
            return self._problem(place, f"{said!r} is no {metric.unit}")
        sign = "==" if match["comparator"] == "=" else match["comparator"]
        comparator = cast(Comparator, sign)
        holds = compares(reading.value, comparator, value)
        return Claim(
            metric=metric.name,
            subject=reading.subject,
            comparator=comparator,
            value=value,
            unit=metric.unit,
            observed=reading.value,
            observed_at=evidence.started,
            verdict=Verdict.UNVERIFIABLE if holds else Verdict.UNSUPPORTED,
            evidence=(
                EvidenceRef(
                    call_id=evidence.call_id,
                    pointer=reading.pointer,
                    sha256=self._sha256(evidence),
                ),
            ),
        )

    def _reading(self, place: str, metric: str, evidence: Evidence, pointer: str) -> Reading | None:
        """The rules' reading of a metric at a place in a result."""
        if metric not in measures():
            return self._problem(place, f"there is no metric {metric}")
        known = list(self._known(metric, evidence))
        for reading in known:
            if reading.pointer == pointer:
                return reading
        where = ", ".join(reading.pointer for reading in known[:MOST_PROBLEMS])
        return self._problem(
            place,
            f"{metric} does not stand at {pointer or 'the top'} of that result; "
            + (f"it stands at {where}" if where else "that result does not tell it"),
        )

    def _known(self, metric: str, evidence: Evidence) -> Iterator[Reading]:
        for rule, reading in self.rules.readings(evidence):
            if rule.metric == metric:
                yield reading

    def _sha256(self, evidence: Evidence) -> str:
        """An evidence's digest, taken once for all claims that cite it."""
        if evidence.call_id not in self.digests:
            self.digests[evidence.call_id] = evidence.sha256()
        return self.digests[evidence.call_id]

    def _problem(self, place: str, said: str) -> None:
        self.problems.append(f"{place}: {plain_line(said, 300)}")

    def _not_seen(self, text: str) -> NotSeen:
        what, _, why = (word.strip() for word in text.partition(":"))
        if what in self.transcript.task.specialist.tools and why:
            return NotSeen(tool=what, reason=why)
        return NotSeen(tool=NO_TOOL, reason=text)


def _value(text: str, *, numeric: bool) -> JsonScalar | None:
    """A number, or a word for a metric of words; None where it is neither, nor finite."""
    if not numeric:
        return text
    try:
        number = float(text.replace(",", ""))
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _told(error: ValidationError) -> str:
    """What is wrong with an answer, as far as one line goes."""
    rows: Sequence[Any] = error.errors(include_url=False, include_input=False)
    return "; ".join(
        plain_line(f"{'.'.join(map(str, row['loc']))}: {row['msg']}", 200)
        for row in rows[:MOST_PROBLEMS]
    )
