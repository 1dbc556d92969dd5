"""Parts' reports become one report. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from swarm_tasks.models.evidence import Evidence
from swarm_tasks.models.finding import Finding, Severity, Verdict
from swarm_tasks.models.job import Job
from swarm_tasks.models.report import (
    Coverage,
    HostLine,
    HostReport,
    HostStatus,
    JobLine,
    JobStatus,
    PartLine,
    Report,
    Usage,
)

UNCITED_BYTES = 4 << 20
"""How much evidence that no finding rests on is carried in a report, as JSON. What is over stays
listed without its data: a report on a thousand hosts must still open."""

ALARMS = (Verdict.VERIFIED, Verdict.UNVERIFIABLE)
"""Verdicts with which a finding counts."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the ledger and presence know beside the parts' reports.

    Args:
        last_seen: When each host last gave a sign of life.
        platforms: How each host describes its system.
    """

    finished: datetime
    cancelled: bool = False
    last_seen: Mapping[str, datetime] | None = None
    platforms: Mapping[str, str] | None = None


def synthesize(job: Job, parts: Sequence[HostReport], around: Circumstances) -> Report:
    """The report of a job whose parts are all closed."""
    hosts = tuple(
        _host_line(host, [part for part in group], around)
        for host, group in _by_host(job, parts).items()
    )
    coverage = _coverage(job, hosts)
    findings = _findings(parts)
    usage = Usage()
    for part in parts:
        usage = usage.plus(part.usage)
    wall = (around.finished - job.created).total_seconds()
    return Report(
        job=JobLine(
            id=job.id,
            question=job.question,
            created=job.created,
            finished=around.finished,
            status=_status(coverage),
            brain="rules",
            deadline_seconds=job.deadline_seconds,
            cancelled=around.cancelled,
        ),
        coverage=coverage,
        hosts=hosts,
        findings=findings,
        evidence=_bounded(parts, findings),
        summary=_summary(coverage, findings, cancelled=around.cancelled),
        usage=usage.model_copy(update={"wall_seconds": wall}),
    )


def _by_host(job: Job, parts: Sequence[HostReport]) -> dict[str, list[HostReport]]:
    order = {name: index for index, name in enumerate(job.specialists)}
    groups: dict[str, list[HostReport]] = {host: [] for host in job.hosts}
    for part in parts:
        groups[part.host].append(part)
    for group in groups.values():
        group.sort(key=lambda part: (order.get(part.specialist, len(order)), part.part))
    return groups


def _host_line(host: str, parts: Sequence[HostReport], around: Circumstances) -> HostLine:
    """A host is dark if any part found it so, answered only if every part answered."""
    statuses = {part.status for part in parts}
    if not parts or HostStatus.DARK in statuses:
        status = HostStatus.DARK
    else:
        status = HostStatus.FAILED if HostStatus.FAILED in statuses else HostStatus.ANSWERED
    starts = [part.started for part in parts if part.started is not None]
    ends = [
        part.started + timedelta(seconds=part.seconds) for part in parts if part.started is not None
    ]
    return HostLine(
        host=host,
        status=status,
        reason=_reason(parts, status),
        specialists=tuple(part.specialist for part in parts if part.status is HostStatus.ANSWERED),
        tool_calls=sum(part.usage.tool_calls for part in parts),
        llm_calls=sum(part.usage.llm_calls for part in parts),
        seconds=(max(ends) - min(starts)).total_seconds() if starts else 0.0,
        platform=(around.platforms or {}).get(host, ""),
        last_seen=(around.last_seen or {}).get(host),
        parts=tuple(_part_line(part) for part in parts),
    )


def _part_line(part: HostReport) -> PartLine:
    return PartLine(
        specialist=part.specialist,
        status=part.status,
        stop=part.stop,
        reason=part.reason,
        started=part.started,
        seconds=part.seconds,
        tool_calls=part.usage.tool_calls,
        ruled_out=part.ruled_out,
        not_seen=part.not_seen,
    )


def _reason(parts: Sequence[HostReport], status: HostStatus) -> str:
    """Why a host did not wholly answer, with the specialists that it concerns."""
    by_reason: dict[str, list[str]] = {}
    for part in parts:
        if part.status is status and status is not HostStatus.ANSWERED:
            by_reason.setdefault(part.reason, []).append(part.specialist)
    if len(by_reason) == 1 and len(next(iter(by_reason.values()))) == len(parts):
        return next(iter(by_reason))
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in by_reason.items())


def _coverage(job: Job, hosts: Sequence[HostLine]) -> Coverage:
    def those(status: HostStatus) -> tuple[str, ...]:
        return tuple(line.host for line in hosts if line.status is status)

    return Coverage(
        asked=job.hosts,
        answered=those(HostStatus.ANSWERED),
        dark=those(HostStatus.DARK),
        failed=those(HostStatus.FAILED),
    )


def _status(coverage: Coverage) -> JobStatus:
    if coverage.whole:
        return JobStatus.COMPLETE
    return JobStatus.PARTIAL if coverage.answered else JobStatus.FAILED


def _findings(parts: Sequence[HostReport]) -> tuple[Finding, ...]:
    """All findings, gravest first, numbered in that order; a host's same trouble once."""
    found: dict[str, Finding] = {}
    for part in parts:
        for finding in part.findings:
            seen = found.get(finding.fingerprint)
            if seen is None or finding.severity.rank < seen.severity.rank:
                found[finding.fingerprint] = finding
    ordered = sorted(
        found.values(),
        key=lambda one: (
            one.verdict not in ALARMS,
            one.severity.rank,
            one.host,
            one.title,
            one.subject,
        ),
    )
    return tuple(
        finding.model_copy(update={"id": f"f{number}"}) for number, finding in enumerate(ordered, 1)
    )


def _bounded(parts: Sequence[HostReport], findings: Sequence[Finding]) -> tuple[Evidence, ...]:
    """All evidence; what findings rest on whole, the rest while there is room."""
    cited = {ref.call_id for one in findings for claim in one.claims for ref in claim.evidence}
    cited |= {call for finding in findings for call in finding.related}
    room = UNCITED_BYTES
    kept: list[Evidence] = []
    for part in parts:
        for item in part.evidence:
            size = 0 if item.call_id in cited else len(str(item.data))
            if size > room:
                item = item.model_copy(
                    update={"data": None, "truncated": True, "reason": "left out for its size"}
                )
            else:
                room -= size
            kept.append(item)
    return tuple(kept)


def _summary(coverage: Coverage, findings: Sequence[Finding], *, cancelled: bool) -> str:
    """What a person wants to hear first, in two or three sentences."""
    asked, answered = len(coverage.asked), len(coverage.answered)
    said = [f"{answered} of {_count(asked, 'host')} answered."]
    if cancelled:
        said.insert(0, "The job was cancelled.")
    for word, hosts in (("dark", coverage.dark), ("failed", coverage.failed)):
        if hosts:
            said.append(f"{word.capitalize()}: {_listed(hosts)}.")
    alarms = [finding for finding in findings if finding.verdict in ALARMS]
    counts = Counter(finding.severity for finding in alarms)
    if not alarms:
        said.append("No findings." if coverage.whole else "No findings on those that answered.")
    else:
        parts = [
            _count(counts[severity], name)
            for severity, name in (
                (Severity.CRITICAL, "critical finding"),
                (Severity.WARNING, "warning"),
                (Severity.INFO, "note"),
            )
            if counts[severity]
        ]
        worst = alarms[0]
        said.append(f"{', '.join(parts)}. First: {worst.title.lower()} on {worst.host}, ")
        said[-1] += f"{worst.subject}."
    gone = len(findings) - len(alarms)
    if gone:
        said.append(f"{_count(gone, 'finding')} did not hold when measured again.")
    return " ".join(said)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _listed(names: Sequence[str], most: int = 10) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
