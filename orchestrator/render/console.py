"""A report on a terminal, or as plain text where there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    words,
)
from orchestrator.render.apart import id_piece, print_apart, print_contradictions
from orchestrator.render.tally import Entry
from orchestrator.render.terminal import Page
from swarm_tasks.models.evidence import Evidence
from swarm_tasks.models.finding import Claim, Finding, Severity, Verdict
from swarm_tasks.models.report import HostStatus, Report

if TYPE_CHECKING:
    from rich.console import Console

LISTED = 10
"""How many hosts or blind spots are listed before the rest is counted."""

BODY = 10
"""The column where a finding's text begins: after the longest severity and two spaces."""

STYLES = {
    Severity.CRITICAL: "bold red",
    Severity.WARNING: "bold yellow",
    Severity.INFO: "bold blue",
}
ANSWERS_LISTED = 40
"""How many answers to questions for any host are listed before the rest is counted."""

ANSWER_CHARACTERS = 240
"""How much of an agent's answer is shown; the page and `show` have all of it."""

PLANNED = {
    "model": "Planned by a model",
    "asker": "Planned by the asker",
    "default": "The default plan",
}

NAMED = 6
"""How many hosts of a pattern are named."""

CHECKED = {Verdict.VERIFIED: "verified", Verdict.UNVERIFIABLE: "measured once"}


def print_report(report: Report, console: Console, *, verbose: bool = False) -> None:
    """Print a report.

    Args:
        verbose: Also how each value was measured and checked, what was ruled out, every host
            and blind spot, and what the job took.
    """
    page = Page(console)
    listed = len(report.hosts) + len(report.evidence) + len(report.actions) if verbose else LISTED
    _print_head(page, report, listed)
    _print_answers(page, report, listed, verbose=verbose)
    calls = {evidence.call_id: evidence for evidence in report.evidence} if verbose else {}
    _print_findings(page, tally.entries(report), calls)
    _print_actions(page, report, listed, verbose=verbose)
    print_apart(page, report)
    print_contradictions(page, report, listed)
    _print_outliers(page, report, listed)
    _print_absent(page, report, listed)
    _print_blind_spots(page, report, listed)
    if verbose:
        _print_ruled_out(page, report)
        _print_plan(page, report)
        _print_each_bill(page, report)
    _print_foot(page, report, verbose=verbose)


def _print_head(page: Page, report: Report, listed: int) -> None:
    page.say((coverage.coverage_text(report), "" if report.coverage.whole else "bold yellow"))
    page.say((f"{coverage.headline(report)}.", "bold"))
    if told := honesty.honesty_text(report.claims):
        page.say((told, "yellow" if honesty.lied(report.claims) else "dim"), hang=2)
    if report.job.cancelled:
        page.say(("The job was cancelled: this is what was known by then.", "yellow"))
    short = degraded.shortfalls(report)
    for one in short[:listed]:
        page.say(("Degraded: ", "yellow"), degraded.shortfall_text(one), hang=2)
    _print_rest(page, len(short) - listed, "more reason", indent=2)
    for doubt in report.doubts[:listed]:
        page.say((f"{honesty.doubt_text(doubt)}.", "yellow"), hang=2)
    if prose := coverage.prose_of(report):
        page.gap()
        page.say(prose)
    if report.prose_removed:
        page.say((coverage.removed_text(report), "dim"))


def _print_answers(page: Page, report: Report, listed: int, *, verbose: bool) -> None:
    """What the agents answered, where a question was asked."""
    answers = coverage.answers(report)
    if not answers:
        return
    if coverage.anywhere(report):  # there they are what was asked for
        listed = max(listed, ANSWERS_LISTED)
    page.gap()
    page.say(("The agents answer", "bold"))
    for answer in answers[:listed]:
        said = answer.text if verbose else words.cut_words(answer.text, ANSWER_CHARACTERS)
        name = (f"{answer.host}/{answer.specialist}", "bold")
        told = answer.question and (verbose or coverage.anywhere(report))
        asked = f" ({words.one_line(answer.question)})" if told else ""
        page.say(name, (asked, "dim"), f"  {words.one_line(said)}", indent=2, hang=2)
    _print_rest(page, len(answers) - listed, "more answer", indent=2)


def _print_findings(page: Page, entries: Sequence[Entry], calls: Mapping[str, Evidence]) -> None:
    """All that counts: a pattern once, and other findings of a kind under one title and advice."""
    kinds: dict[tuple[Severity, str, str], list[Entry]] = {}
    for entry in entries:
        first = entry.findings[0]
        key = entry.pattern.id if entry.pattern else first.title
        kinds.setdefault((entry.severity, key, first.advice), []).append(entry)
    for (severity, _, advice), same in kinds.items():
        page.gap()
        label = (severity.upper(), STYLES[severity])
        pattern = same[0].pattern
        title = pattern.title if pattern else same[0].findings[0].title
        page.say((words.one_line(title), "bold"), indent=BODY, label=label)
        for entry in same:
            if entry.pattern is not None:
                _print_pattern(page, entry, each=bool(calls))
            if entry.pattern is None or calls:
                for finding in entry.findings:
                    _print_finding(page, finding, calls)
        if advice:
            said = claims.plain_advice(advice) if pattern else advice
            page.say(("→ ", "dim"), words.one_line(said), indent=BODY, hang=2)


def _print_pattern(page: Page, entry: Entry, *, each: bool) -> None:
    """The same trouble on several hosts, in one paragraph.

    Args:
        each: Whether its findings follow one by one: then their ids stand there.
    """
    pattern = entry.pattern
    assert pattern is not None  # noqa: S101 - the caller looked
    hosts = words.count_text(len(pattern.hosts), "host")
    subject = words.one_line(pattern.subject)
    page.say((hosts, "bold"), f"  {subject}  ", tally.pattern_text(entry), indent=BODY, hang=2)
    others = f"; {pattern.well:,} more are well" if pattern.well else ""
    ids = "" if each else words.names_text([one.id for one in entry.findings if one.id], NAMED)
    names = words.names_text(pattern.hosts, NAMED) + others
    page.say((names, "dim"), (f"  {ids}" if ids else "", "dim"), indent=BODY + 2, hang=2)
    for said in dict.fromkeys(one.explanation for one in entry.findings if one.explanation):
        page.say(("model: ", "dim"), (words.one_line(said), "italic"), indent=BODY + 2, hang=2)
        break  # the others are much the same; the page has each


def _print_finding(page: Page, finding: Finding, calls: Mapping[str, Evidence]) -> None:
    subject = words.one_line(finding.subject)
    where = f"{finding.host}  {subject}" if subject != finding.host else finding.host
    said = [_claim_words(claim, finding, verbose=bool(calls)) for claim in finding.claims]
    host, rest, name = (finding.host, "bold"), where[len(finding.host) :], id_piece(finding)
    taken = BODY + len(where) + len(name[0])
    if len(said) == 1 and not calls and taken + 2 + len(said[0]) <= page.width:
        page.say(host, rest, "  ", said[0], name, indent=BODY)
        _print_explanation(page, finding)
        return
    page.say(host, rest, name, indent=BODY, hang=2)
    for claim, phrase in zip(finding.claims, said, strict=True):
        page.say(phrase, indent=BODY + 2, hang=2)
        for reference in claim.evidence:
            if evidence := calls.get(reference.call_id):
                call = claims.call_text(evidence.tool, evidence.arguments)
                source = words.shorten(words.one_line("; ".join(evidence.source)), 200)
                page.say((f"{call}: {source}", "dim"), indent=BODY + 4, hang=2)
    _print_explanation(page, finding)


def _print_explanation(page: Page, finding: Finding) -> None:
    if finding.doubted:
        page.say((f"said by {finding.model}, which is doubted", "yellow"), indent=BODY + 2, hang=2)
    if finding.explanation:
        said = words.one_line(finding.explanation)
        page.say(("model: ", "dim"), (said, "italic"), indent=BODY + 2, hang=2)


def _claim_words(claim: Claim, finding: Finding, *, verbose: bool) -> str:
    own = "" if claim.subject == finding.subject else f"{words.one_line(claim.subject)}: "
    if claim.host not in ("", finding.host):
        own = f"{claim.host} {words.one_line(claim.subject)}: "
    checked = CHECKED.get(claim.verdict)
    check = claims.check_text(claim) if verbose or checked is None else checked
    return f"{own}{claims.claim_text(claim)}, {check}"


def _print_actions(page: Page, report: Report, listed: int, *, verbose: bool) -> None:
    """The order to act in, where it says more than the findings' own order."""
    if not verbose and not report.causes:
        return
    if not report.actions:
        return
    page.gap()
    page.say(("What to do, in this order", "bold"))
    for action in report.actions[:listed]:
        after = ", ".join(map(str, action.after))
        where = words.names_text(action.hosts, 3)
        page.say(
            f"{action.rank}. ",
            (where, "bold"),
            f"  {words.one_line(action.what)}",
            (f" (step {after} may settle it)" if after else "", "dim"),
            indent=2,
            hang=3,
        )
        page.say((words.one_line(action.why), "dim"), indent=5)
    _print_rest(page, len(report.actions) - listed, "more step", indent=2)


def _print_outliers(page: Page, report: Report, listed: int) -> None:
    """Hosts that are unlike their peers; no alarm."""
    if not report.outliers:
        return
    page.gap()
    page.say(("Unlike their peers", "bold"))
    for outlier in report.outliers[:listed]:
        page.say((outlier.host, "bold"), f"  {claims.outlier_text(outlier)}", indent=2, hang=2)
    _print_rest(page, len(report.outliers) - listed, "more outlier", indent=2)


def _print_absent(page: Page, report: Report, listed: int) -> None:
    absent = [line for line in report.hosts if line.status is not HostStatus.ANSWERED]
    if absent:
        page.gap()
    for line in absent[:listed]:
        why = coverage.absence_text(report, line)
        label = (line.status.upper(), "bold magenta")
        page.say((line.host, "bold"), f"  {why}", indent=BODY, hang=2, label=label)
        if view := line.outside:
            whose = (f"{outside.label(view)}: ", "dim")
            page.say(whose, outside.text(view), indent=BODY + 2, hang=2)
            if view.last_audit is not None:
                said = outside.audit_text(view.last_audit)
                page.say(("its last audit: ", "dim"), said, indent=BODY + 2, hang=2)
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


def _print_plan(page: Page, report: Report) -> None:
    """How a model broke the job into its parts, and what is to be noted of any plan."""
    plan = report.job.plan
    if plan is None or (plan.by != "model" and not plan.notes):
        return
    page.gap()
    by = PLANNED[plan.by]
    page.say((by, "bold"), (f"  {words.one_line(plan.why)}", "dim"))
    for line in plan.lines:
        where = words.names_text(tuple(map(words.one_line, line.hosts)), 4)
        page.say(
            (line.specialist, "bold"),
            (f" on {where}: ", "dim"),
            words.one_line(line.question),
            indent=2,
            hang=2,
        )
    for note in plan.notes:
        page.say((words.one_line(note), "dim"), indent=2, hang=2)


def _print_each_bill(page: Page, report: Report) -> None:
    """What each host took of a model."""
    users = [line for line in report.hosts if line.usage.llm_calls]
    if not users:
        return
    about = bill.is_about(report.charges)
    page.gap()
    page.say(("What each host took of the model", "bold"))
    for line in users:
        page.say((line.host, "bold"), f"  {bill.usage_text(line.usage, about=about)}", indent=2)


def _print_foot(page: Page, report: Report, *, verbose: bool) -> None:
    job, usage = report.job, report.usage
    name = words.one_line(job.id)
    said = [f"job {name}", values.duration_text(usage.wall_seconds)]
    said.append(words.count_text(usage.tool_calls, "tool call"))
    if verbose:
        said.extend(
            (f"brain {job.brain}", f"deadline {values.duration_text(job.deadline_seconds)}")
        )
    page.gap()
    if bound := bill.allowance_text(job.allowance):
        stopped = bill.stopped_by_budget(report)
        went = words.count_text(len(stopped), "part")
        used = f"; {bill.stop_text(report)}, and {went} of it went on without a model"
        page.say((f"The job had {bound}{used if stopped else ''}.", "yellow" if stopped else "dim"))
    if line := bill.bill_text(report):
        page.say((f"model: {line}", "dim"), hang=2)
    page.say((" · ".join(said), "dim"))
    page.say((f"hostswarm show {name} --html report.html", "dim"), " has the evidence")
