"""What checks withdrew, in words: the claim, what its evidence said, what was measured. Pure.

The claim itself is struck through wherever that can be shown; the word before it says the same
where it cannot.
"""

from __future__ import annotations

from orchestrator.render.claims import check_text, claim_digits, claim_text, statement_text
from orchestrator.render.values import moment_text, value_text
from orchestrator.render.words import one_line
from swarm_tasks.models.finding import Claim, Finding, Verdict

NOT_AGAIN = "nothing could measure it again"


def struck(claim: Claim) -> bool:
    """Whether a claim is shown struck through."""
    return not claim.verdict.counts


def told_text(claim: Claim) -> str:
    """What stands struck through: the claim as it was made. One that stands beside it is told as
    it was measured."""
    return statement_text(claim) if struck(claim) else claim_text(claim)


def found_text(claim: Claim) -> str:
    """What speaks against a claim: `the evidence said 96.2 %, measured again: 31.8 %`."""
    if not struck(claim):
        return check_text(claim)
    digits = claim_digits(claim)
    found: list[str] = []
    if claim.observed is not None:
        found.append(f"the evidence said {value_text(claim.observed, claim.unit, digits)}")
    if claim.remeasured is not None:
        when = "measured there" if claim.observed is None else "measured again"
        found.append(f"{when}: {value_text(claim.remeasured, claim.unit, digits)}")
    if claim.verdict is Verdict.STALE:
        found.append("it has changed since")
    if claim.reason:
        found.append(one_line(claim.reason))
    if not found and claim.verdict is Verdict.UNSUPPORTED:
        found.append("the evidence does not say so")
    return ", ".join(found)


def unsure_text(finding: Finding) -> str:
    """Why a finding of the rules could not be measured again."""
    reasons = dict.fromkeys(
        one_line(claim.reason)
        for claim in finding.claims
        if claim.verdict is Verdict.UNVERIFIABLE and claim.reason
    )
    return "; ".join(reasons) or NOT_AGAIN


def acknowledged_text(finding: Finding) -> str:
    """Until when a finding raises no alarm, why, and who said so; empty for one that does."""
    ack = finding.acknowledged
    if ack is None:
        return ""
    by = f" ({one_line(ack.by)})" if ack.by else ""
    return f"until {moment_text(ack.until)}: {one_line(ack.reason)}{by}"
