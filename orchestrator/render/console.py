"""A report on a terminal, or as plain text where there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.render import bill, claims, coverage, tally, values, words
from swarm_tasks.models.evidence import Evidence
from swarm_tasks.models.finding import Claim, Finding, Severity, Verdict
from swarm_tasks.models.report import HostStatus, Report

if TYPE_CHECKING:
    from rich.console import Console

WIDEST = 110
"""Columns beyond which prose is no longer read with ease, however wide the terminal."""

LISTED = 10
"""How many hosts or blind spots are listed before the rest is counted."""

BODY = 10
"""The column where a finding's text begins: after the longest severity and two spaces."""

STYLES = {
    Severity.CRITICAL: "bold red",
    Severity.WARNING: "bold yellow",
    Severity.INFO: "bold blue",
}
CHECKED = {Verdict.VERIFIED: "verified", Verdict.UNVERIFIABLE: "measured once"}
PLAIN = str.maketrans(
    {"≥": ">=", "≤": "<=", "≠": "!=", "−": "-", "–": "-", "…": "...", "·": "-", "→": "->"}
)
"""Our own signs for a terminal that has nothing but ASCII."""

Piece = str | tuple[str, str]
"""Text, or text and its style."""


@dataclass(frozen=True, slots=True)
class Page:
    """Where the report is written. Every text passes `say`, which lets nothing act unseen."""

    console: Console

    @property
    def width(self) -> int:
        """Columns of a line."""
        return min(self.console.width, WIDEST)

    def say(
        self, *pieces: Piece, indent: int = 0, hang: int = 0, label: tuple[str, str] = ("", "")
    ) -> None:
        """Write one paragraph; no piece is read as markup.

        Args:
            indent: Columns before every line.
            hang: Columns more before each line but the first.
            label: Our own word and its style, in the first line's indent.
        """
        # Imported here: a verb that prints no report should not wait for it.
        from rich.text import Text

        paragraph = Text()
        for piece in pieces:
            said, style = (piece, "") if isinstance(piece, str) else piece
            paragraph.append(self._printable(said), style)
        width = max(self.width - indent - hang, 20)
        for index, line in enumerate(paragraph.wrap(self.console, width)):
            line.rstrip()
            left = Text(" " * (indent + hang)) if index else Text(*label)
            if line:
                left.pad_right(indent - len(left))
            self.console.print(left.append_text(line), highlight=False, soft_wrap=True)

    def gap(self) -> None:
        """Write an empty line."""
        self.console.print()

    def _printable(self, text: str) -> str:
        cleaned = words.clean(text).expandtabs(4)
        if not self.console.options.ascii_only:
            return cleaned
        return cleaned.translate(PLAIN).encode("ascii", "backslashreplace").decode()


def print_report(report: Report, console: Console, *, verbose: bool = False) -> None:
    """Print a report.

    Args:
        verbose: Also how each value was measured and checked, what was ruled out, every host
            and blind spot, and what the job took.
    """
    page = Page(console)
    _print_head(page, report)
    calls = {evidence.call_id: evidence for evidence in report.evidence} if verbose else {}
    for severity, found in tally.by_severity(tally.standing(report.findings)).items():
        _print_findings(page, severity, found, calls)
    _print_withdrawn(page, report)
    listed = len(report.hosts) + len(report.evidence) if verbose else LISTED
    _print_absent(page, report, listed)
    _print_blind_spots(page, report, listed)
    if verbose:
        _print_ruled_out(page, report)
    _print_foot(page, report, verbose=verbose)


def _print_head(page: Page, report: Report) -> None:
    page.say((coverage.coverage_text(report), "" if report.coverage.whole else "bold yellow"))
    page.say((f"{coverage.headline(report)}.", "bold"))
    if report.job.cancelled:
        page.say(("The job was cancelled: this is what was known by then.", "yellow"))
    if report.job.brain == "degraded":
        page.say(("The model could not be used throughout; rules alone judged.", "yellow"))
    if prose := coverage.prose_of(report):
        page.gap()
        page.say(prose)


def _print_findings(
    page: Page, severity: Severity, found: Sequence[Finding], calls: Mapping[str, Evidence]
) -> None:
    """The findings of one severity, those of a kind under one title and one advice."""
    kinds: dict[tuple[str, str], list[Finding]] = {}
    for finding in found:
        kinds.setdefault((finding.title, finding.advice), []).append(finding)
    for (title, advice), same in kinds.items():
        page.gap()
        label = (severity.upper(), STYLES[severity])
        page.say((words.one_line(title), "bold"), indent=BODY, label=label)
        for finding in same:
            _print_finding(page, finding, calls)
        if advice:
            page.say(("→ ", "dim"), words.one_line(advice), indent=BODY, hang=2)


def _print_finding(page: Page, finding: Finding, calls: Mapping[str, Evidence]) -> None:
    subject = words.one_line(finding.subject)
    where = f"{finding.host}  {subject}" if subject != finding.host else finding.host
    said = [_claim_words(claim, finding, verbose=bool(calls)) for claim in finding.claims]
    if len(said) == 1 and not calls and BODY + len(where) + 2 + len(said[0]) <= page.width:
        page.say((finding.host, "bold"), where[len(finding.host) :], "  ", said[0], indent=BODY)
        return
    page.say((finding.host, "bold"), where[len(finding.host) :], indent=BODY, hang=2)
    for claim, phrase in zip(finding.claims, said, strict=True):
        page.say(phrase, indent=BODY + 2, hang=2)
        for reference in claim.evidence:
            if evidence := calls.get(reference.call_id):
                call = claims.call_text(evidence.tool, evidence.arguments)
                source = words.shorten(words.one_line("; ".join(evidence.source)), 200)
                page.say((f"{call}: {source}", "dim"), indent=BODY + 4, hang=2)


def _claim_words(claim: Claim, finding: Finding, *, verbose: bool) -> str:
    own = "" if claim.subject == finding.subject else f"{words.one_line(claim.subject)}: "
    checked = CHECKED.get(claim.verdict)
    check = claims.check_text(claim) if verbose or checked is None else checked
    return f"{own}{claims.claim_text(claim)}, {check}"


def _print_withdrawn(page: Page, report: Report) -> None:
    withdrawn = tally.withdrawn(report.findings)
    if not withdrawn:
        return
    page.gap()
    page.say(("Did not hold when checked", "bold"))
    for finding in withdrawn:
        title, subject = words.one_line(finding.title), words.one_line(finding.subject)
        page.say((finding.host, "bold"), f"  {title}: {subject}", indent=2, hang=2)
        for claim in finding.claims:
            # Struck through where the terminal can; the words say it everywhere.
            said = (claims.claim_text(claim), "" if claim.verdict.counts else "strike")
            page.say(said, ", ", claims.check_text(claim), indent=4, hang=2)


def _print_absent(page: Page, report: Report, listed: int) -> None:
    absent = [line for line in report.hosts if line.status is not HostStatus.ANSWERED]
    if absent:
        page.gap()
    for line in absent[:listed]:
        why = coverage.absence_text(report, line)
        label = (line.status.upper(), "bold magenta")
        page.say((line.host, "bold"), f"  {why}", indent=BODY, hang=2, label=label)
    _print_rest(page, len(absent) - listed, "more host", indent=BODY)


def _print_blind_spots(page: Page, report: Report, listed: int) -> None:
    spots = coverage.blind_spots(report)
    if not spots:
        return
    page.gap()
    page.say(("Could not be seen", "bold"))
    for spot in spots[:listed]:
        where = coverage.hosts_text(report, spot.hosts, 3)
        why = words.one_line(f"{spot.reason} ({spot.remedy})" if spot.remedy else spot.reason)
        page.say(", ".join(spot.what), (f" on {where}: ", "dim"), why, indent=2, hang=2)
    _print_rest(page, len(spots) - listed, "more reason", indent=2)


def _print_rest(page: Page, left: int, noun: str, *, indent: int) -> None:
    if left > 0:
        page.say((f"and {words.count_text(left, noun)}", "dim"), indent=indent)


def _print_ruled_out(page: Page, report: Report) -> None:
    ruled_out = coverage.ruled_out(report)
    if not ruled_out:
        return
    page.gap()
    page.say(("Ruled out", "bold"))
    for statement, hosts in ruled_out.items():
        where = coverage.hosts_text(report, hosts, 3)
        page.say(words.one_line(statement), (f" on {where}", "dim"), indent=2, hang=2)


def _print_foot(page: Page, report: Report, *, verbose: bool) -> None:
    job, usage = report.job, report.usage
    name = words.one_line(job.id)
    said = [f"job {name}", values.duration_text(usage.wall_seconds)]
    said.append(words.count_text(usage.tool_calls, "tool call"))
    if usage.llm_calls:
        said.append(words.count_text(usage.llm_calls, "model call"))
    if verbose:
        said.extend(
            (f"brain {job.brain}", f"deadline {values.duration_text(job.deadline_seconds)}")
        )
        if usage.llm_calls:
            said.append(bill.cost_text(usage))
    page.gap()
    page.say((" · ".join(said), "dim"))
    page.say((f"hostswarm show {name} --html report.html", "dim"), " has the evidence")
