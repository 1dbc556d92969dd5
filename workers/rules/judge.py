"""Grade readings against limits, with memory of what was raised before. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from swarm_tasks.measures import Measure, measure
from swarm_tasks.models.base import JsonScalar
from swarm_tasks.models.evidence import Evidence
from swarm_tasks.models.finding import (
    Claim,
    Comparator,
    EvidenceRef,
    Finding,
    Severity,
    Verdict,
    fingerprint,
)
from swarm_tasks.models.policy import Limits, Policy
from swarm_tasks.models.report import Measured
from workers.rules.rule import Reading, Rule
from workers.tools.spec import Result

Raised = Mapping[str, Severity]
"""What stood raised after the last audit, by fingerprint."""


@dataclass(frozen=True, slots=True)
class Grade:
    """A level that was crossed: how grave, and where it stands."""

    severity: Severity
    comparator: Comparator
    level: JsonScalar


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one rule made of one piece of evidence.

    Args:
        findings: Each with the reading that raised it.
        healthy: How many readings were within their limits.
        silenced: How many an override told us to ignore.
        cleared: Fingerprints that were measured and are not raised.
        measured: Every value that was read and is judged.
    """

    findings: tuple[tuple[Finding, Reading], ...] = ()
    healthy: int = 0
    silenced: int = 0
    cleared: frozenset[str] = field(default_factory=frozenset[str])
    measured: tuple[Measured, ...] = ()


def grade(
    value: JsonScalar, metric: Measure, limits: Limits, before: Severity | None
) -> Grade | None:
    """The level that `value` crosses, or None.

    A level that was raised `before` holds until the value is back past its clear level, so
    that a value on the edge does not flap between two audits.
    """
    if metric.states:
        severity = metric.states.get(str(value))
        return Grade(severity, "==", value) if severity else None
    number = float(value)
    for severity, level, clear, held in (
        (
            Severity.CRITICAL,
            limits.critical,
            limits.critical_clear,
            before is Severity.CRITICAL,
        ),
        (
            Severity.WARNING,
            limits.warning,
            limits.warning_clear,
            before in (Severity.CRITICAL, Severity.WARNING),
        ),
    ):
        for in_force in (level, clear if held and level is not None else None):
            if in_force is not None and crosses(number, metric.comparator, in_force):
                return Grade(severity, metric.comparator, in_force)
    return None


def crosses(value: float, comparator: str, level: float) -> bool:
    """Whether `value` is at or past `level`, on the side that the comparator says is bad."""
    return value <= level if comparator == "<=" else value >= level


def limits_for(metric: Measure, reading: Reading, policy: Policy, host: str) -> Limits | None:
    """The limits in force for one reading, or None where the operator wants silence.

    Later overrides win over earlier ones, those over `thresholds`, those over the reading's
    own, those over the metric's. A level that is set without its clear level loses the
    inherited one: hysteresis around another level would be wrong.
    """
    limits = _over(metric, reading.limits)
    limits = _over(limits, policy.thresholds.get(metric.name))
    silenced = False
    for override in policy.overrides:
        if override.matches(metric.name, host, reading.key or reading.subject):
            silenced = override.ignore
            limits = _over(limits, override)
    return None if silenced else limits


def _over(base: Limits, own: Limits | None) -> Limits:
    if own is None:
        return base
    warning_set, critical_set = own.warning is not None, own.critical is not None
    return Limits(
        warning=own.warning if warning_set else base.warning,
        critical=own.critical if critical_set else base.critical,
        warning_clear=own.warning_clear
        if warning_set or own.warning_clear is not None
        else base.warning_clear,
        critical_clear=own.critical_clear
        if critical_set or own.critical_clear is not None
        else base.critical_clear,
    )


def judge(
    rule: Rule, evidence: Evidence, answer: Result, policy: Policy, raised: Raised
) -> Judgement:
    """What `rule` makes of one tool's `answer`, which `evidence` holds as data."""
    metric = measure(rule.metric)
    sha256 = ""
    findings: list[tuple[Finding, Reading]] = []
    cleared: set[str] = set()
    measured: list[Measured] = []
    silenced = healthy = 0
    for reading in filter(lambda one: one.judged, rule.readings(answer)):
        mark = fingerprint(evidence.host, metric.name, reading.subject)
        measured.append(Measured(metric=metric.name, subject=reading.subject, value=reading.value))
        limits = limits_for(metric, reading, policy, evidence.host)
        crossed = grade(reading.value, metric, limits, raised.get(mark)) if limits else None
        if crossed is None:
            cleared.add(mark)
            silenced += limits is None
            healthy += limits is not None
            continue
        sha256 = sha256 or evidence.sha256()
        findings.append((_finding(rule, metric, evidence, reading, crossed, mark, sha256), reading))
    return Judgement(
        tuple(findings), healthy, silenced, frozenset(cleared), measured=tuple(measured)
    )


def _finding(
    rule: Rule,
    metric: Measure,
    evidence: Evidence,
    reading: Reading,
    crossed: Grade,
    mark: str,
    sha256: str,
) -> Finding:
    claim = Claim(
        metric=metric.name,
        subject=reading.subject,
        comparator=crossed.comparator,
        value=crossed.level,
        unit=metric.unit,
        observed=reading.value,
        observed_at=evidence.started,
        evidence=(EvidenceRef(call_id=evidence.call_id, pointer=reading.pointer, sha256=sha256),),
    )
    return Finding(
        id=mark,
        fingerprint=mark,
        host=evidence.host,
        specialist=evidence.specialist,
        severity=crossed.severity,
        title=rule.title,
        subject=reading.subject,
        advice=f"{rule.advice} ({reading.detail})" if reading.detail else rule.advice,
        verdict=Verdict.UNVERIFIABLE,
        claims=(claim,),
    )


def strongest(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Findings by severity, then host and subject; of the same fingerprint only the gravest."""
    best: dict[str, Finding] = {}
    for finding in findings:
        seen = best.get(finding.fingerprint)
        if seen is None or finding.severity.rank < seen.severity.rank:
            best[finding.fingerprint] = finding
    return tuple(sorted(best.values(), key=lambda one: (one.severity.rank, one.host, one.subject)))
