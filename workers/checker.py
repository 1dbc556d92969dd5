"""Measures claims again, on the host, now: trusted code picks the probe, never a model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from swarm_tasks.errors import UsageError
from swarm_tasks.measures import measure
from swarm_tasks.models.base import canonical_json
from swarm_tasks.models.evidence import Evidence, EvidenceStatus, ToolCall
from swarm_tasks.models.finding import Claim, EvidenceRef, Finding, Verdict
from swarm_tasks.models.policy import Policy
from workers.loop import CallTool
from workers.rules.brain import RulesBrain
from workers.rules.judge import Grade, grade, limits_for
from workers.rules.rule import Reading, Rule
from workers.rules.subjects import resolve
from workers.tools.registry import Registry
from workers.verify import Desk, Sample, bears_out, concluded, regraded, settled

NO_PROBE = "no tool here measures that"
NO_TIME = "there was no time to measure it again"


@dataclass(frozen=True, slots=True)
class Probe:
    """How trusted code measures one claim again.

    Args:
        rule: What reads the answer.
        trusted: Whether the claim's own evidence measured the same thing.
    """

    rule: Rule
    call: ToolCall
    trusted: bool = False

    @property
    def key(self) -> bytes:
        """The same for two probes that ask the host the same."""
        return canonical_json([self.call.tool, self.call.arguments])


@dataclass(frozen=True, slots=True)
class Checked:
    """Findings with their verdicts, the evidence of the measurements, and what it took."""

    findings: tuple[Finding, ...]
    evidence: tuple[Evidence, ...] = ()
    seconds: float = 0.0


class Checker:
    """Checks the claims of one part.

    Args:
        host: This host.
        registry: The catalog.
        rules: What reads values, and knows the probes.
        policy: The limits in force.
        call_tool: Calls one tool under a call id.
        prefix: What the ids of its calls begin with.
    """

    def __init__(
        self,
        host: str,
        registry: Registry,
        rules: RulesBrain,
        policy: Policy,
        call_tool: CallTool,
        prefix: str,
    ) -> None:
        self._host = host
        self._registry = registry
        self._rules = rules
        self._policy = policy
        self._call_tool = call_tool
        self._prefix = prefix
        self._taken: list[Evidence] = []

    @property
    def taken(self) -> tuple[Evidence, ...]:
        """All measurements that were made, in order."""
        return tuple(self._taken)

    async def check(
        self,
        findings: Iterable[Finding],
        evidence: Iterable[Evidence],
        seconds: float,
        chosen: Collection[str] = (),
    ) -> Checked:
        """All four checks on all findings, for at most `seconds`.

        Args:
            evidence: All that was gathered.
            chosen: The ids of what is there because a model asked for it.

        What cannot be measured in time is unverifiable. Claims that rest on the same measurement
        share it, and only what does not hold is measured a second time.
        """
        begun = time.monotonic()
        findings = tuple(findings)
        by_id = {item.call_id: item for item in evidence}
        desk = Desk(self._host, by_id, self._rules, chosen)
        rows = [[desk.supported(claim) for claim in finding.claims] for finding in findings]
        cases: dict[tuple[int, int], Case] = {}
        for at, row in enumerate(rows):
            for place, claim in enumerate(row):
                if claim.verdict is Verdict.UNSUPPORTED or claim.host not in ("", self._host):
                    continue
                probe = self._probe(claim, desk.first(claim))
                if probe is not None:
                    cases[at, place] = Case(claim, probe, picked=desk.picked(claim))
        await self._measure(cases.values(), begun + seconds)
        checked = tuple(
            self._concluded(
                finding, [cases.get((at, place)) or claim for place, claim in enumerate(row)]
            )
            for at, (finding, row) in enumerate(zip(findings, rows, strict=True))
        )
        return Checked(checked, self.taken, time.monotonic() - begun)

    async def check_for_others(self, claims: Sequence[Claim], seconds: float) -> tuple[Claim, ...]:
        """Claims about this host that were made elsewhere, with what is measured here."""
        end = time.monotonic() + seconds
        cases = [Case(claim, self._probe(claim, None)) for claim in claims]
        await self._measure([case for case in cases if case.probe is not None], end)
        return tuple(self._answered(case) for case in cases)

    async def _measure(self, cases: Iterable[Case], end: float) -> None:
        """Take a sample for each case, and a second one where the first does not bear it out."""
        cases = tuple(cases)
        taken = await self._take((case.probe for case in cases), end)
        for case in cases:
            case.first = self._sample(case, taken)
        again = [case for case in cases if not case.borne_out and case.first.answered]
        taken = await self._take((case.probe for case in again), end)
        for case in again:
            case.second = self._sample(case, taken)

    async def _take(self, probes: Iterable[Probe | None], end: float) -> dict[bytes, Evidence]:
        """The answers to these probes that came in time, each asked once."""
        wanted = {probe.key: probe for probe in probes if probe is not None}
        left = end - time.monotonic()
        if not wanted or left <= 0:
            return {}
        first = len(self._taken) + 1
        running = {
            asyncio.ensure_future(self._call_tool(probe.call, f"{self._prefix}{number}")): key
            for number, (key, probe) in enumerate(wanted.items(), first)
        }
        try:
            done, _ = await asyncio.wait(running, timeout=left)
        finally:
            for task in running:
                task.cancel()
            await asyncio.wait(running)
        taken = {key: task.result() for task, key in running.items() if task in done}
        self._taken += taken.values()
        return taken

    def _sample(self, case: Case, taken: Mapping[bytes, Evidence]) -> Sample:
        """What a measurement says of one claim."""
        if case.probe is None:
            return Sample(unread=NO_PROBE)
        item = taken.get(case.probe.key)
        if item is None:
            return Sample(unread=NO_TIME)
        if item.status is not EvidenceStatus.OK:
            return Sample(item, unread=item.reason)
        readings = [
            reading for rule, reading in self._rules.readings(item) if rule is case.probe.rule
        ]
        return sample_of(case.claim, item, case.probe.rule, readings)

    def _probe(self, claim: Claim, evidence: Evidence | None) -> Probe | None:
        """How a claim is measured again; None where nothing can.

        A rule of the operator's own may not say how: then the call that found it is made again.
        """
        rules = [rule for rule in self._rules.all_rules if rule.metric == claim.metric]
        # The tool that found it first: another one may name the subject otherwise.
        rules.sort(key=lambda rule: evidence is None or rule.tool != evidence.tool)
        for rule in rules:
            given = rule.again(claim.subject, self._policy.checks)
            if given is None:
                continue
            call = self._call(rule.tool, given)
            if call is not None:
                return Probe(
                    rule, call, evidence is not None and _same_thing(rules, call, evidence)
                )
            if evidence is not None and evidence.tool == rule.tool:
                again = ToolCall(tool=evidence.tool, arguments=evidence.arguments)
                return Probe(rule, again, trusted=True)
        return None

    def _call(self, tool: str, given: Mapping[str, object]) -> ToolCall | None:
        """The call with its defaults filled in; None where the tool takes no such arguments."""
        if tool not in self._registry:
            return None
        try:
            arguments = self._registry.get(tool).parse_arguments(given)
        except UsageError:
            return None
        return ToolCall(tool=tool, arguments=arguments.model_dump(mode="json"))

    def _answered(self, case: Case) -> Claim:
        """A claim that was made elsewhere, with its verdict and the evidence for it."""
        if case.probe is None:
            return case.claim.model_copy(update={"reason": NO_PROBE})
        claim = settled(case.claim, case.first, case.second, trusted=False)
        last = case.second or case.first
        if last.reading is None or last.evidence is None:
            return claim
        ref = EvidenceRef(
            call_id=last.evidence.call_id,
            pointer=last.reading.pointer,
            sha256=last.evidence.sha256(),
        )
        return claim.model_copy(update={"subject": last.reading.subject, "evidence": (ref,)})

    def _concluded(self, finding: Finding, row: Sequence[Case | Claim]) -> Finding:
        """A finding with the verdicts of its claims, and what they justify."""
        claims: list[Claim] = []
        grades: list[Grade | None] = []
        titles: list[str] = []
        for case in row:
            if isinstance(case, Claim):
                here = case.host in ("", self._host)
                lacks = here and case.verdict is Verdict.UNVERIFIABLE and not case.reason
                claims.append(case.model_copy(update={"reason": NO_PROBE}) if lacks else case)
                grades.append(None)
                titles.append("")
                continue
            claims.append(case.settled())
            grades.append(self._grade(case))
            titles.append(case.probe.rule.title if case.probe else "")
            if finding.source == "rules" and claims[-1].verdict is Verdict.STALE:
                found = self._regraded(finding, case, grades[-1])
                if found is not None:
                    return found
        return concluded(finding, claims, grades, titles)

    def _regraded(self, finding: Finding, case: Case, level: Grade | None) -> Finding | None:
        """The finding at the level that both fresh samples cross; None where they cross none."""
        if level is None or case.second is None or case.second.reading is None:
            return None
        return regraded(finding, case.claim, (case.first, case.second), level)

    def _grade(self, case: Case) -> Grade | None:
        """The level that every fresh sample of a claim crosses; None for none."""
        if case.probe is not None and case.probe.rule.of_choice and case.picked:
            return None
        found: list[Grade] = []
        metric = measure(case.claim.metric)
        for sample in filter(None, (case.first, case.second)):
            if sample.reading is None:
                return None
            limits = limits_for(metric, sample.reading, self._policy, self._host)
            level = grade(sample.reading.value, metric, limits, None) if limits else None
            if level is None:
                return None
            found.append(level)
        return max(found, key=lambda one: one.severity.rank, default=None)


@dataclass(slots=True)
class Case:
    """A claim on its way through the third check.

    Args:
        picked: Whether a model asked for all that it rests on.
    """

    claim: Claim
    probe: Probe | None
    picked: bool = False
    first: Sample = field(default_factory=Sample)
    second: Sample | None = None

    @property
    def borne_out(self) -> bool:
        """Whether the first sample bears the claim out."""
        return bears_out(self.claim, self.first)

    def settled(self) -> Claim:
        """The claim with its verdict."""
        trusted = self.probe is not None and self.probe.trusted
        return settled(self.claim, self.first, self.second, trusted=trusted)


def sample_of(claim: Claim, item: Evidence, rule: Rule, readings: Sequence[Reading]) -> Sample:
    """What an answer that trusted code got says of a claim's subject. Pure."""
    for reading in readings:
        if reading.subject == claim.subject:
            return Sample(item, reading)
    found = resolve(claim.subject, readings) if claim.host else None
    if found is not None:
        return Sample(item, found)
    if rule.absent_is_well:
        return Sample(item, absent=True)
    if claim.evidence:
        return Sample(item, unread=f"{claim.subject} is no longer shown")
    return Sample(item, unread=f"there is no {claim.subject!r} here that this could be about")


def _same_thing(rules: Sequence[Rule], call: ToolCall, evidence: Evidence) -> bool:
    """Whether evidence was taken with no argument that makes it another measurement than trusted
    code's: then what it says was so."""
    (rule, *_) = rules
    return rule.tool == evidence.tool and all(
        evidence.arguments.get(name) == call.arguments.get(name) for name in rule.decisive
    )
