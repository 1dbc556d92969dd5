"""The brain of a fleet without a model: sweep, look closer where it hurts, answer. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from swarm_tasks.brain.base import (
    Answer,
    Asked,
    CallTools,
    Decision,
    Mind,
    ToolSheet,
    Transcript,
)
from swarm_tasks.log import logger
from swarm_tasks.measures import measure
from swarm_tasks.models.evidence import Evidence, EvidenceStatus, ToolCall
from swarm_tasks.models.finding import Finding, Severity
from swarm_tasks.models.job import HostTask, Specialist
from swarm_tasks.models.policy import SweepCall
from swarm_tasks.models.report import Measured, NotSeen
from workers.rules.judge import Raised, judge, strongest
from workers.rules.rule import Reading, Rule
from workers.tools.registry import Registry
from workers.tools.spec import Result


@dataclass(frozen=True, slots=True)
class Review:
    """What the rules make of a transcript.

    Args:
        digs: Calls worth making to show the cause of a finding, by its fingerprint.
        cleared: Fingerprints that were measured and are well.
        measured: Every value that was read, healthy or not.
    """

    findings: tuple[Finding, ...]
    ruled_out: tuple[str, ...]
    not_seen: tuple[NotSeen, ...]
    digs: Mapping[str, tuple[ToolCall, ...]]
    cleared: frozenset[str] = field(default_factory=frozenset[str])
    measured: tuple[Measured, ...] = ()

    @property
    def raised(self) -> dict[str, Severity]:
        """What to remember until the next audit."""
        return {finding.fingerprint: finding.severity for finding in self.findings}


class Rules:
    """Every rule there is, in the order of the book, by tool and by metric.

    Made once for all agents of a host: there are many rules, and an answer concerns few.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.all = tuple(rules)
        self._by_tool: dict[str, list[Rule]] = {}
        self._by_metric: dict[str, list[Rule]] = {}
        for rule in self.all:
            self._by_tool.setdefault(rule.tool, []).append(rule)
            self._by_metric.setdefault(rule.metric, []).append(rule)

    def about(self, tool: str) -> Sequence[Rule]:
        """Those that read one tool's answers."""
        return self._by_tool.get(tool, ())

    def of(self, metric: str) -> Sequence[Rule]:
        """Those that read one metric."""
        return self._by_metric.get(metric, ())


class RulesBrain:
    """Decides by the rules of its specialist.

    Args:
        registry: The catalog, which knows the models of the tools' answers.
        rules: Every rule there is.
        raised: What stood raised on this host after the last audit.
    """

    mind = Mind.RULES

    def __init__(self, registry: Registry, rules: Rules | Iterable[Rule], raised: Raised) -> None:
        self._registry = registry
        self.rules = rules if isinstance(rules, Rules) else Rules(rules)
        self._raised = raised
        # By the object and not by its id: what is looked at is the very thing that is there. The
        # evidence is kept beside, so that its place in memory is not used again.
        self._readings: dict[int, tuple[Evidence, tuple[tuple[Rule, Reading], ...]]] = {}
        self._digests: dict[int, tuple[Evidence, str]] = {}

    async def decide(self, transcript: Transcript, tools: Sequence[ToolSheet]) -> Decision:
        """The sweep first, then one closer look at each finding, then the answer."""
        sweep = [call for call in sweep_of(transcript.task) if not transcript.answer_to(call)]
        if sweep:
            return CallTools(calls=tuple(map(Asked.of, sweep)))
        review = self.review(transcript)
        usable = {sheet.name for sheet in tools}
        digs = [
            call
            for calls in review.digs.values()
            for call in calls
            if call.tool in usable and not transcript.answer_to(call)
        ]
        if digs:
            return CallTools(calls=tuple(map(Asked.of, _without_repeats(digs))))
        return Answer(
            findings=review.findings, ruled_out=review.ruled_out, not_seen=review.not_seen
        )

    def review(self, transcript: Transcript) -> Review:
        """Judge all evidence of a transcript, whoever gathered it."""
        specialist, policy = transcript.task.specialist, transcript.task.policy
        found: list[Finding] = []
        digs: dict[str, tuple[ToolCall, ...]] = {}
        healthy: dict[str, int] = {}
        cleared: set[str] = set()
        broken: list[NotSeen] = []
        measured: dict[tuple[str, str], Measured] = {}
        chosen = chosen_by_model(transcript)
        for evidence in transcript.evidence:
            answer = self.answer_in(evidence)
            if answer is None:
                continue
            for rule in self.rules_of(specialist, evidence.tool):
                picked = rule.of_choice and evidence.call_id in chosen
                if picked or not measure(rule.metric).judged:
                    continue
                try:
                    judgement = judge(rule, evidence, answer, policy, self._raised)
                except Exception as error:  # noqa: BLE001 - one rule must not cost the others
                    logger("rules").exception("the rule %s broke", rule.name)
                    broken.append(_broken(rule, evidence, error))
                    continue
                cleared |= judgement.cleared
                if evidence.call_id not in chosen:
                    # A model may look through a window of its own: that is no point of a trend.
                    measured |= {(one.metric, one.subject): one for one in judgement.measured}
                if judgement.healthy and not judgement.findings:
                    healthy[rule.metric] = healthy.get(rule.metric, 0) + judgement.healthy
                for finding, reading in judgement.findings:
                    calls = tuple(rule.dig(reading))
                    digs[finding.fingerprint] = calls
                    found.append(_with_related(finding, calls, transcript))
        findings = strongest(found)
        marks = {finding.fingerprint for finding in findings}
        return Review(
            findings=findings,
            ruled_out=_ruled_out(healthy, findings),
            not_seen=(*not_seen(transcript.evidence), *broken),
            digs=digs,
            cleared=frozenset(cleared - marks),
            measured=tuple(measured.values()),
        )

    def answer_in(self, evidence: Evidence) -> Result | None:
        """The tool's typed answer that an evidence holds; None where it holds none."""
        if evidence.data is None or evidence.tool not in self._registry:
            return None
        try:
            return self._registry.get(evidence.tool).result.model_validate(evidence.data)
        except ValidationError as error:
            # As when an earlier attempt ran under another version of the tool.
            logger("rules").warning("what %s said cannot be read: %s", evidence.tool, error)
            return None

    def rules_of(self, specialist: Specialist, tool: str) -> tuple[Rule, ...]:
        """The specialist's rules about one tool's answers."""
        return tuple(
            rule
            for rule in self.rules.about(tool)
            if not specialist.rules or rule.name in specialist.rules
        )

    def readings(self, evidence: Evidence) -> tuple[tuple[Rule, Reading], ...]:
        """Every value in an evidence that a metric is known for, by whatever rule. Read once."""
        if id(evidence) not in self._readings:
            answer = self.answer_in(evidence)
            found = tuple(
                (rule, reading)
                for rule in self.rules.about(evidence.tool)
                if answer is not None
                for reading in _read(rule, answer)
            )
            self._readings[id(evidence)] = (evidence, found)
        return self._readings[id(evidence)][1]

    def reading_at(self, metric: str, pointer: str, evidence: Evidence) -> Reading | None:
        """The reading of a metric at one place of an evidence; None where it does not stand."""
        for rule, reading in self.readings(evidence):
            if rule.metric == metric and reading.pointer == pointer:
                return reading
        return None

    def digest_of(self, evidence: Evidence) -> str:
        """An evidence's digest, taken once for all that cite it."""
        if id(evidence) not in self._digests:
            self._digests[id(evidence)] = (evidence, evidence.sha256())
        return self._digests[id(evidence)][1]


def _read(rule: Rule, answer: Result) -> tuple[Reading, ...]:
    """What a rule reads in an answer; nothing, and a line in the log, where the rule breaks."""
    try:
        return tuple(rule.readings(answer))
    except Exception:  # noqa: BLE001 - one rule must not cost the others
        logger("rules").exception("the rule %s broke", rule.name)
        return ()


def chosen_by_model(transcript: Transcript) -> frozenset[str]:
    """The ids of evidence that is there because a model asked for it."""
    return frozenset(item.call_id for item in transcript.of(Mind.MODEL).evidence)


def sweep_of(task: HostTask) -> tuple[ToolCall, ...]:
    """The specialist's sweep with the host's own checks filled in."""
    calls = [call for line in task.specialist.sweep for call in _expanded(line, task)]
    return tuple(_without_repeats(calls))


def _expanded(line: SweepCall, task: HostTask) -> Iterable[ToolCall]:
    checks = task.policy.checks
    if line.unless is not None and getattr(checks, line.unless):
        return
    if line.each is None or line.argument is None:
        yield ToolCall(tool=line.tool, arguments=dict(line.arguments))
        return
    for entry in getattr(checks, line.each):
        yield ToolCall(tool=line.tool, arguments={**line.arguments, line.argument: entry})


def _broken(rule: Rule, evidence: Evidence, error: Exception) -> NotSeen:
    """What a rule that failed leaves unsaid."""
    return NotSeen(
        tool=evidence.tool,
        arguments=dict(evidence.arguments),
        reason=f"the rule {rule.name} could not judge it: {type(error).__name__}: {error}",
        remedy="this is a mistake in the rule: please report it with the worker's log",
    )


def _without_repeats(calls: Iterable[ToolCall]) -> list[ToolCall]:
    kept: list[ToolCall] = []
    for call in calls:
        if not any(call.same_as(other) for other in kept):
            kept.append(call)
    return kept


def _with_related(finding: Finding, calls: Iterable[ToolCall], transcript: Transcript) -> Finding:
    seen = (transcript.answer_to(call) for call in calls)
    related = tuple(item.call_id for item in seen if item is not None)
    return finding.model_copy(update={"related": related}) if related else finding


def _ruled_out(healthy: Mapping[str, int], findings: Iterable[Finding]) -> tuple[str, ...]:
    ill = {claim.metric for finding in findings for claim in finding.claims}
    return tuple(
        f"{measure(metric).meaning}: {count} checked"
        for metric, count in healthy.items()
        if metric not in ill
    )


def not_seen(evidence: Iterable[Evidence]) -> tuple[NotSeen, ...]:
    """What was asked for and could not be answered, with the reason."""
    return tuple(
        NotSeen(
            tool=item.tool,
            arguments=dict(item.arguments),
            reason=item.reason,
            remedy=item.remedy,
        )
        for item in evidence
        if item.status is not EvidenceStatus.OK
    )
