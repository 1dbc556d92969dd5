"""What a model reads of a report: a line for each thing, gravest first. Pure.

Every claim that counts stands with its placeholder, its meaning and its value, so that the model
knows what it speaks of; it writes the placeholder, and code puts the value in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.render.claims import observed_text
from orchestrator.render.coverage import blind_spots, ruled_out
from orchestrator.render.honesty import OTHERS, WRONG, contradicted_text
from orchestrator.render.numbers import Facts, bare
from orchestrator.render.tally import opinions, standing, unsure
from orchestrator.render.verdicts import unsure_text
from orchestrator.render.words import names_text, one_line, shorten
from swarm_tasks.measures import measures
from swarm_tasks.models.finding import Finding
from swarm_tasks.models.report import HostStatus, Report

LINE_CHARACTERS = 700
"""The longest line: what a host or an agent says beyond that is in the report."""

NAMED_HOSTS = 6
SHOWN_VALUES = 4
MOST_WELL = 15

FENCE = str.maketrans({"<": "‹", ">": "›", "{": "(", "}": ")"})
"""What a host says can neither close the fence around it nor look like a placeholder."""

COUNTS = {
    "asked": "hosts were asked",
    "answered": "answered",
    "dark": "dark: nothing is known of them",
    "failed": "failed",
    "critical": "critical findings",
    "warning": "warnings",
    "info": "notes",
}


def head_of(report: Report, facts: Facts) -> str:
    """The question, and the counts that code vouches for."""
    question = bare(report.job.question) or "None was asked: say what is wrong, gravest first."
    counts = "; ".join(
        f"{{n.{name}}} = {facts.values[f'n.{name}']} {said}" for name, said in COUNTS.items()
    )
    made = report.claims.made
    claims = f"\nClaims of agents: {_claims(facts)}" if made else ""
    return f"Question: {question}\nCounts: {counts}{claims}"


def _claims(facts: Facts) -> str:
    """What became of claims, those first that were never so."""
    told = (
        f"{{n.{name}}} = {facts.values[f'n.{name}']} {name}"
        for name in (*WRONG, *OTHERS)
        if facts.values[f"n.{name}"] != "0"
    )
    return f"{{n.claims}} = {facts.values['n.claims']} were made: {'; '.join(told)}"


def lines_of(report: Report, facts: Facts) -> tuple[str, ...]:
    """The whole report, a line each."""
    parts = (
        *_absent(report),
        *_causes(report),
        *_findings(report, facts),
        *_unsure(report),
        *_contradictions(report),
        *_doubts(report),
        *_answers(report),
        *_outliers(report, facts),
        *_opinions(report),
        *_unseen(report),
        *_well(report),
    )
    return tuple(shorten(line, LINE_CHARACTERS) for line in parts)


def said_by_host(text: str) -> str:
    """Words of a host or an agent, on one line, that cannot act on their reader."""
    return one_line(bare(text)).translate(FENCE)


def _absent(report: Report) -> Iterator[str]:
    reasons: dict[tuple[HostStatus, str], list[str]] = {}
    for line in report.hosts:
        if line.status is not HostStatus.ANSWERED:
            reasons.setdefault((line.status, line.reason), []).append(line.host)
    for (status, reason), hosts in reasons.items():
        yield f"{status}: {names_text(hosts, NAMED_HOSTS)} ({said_by_host(reason)})"


def _causes(report: Report) -> Iterator[str]:
    for cause in report.causes:
        said = f"{cause.id}, {cause.severity}, {{{cause.id}.hosts}} hosts: "
        said += said_by_host(f"{cause.title}: {cause.why}. To do: {cause.advice}")
        said += f" Seen by {', '.join(cause.findings[:SHOWN_VALUES])}."
        if cause.symptoms:
            said += f" May explain {', '.join(cause.symptoms[:SHOWN_VALUES])}."
        yield said


def _findings(report: Report, facts: Facts) -> Iterator[str]:
    """Findings that count: those of a pattern in one line, the others in one each."""
    by_id = {finding.id: finding for finding in standing(report.findings)}
    patterns = {one: pattern for pattern in report.patterns for one in pattern.findings}
    told: set[str] = set()
    for finding in by_id.values():
        pattern = patterns.get(finding.id)
        if pattern is None:
            where = f"{finding.host}, {finding.specialist}"
            yield _finding(where, finding, _values((finding,), facts))
        elif pattern.id not in told:
            told.add(pattern.id)
            same = [by_id[one] for one in pattern.findings if one in by_id]
            hosts = names_text(pattern.hosts, NAMED_HOSTS)
            where = f"{pattern.id} on {{{pattern.id}.hosts}} hosts ({hosts})"
            if pattern.well:
                where += f", while {{{pattern.id}.well}} others are well"
            yield _finding(where, finding, _values(same, facts, named=True))


def _finding(where: str, finding: Finding, values: str) -> str:
    said = f"{finding.id}, {finding.severity}, {finding.verdict}, {where}: "
    said += said_by_host(f"{finding.title}, {finding.subject}") + f": {values}."
    if finding.explanation:
        said += f" The agent says: {said_by_host(finding.explanation)}"
    elif finding.advice:
        said += f" To do: {said_by_host(finding.advice)}"
    return said


def _values(findings: Sequence[Finding], facts: Facts, *, named: bool = False) -> str:
    """The claims of some findings, each with its placeholder, meaning and value."""
    said: list[str] = []
    for finding in findings:
        for number, claim in enumerate(finding.claims, 1):
            name = f"{finding.id}.{number}"
            if name not in facts.values or len(said) == SHOWN_VALUES:
                continue
            phrase = f"{{{name}}} = {said_by_host(observed_text(claim))}"
            if claim.unit != "state":
                limit = said_by_host(facts.values[f"{name}.limit"])
                phrase += f" (limit {{{name}.limit}} = {limit})"
            said.append(f"{phrase} on {finding.host}" if named else phrase)
    return "; ".join(said)


def _answers(report: Report) -> Iterator[str]:
    for line in report.hosts:
        for part in line.parts:
            if part.answer:
                asked = f" to `{said_by_host(part.question)}`" if part.question else ""
                yield (
                    f"answer of {line.host}/{part.specialist}{asked}: {said_by_host(part.answer)}"
                )


def _outliers(report: Report, facts: Facts) -> Iterator[str]:
    for one in report.outliers:
        meaning = measures()[one.metric].meaning if one.metric in measures() else one.metric
        value, median = facts.values[f"{one.id}.value"], facts.values[f"{one.id}.median"]
        yield (
            f"{one.id}, outlier, no alarm: {one.host}, {said_by_host(one.subject)}: {meaning} "
            f"{{{one.id}.value}} = {value}, while the median of {{{one.id}.peers}} "
            f"{said_by_host(one.group)} is {{{one.id}.median}} = {median}"
        )


def _unsure(report: Report) -> Iterator[str]:
    """What the rules measured once: without its numbers, which are no facts."""
    for finding in unsure(report.findings):
        what = said_by_host(f"{finding.title}, {finding.subject}")
        yield (
            f"{finding.id}, {finding.severity}, measured once and not again, so no fact: "
            f"{finding.host}, {finding.specialist}: {what}: {said_by_host(unsure_text(finding))}"
        )


def _contradictions(report: Report) -> Iterator[str]:
    for one in report.contradictions:
        standing_ones = [
            finding.id
            for finding in report.findings
            if finding.id in one.findings and finding.counts
        ]
        settled = "measured anew" if one.value is not None else "nothing could be measured any more"
        stands = f"; what stands is {', '.join(standing_ones)}" if standing_ones else ""
        what = said_by_host(contradicted_text(one))
        yield f"agents contradicted each other on {one.host}, {what}: {settled}{stands}"


def _doubts(report: Report) -> Iterator[str]:
    for doubt in report.doubts:
        name = said_by_host(doubt.tally.model)
        yield f"doubted: {name} as {doubt.tally.specialist}, whose claims were wrong too often"


def _opinions(report: Report) -> Iterator[str]:
    for finding in opinions(report.findings):
        said = said_by_host(f"{finding.title}, {finding.subject}. {finding.explanation}")
        yield f"opinion of {finding.host}/{finding.specialist}, not confirmed: {said}"


def _unseen(report: Report) -> Iterator[str]:
    for spot in blind_spots(report):
        hosts = names_text(spot.hosts, NAMED_HOSTS)
        what = said_by_host(f"{', '.join(spot.what)}: {spot.reason}")
        yield f"not seen on {hosts}: {what}"


def _well(report: Report) -> Iterator[str]:
    for statement, hosts in list(ruled_out(report).items())[:MOST_WELL]:
        yield f"well on {names_text(hosts, NAMED_HOSTS)}: {said_by_host(statement)}"
