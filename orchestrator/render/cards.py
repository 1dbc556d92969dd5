"""Findings with the evidence that they rest on, ready to be shown on a page. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.render import claims, tally
from orchestrator.render.excerpt import Line, excerpt
from swarm_tasks.models.across import Pattern
from swarm_tasks.models.evidence import Evidence
from swarm_tasks.models.finding import EvidenceRef, Finding, Severity
from swarm_tasks.models.report import Report

EVIDENCE_CHARACTERS = 20_000
"""How much of one tool's answer is shown; the JSON report has all of it."""

EXCERPT_CHARACTERS = 2_000
"""How much is shown where the same answer stands in full elsewhere, or the page is big already."""

PAGE_CHARACTERS = 4_000_000
"""How much evidence the page holds before only excerpts are shown."""

FAMILY_FROM = 5
"""From this many findings of one kind on, they are shown as one family of short rows."""


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One tool's answer under one finding.

    Args:
        evidence: None where the report does not hold what the claim names.
        altered: Whether the data is not what the claim quoted by its digest.
        shown_at: The anchor of the finding that shows more of it; empty where this one does.
    """

    call_id: str
    evidence: Evidence | None
    lines: tuple[Line, ...] = ()
    altered: bool = False
    shown_at: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """A finding with its exhibits, ready to be shown."""

    anchor: str
    finding: Finding
    exhibits: tuple[Exhibit, ...]


@dataclass(frozen=True, slots=True)
class Family:
    """Findings of one pattern, or of one severity and title, over all hosts.

    Args:
        advice: What they all advise; empty where they differ.
        many: Whether to show them as short rows under one title.
        pattern: What they have in common; None for findings that share their title only.
        said: What was measured of a pattern.
        checked: How that was checked.
    """

    severity: Severity
    title: str
    advice: str
    many: bool
    cards: tuple[Card, ...]
    pattern: Pattern | None = None
    said: str = ""
    checked: str = ""


def cards_of(findings: Sequence[Finding], report: Report, before: int = 0) -> list[Card]:
    """Findings with their evidence, gravest first; an answer is shown in full only once.

    Args:
        before: How many cards stand on the page already.
    """
    by_id = {evidence.call_id: evidence for evidence in report.evidence}
    first_shown: dict[str, str] = {}
    cards: list[Card] = []
    room = PAGE_CHARACTERS
    for finding in (one for found in tally.by_severity(findings).values() for one in found):
        anchor = f"finding-{before + len(cards) + 1}"
        exhibits: list[Exhibit] = []
        for call_id, references in references_of(finding).items():
            in_full = call_id not in first_shown and room > 0
            limit = EVIDENCE_CHARACTERS if in_full else EXCERPT_CHARACTERS
            shown_at = first_shown.get(call_id, "")
            exhibit = _exhibit(call_id, by_id.get(call_id), references, limit, shown_at)
            first_shown.setdefault(call_id, anchor)
            room -= sum(len(line.text) for line in exhibit.lines)
            exhibits.append(exhibit)
        cards.append(Card(anchor, finding, tuple(exhibits)))
    return cards


def families_of(cards: Sequence[Card], report: Report) -> list[Family]:
    """Cards of a kind together, in the order in which the kinds first come."""
    entries = {one.pattern.id: one for one in tally.entries(report) if one.pattern}
    patterns = {
        finding.id: entry.pattern.id
        for entry in entries.values()
        if entry.pattern
        for finding in entry.findings
    }
    kinds: dict[tuple[str, str], list[Card]] = {}
    for card in cards:
        finding = card.finding
        pattern = patterns.get(finding.id)
        key = ("pattern", pattern) if pattern else (finding.severity.value, finding.title)
        kinds.setdefault(key, []).append(card)
    return [
        _family(tuple(same), entries[key] if kind == "pattern" else None)
        for (kind, key), same in kinds.items()
    ]


def _family(cards: tuple[Card, ...], entry: tally.Entry | None) -> Family:
    first = cards[0].finding
    if entry is not None and entry.pattern is not None:
        advices = {claims.plain_advice(card.finding.advice) for card in cards}
        measured = entry.measured
        return Family(
            severity=entry.severity,
            title=entry.pattern.title,
            advice=advices.pop() if len(advices) == 1 else "",
            many=True,
            cards=cards,
            pattern=entry.pattern,
            said=claims.spread_text(measured) if measured else "",
            checked=claims.checks_text(measured) if measured else "",
        )
    advices = {card.finding.advice for card in cards}
    shared = advices.pop() if len(advices) == 1 else ""
    return Family(first.severity, first.title, shared, len(cards) >= FAMILY_FROM, cards)


def references_of(finding: Finding) -> dict[str, list[EvidenceRef]]:
    """What a finding's claims point at, by the call that gave it, in the order of the claims;
    then the evidence that shows its cause, which nothing points into."""
    references: dict[str, list[EvidenceRef]] = {}
    for claim in finding.claims:
        for reference in claim.evidence:
            references.setdefault(reference.call_id, []).append(reference)
    for call_id in finding.related:
        references.setdefault(call_id, [])
    return references


def unused_evidence(report: Report) -> dict[str, list[Evidence]]:
    """What was measured and no finding speaks of, by host."""
    used = {call_id for finding in report.findings for call_id in references_of(finding)}
    hosts: dict[str, list[Evidence]] = {}
    for evidence in report.evidence:
        if evidence.call_id not in used:
            hosts.setdefault(evidence.host, []).append(evidence)
    return hosts


def _exhibit(
    call_id: str,
    evidence: Evidence | None,
    references: Sequence[EvidenceRef],
    limit: int,
    shown_at: str,
) -> Exhibit:
    if evidence is None:
        return Exhibit(call_id, None)
    lines = excerpt(evidence.data, [one.pointer for one in references], limit)
    try:
        digest = evidence.sha256()
    except ValueError:  # NaN in the data: it has no digest, so it cannot be what was quoted
        digest = ""
    altered = any(one.sha256 != digest for one in references)
    return Exhibit(call_id, evidence, lines, altered, shown_at)
