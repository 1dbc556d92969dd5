"""Findings in groups: what stands, what is known of, what is unsure, opinions, what was withdrawn.
Each finding is in exactly one of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.render.claims import checks_text, spread_text
from orchestrator.render.words import count_text
from swarm_tasks.models.across import Pattern
from swarm_tasks.models.finding import Claim, Finding, Severity
from swarm_tasks.models.report import Report


@dataclass(frozen=True, slots=True)
class Entry:
    """What is shown as one thing: a finding, or those of a pattern.

    Args:
        pattern: What they have in common; None for a finding by itself.
    """

    severity: Severity
    findings: tuple[Finding, ...]
    pattern: Pattern | None = None

    @property
    def measured(self) -> list[Claim]:
        """What each finding measured first."""
        return [finding.claims[0] for finding in self.findings if finding.claims]


def entries(report: Report) -> list[Entry]:
    """The findings that stand, gravest first, those of a pattern in one entry."""
    found = standing(report.findings)
    by_id = {finding.id: finding for finding in found}
    patterns = {one: pattern for pattern in report.patterns for one in pattern.findings}
    told: set[str] = set()
    shown: list[Entry] = []
    for finding in found:
        pattern = patterns.get(finding.id)
        same = [by_id[one] for one in pattern.findings if one in by_id] if pattern else []
        if pattern is None or len(same) < 2:
            shown.append(Entry(finding.severity, (finding,)))
        elif pattern.id not in told:
            told.add(pattern.id)
            shown.append(Entry(pattern.severity, tuple(same), pattern))
    return sorted(shown, key=lambda one: one.severity.rank)


def by_severity(findings: Iterable[Finding]) -> dict[Severity, list[Finding]]:
    """Findings under each severity that has any, gravest first, otherwise in their order."""
    groups: dict[Severity, list[Finding]] = {}
    for finding in sorted(findings, key=lambda one: one.severity.rank):
        groups.setdefault(finding.severity, []).append(finding)
    return groups


def pattern_text(entry: Entry) -> str:
    """What was measured of a pattern, and how it was checked."""
    if not entry.measured:
        return ""
    return ", ".join(filter(None, (spread_text(entry.measured), checks_text(entry.measured))))


def standing(findings: Iterable[Finding]) -> list[Finding]:
    """The facts: all of it was measured again and holds, and nobody has acknowledged it."""
    return [one for one in findings if one.counts and one.acknowledged is None]


def acknowledged(findings: Iterable[Finding]) -> list[Finding]:
    """What somebody knows of and wants no alarm for, measured again or not."""
    known = (one for one in findings if one.acknowledged is not None)
    return [finding for finding in known if finding.counts or finding.unsure]


def unsure(findings: Iterable[Finding]) -> list[Finding]:
    """What the rules measured once and nothing could measure again: no alarm, and no calm."""
    return [one for one in findings if one.unsure and one.acknowledged is None]


def grave(findings: Iterable[Finding]) -> list[Finding]:
    """Those of some findings that are more than information."""
    return [finding for finding in findings if finding.severity is not Severity.INFO]


def opinions(findings: Iterable[Finding]) -> list[Finding]:
    """What a model says and nothing confirmed: told as its opinion, and never counted. What two
    agents of a host say alike is told once."""
    told = {(one.host, one.title, one.subject): one for one in findings if one.opinion}
    return list(told.values())


def withdrawn(findings: Iterable[Finding]) -> list[Finding]:
    """The findings that did not hold when they were checked."""
    return [finding for finding in findings if not finding.verdict.counts]


def tally_text(findings: Iterable[Finding]) -> str:
    """How many of each severity: `1 critical, 2 warnings`; empty where there are none."""
    groups = by_severity(findings)
    return ", ".join(
        count_text(len(found), "warning")
        if severity is Severity.WARNING
        else f"{len(found):,} {severity}"
        for severity, found in groups.items()
    )
