"""A report in a few sentences made from its counts: what is said where no model says more. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from orchestrator.across.look import Across
from orchestrator.render import tally
from orchestrator.render.honesty import doubt_text, honesty_text
from swarm_tasks.models.finding import Finding, Severity
from swarm_tasks.models.report import Coverage, Doubt
from swarm_tasks.models.tally import Tally

NO_CLAIMS = Tally()


def summary_of(
    coverage: Coverage,
    findings: Sequence[Finding],
    across: Across,
    *,
    cancelled: bool,
    claims: Tally = NO_CLAIMS,
    doubts: Sequence[Doubt] = (),
    questions: tuple[int, int] | None = None,
) -> str:
    """What a person wants to hear first, in a few sentences.

    Args:
        claims: What became of all claims.
        doubts: Models whose claims were wrong too often of late.
        questions: How many were answered of how many, where any host might take them.
    """
    hosts = len(coverage.answered), len(coverage.asked)
    answered, asked = questions or hosts
    said = [f"{answered} of {_count(asked, 'question' if questions else 'host')} answered."]
    if cancelled:
        said.insert(0, "The job was cancelled.")
    for word, hosts in (("dark", coverage.dark), ("failed", coverage.failed)):
        if hosts:
            said.append(f"{word.capitalize()}: {_listed(hosts)}.")
    if told := honesty_text(claims):
        said.append(f"{told}.")
    standing = tally.standing(findings)
    if not standing:
        said.append("No findings." if coverage.whole else "No findings on those that answered.")
    else:
        said.append(f"{_tally(standing)}. First: {_first(standing[0], across)}.")
    if across.causes:
        cause = across.causes[0]
        said.append(f"{cause.title}: {cause.why}.")
    if unsure := tally.grave(tally.unsure(findings)):
        first = _first(unsure[0], across)
        said.append(f"{_count(len(unsure), 'finding')} could not be measured again: {first}.")
    if known := tally.acknowledged(findings):
        said.append(f"Acknowledged: {_count(len(known), 'finding')}.")
    if gone := tally.withdrawn(findings):
        said.append(f"{_count(len(gone), 'finding')} did not hold when measured again.")
    said += [f"{doubt_text(doubt)}." for doubt in doubts]
    return " ".join(said)


def _tally(findings: Sequence[Finding]) -> str:
    counts = Counter(finding.severity for finding in findings)
    names = {
        Severity.CRITICAL: "critical finding",
        Severity.WARNING: "warning",
        Severity.INFO: "note",
    }
    return ", ".join(_count(counts[one], name) for one, name in names.items() if counts[one])


def _first(worst: Finding, across: Across) -> str:
    """The gravest finding, as a pattern where it is on more hosts than one."""
    for pattern in across.patterns:
        if worst.id in pattern.findings:
            hosts = _listed(pattern.hosts, 3)
            return f"{pattern.title.lower()} on {hosts}, {pattern.subject}"
    return f"{worst.title.lower()} on {worst.host}, {worst.subject}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _listed(names: Sequence[str], most: int = 10) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
