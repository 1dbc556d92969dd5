"""Check the homework: what a claim's evidence says, and what a second measurement makes of it.

Four checks, in this order: the evidence is of this job and this host and is what it was; the claim
is what stands there; trusted code measures it again; the rules say how grave that is. Pure: the
measuring is in `workers.checker`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from swarm_tasks.measures import measure
from swarm_tasks.models.evidence import Evidence
from swarm_tasks.models.finding import Claim, EvidenceRef, Finding, Severity, Verdict
from workers.comparing import compares
from workers.rules.brain import RulesBrain
from workers.rules.judge import Grade
from workers.sample import Sample

TO_BE_CHECKED_THERE = "it is about another host, which is to measure it"


@dataclass(frozen=True, slots=True)
class Desk:
    """What claims of one part are held against.

    Args:
        host: Where the evidence must be from.
        evidence: All that was gathered, by call id.
        rules: What reads values in it.
        chosen: The ids of what is there because a model asked for it.
    """

    host: str
    evidence: Mapping[str, Evidence]
    rules: RulesBrain
    chosen: Collection[str] = ()

    def supported(self, claim: Claim) -> Claim:
        """The first two checks: the claim as it was, or unsupported and why."""
        if claim.host not in ("", self.host) or claim.verdict is Verdict.UNSUPPORTED:
            return claim
        if not claim.evidence:
            return _unsupported(claim, "it names no evidence")
        for ref in claim.evidence:
            if reason := self._wrong(claim, ref):
                return _unsupported(claim, reason)
        return claim

    def first(self, claim: Claim) -> Evidence | None:
        """The evidence that a claim rests on."""
        return next((self.evidence[ref.call_id] for ref in claim.evidence), None)

    def picked(self, claim: Claim) -> bool:
        """Whether a model asked for all that a claim rests on."""
        return all(ref.call_id in self.chosen for ref in claim.evidence)

    def _wrong(self, claim: Claim, ref: EvidenceRef) -> str:
        """What keeps one piece of evidence from bearing the claim out; empty if nothing does."""
        item = self.evidence.get(ref.call_id)
        if item is None:
            return "the evidence that it names was never gathered in this job"
        if item.host != self.host:
            return f"the evidence that it names is of {item.host}"
        if self.rules.digest_of(item) != ref.sha256:
            return "the evidence is not what it was when the claim was made"
        reading = self.rules.reading_at(claim.metric, ref.pointer, item)
        if reading is None:
            return "the metric does not stand where the claim points"
        if reading.subject != claim.subject:
            return f"what stands there is of {reading.subject}"
        if not compares(reading.value, claim.comparator, claim.value):
            return "the evidence does not say so"
        return ""


def _unsupported(claim: Claim, reason: str) -> Claim:
    return claim.model_copy(update={"verdict": Verdict.UNSUPPORTED, "reason": reason})


def concluded(
    finding: Finding,
    claims: Sequence[Claim],
    grades: Sequence[Grade | None],
    titles: Sequence[str],
) -> Finding:
    """The fourth check: the finding with its claims' verdicts, as grave as they justify. Pure.

    The rules grade what they raise; what a model raises is graded here, by the same rules, and is
    never graver than the model itself said.

    What is a fact is told in words of the rules as well: a model's own title may say more than its
    claims do, and goes before its explanation.

    Args:
        grades: The level that each claim's fresh values cross; None for none.
        titles: What the rules call each claim's trouble.
    """
    if not claims:
        return finding
    verdict = Verdict.worst(claim.verdict for claim in claims)
    if finding.verdict is Verdict.UNSUPPORTED:
        verdict = Verdict.worst((verdict, finding.verdict))
    checked = finding.model_copy(update={"claims": tuple(claims), "verdict": verdict})
    if finding.source == "rules" or verdict is not Verdict.VERIFIED:
        return checked
    # What is said of one thing is not made graver by another thing beside it.
    about = claims[0].subject
    levels = [
        (grade.severity, title)
        for claim, grade, title in zip(claims, grades, titles, strict=True)
        if grade is not None and claim.subject == about
    ]
    meaning = measure(claims[0].metric).meaning
    calm = (Severity.INFO, f"{meaning[0].upper()}{meaning[1:]}")
    justified, title = min(levels, key=lambda level: level[0].rank, default=calm)
    said = finding.said_severity or justified
    return checked.model_copy(
        update={
            "severity": max(justified, said, key=lambda severity: severity.rank),
            "title": title,
            "explanation": _said(finding.title, finding.explanation),
        }
    )


def _said(title: str, explanation: str) -> str:
    """A model's own words, its title first."""
    end = "" if title.endswith((".", "!", "?")) else "."
    return f"{title}{end} {explanation}".strip()


def regraded(
    finding: Finding, claim: Claim, samples: tuple[Sample, Sample], grade: Grade
) -> Finding:
    """A finding of the rules whose level was left in the meantime for another that is bad too: it
    is about that one now. Two fresh samples carry it.

    Args:
        grade: The level that both samples cross.
    """
    first, second = samples
    assert first.reading is not None and first.evidence is not None  # noqa: S101 - caller looked
    assert second.reading is not None and second.evidence is not None  # noqa: S101
    again = Claim(
        metric=claim.metric,
        subject=claim.subject,
        comparator=grade.comparator,
        value=grade.level,
        unit=claim.unit,
        observed=first.reading.value,
        observed_at=first.evidence.started,
        remeasured=second.reading.value,
        remeasured_at=second.evidence.started,
        verdict=Verdict.VERIFIED,
        evidence=(
            EvidenceRef(
                call_id=first.evidence.call_id,
                pointer=first.reading.pointer,
                sha256=first.evidence.sha256(),
            ),
        ),
    )
    return finding.model_copy(
        update={"claims": (again,), "verdict": Verdict.VERIFIED, "severity": grade.severity}
    )


def standing(findings: Iterable[Finding]) -> dict[str, Severity]:
    """What the rules raised and no check withdrew, to remember until the next audit."""
    return {
        finding.fingerprint: finding.severity
        for finding in findings
        if finding.verdict.counts and finding.source == "rules"
    }
