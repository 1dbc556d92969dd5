"""A report as one HTML file: no script, nothing fetched, every string escaped. Pure but to write.

Three things keep a hostile host out of the reader's browser, each enough by itself: autoescape
on every expression, a content policy that allows one style sheet by its hash and nothing else,
and no place in the template where a value from a host is anything but text.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.render import (
    bill,
    claims,
    coverage,
    degraded,
    honesty,
    outside,
    tally,
    values,
    verdicts,
    words,
)
from orchestrator.render.cards import Card, cards_of, families_of, unused_evidence
from orchestrator.render.files import output_error, replace_file
from orchestrator.render.timeline import timeline_of
from swarm_tasks.models.across import Cause
from swarm_tasks.models.finding import Finding
from swarm_tasks.models.report import HostStatus, Report

if TYPE_CHECKING:
    from jinja2 import Template

GROUPS: tuple[Callable[[Iterable[Finding]], list[Finding]], ...] = (
    *(tally.standing, tally.acknowledged, tally.unsure, tally.opinions, tally.withdrawn),
)
"""The groups of findings, in the order of the page."""


def render_html(report: Report) -> str:
    """The whole report as one self-contained HTML document."""
    style = _asset("report.css")
    standing, known, unsure, opinions, withdrawn = _cards(report)
    page = _template().render(
        report=report,
        bill=bill,
        claims=claims,
        coverage=coverage,
        degraded=degraded,
        tally=tally,
        values=values,
        words=words,
        verdicts=verdicts,
        honesty=honesty,
        outside=outside,
        style=style,
        policy=content_policy(style),
        state=state_of(report),
        families=families_of(standing, report),
        known=known,
        unsure=unsure,
        opinions=opinions,
        withdrawn=withdrawn,
        causes=causes_of(report),
        anchors={card.finding.id: card.anchor for card in standing},
        cards_by_host=by_host(standing),
        unsure_by_host=by_host(unsure),
        absent=[line for line in report.hosts if line.status is not HostStatus.ANSWERED],
        blind_spots=coverage.blind_spots(report),
        ruled_out=coverage.ruled_out(report),
        unused=unused_evidence(report),
        timeline=timeline_of(report),
    )
    return f"{page.strip()}\n"


def _cards(report: Report) -> list[list[Card]]:
    """The cards of each group of findings, in the order of the page."""
    groups: list[list[Card]] = []
    before = 0
    for group in GROUPS:
        cards = cards_of(group(report.findings), report, before=before)
        before += len(cards)
        groups.append(cards)
    return groups


def by_host(cards: Sequence[Card]) -> Mapping[str, Sequence[Card]]:
    """The cards of each host, in their order."""
    hosts: dict[str, list[Card]] = {}
    for card in cards:
        hosts.setdefault(card.finding.host, []).append(card)
    return hosts


def causes_of(report: Report) -> Mapping[str, Cause]:
    """What likely explains a finding, by the finding's id: what it is a symptom of first."""
    found: dict[str, Cause] = {}
    for cause in report.causes:
        found |= {one: cause for one in cause.symptoms if one not in found}
    for cause in report.causes:
        found |= {one: cause for one in cause.findings if one not in found}
    return found


def write_html(report: Report, path: Path) -> None:
    """Write the report to `path`: all of it or nothing.

    Raises:
        OutputError: It cannot be written there.
    """
    page = render_html(report).encode()
    try:
        replace_file(path, page)
    except OSError as error:
        raise output_error(path, error) from error


def content_policy(style: str) -> str:
    """The content security policy: one style sheet, known by its hash, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src 'none'; script-src 'none'; "
        "base-uri 'none'; form-action 'none'"
    )


def state_of(report: Report) -> str:
    """The page's mood: the gravest severity that alarms, `unknown` where hosts are missing or a
    grave value could not be measured again, or `ok`."""
    alarms = list(tally.by_severity(one for one in report.findings if one.alarms))
    if alarms:
        return alarms[0]
    open_ones = tally.grave(tally.unsure(report.findings))
    return "ok" if report.coverage.whole and not open_ones else "unknown"


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
