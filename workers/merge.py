"""What rules found and what a model said of it, as one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from swarm_tasks.brain.base import Answer, Transcript
from swarm_tasks.models.charge import Charge
from swarm_tasks.models.finding import Finding, fingerprint
from swarm_tasks.models.report import StopReason
from swarm_tasks.models.tally import Tally


@dataclass(frozen=True, slots=True)
class Thought:
    """What became of a part's model.

    Args:
        transcript: All that was done by the end of it; None where no model began.
        stop: Why it ended; None where no model began.
        degraded: Why the rules' answer is all there is; empty after an answer.
    """

    transcript: Transcript | None = None
    answer: Answer = field(default_factory=Answer)
    stop: StopReason | None = None
    degraded: str = ""
    charges: tuple[Charge, ...] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """Checked findings, by who told them.

    Args:
        raised: Those of the rules.
        answer: The model's answer, with its findings checked.
    """

    raised: tuple[Finding, ...]
    answer: Answer

    @classmethod
    def of(cls, checked: Sequence[Finding], answer: Answer) -> Told:
        """Take apart what was checked together."""
        said = tuple(finding for finding in checked if finding.source == "model")
        raised = tuple(finding for finding in checked if finding.source == "rules")
        return cls(raised, answer.model_copy(update={"findings": said}))

    def tallies(self, specialist: str) -> tuple[Tally, ...]:
        """What became of the claims, of the rules' and of the model's."""
        claims = [claim for finding in self.raised for claim in finding.claims]
        made = [Tally.of(claims, specialist=specialist)]
        charge, findings = self.answer.charge, self.answer.findings
        if charge is not None:
            made.append(
                Tally.of(
                    (claim for finding in findings for claim in finding.claims),
                    model=charge.model,
                    specialist=specialist,
                    rejected=self.answer.rejected,
                    opinions=sum(1 for finding in findings if finding.opinion),
                )
            )
        return tuple(tally for tally in made if tally.made or tally.opinions)


def merged(raised: Sequence[Finding], answer: Answer) -> tuple[Finding, ...]:
    """The rules' findings with the model's explanations, then what the model alone found.

    A model cannot take back what the rules measured. What it says about the same metric of the
    same subject explains that finding rather than standing beside it. What does not hold is
    shown by itself, under a mark of its own: it is another statement. Of two findings about one
    thing that hold, the graver is kept.
    """
    said = dict(answer.explained)
    alone: dict[str, Finding] = {}
    marks = {finding.fingerprint for finding in raised}
    for finding in answer.findings:
        if finding.fingerprint in marks and finding.verdict.counts:
            words = " ".join(filter(None, (finding.explanation, finding.advice)))
            said.setdefault(finding.fingerprint, words)
        elif finding.verdict.counts:
            mark = _mark(finding)
            alone[mark] = min(finding, alone.get(mark, finding), key=_rank)
        else:
            own = fingerprint(finding.host, f"said by {finding.model}", _mark(finding))
            alone[own] = finding.model_copy(update={"id": own, "fingerprint": own})
    explained = tuple(
        finding.model_copy(update={"explanation": said[finding.fingerprint]})
        if said.get(finding.fingerprint)
        else finding
        for finding in raised
    )
    return (*explained, *alone.values())


def _rank(finding: Finding) -> int:
    """The graver one is kept."""
    return finding.severity.rank


def _mark(finding: Finding) -> str:
    """What two findings share only if one may stand for both.

    Of what does not hold, each claim is another lie; of what another host has yet to measure,
    nobody knows by now which holds.
    """
    apart = [
        f"{claim.host} {claim.subject} {claim.comparator} {claim.value}"
        for claim in finding.claims
        if claim.host or not finding.verdict.counts
    ]
    return " ".join((finding.fingerprint, *apart))
