"""Findings in order: those that count, those that were withdrawn, and how many. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.render.words import count_text
from swarm_tasks.models.finding import Finding, Severity


def by_severity(findings: Iterable[Finding]) -> dict[Severity, list[Finding]]:
    """Findings under each severity that has any, gravest first, otherwise in their order."""
    groups: dict[Severity, list[Finding]] = {}
    for finding in sorted(findings, key=lambda one: one.severity.rank):
        groups.setdefault(finding.severity, []).append(finding)
    return groups


def standing(findings: Iterable[Finding]) -> list[Finding]:
    """The findings that count: measured, and withdrawn by no check."""
    return [finding for finding in findings if finding.counts]


def opinions(findings: Iterable[Finding]) -> list[Finding]:
    """What a model says and nothing confirmed: told as its opinion, and never counted."""
    return [finding for finding in findings if finding.opinion]


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
