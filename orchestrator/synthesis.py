"""Parts' reports become one report. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from orchestrator.across.look import look_across
from orchestrator.across.readings import Peers, readings_of
from orchestrator.across.scene import Scene
from orchestrator.contradict import Place, contradictions, disputes
from orchestrator.facts import all_settled
from orchestrator.joining import Known, bounded, joined
from orchestrator.render.tally import standing
from orchestrator.settle import tallies_of
from orchestrator.summary import summary_of
from orchestrator.usage import Thought, brain_of, total
from swarm_tasks.models.charge import Charge, summed
from swarm_tasks.models.evidence import Evidence
from swarm_tasks.models.job import Job
from swarm_tasks.models.outside import OutsideView
from swarm_tasks.models.report import (
    Coverage,
    Degraded,
    HostLine,
    HostReport,
    HostStatus,
    JobLine,
    JobStatus,
    PartLine,
    Report,
    Usage,
)
from swarm_tasks.models.tally import by_source, together


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the ledger and presence know beside the parts' reports.

    Args:
        last_seen: When each host last gave a sign of life.
        platforms: How each host describes its system.
        peers: Who is compared with whom.
        charges: What the job as a whole took of a model, beside its parts.
        known: What control knows of findings.
        measured: What hosts measured for others, beside their parts.
        anew: The claims that were measured because of a contradiction.
        unmeasured: Those that were to be, and why they were not.
    """

    finished: datetime
    cancelled: bool = False
    last_seen: Mapping[str, datetime] | None = None
    platforms: Mapping[str, str] | None = None
    peers: Peers = field(default_factory=Peers)
    charges: tuple[Charge, ...] = ()
    known: Known = field(default_factory=Known)
    measured: tuple[Evidence, ...] = ()
    anew: frozenset[Place] = field(default_factory=frozenset[Place])
    unmeasured: Mapping[Place, str] = field(default_factory=dict[Place, str])


def hosts_of(job: Job, parts: Iterable[HostReport]) -> tuple[str, ...]:
    """Every host that a job is about, sorted: those that were asked, or those that took a part."""
    return tuple(sorted({*job.hosts, *(part.host for part in parts)}))


def synthesize(job: Job, parts: Sequence[HostReport], around: Circumstances) -> Report:
    """The report of a job whose parts are all closed. Its summary is made from counts."""
    parts, removed = all_settled(parts)
    hosts = tuple(
        _host_line(host, group, job, around) for host, group in _by_host(job, parts).items()
    )
    coverage = _coverage(hosts)
    disputed = disputes(parts)
    named = joined(parts, around.known, {said.place[:2] for one in disputed for said in one.said})
    findings = tuple(named.values())
    across = look_across(
        Scene(
            findings=standing(findings),
            parts=parts,
            readings=readings_of(parts),
            peers=around.peers,
            answered=frozenset(coverage.answered),
            dark=frozenset(coverage.dark),
        )
    )
    degraded = tuple(_degraded(job, parts))
    charges = summed((*(one for part in parts for one in part.charges), *around.charges))
    tallies = by_source(one for part in parts for one in tallies_of(part))
    claims = together(tallies)
    checks = Usage(tool_calls=len(around.measured))
    usage = total((*(line.usage for line in hosts), Usage.of(around.charges), checks))
    return Report(
        job=_job_line(job, around, _status(job, coverage, parts), brain_of(job, charges, degraded)),
        coverage=coverage,
        hosts=hosts,
        findings=findings,
        evidence=bounded(parts, findings, around.measured),
        summary=summary_of(
            coverage,
            findings,
            across,
            cancelled=around.cancelled,
            claims=claims,
            doubts=around.known.doubts,
            questions=_questions(job, parts),
        ),
        usage=usage.model_copy(update={"wall_seconds": _wall_seconds(job, around)}),
        patterns=across.patterns,
        causes=across.causes,
        outliers=across.outliers,
        actions=across.actions,
        charges=charges,
        degraded=degraded,
        prose_removed=removed,
        claims=claims,
        tallies=tallies,
        contradictions=contradictions(disputed, named, around.anew, around.unmeasured),
        doubts=around.known.doubts,
    )


def bare_report(
    job: Job, parts: Sequence[HostReport], around: Circumstances, reason: str
) -> Report:
    """The report of a job whose parts could not be joined: who is dark, the bill, and why.

    Nothing that a host answered is in it, so no host counts as having answered.

    Args:
        reason: What went wrong, in a few words.
    """
    lines = tuple(
        _bare_line(host, group, reason, around) for host, group in _by_host(job, parts).items()
    )
    coverage = _coverage(lines)
    charges = (*(one for part in parts for one in part.charges), *around.charges)
    try:
        bill, usage = summed(charges), Usage.of(charges)
    except ValueError:  # a sum that no model carries: what it cost is unknown, not nothing
        bill, usage = (), Usage(llm_calls=sum(one.calls for one in charges), cost_usd=None)
    return Report(
        job=_job_line(job, around, JobStatus.FAILED, "degraded"),
        coverage=coverage,
        hosts=lines,
        findings=(),
        evidence=(),
        summary=f"No answer can be shown: {reason}.",
        usage=usage.model_copy(update={"wall_seconds": _wall_seconds(job, around)}),
        charges=bill,
        degraded=(Degraded(step="synthesis", reason=reason),),
    )


def _bare_line(
    host: str, parts: Sequence[HostReport], reason: str, around: Circumstances
) -> HostLine:
    """A host without its answers: why it gave none, and what a peer saw of it."""
    statuses = {part.status for part in parts}
    status = HostStatus.DARK if HostStatus.DARK in statuses else HostStatus.FAILED
    own = _reason(parts, status)
    if status is HostStatus.FAILED and statuses != {HostStatus.FAILED}:
        own = "; ".join(filter(None, (own, reason)))
    return HostLine(
        host=host,
        status=status,
        reason=own or reason,
        last_seen=(around.last_seen or {}).get(host),
        outside=_outside(host, parts),
    )


def _job_line(job: Job, around: Circumstances, status: JobStatus, brain: Thought) -> JobLine:
    return JobLine(
        id=job.id,
        question=job.question,
        created=job.created,
        finished=around.finished,
        status=status,
        brain=brain,
        deadline_seconds=job.deadline_seconds,
        cancelled=around.cancelled,
        allowance=job.allowance,
        plan=job.plan,
    )


def _wall_seconds(job: Job, around: Circumstances) -> float:
    return (around.finished - job.created).total_seconds()


def _degraded(job: Job, parts: Sequence[HostReport]) -> Iterator[Degraded]:
    """Who was to think with a model and went on without one, until the parts were joined."""
    if job.plan is not None and job.plan.degraded:
        yield Degraded(step="planning", reason=job.plan.degraded)
    for part in parts:
        if part.degraded:
            yield Degraded(
                step="agent", host=part.host, specialist=part.specialist, reason=part.degraded
            )


def _by_host(job: Job, parts: Sequence[HostReport]) -> dict[str, list[HostReport]]:
    order = {name: index for index, name in enumerate(job.specialists)}
    groups: dict[str, list[HostReport]] = {host: [] for host in hosts_of(job, parts)}
    for part in parts:
        groups[part.host].append(part)
    for group in groups.values():
        group.sort(key=lambda part: (order.get(part.specialist, len(order)), _turn(part.part)))
    return groups


def _turn(part: str) -> tuple[int, str]:
    """Which question to its specialist a part is, by its name: the tenth comes after the second."""
    number = part.rpartition("/")[2]
    return (int(number) if number.isdecimal() and len(number) < 10 else 1, part)


def _host_line(host: str, parts: Sequence[HostReport], job: Job, around: Circumstances) -> HostLine:
    """A host is dark if any part found it so, answered only if every part answered."""
    statuses = {part.status for part in parts}
    if not parts or HostStatus.DARK in statuses:
        status = HostStatus.DARK
    else:
        status = HostStatus.FAILED if HostStatus.FAILED in statuses else HostStatus.ANSWERED
    starts = [part.started for part in parts if part.started is not None]
    # Added up as seconds: a date so far off that it has no end is a host's mistake, not a stop.
    ends = [
        (part.started - min(starts)).total_seconds() + part.seconds
        for part in parts
        if part.started is not None
    ]
    usage = total(part.usage for part in parts)
    return HostLine(
        host=host,
        status=status,
        reason=_reason(parts, status),
        specialists=tuple(
            dict.fromkeys(part.specialist for part in parts if part.status is HostStatus.ANSWERED)
        ),
        tool_calls=usage.tool_calls,
        llm_calls=usage.llm_calls,
        seconds=max(ends, default=0.0),
        platform=(around.platforms or {}).get(host, ""),
        last_seen=(around.last_seen or {}).get(host),
        role=around.peers.roles.get(host, ""),
        usage=usage,
        parts=tuple(_part_line(part, job.question) for part in parts),
        outside=_outside(host, parts),
    )


def _outside(host: str, parts: Sequence[HostReport]) -> OutsideView | None:
    """The newest of what peers saw of a host that is dark."""
    views = [
        part.outside
        for part in parts
        if part.status is HostStatus.DARK and part.outside and part.outside.host == host
    ]
    return max(views, key=lambda view: view.at, default=None)


def _part_line(part: HostReport, question: str) -> PartLine:
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
        question="" if part.question == question else part.question,
        answer=part.answer,
        degraded=part.degraded,
        usage=part.usage,
    )


def _reason(parts: Sequence[HostReport], status: HostStatus) -> str:
    """Why a host did not wholly answer, with the specialists that it concerns."""
    by_reason: dict[str, list[str]] = {}
    for part in parts:
        if part.status is status and status is not HostStatus.ANSWERED:
            by_reason.setdefault(part.reason, []).append(part.specialist)
    if len(by_reason) == 1 and len(next(iter(by_reason.values()))) == len(parts):
        return next(iter(by_reason))
    return "; ".join(
        f"{', '.join(dict.fromkeys(names))}: {reason}" for reason, names in by_reason.items()
    )


def _coverage(hosts: Sequence[HostLine]) -> Coverage:
    def those(status: HostStatus) -> tuple[str, ...]:
        return tuple(line.host for line in hosts if line.status is status)

    return Coverage(
        asked=tuple(line.host for line in hosts),
        answered=those(HostStatus.ANSWERED),
        dark=those(HostStatus.DARK),
        failed=those(HostStatus.FAILED),
    )


def _status(job: Job, coverage: Coverage, parts: Sequence[HostReport]) -> JobStatus:
    """Of a job for any host, each question counts by itself: nobody asked for a whole host."""
    if coverage.whole:
        return JobStatus.COMPLETE
    answered = coverage.answered
    if not job.hosts:
        answered = [part.part for part in parts if part.status is HostStatus.ANSWERED]
    return JobStatus.PARTIAL if answered else JobStatus.FAILED


def _questions(job: Job, parts: Sequence[HostReport]) -> tuple[int, int] | None:
    """How many questions for any host were answered, of how many; None where hosts were asked."""
    if job.hosts:
        return None
    return sum(part.status is HostStatus.ANSWERED for part in parts), len(parts)
