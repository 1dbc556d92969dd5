"""The order to act in: gravest first, wide before narrow, causes before their symptoms. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from orchestrator.across.scene import gravest, hosts_of, ids_of
from orchestrator.render.claims import plain_advice
from swarm_tasks.models.across import Action, Cause, Pattern
from swarm_tasks.models.finding import Finding, Severity


@dataclass(frozen=True, slots=True)
class _Step:
    """An action before it has a rank."""

    what: str
    why: str
    severity: Severity
    hosts: tuple[str, ...]
    findings: tuple[str, ...]
    cause: str = ""
    pattern: str = ""

    @property
    def order(self) -> tuple[int, int, bool, str, str]:
        """Where it stands among others, its causes apart."""
        return self.severity.rank, -len(self.hosts), not self.cause, self.why, str(self.hosts)


def order_actions(
    findings: Sequence[Finding],
    patterns: Iterable[Pattern],
    causes: Sequence[Cause],
    dark: Collection[str],
) -> tuple[Action, ...]:
    """What to do, in this order.

    Each critical finding and each warning is settled by one step: that of its cause, of its
    pattern, or its own. What a cause may explain keeps a step of its own, after that of the cause,
    since it may want more: a service that failed for want of space is still to be started.

    Args:
        findings: Those that count.
        dark: The hosts that gave no sign of life.
    """
    by_id = {finding.id: finding for finding in findings}
    steps: list[_Step] = []
    settled: set[str] = set()
    for cause in causes:
        own = tuple(one for one in cause.findings if one not in settled)
        if cause.severity is not Severity.INFO:
            settled |= {*own}
            why = f"{cause.title}: {cause.why}"
            steps.append(
                _Step(
                    plain_advice(cause.advice),
                    why,
                    cause.severity,
                    cause.hosts,
                    own,
                    cause=cause.id,
                )
            )
    for pattern in patterns:
        same = [by_id[one] for one in pattern.findings if one not in settled]
        if same and pattern.severity is not Severity.INFO:
            settled |= {one.id for one in same}
            steps.append(_step_of(same, pattern.subject, pattern.id))
    for finding in findings:
        if finding.id not in settled and finding.severity is not Severity.INFO:
            steps.append(_step_of([finding], finding.subject, ""))
    if dark:
        steps.append(_for_the_dark(dark))
    return _ranked(steps, causes)


def _step_of(same: Sequence[Finding], subject: str, pattern: str) -> _Step:
    """The step for findings of one kind."""
    advices = list(dict.fromkeys(plain_advice(one.advice) for one in same if one.advice))
    severity = gravest(same)
    first = next(one for one in same if one.severity is severity)
    return _Step(
        what=advices[0] if advices else f"Look at it: {first.title.lower()}.",
        why=f"{first.title}: {subject}" if subject not in ("", first.host) else first.title,
        severity=severity,
        hosts=hosts_of(same),
        findings=ids_of(same),
        pattern=pattern if len(hosts_of(same)) > 1 else "",
    )


def _for_the_dark(dark: Collection[str]) -> _Step:
    """Nothing is known of a dark host: less urgent than what is known to be critical."""
    return _Step(
        what="See whether the machine is up, and start its worker again.",
        why="No sign of life, so nothing is known of it",
        severity=Severity.WARNING,
        hosts=tuple(sorted(dark)),
        findings=(),
    )


def _ranked(steps: list[_Step], causes: Sequence[Cause]) -> tuple[Action, ...]:
    """The steps in order; a cause moves up before the first step that it may make needless."""
    steps.sort(key=lambda one: one.order)
    by_cause = {step.cause: step for step in steps if step.cause}
    explains: dict[str, list[_Step]] = {}
    for cause in causes:
        for symptom in cause.symptoms:
            if cause.id in by_cause:
                explains.setdefault(symptom, []).append(by_cause[cause.id])
    ranks: dict[int, int] = {}
    ordered: list[tuple[_Step, list[_Step]]] = []

    def place(step: _Step, below: tuple[int, ...]) -> None:
        if id(step) in ranks or id(step) in below:
            return  # placed already, or two causes that explain each other
        first = [one for finding in step.findings for one in explains.get(finding, ())]
        first = [one for one in first if one is not step]
        for one in first:
            place(one, (*below, id(step)))
        ranks[id(step)] = len(ranks) + 1
        ordered.append((step, first))

    for step in steps:
        place(step, ())
    return tuple(
        Action(
            rank=rank,
            what=step.what,
            why=step.why,
            severity=step.severity,
            hosts=step.hosts,
            findings=step.findings,
            cause=step.cause,
            pattern=step.pattern,
            after=tuple(sorted({ranks[id(one)] for one in first if ranks[id(one)] < rank})),
        )
        for rank, (step, first) in enumerate(ordered, 1)
    )
