"""A report in a few sentences made from its counts: what is said where no model says more. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from orchestrator.across.look import Across
from swarm_tasks.models.finding import Finding, Severity
from swarm_tasks.models.report import Coverage


def summary_of(
    coverage: Coverage, findings: Sequence[Finding], across: Across, *, cancelled: bool
) -> str:
    """What a person wants to hear first, in a few sentences."""
    asked, answered = len(coverage.asked), len(coverage.answered)
    said = [f"{answered} of {_count(asked, 'host')} answered."]
    if cancelled:
        said.insert(0, "The job was cancelled.")
    for word, hosts in (("dark", coverage.dark), ("failed", coverage.failed)):
        if hosts:
            said.append(f"{word.capitalize()}: {_listed(hosts)}.")
    standing = [finding for finding in findings if finding.counts]
    if not standing:
        said.append("No findings." if coverage.whole else "No findings on those that answered.")
    else:
        said.append(f"{_tally(standing)}. First: {_first(standing[0], across)}.")
    if across.causes:
        cause = across.causes[0]
        said.append(f"{cause.title}: {cause.why}.")
    gone = sum(1 for finding in findings if not finding.verdict.counts)
    if gone:
        said.append(f"{_count(gone, 'finding')} did not hold when measured again.")
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
