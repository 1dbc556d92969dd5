"""Samples that trusted code takes for a claim, and what they come to. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from swarm_tasks.measures import measure
from swarm_tasks.models.base import canonical_json
from swarm_tasks.models.evidence import Evidence, EvidenceStatus, ToolCall
from swarm_tasks.models.finding import Claim, Verdict
from workers.comparing import compares
from workers.rules.brain import RulesBrain
from workers.rules.rule import Reading, Rule
from workers.rules.subjects import resolve

NO_TIME = "there was no time to measure it again"
COMES_AND_GOES = "it comes and goes"
GONE = "it is no longer there"


@dataclass(frozen=True, slots=True)
class Probe:
    """How trusted code measures one claim again.

    Args:
        rule: What reads the answer.
        trusted: Whether the claim's own evidence measured the same thing.
    """

    rule: Rule
    call: ToolCall
    trusted: bool = False

    @property
    def key(self) -> bytes:
        """The same for two probes that ask the host the same."""
        return canonical_json([self.call.tool, self.call.arguments])


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement that trusted code made of a claim's metric.

    Args:
        evidence: The call, whatever became of it; None where none could be made.
        reading: What it says of the claim's subject; None where it says nothing.
        unread: Why there is no reading, where that is no answer either.
        absent: Whether the tool shows all there is, and no longer the subject: it is well.
    """

    evidence: Evidence | None = None
    reading: Reading | None = None
    unread: str = ""
    absent: bool = False

    @property
    def answered(self) -> bool:
        """Whether it says anything of the subject, if only that it is gone."""
        return self.reading is not None or self.absent


@dataclass(slots=True)
class Case:
    """A claim on its way through the third check.

    Args:
        picked: Whether a model asked for all that it rests on.
        by_rules: Whether the rules made it.
        first: The first sample.
        second: The second one, where the first does not bear the claim out.
    """

    claim: Claim
    probe: Probe
    picked: bool = False
    by_rules: bool = False
    first: Sample = field(default_factory=lambda: Sample(unread=NO_TIME))
    second: Sample | None = None

    @property
    def open(self) -> bool:
        """Whether a second sample is wanted."""
        return self.first.answered and self.bears_out(self.first) is False

    def bears_out(self, sample: Sample) -> bool | None:
        """Whether a sample says what the claim says, within the metric's tolerance; None where it
        does not tell.

        Of the rules' own words any that is as bad will do: they stand for a trouble. What somebody
        else says of a state is that word and no other.
        """
        claim, metric = self.claim, measure(self.claim.metric)
        bad = metric.states.get(str(claim.value))
        if sample.reading is None:
            return _told_by_absence(claim, bad is not None) if sample.absent else None
        value = sample.reading.value
        if metric.states and self.by_rules and claim.comparator == "==":
            return metric.states.get(str(value)) == bad
        # Two measurements of one thing may differ. Where there was only one, it decides.
        twice = claim.observed is not None and not isinstance(claim.value, str)
        slack = metric.slack(float(claim.value)) if twice else 0.0
        return compares(value, claim.comparator, claim.value, slack)

    def settled(self) -> Claim:
        """The claim with its verdict: what one or two fresh samples make of it.

        One that bears it out is enough: what its own evidence and one more measurement say is so.
        """
        first, second = self.first, self.second
        said = self.bears_out(first)
        if said is None:
            return self._closed(Verdict.UNVERIFIABLE, first, first.unread or GONE)
        if said:
            return self._closed(Verdict.VERIFIED, first)
        again = self.bears_out(second) if second is not None else None
        if second is None or again is None:
            why = (second.unread if second else "") or NO_TIME
            return self._closed(
                Verdict.UNVERIFIABLE, first, f"measured otherwise once, and then: {why}"
            )
        if again:
            return self._closed(Verdict.VERIFIED, second, COMES_AND_GOES)
        return self._closed(Verdict.STALE if self.probe.trusted else Verdict.REFUTED, second)

    def _closed(self, verdict: Verdict, sample: Sample, reason: str = "") -> Claim:
        value = sample.reading.value if sample.reading else None
        taken = sample.evidence.started if sample.evidence and sample.answered else None
        return self.claim.model_copy(
            update={
                "verdict": verdict,
                "remeasured": value,
                "remeasured_at": taken,
                "reason": reason or (GONE if sample.absent else ""),
            }
        )


def _told_by_absence(claim: Claim, bad: bool) -> bool | None:
    """What it says of a claim that its subject is no longer among what is in trouble: a bad word
    is not so, a value past a level neither. Which word or value it is instead, nobody knows."""
    metric = measure(claim.metric)
    if metric.states:
        return claim.comparator == "!=" if bad else None
    if claim.comparator in ("==", "!="):
        return None
    return claim.comparator[0] != metric.comparator[0]


def taken_of(case: Case, item: Evidence, rules: RulesBrain) -> Sample:
    """What a measurement says of one claim."""
    if item.status is not EvidenceStatus.OK:
        return Sample(item, unread=item.reason)
    rule = case.probe.rule
    readings = [reading for one, reading in rules.readings(item) if one is rule]
    reading = _reading_of(case.claim, readings)
    if reading is not None:
        return Sample(item, reading)
    if not case.claim.evidence:
        return Sample(
            item, unread=f"there is no {case.claim.subject!r} here that it could be about"
        )
    answer = rules.answer_in(item)
    whole = answer is not None and not item.truncated and rule.complete(answer)
    if rule.absent_is_well and whole:
        return Sample(item, absent=True)
    return Sample(item, unread=f"{case.claim.subject} is no longer shown")


def _reading_of(claim: Claim, readings: Sequence[Reading]) -> Reading | None:
    """The reading that a claim is about."""
    same = [reading for reading in readings if reading.subject == claim.subject]
    places = {ref.pointer for ref in claim.evidence}
    # Where two things go by one name, it is the one in the same place.
    same.sort(key=lambda reading: reading.pointer not in places)
    if same:
        return same[0]
    return resolve(claim.subject, readings) if not claim.evidence else None
