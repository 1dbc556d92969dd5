"""Measures claims again, on the host, now: trusted code picks the probe, never a model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from swarm_tasks.errors import UsageError
from swarm_tasks.measures import measure
from swarm_tasks.models.evidence import Evidence, ToolCall
from swarm_tasks.models.finding import Claim, EvidenceRef, Finding, Verdict
from swarm_tasks.models.policy import Checks, Policy
from workers.loop import CallTool
from workers.rules.brain import RulesBrain
from workers.rules.judge import Grade, grade, limits_for
from workers.rules.rule import Rule
from workers.sample import Case, Probe, taken_of
from workers.tools.registry import Registry
from workers.verify import Desk, concluded, regraded

NO_PROBE = "no tool here measures that"
NOT_LISTED = "nobody lists it among what this host is to look at"


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
        self._calls = 0
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
                    by_rules = findings[at].source == "rules"
                    cases[at, place] = Case(claim, probe, desk.picked(claim), by_rules)
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
        cases = [self._case_of_others(claim) for claim in claims]
        await self._measure([case for case in cases if isinstance(case, Case)], end)
        return tuple(
            case if isinstance(case, Claim) else self._answered(case, claim)
            for case, claim in zip(cases, claims, strict=True)
        )

    def _case_of_others(self, claim: Claim) -> Case | Claim:
        """A claim that was made elsewhere, ready to be measured; or itself, with the reason why it
        is not."""
        probe = self._probe(claim, None)
        if probe is None:
            return claim.model_copy(update={"reason": NO_PROBE})
        if probe.rule.of_choice and not _listed(probe.call, self._policy.checks):
            # A model on another host must not send this one to a place of its choice.
            return claim.model_copy(update={"reason": NOT_LISTED})
        return Case(claim, probe)

    async def _measure(self, cases: Iterable[Case], end: float) -> None:
        """Take a sample for each case, and a second one where the first does not bear it out.

        Each probe goes by itself, so that one that hangs costs the others nothing.
        """
        groups: dict[bytes, list[Case]] = {}
        for case in cases:
            groups.setdefault(case.probe.key, []).append(case)
        left = end - time.monotonic()
        if not groups or left <= 0:
            return
        running = [asyncio.ensure_future(self._follow(group)) for group in groups.values()]
        try:
            await asyncio.wait(running, timeout=left)
        finally:
            for task in running:
                task.cancel()
            await asyncio.wait(running)
        for task in running:
            if not task.cancelled():
                task.result()

    async def _follow(self, cases: Sequence[Case]) -> None:
        """Take the samples of the cases that one probe serves."""
        first = await self._take(cases[0].probe)
        for case in cases:
            case.first = taken_of(case, first, self._rules)
        again = [case for case in cases if case.open]
        if again:
            second = await self._take(cases[0].probe)
            for case in again:
                case.second = taken_of(case, second, self._rules)

    async def _take(self, probe: Probe) -> Evidence:
        """One measurement."""
        self._calls += 1
        evidence = await self._call_tool(probe.call, f"{self._prefix}{self._calls}")
        self._taken.append(evidence)
        return evidence

    def _probe(self, claim: Claim, evidence: Evidence | None) -> Probe | None:
        """How a claim is measured again; None where nothing can.

        A rule of the operator's own may not say how: then the call that found it is made again.
        """
        # The tool that found it first: another one may name the subject otherwise.
        rules = sorted(
            self._rules.rules.of(claim.metric),
            key=lambda rule: evidence is None or rule.tool != evidence.tool,
        )
        for rule in rules:
            asked = evidence.arguments if evidence is not None else None
            given = rule.again(claim.subject, self._policy.checks, asked)
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

    def _answered(self, case: Case, claim: Claim) -> Claim:
        """A claim that was made elsewhere, with its verdict and the evidence for it."""
        checked = case.settled()
        last = case.second or case.first
        if last.reading is None or last.evidence is None:
            return checked
        ref = EvidenceRef(
            call_id=last.evidence.call_id,
            pointer=last.reading.pointer,
            sha256=last.evidence.sha256(),
        )
        return checked.model_copy(update={"subject": last.reading.subject, "evidence": (ref,)})

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
            titles.append(case.probe.rule.title)
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
        if case.probe.rule.of_choice and case.picked:
            return None
        found: list[Grade] = []
        metric = measure(case.claim.metric)
        for sample in filter(None, (case.first, case.second)):
            if sample.reading is None or not sample.reading.judged:
                return None
            limits = limits_for(metric, sample.reading, self._policy, self._host)
            level = grade(sample.reading.value, metric, limits, None) if limits else None
            if level is None:
                return None
            found.append(level)
        return max(found, key=lambda one: one.severity.rank, default=None)


def _same_thing(rules: Sequence[Rule], call: ToolCall, evidence: Evidence) -> bool:
    """Whether evidence was taken with no argument that makes it another measurement than trusted
    code's: then what it says was so."""
    (rule, *_) = rules
    return rule.tool == evidence.tool and all(
        evidence.arguments.get(name) == call.arguments.get(name) for name in rule.decisive
    )


def _listed(call: ToolCall, checks: Checks) -> bool:
    """Whether the operator lists what a call would look at."""
    entries = {entry for kind in Checks.model_fields for entry in getattr(checks, kind)}
    return any(value in entries for value in call.arguments.values() if isinstance(value, str))
