"""Check the homework: before a finding leaves the host, its claim is measured once more."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from swarm_tasks.measures import measure
from swarm_tasks.models.base import JsonScalar
from swarm_tasks.models.evidence import Evidence, EvidenceStatus, ToolCall
from swarm_tasks.models.finding import Claim, Finding, Severity, Verdict
from workers.comparing import compares
from workers.loop import CallTool
from workers.rules.brain import RulesBrain


async def recheck(
    findings: Iterable[Finding],
    evidence: Iterable[Evidence],
    brain: RulesBrain,
    call_tool: CallTool,
    seconds: float,
) -> tuple[tuple[Finding, ...], tuple[Evidence, ...]]:
    """Measure what findings claim again, with the call that found it, for at most `seconds`.

    A claim that a second measurement bears out is `verified`; one that it does not is `stale`,
    since the rules only speak of what was measured; where nothing can measure it again in
    time, it is `unverifiable`. Calls that several findings rest on are made once.

    Returns:
        The findings with their verdicts, and the evidence of the second measurements.
    """
    findings = tuple(findings)
    by_id = {item.call_id: item for item in evidence}
    cited = {
        ref.call_id
        for finding in findings
        for claim in finding.claims
        for ref in claim.evidence
        if ref.call_id in by_id
    }
    if not cited or seconds <= 0:
        return findings, ()
    running = {
        asyncio.ensure_future(
            call_tool(
                ToolCall(tool=by_id[name].tool, arguments=by_id[name].arguments), f"{name}/again"
            )
        ): name
        for name in sorted(cited)
    }
    try:
        done, _ = await asyncio.wait(running, timeout=seconds)
    finally:
        for task in running:
            task.cancel()
        await asyncio.wait(running)
    fresh = {name: task.result() for task, name in running.items() if task in done}
    checked = tuple(judged(finding, fresh, brain) for finding in findings)
    return checked, tuple(fresh.values())


def judged(finding: Finding, fresh: Mapping[str, Evidence], brain: RulesBrain) -> Finding:
    """The finding with the verdict that fresh evidence gives its first claim. Pure.

    What carries no claim, or one that its own evidence does not say, stays what it is.
    """
    if not finding.claims or finding.verdict is Verdict.UNSUPPORTED:
        return finding
    claim = finding.claims[0]
    second = next((fresh[ref.call_id] for ref in claim.evidence if ref.call_id in fresh), None)
    answer = brain.answer_in(second) if second else None
    if second is None or answer is None or second.status is not EvidenceStatus.OK:
        return finding
    found = brain.reading_again(finding, second, answer)
    if found is None:
        return _with(finding, claim.model_copy(update={"verdict": Verdict.STALE}))
    verdict = Verdict.VERIFIED if holds(claim, found.value) else Verdict.STALE
    return _with(finding, claim.model_copy(update={"remeasured": found.value, "verdict": verdict}))


def holds(claim: Claim, value: JsonScalar) -> bool:
    """Whether `value` bears the claim out. A word does if it is as bad as the claimed one."""
    states = measure(claim.metric).states
    if states:
        return states.get(str(value)) == states.get(str(claim.value))
    return compares(value, claim.comparator, claim.value)


def _with(finding: Finding, claim: Claim) -> Finding:
    return finding.model_copy(
        update={"claims": (claim, *finding.claims[1:]), "verdict": claim.verdict}
    )


def standing(findings: Iterable[Finding]) -> dict[str, Severity]:
    """What the rules raised and still stands after the check, to remember until the next audit."""
    return {
        finding.fingerprint: finding.severity
        for finding in findings
        if finding.verdict.counts and finding.source == "rules"
    }
