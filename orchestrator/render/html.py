"""A report as one HTML file: no script, nothing fetched, every string escaped. Pure but to write.

Three things keep a hostile host out of the reader's browser, each enough by itself: autoescape
on every expression, a content policy that allows one style sheet by its hash and nothing else,
and no place in the template where a value from a host is anything but text.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.render import bill, claims, coverage, tally, values, words
from orchestrator.render.excerpt import Line, excerpt
from orchestrator.render.timeline import timeline_of
from swarm_tasks.errors import OutputError
from swarm_tasks.models.evidence import Evidence
from swarm_tasks.models.finding import EvidenceRef, Finding, Severity
from swarm_tasks.models.report import HostStatus, Report

if TYPE_CHECKING:
    from jinja2 import Template

EVIDENCE_CHARACTERS = 20_000
"""How much of one tool's answer is shown; the JSON report has all of it."""

EXCERPT_CHARACTERS = 2_000
"""How much is shown where the same answer stands in full elsewhere, or the page is big already."""

PAGE_CHARACTERS = 4_000_000
"""How much evidence the page holds before only excerpts are shown."""

FAMILY_FROM = 5
"""From this many findings of one kind on, they are shown as one family of short rows."""

MODE = 0o644
"""What the umask takes from is what everybody's files start with: a report is to be read."""


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
    """Findings of one severity and title, over all hosts.

    Args:
        advice: What they all advise; empty where they differ.
        many: Whether to show them as short rows under one title.
    """

    severity: Severity
    title: str
    advice: str
    many: bool
    cards: tuple[Card, ...]


def render_html(report: Report) -> str:
    """The whole report as one self-contained HTML document."""
    style = _asset("report.css")
    standing = cards_of(tally.standing(report.findings), report)
    withdrawn = cards_of(tally.withdrawn(report.findings), report, before=len(standing))
    page = _template().render(
        report=report,
        bill=bill,
        claims=claims,
        coverage=coverage,
        tally=tally,
        values=values,
        words=words,
        style=style,
        policy=content_policy(style),
        state=state_of(report),
        families=families_of(standing),
        withdrawn=withdrawn,
        cards_by_host={
            line.host: [card for card in standing if card.finding.host == line.host]
            for line in report.hosts
        },
        absent=[line for line in report.hosts if line.status is not HostStatus.ANSWERED],
        blind_spots=coverage.blind_spots(report),
        ruled_out=coverage.ruled_out(report),
        unused=unused_evidence(report),
        timeline=timeline_of(report),
    )
    return f"{page.strip()}\n"


def write_html(report: Report, path: Path) -> None:
    """Write the report to `path`: all of it or nothing.

    Raises:
        OutputError: It cannot be written there.
    """
    page = render_html(report).encode()
    try:
        _write(path, page)
    except OSError as error:
        raise _output_error(path, error) from error


def content_policy(style: str) -> str:
    """The content security policy: one style sheet, known by its hash, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src 'none'; script-src 'none'; "
        "base-uri 'none'; form-action 'none'"
    )


def state_of(report: Report) -> str:
    """The page's mood: the gravest severity, `unknown` where hosts are missing, or `ok`."""
    severities = list(tally.by_severity(tally.standing(report.findings)))
    if severities and severities[0] is not Severity.INFO:
        return severities[0]
    return "ok" if report.coverage.whole else "unknown"


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


def families_of(cards: Sequence[Card]) -> list[Family]:
    """Cards of a kind together, in the order in which the kinds first come."""
    kinds: dict[tuple[Severity, str], list[Card]] = {}
    for card in cards:
        kinds.setdefault((card.finding.severity, card.finding.title), []).append(card)
    families: list[Family] = []
    for (severity, title), same in kinds.items():
        advice = {card.finding.advice for card in same}
        shared = advice.pop() if len(advice) == 1 else ""
        families.append(Family(severity, title, shared, len(same) >= FAMILY_FROM, tuple(same)))
    return families


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


@cache
def _asset(name: str) -> str:
    return files("orchestrator.render").joinpath(name).read_text(encoding="utf-8")


@cache
def _template() -> Template:
    # Imported here: a verb that renders no HTML should not wait for it.
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.from_string(_asset("report.html"))


def _finalize(value: object) -> object:
    """The last step of every expression in the template: nothing unseen reaches the page.

    What is marked as safe is our own style sheet, and what the template itself has rendered.
    """
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return words.clean(value)
    return value


def _write(path: Path, page: bytes) -> None:
    """Replace `path` in one step. A device or a pipe is written to and never replaced."""
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except FileNotFoundError:
        kind = stat.S_IFREG
    if kind == stat.S_IFDIR:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if kind != stat.S_IFREG:
        path.write_bytes(page)
        return
    target = path.resolve()
    beside = target.with_name(f".hostswarm-{secrets.token_hex(8)}.html")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(page)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


def _output_error(path: Path, error: OSError) -> OutputError:
    where = path.parent
    remedies = {
        errno.ENOENT: ("there is no such directory", f"make it first: mkdir -p {where}"),
        errno.ENOTDIR: (f"{where} is not a directory", "name a file in a directory"),
        errno.EISDIR: ("it is a directory", f"name a file, such as {path / 'report.html'}"),
        errno.EACCES: ("permission denied", "name a file in a directory that you may write to"),
        errno.EPERM: ("permission denied", "name a file in a directory that you may write to"),
        errno.EROFS: ("the file system is read-only", "name a file on another file system"),
        errno.ENOSPC: ("no space is left there", "free some space or name another place"),
        errno.EDQUOT: ("your quota is used up there", "free some space or name another place"),
    }
    why, remedy = remedies.get(error.errno or 0, (error.strerror or str(error), ""))
    return OutputError(f"the report cannot be written to {path}: {why}", remedy)
