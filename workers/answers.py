"""A model's answer becomes findings, with the claims that could be read. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from swarm_tasks.brain.base import Answer, Transcript, Unusable
from swarm_tasks.brain.words import json_object
from swarm_tasks.models.charge import Charge
from swarm_tasks.models.finding import Claim, Finding, Severity, Verdict, fingerprint
from swarm_tasks.models.report import NotSeen
from swarm_tasks.unseen import plain, plain_line
from workers.briefing import named
from workers.claims import SUBJECT_CHARACTERS, ClaimReader, Read
from workers.rules.brain import Review, RulesBrain

NO_ANSWER = "it holds no JSON object of the form asked for"

NO_TOOL = "other"
"""In place of a tool's name where a model could not see something that no tool shows."""

MOST_PROBLEMS = 5
MOST_FINDINGS = 50
MOST_CLAIMS_EACH = 20
MOST_CLAIMS = 100
"""A specialist has a dozen things to say. What is beyond that is counted and not read."""

NOT_FINITE = re.compile(
    r"(?<=[:,\[\s])(?:-?Infinity|NaN|-?(?:[0-9]{300,}|[0-9.]{1,40}[eE]\+?[0-9]{3,}))"
    r"(?=\s*[,\]}])"
)
"""Numbers that are none in JSON. As words, they are told apart from an answer that is no JSON."""


class WireFinding(BaseModel):
    """A finding as a model writes it."""

    model_config = ConfigDict(extra="ignore")

    title: str = Field(min_length=1, max_length=300)
    severity: Severity | None = None
    subject: str = Field(default="", max_length=300)
    cause: str = Field(default="", max_length=2000)
    advice: str = Field(default="", max_length=2000)
    claims: list[Any] = Field(default_factory=list[Any])
    surplus: int = 0


class WireAnswer(BaseModel):
    """An answer as a model writes it."""

    model_config = ConfigDict(extra="ignore")

    answer: str = Field(default="", max_length=8000)
    findings: list[WireFinding] = Field(default_factory=list[WireFinding])
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
        problems: What was wrong with the last answer that was read.
        rejected: How many of its claims could not be read.
        model: Whose answer that was.
    """

    rules: RulesBrain
    transcript: Transcript
    review: Review
    lenient: bool = False
    problems: list[str] = field(default_factory=list[str])
    rejected: int = 0
    model: str = ""
    _claims: ClaimReader = field(init=False)

    def __post_init__(self) -> None:
        self._claims = ClaimReader(self.rules, self.transcript)

    def read(self, text: str, charge: Charge) -> Answer | Unusable:
        """The answer in a model's words, or why there is none that can be used."""
        self.problems, self.rejected, self.model = [], 0, charge.model
        found = json_object(text, WireAnswer.model_fields) or json_object(
            NOT_FINITE.sub(lambda match: f'"{match[0][:40]}"', text), WireAnswer.model_fields
        )
        if found is None:
            return Unusable(said=text[:2000], problem=NO_ANSWER, charge=charge)
        found, self.rejected, told = _bounded(found)
        if told:
            self.problems.append(told)
        try:
            wire = WireAnswer.model_validate(found)
        except ValidationError as error:
            return Unusable(said=text[:2000], problem=_told(error), charge=charge)
        numbered = enumerate(wire.findings, 1)
        findings = tuple(
            made for at, one in numbered if (made := self._finding(at, one)) is not None
        )
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
            rejected=self.rejected,
        )

    def _finding(self, number: int, wire: WireFinding) -> Finding | None:
        """One finding, with its claims held against the evidence; None for one without words."""
        title, subject = plain_line(wire.title), plain_line(wire.subject)
        if not title:
            self.rejected += len(wire.claims) or 1
            return self._problem(f"finding {number}", "it has no title")
        before = self.rejected
        places = [f"finding {number}, claim {at}" for at in range(1, len(wire.claims) + 1)]
        given = zip(places, wire.claims, strict=True)
        reads = [(at, read) for at, said in given if (read := self._read(at, said)) is not None]
        claims = self._held(reads, subject, title)
        unsupported = (
            self.rejected > before
            or wire.surplus > 0
            or any(claim.verdict is Verdict.UNSUPPORTED for claim in claims)
        )
        task = self.transcript.task
        metric, about = f"opinion of {task.specialist.name}", f"{title.casefold()} {subject}"
        # What was never gathered is of nothing: it must not pass for another finding of that thing.
        known = next((claim for claim in claims if claim.evidence or claim.host), None)
        if known is not None:
            metric, about, subject = _mark(known)
        mark = fingerprint(task.host, metric, about)
        return Finding(
            id=mark,
            fingerprint=mark,
            host=task.host,
            specialist=task.specialist.name,
            # How grave it is, the rules say once its values are measured again.
            severity=Severity.INFO,
            said_severity=wire.severity,
            title=title,
            subject=subject,
            advice=plain(wire.advice).strip(),
            verdict=Verdict.UNSUPPORTED if unsupported else Verdict.UNVERIFIABLE,
            claims=claims,
            explanation=plain(wire.cause).strip(),
            source="model",
            model=self.model,
        )

    def _read(self, place: str, said: object) -> Read | None:
        """What a claim says; None, a problem and one more to count where it cannot be read."""
        try:
            return self._claims.read(said)
        except ValueError as error:
            self.rejected += 1
            return self._problem(place, str(error))

    def _held(
        self, reads: Sequence[tuple[str, Read]], subject: str, title: str
    ) -> tuple[Claim, ...]:
        """The claims, unsupported where the finding's words are about something else."""
        held: list[Claim] = []
        for at, (place, read) in enumerate(reads):
            doubt = self._claims.contradiction(at, [one for _, one in reads], subject, title)
            one = read.but(doubt) if doubt and not read.doubt else read
            if one.doubt:
                self._problem(place, one.doubt)
            if one.reading is None and not one.claim.host:
                # Of what was never gathered nobody knows what it is of.
                one = one.of(subject[:SUBJECT_CHARACTERS])
            held.append(one.claim)
        return tuple(held)

    def _problem(self, place: str, said: str) -> None:
        self.problems.append(f"{place}: {plain_line(said, 300)}")

    def _not_seen(self, text: str) -> NotSeen:
        what, _, why = (word.strip() for word in text.partition(":"))
        if what in self.transcript.task.specialist.tools and why:
            return NotSeen(tool=what, reason=why)
        return NotSeen(tool=NO_TOOL, reason=text)


def _mark(claim: Claim) -> tuple[str, str, str]:
    """What a finding with this claim is known by, metric and subject, and what it is about."""
    if not claim.host:
        return claim.metric, claim.subject, claim.subject
    about = f"{claim.host}: {claim.subject}" if claim.subject else claim.host
    return f"{claim.host}:{claim.metric}", claim.subject, about


def _bounded(found: dict[str, Any]) -> tuple[dict[str, Any], int, str]:
    """An answer with as many findings and claims as are read, the number of claims that are not,
    and what to say of that. Nothing dear is done before this."""
    given = found.get("findings")
    if not isinstance(given, list):
        return found, 0, ""
    findings = cast("list[object]", given)
    kept: list[object] = []
    room, surplus = MOST_CLAIMS, 0
    for one in findings:
        finding = cast(dict[str, Any], one) if isinstance(one, dict) else {}
        rows = _listed(finding.get("claims"))
        taken = min(len(rows), MOST_CLAIMS_EACH, room) if len(kept) < MOST_FINDINGS else 0
        room, surplus = room - taken, surplus + len(rows) - taken
        if len(kept) < MOST_FINDINGS and (taken or not rows):
            cut: object = {**finding, "claims": rows[:taken], "surplus": len(rows) - taken}
            kept.append(cut if finding else cast(object, one))
    bounded = {**found, "findings": kept}
    if surplus:
        told = f"{MOST_CLAIMS_EACH} claims of a finding and {MOST_CLAIMS} in all are read"
        return bounded, surplus, f"{told}: {surplus:,} were not"
    if len(kept) < len(findings):
        return bounded, 0, f"{MOST_FINDINGS} findings are read: there are {len(findings):,}"
    return bounded, 0, ""


def _listed(claims: object) -> list[object]:
    """The claims of a finding; some models write one without a list around it."""
    if isinstance(claims, list):
        return cast("list[object]", claims)
    return [] if claims is None else [claims]


def _told(error: ValidationError) -> str:
    """What is wrong with an answer, as far as one line goes."""
    rows: Sequence[Any] = error.errors(include_url=False, include_input=False)
    return "; ".join(
        plain_line(f"{'.'.join(map(str, row['loc']))}: {row['msg']}", 200)
        for row in rows[:MOST_PROBLEMS]
    )
