"""What rules found and what a model said of it, as one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from swarm_tasks.brain.base import Answer, Transcript
from swarm_tasks.models.charge import Charge
from swarm_tasks.models.finding import Finding, Verdict
from swarm_tasks.models.report import StopReason


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


def merged(raised: Sequence[Finding], answer: Answer) -> tuple[Finding, ...]:
    """The rules' findings with the model's explanations, then what the model alone found.

    A model cannot take back what the rules measured. What it says about the same metric of the
    same subject explains that finding rather than standing beside it, unless its own claim does
    not hold. Of two findings about one thing, the one that is supported is kept.
    """
    said = dict(answer.explained)
    alone: dict[str, Finding] = {}
    marks = {finding.fingerprint for finding in raised}
    for finding in answer.findings:
        supported = finding.verdict is not Verdict.UNSUPPORTED
        if finding.fingerprint in marks:
            if not supported:
                continue
            words = " ".join(filter(None, (finding.explanation, finding.advice)))
            said.setdefault(finding.fingerprint, words)
        elif supported or finding.fingerprint not in alone:
            alone[finding.fingerprint] = finding
    explained = tuple(
        finding.model_copy(update={"explanation": said[finding.fingerprint]})
        if said.get(finding.fingerprint)
        else finding
        for finding in raised
    )
    return (*explained, *alone.values())
