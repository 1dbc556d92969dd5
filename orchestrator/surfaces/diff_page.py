"""The difference of two jobs on a terminal, or as plain text where there is none."""

from __future__ import annotations

from rich.console import Console

from orchestrator.change import Change, Compared, Diff, Difference, Side
from orchestrator.render.claims import SIGNS
from orchestrator.render.terminal import Page
from orchestrator.render.values import moment_text, value_text
from orchestrator.render.words import one_line
from swarm_tasks.models.finding import Severity

STYLES = {
    Change.NEW: "bold red",
    Change.WORSE: "bold red",
    Change.UNKNOWN: "bold magenta",
    Change.SAME: "bold",
    Change.BETTER: "bold green",
    Change.RESOLVED: "bold green",
    Change.NOT_ASKED: "dim",
}
SEVERITIES = {Severity.CRITICAL: "red", Severity.WARNING: "yellow", Severity.INFO: "blue"}
BODY = 11
"""The column where a finding begins: after the longest change and two spaces."""

LISTED = 20
"""How many of one change are listed before the rest is counted; JSON has all."""


def print_diff(diff: Diff, console: Console | None = None) -> None:
    """Print what became of each finding, what calls for eyes first."""
    page = Page(console or Console())
    page.say(f"from {_job_text(diff.old)}")
    page.say(f"to   {_job_text(diff.new)}")
    page.say((f"{_counts_text(diff)}.", "bold"))
    for note in diff.notes:
        page.say((one_line(note), "yellow"))
    for change in Change:
        found = [one for one in diff.findings if one.change is change]
        if found:
            page.gap()
        for one in found[:LISTED]:
            _print_one(page, one, diff.new.id)
        if len(found) > LISTED:
            page.say((f"and {len(found) - LISTED:,} more", "dim"), indent=BODY)


def _job_text(job: Compared) -> str:
    asked = f", {one_line(job.question)}" if job.question.strip() else ""
    return f"{job.id} ({moment_text(job.created)}, {job.status}{asked})"


def _counts_text(diff: Diff) -> str:
    said = [f"{count:,} {_word(change)}" for change, count in diff.counts.items() if count]
    return ", ".join(said) if said else "No finding in either"


def _word(change: Change) -> str:
    return change.value.replace("_", " ")


def _print_one(page: Page, one: Difference, job: str) -> None:
    side = one.new or one.old
    severity = side.severity if side else Severity.INFO
    label = (_word(one.change).upper(), STYLES[one.change])
    page.say(
        (severity.value, SEVERITIES[severity]),
        "  ",
        (one.host, "bold"),
        f"  {one_line(one.title)}  {one_line(one.subject)}",
        # As `hostswarm ack` takes it.
        (f"  {job}:{one.new.id}" if one.new else "", "dim"),
        indent=BODY,
        hang=2,
        label=label,
    )
    said = "; ".join(filter(None, (_moved_text(one), one_line(one.why), _known_text(one))))
    if said:
        page.say((said, "dim"), indent=BODY + 2)


def _moved_text(one: Difference) -> str:
    """What was measured then and now: `91 % → 99 % (limit ≥ 90 %)`."""
    if one.old is None or one.new is None:
        side = one.new or one.old
        return _measured(side, limit=True) if side else ""
    graver = one.old.severity is not one.new.severity
    levels = f"{one.old.severity} → {one.new.severity}" if graver else ""
    then, now = _measured(one.old), _measured(one.new)
    values = f"{then} → {now}" if then != now else now
    return ", ".join(filter(None, (levels, values and values + _limit(one.new))))


def _measured(side: Side, *, limit: bool = False) -> str:
    if side.value is None:
        return ""
    return value_text(side.value, side.unit, 2) + (_limit(side) if limit else "")


def _limit(side: Side) -> str:
    if side.limit is None or side.limit == side.value:
        return ""
    sign = SIGNS.get(side.comparator, one_line(side.comparator))
    return f" (limit {sign} {value_text(side.limit, side.unit)})"


def _known_text(one: Difference) -> str:
    side = one.new or one.old
    return "acknowledged" if side is not None and side.acknowledged else ""
