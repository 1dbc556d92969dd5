"""Small fleets with troubles, for the tests of what is seen by looking at all hosts at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestrator.across.readings import Peers, readings_of
from orchestrator.across.scene import Scene
from orchestrator.synthesis import Circumstances, synthesize
from swarm_tasks.measures import measure
from swarm_tasks.models.base import JsonScalar
from swarm_tasks.models.evidence import Evidence, EvidenceStatus
from swarm_tasks.models.finding import (
    Claim,
    EvidenceRef,
    Finding,
    Severity,
    Verdict,
    fingerprint,
)
from swarm_tasks.models.job import Job
from swarm_tasks.models.report import HostReport, HostStatus, Measured, Report, StopReason

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def trouble(
    host: str,
    metric: str,
    subject: str,
    observed: JsonScalar,
    severity: Severity = Severity.CRITICAL,
    **more: Any,
) -> Finding:
    """A finding as the rules raise it, verified, that rests on the evidence `HOST.METRIC`."""
    known = measure(metric)
    level = observed if known.states else (known.warning or known.critical or 0)
    claim = Claim(
        metric=metric,
        subject=subject,
        comparator=known.comparator,
        value=level,
        unit=known.unit,
        observed=observed,
        observed_at=AT,
        verdict=more.pop("verdict", Verdict.VERIFIED),
        evidence=(EvidenceRef(call_id=f"{host}.{metric}", pointer="", sha256="0" * 64),),
    )
    mark = fingerprint(host, metric, subject)
    given: dict[str, Any] = {
        "id": mark,
        "fingerprint": mark,
        "host": host,
        "specialist": "storage",
        "severity": severity,
        "title": f"Trouble with {metric.partition('.')[0]}",
        "subject": subject,
        "advice": f"Mend {metric}.",
        "verdict": claim.verdict,
        "claims": (claim,),
    }
    return Finding.model_validate({**given, **more})


def answer(host: str, metric: str, data: dict[str, Any], call_id: str = "") -> Evidence:
    """What a tool of a host said: the evidence of a trouble there."""
    return Evidence(
        call_id=call_id or f"{host}.{metric}",
        host=host,
        specialist="storage",
        tool="disk_usage",
        arguments={},
        started=AT,
        seconds=0.1,
        status=EvidenceStatus.OK,
        data=data,
    )


def part(
    host: str,
    values: Mapping[tuple[str, str], JsonScalar] | None = None,
    evidence: Iterable[Evidence] = (),
    **more: Any,
) -> HostReport:
    """A part that measured these values: metric and subject each."""
    given: dict[str, Any] = {
        "job": "abcdefgh",
        "part": f"{host}/storage",
        "host": host,
        "specialist": "storage",
        "status": HostStatus.ANSWERED,
        "stop": StopReason.ANSWERED,
        "measured": tuple(
            Measured(metric=metric, subject=subject, value=value)
            for (metric, subject), value in (values or {}).items()
        ),
        "evidence": tuple(evidence),
    }
    return HostReport.model_validate({**given, **more})


def scene(
    findings: Iterable[Finding] = (),
    parts: Iterable[HostReport] = (),
    *,
    roles: Mapping[str, str] | None = None,
    dark: Iterable[str] = (),
    more_hosts: Iterable[str] = (),
) -> Scene:
    """A fleet in which these findings stand, numbered as in a report.

    Args:
        more_hosts: Hosts that answered and have neither finding nor part.
    """
    found = sorted(findings, key=lambda one: (one.severity.rank, one.host, one.subject))
    numbered = [one.model_copy(update={"id": f"f{number}"}) for number, one in enumerate(found, 1)]
    parts = tuple(parts)
    answered = {one.host for one in (*numbered, *parts)} | {*more_hosts}
    return Scene(
        findings=numbered,
        parts=parts,
        readings=readings_of(parts),
        peers=Peers(roles or {}, dict.fromkeys(answered, "linux")),
        answered=frozenset(answered),
        dark=frozenset(dark),
    )


def job(*hosts: str, question: str = "Is the shop well?", **more: Any) -> Job:
    """A job that asked these hosts."""
    given: dict[str, Any] = {
        "id": "abcdefgh",
        "question": question,
        "hosts": hosts,
        "specialists": ("storage",),
        "created": AT,
        "deadline_seconds": 300,
    }
    return Job.model_validate({**given, **more})


def report(asked: Job, *parts: HostReport, **around: Any) -> Report:
    """What becomes of these parts."""
    given: dict[str, Any] = {"finished": AT + timedelta(seconds=3)}
    return synthesize(asked, parts, Circumstances(**{**given, **around}))
