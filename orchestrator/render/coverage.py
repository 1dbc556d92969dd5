"""What a report covers, in words: who answered, what could not be seen, what is well. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.render.tally import grave, standing, tally_text, unsure
from orchestrator.render.values import duration_text, moment_text
from orchestrator.render.words import count_text, names_text, one_line
from swarm_tasks.models.finding import Severity
from swarm_tasks.models.report import (
    HostLine,
    HostStatus,
    JobStatus,
    PartLine,
    Report,
    StopReason,
)

STOPS = {
    StopReason.STEPS: "used up its steps",
    StopReason.DEADLINE: "was stopped by the deadline",
    StopReason.OUTPUT: "used up its output",
    StopReason.TOKENS: "used up its tokens",
    StopReason.COST: "used up the job's budget",
    StopReason.MALFORMED: "was not understood",
    StopReason.MODEL: "lost its model",
    StopReason.CANCELLED: "was cancelled",
    StopReason.ERROR: "ended in an error",
    StopReason.DARK: "never began: the host is dark",
    StopReason.LOST: "was lost with its worker",
    StopReason.DRAINED: "never began: the host is drained",
    StopReason.REFUSED: "was refused: the host runs another version",
}
"""Why a part ended before it had looked at everything."""


def prose_of(report: Report) -> str:
    """What the summary adds to the page: a model's prose.

    Without a model the summary is made of the counts that every page begins with; it is for
    those who read the report as JSON, and would only be said twice here.
    """
    return report.summary.strip() if report.summary_source == "model" else ""


def removed_text(report: Report) -> str:
    """How many numbers the models wrote that nothing carries; empty for none."""
    if not report.prose_removed:
        return ""
    numbers = count_text(report.prose_removed, "number")
    were = "was" if report.prose_removed == 1 else "were"
    return f"{numbers} {were} taken out of the models' words: nothing that was measured says so."


@dataclass(frozen=True, slots=True)
class AgentAnswer:
    """An agent's own words.

    Args:
        question: What it was asked, where that is not the job's question.
    """

    host: str
    specialist: str
    text: str
    question: str = ""


def answers(report: Report) -> list[AgentAnswer]:
    """What the agents answered, host by host; nothing where nobody asked.

    Where any host might take a question, each stands here, whatever became of it.
    """
    return [
        AgentAnswer(line.host, part.specialist, said, part.question)
        for line in report.hosts
        for part in line.parts
        if (report.job.question.strip() or part.question)
        and (said := part.answer.strip() or (_in_place_of_words(part) if anywhere(report) else ""))
    ]


def _in_place_of_words(part: PartLine) -> str:
    """What is told of a question that no agent answered in words."""
    if part.status is not HostStatus.ANSWERED:
        return f"No answer: {part_shortfall(part)}."
    return "Answered by the rules, which speak in findings only."


def anywhere(report: Report) -> bool:
    """Whether its questions were for any host."""
    return report.job.plan is not None and report.job.plan.by == "asker"


def headline(report: Report) -> str:
    """The report in a few words. Silence from a host is never told as health, and neither is what
    could not be measured again."""
    answered, asked = len(report.coverage.answered), len(report.coverage.asked)
    if not answered:
        some = anywhere(report) and report.job.status is JobStatus.PARTIAL
        whole = " in full" if some else ""
        return f"No host answered{whole}"
    tally = tally_text(standing(report.findings))
    if not tally:
        those = "" if answered == asked else f" on the {count_text(answered, 'host')} that answered"
        tally = f"No findings{those}"
    open_ones = len(grave(unsure(report.findings)))
    return f"{tally}; {open_ones:,} could not be measured again" if open_ones else tally


def coverage_text(report: Report) -> str:
    """Who answered and who did not: `4 of 6 hosts answered; 1 dark (db-2)`, or, where any host
    might answer, `23 of 24 questions answered, on 6 hosts`."""
    coverage = report.coverage
    if anywhere(report):
        parts = [part for line in report.hosts for part in line.parts]
        answered = sum(part.status is HostStatus.ANSWERED for part in parts)
        hosts = count_text(sum(bool(line.specialists) for line in report.hosts), "host")
        return f"{answered:,} of {count_text(len(parts), 'question')} answered, on {hosts}"
    asked = count_text(len(coverage.asked), "host")
    said = [f"{len(coverage.answered):,} of {asked} answered"]
    for word, hosts in (("dark", coverage.dark), ("failed", coverage.failed)):
        if hosts:
            said.append(f"{len(hosts):,} {word} ({names_text(hosts)})")
    return "; ".join(said)


def absence_text(report: Report, line: HostLine) -> str:
    """Why a host did not answer and when it was last seen."""
    said = one_line(line.reason) or "gave no reason"
    if line.last_seen is None:
        return said
    before = (report.job.created - line.last_seen).total_seconds()
    relation = "before" if before >= 0 else "after"
    return (
        f"{said}; last seen {moment_text(line.last_seen)}, "
        f"{duration_text(abs(before))} {relation} the question"
    )


def plugin_exit_code(report: Report) -> int:
    """The report as an exit code of monitoring plugins: 0 ok, 1 warning, 2 critical, 3 unknown.

    The gravest wins in the order of monitoring-plugins' `max_state_alt`: critical, warning,
    unknown, ok. Only what was measured again and nobody has acknowledged alarms. Unknown is where
    a host is missing, or where something grave was measured once and could not be again.
    Information, opinions and what a check withdrew count for nothing.
    """
    severities = {finding.severity for finding in report.findings if finding.alarms}
    if Severity.CRITICAL in severities:
        return 2
    if Severity.WARNING in severities:
        return 1
    whole = report.coverage.whole and report.job.status is JobStatus.COMPLETE
    return 0 if whole and not grave(unsure(report.findings)) else 3


@dataclass(frozen=True, slots=True)
class BlindSpot:
    """Something that was not looked at, on all the hosts where it was for the same reason.

    Args:
        what: Tools, or the one specialist that ended early.
    """

    what: tuple[str, ...]
    hosts: tuple[str, ...]
    reason: str
    remedy: str = ""


def part_shortfall(part: PartLine) -> str:
    """Why a part did not look at everything; empty where it did, by the rules if not by a model."""
    if part.degraded and part.status is HostStatus.ANSWERED:
        return ""
    if part.status is HostStatus.ANSWERED and part.stop is StopReason.ANSWERED:
        return ""
    said = STOPS.get(part.stop, f"is {part.status}")
    return f"{said} ({one_line(part.reason)})" if part.reason else said


def blind_spots(report: Report) -> tuple[BlindSpot, ...]:
    """What could not be seen on hosts that answered: parts cut short, then tools, widest first."""
    short: dict[tuple[str, str], set[str]] = {}
    tools: dict[tuple[str, str], tuple[set[str], set[str]]] = {}
    for line in report.hosts:
        if line.status is not HostStatus.ANSWERED:
            continue
        for part in line.parts:
            if shortfall := part_shortfall(part):
                short.setdefault((part.specialist, shortfall), set()).add(line.host)
            for miss in part.not_seen:
                what, hosts = tools.setdefault((miss.reason, miss.remedy), (set(), set()))
                what.add(miss.tool)
                hosts.add(line.host)
    cut = [BlindSpot((name,), tuple(sorted(hosts)), said) for (name, said), hosts in short.items()]
    missed = [
        BlindSpot(tuple(sorted(what)), tuple(sorted(hosts)), reason, remedy)
        for (reason, remedy), (what, hosts) in tools.items()
    ]
    return (*cut, *sorted(missed, key=lambda spot: (-len(spot.hosts), spot.what)))


def hosts_text(report: Report, hosts: Sequence[str], limit: int = 5) -> str:
    """Hosts by name, or `every host` where they are all that answered."""
    answered = report.coverage.answered
    if len(answered) > 1 and set(hosts) == set(answered):
        return "every host that answered"
    return names_text(hosts, limit)


def ruled_out(report: Report) -> dict[str, tuple[str, ...]]:
    """What was looked at and found well, with the hosts that say so, the most common first."""
    said: dict[str, list[str]] = {}
    for line in report.hosts:
        for part in line.parts:
            for statement in part.ruled_out:
                said.setdefault(statement, []).append(line.host)
    ordered = sorted(said.items(), key=lambda pair: -len(pair[1]))
    return {statement: tuple(dict.fromkeys(hosts)) for statement, hosts in ordered}
