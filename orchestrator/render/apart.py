"""What stands apart from a report's facts, on a terminal: what is known of, what is unsure, what a
model thinks, what was withdrawn, and who contradicted whom."""

from __future__ import annotations

from orchestrator.render import claims, honesty, tally, verdicts, words
from orchestrator.render.terminal import Page
from swarm_tasks.models.finding import Finding
from swarm_tasks.models.report import Report


def print_apart(page: Page, report: Report) -> None:
    """Print all groups of findings that are no facts, each under its title."""
    _print_unsure(page, tally.unsure(report.findings))
    _print_acknowledged(page, tally.acknowledged(report.findings))
    _print_opinions(page, tally.opinions(report.findings))
    _print_withdrawn(page, tally.withdrawn(report.findings))


def print_contradictions(page: Page, report: Report, listed: int) -> None:
    """Print what agents said that cannot both be so, and what was measured."""
    if not report.contradictions:
        return
    page.gap()
    page.say(("Agents contradicted each other", "bold"))
    for one in report.contradictions[:listed]:
        about = f"  {honesty.contradicted_text(one)}"
        page.say((one.host, "bold"), about, indent=2, hang=2)
        page.say(honesty.contradiction_text(report, one), indent=4, hang=2)
    left = len(report.contradictions) - listed
    if left > 0:
        page.say((f"and {words.count_text(left, 'more contradiction')}", "dim"), indent=2)


def _print_unsure(page: Page, findings: list[Finding]) -> None:
    """What the rules measured once: as grave as it was, and no alarm."""
    if not findings:
        return
    page.gap()
    page.say(("Could not be measured again", "bold"))
    for finding in findings:
        about = f"  {_named(finding)}"
        page.say((finding.host, "bold"), about, id_piece(finding), indent=2, hang=2)
        said = "; ".join(claims.claim_text(claim) for claim in finding.claims)
        why = verdicts.unsure_text(finding)
        page.say((finding.severity, "yellow"), f": {said}, measured once: {why}", indent=4, hang=2)


def _print_acknowledged(page: Page, findings: list[Finding]) -> None:
    """What somebody knows of, in short."""
    if not findings:
        return
    page.gap()
    page.say(("Acknowledged", "dim"))
    for finding in findings:
        said = "; ".join(claims.claim_text(claim) for claim in finding.claims)
        once = ", measured once" if finding.unsure else ""
        about = f"{finding.host}  {_named(finding)} ({finding.severity}): {said}{once}"
        page.say((about, "dim"), id_piece(finding), indent=2, hang=2)
        page.say((verdicts.acknowledged_text(finding), "dim"), indent=4, hang=2)


def _print_opinions(page: Page, notes: list[Finding]) -> None:
    """What a model says and nothing confirmed."""
    if not notes:
        return
    page.gap()
    page.say(("A model's notes, which nothing confirmed", "bold"))
    for note in notes:
        doubted = " (by a model that is doubted)" if note.doubted else ""
        pieces = (f"  {_named(note)}", (doubted, "dim"), id_piece(note))
        page.say((note.host, "bold"), *pieces, indent=2, hang=2)
        if note.explanation:
            page.say((words.one_line(note.explanation), "italic"), indent=4)
        for claim in note.claims:
            said = f"{_place(note, claim.host, claim.subject)}{claims.claim_text(claim)}"
            page.say(f"{said}, {claims.check_text(claim)}", indent=4, hang=2)


def _print_withdrawn(page: Page, findings: list[Finding]) -> None:
    """What did not hold: the claim struck through, and the numbers that speak against it."""
    if not findings:
        return
    page.gap()
    page.say(("Did not hold when checked", "bold"))
    for finding in findings:
        by = f" (said by {words.one_line(finding.model)})" if finding.model else ""
        page.say((finding.host, "bold"), f"  {_named(finding)}", (by, "dim"), indent=2, hang=2)
        for claim in finding.claims:
            place = _place(finding, claim.host, claim.subject)
            # Struck through where the terminal can; the word before it says it everywhere.
            if verdicts.struck(claim):
                word = (f"{claim.verdict}: ", "yellow")
                pieces = (word, place, (verdicts.told_text(claim), "strike"), "; ")
            else:
                pieces = ("", place, verdicts.told_text(claim), ", ")
            page.say(*pieces, verdicts.found_text(claim), indent=4, hang=2)


def id_piece(finding: Finding) -> tuple[str, str]:
    """A finding's id in its report, as `hostswarm ack JOB:ID` takes it, to stand behind a line."""
    return (f"  {words.one_line(finding.id)}" if finding.id else "", "dim")


def _named(finding: Finding) -> str:
    title, subject = words.one_line(finding.title), words.one_line(finding.subject)
    return f"{title}: {subject}" if subject else title


def _place(finding: Finding, host: str, subject: str) -> str:
    """What a claim is of, where that is not what its finding is of."""
    elsewhere = host if host not in ("", finding.host) else ""
    own = words.one_line(subject) if subject != finding.subject or elsewhere else ""
    said = f"{elsewhere} {own}".strip()
    return f"{said}: " if said else ""
