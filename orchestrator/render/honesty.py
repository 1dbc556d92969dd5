"""How far a report can be believed, in words: what became of its claims, who contradicted whom,
and which models were wrong too often. Pure."""

from __future__ import annotations

from orchestrator.render.claims import observed_text, statement_text
from orchestrator.render.values import percent_text, value_text
from orchestrator.render.words import count_text, one_line
from swarm_tasks.measures import measures
from swarm_tasks.models.finding import Claim, Finding, Verdict
from swarm_tasks.models.report import Contradiction, Doubt, Report
from swarm_tasks.models.tally import Tally

WRONG = ("refuted", "unsupported", "rejected")
OTHERS = ("verified", "stale", "unverifiable")
"""The order of the honesty line: what was never so comes first, so that no lie is read past."""


def honesty_text(tally: Tally) -> str:
    """What became of all claims: `31 claims: 2 refuted, 28 verified, 1 unverifiable`; empty where
    none was made."""
    if not tally.made:
        return ""
    counts = ((name, int(getattr(tally, name))) for name in (*WRONG, *OTHERS))
    told = ", ".join(f"{count:,} {name}" for name, count in counts if count)
    return f"{count_text(tally.made, 'claim')}: {told}"


def lied(tally: Tally) -> bool:
    """Whether any claim was never so."""
    return bool(tally.wrong or tally.rejected)


def source_text(tally: Tally) -> str:
    """Whose claims a tally counts: `qwen3-8b as storage`, or `the rules as storage`."""
    return f"{one_line(tally.model) or 'the rules'} as {tally.specialist}"


def doubt_text(doubt: Doubt) -> str:
    """A model that is doubted, and why."""
    tally = doubt.tally
    return (
        f"{one_line(tally.model)} is doubted as {tally.specialist}: {tally.wrong:,} of its "
        f"{count_text(tally.checked, 'checked claim')} of late were wrong "
        f"({percent_text(doubt.wrong_percent)}, where {percent_text(doubt.limit_percent)} may be)"
    )


def contradiction_text(report: Report, one: Contradiction) -> str:
    """Who said what, and what was measured: `storage says 97 % used, services says 12 % used;
    measured: 12.3 %`."""
    by_claim = {
        claim.id: (finding, claim) for finding in report.findings for claim in finding.claims
    }
    said = [
        f"{_speaker(by_claim[name][0], one.host)} says {_said(by_claim[name][1])}"
        for name in one.claims
        if name in by_claim
    ]
    if one.value is None and one.settled_at is not None:
        measured = "it is not there any more"
    elif one.value is None:
        why = f": {one_line(one.reason)}" if one.reason else ""
        measured = f"no new measurement settled it{why}"
    else:
        measured = f"measured: {value_text(one.value, one.unit)}"
    return f"{', '.join(dict.fromkeys(said))}; {measured}"


def contradicted_text(one: Contradiction) -> str:
    """What a contradiction is about: `space used on a volume, /var (/dev/sda2, ext4)`."""
    known = measures().get(one.metric)
    return f"{known.meaning if known else one_line(one.metric)}, {one_line(one.subject)}"


def _speaker(finding: Finding, host: str) -> str:
    """An agent; with its host where that is not the one that is spoken of."""
    return finding.specialist if finding.host == host else f"{finding.host}/{finding.specialist}"


def _said(claim: Claim) -> str:
    """What an agent read or, where it read nothing or something else, what it claims."""
    if claim.observed is None or claim.verdict is Verdict.UNSUPPORTED:
        return statement_text(claim)
    return observed_text(claim)
