"""The second measurement: what it decides, and that it never waits too long."""

from __future__ import annotations

import asyncio

from swarm_tasks.brain.base import Mind, Transcript
from swarm_tasks.models.evidence import Evidence, ToolCall
from swarm_tasks.models.finding import Finding, Verdict
from tests.support import fake_tools
from tests.support.thinking import REGISTRY, gauge, step
from tests.support.thinking import transcript as swept_by
from workers.rules.brain import RulesBrain
from workers.rules.rule import Reading, Rule
from workers.verify import recheck, standing


def transcript(*evidence: Evidence) -> Transcript:
    """A sweep that gathered this."""
    return swept_by(step(*evidence, by=Mind.RULES))


def checked(second: float | None, *, seconds: float = 5.0, hangs: bool = False) -> Finding:
    """A finding of 97 that was measured again."""
    brain = RulesBrain(REGISTRY, fake_tools.RULES, {})
    first = transcript(gauge("one", 97.0))
    (finding,) = brain.review(first).findings

    async def again(call: ToolCall, call_id: str) -> Evidence:
        if hangs:
            await asyncio.Event().wait()
        return gauge(call_id, second)

    findings, _ = asyncio.run(recheck((finding,), first.evidence, brain, again, seconds))
    return findings[0]


def test_a_value_that_holds_is_verified() -> None:
    finding = checked(96.0)
    assert finding.verdict is Verdict.VERIFIED
    assert finding.claims[0].remeasured == 96.0


def test_a_value_that_is_back_within_its_limit_is_stale_and_no_longer_stands() -> None:
    finding = checked(40.0)
    assert finding.verdict is Verdict.STALE
    assert standing((finding,)) == {}


def test_what_cannot_be_measured_again_is_unverifiable_and_stands() -> None:
    finding = checked(None)
    assert finding.verdict is Verdict.UNVERIFIABLE
    assert standing((finding,)) == {finding.fingerprint: finding.severity}


def test_a_tool_that_hangs_costs_the_others_nothing() -> None:
    brain = RulesBrain(REGISTRY, (*fake_tools.RULES, OTHER), {})
    first = transcript(gauge("quick", 97.0), gauge("slow", 99.0))
    findings = brain.review(first).findings
    assert len(findings) == 2

    async def again(call: ToolCall, call_id: str) -> Evidence:
        if call.arguments["path"] == "slow":
            await asyncio.Event().wait()
        return gauge(call_id, 97.0)

    after, _ = asyncio.run(recheck(findings, first.evidence, brain, again, 0.2))
    verdicts = {finding.subject: finding.verdict for finding in after}
    assert Verdict.VERIFIED in verdicts.values()
    assert Verdict.UNVERIFIABLE in verdicts.values()


def test_without_time_nothing_is_measured_again() -> None:
    assert checked(97.0, seconds=0.0, hangs=True).verdict is Verdict.UNVERIFIABLE


def test_a_rule_that_breaks_is_told_and_costs_the_others_nothing() -> None:
    brain = RulesBrain(REGISTRY, (BROKEN, *fake_tools.RULES), {})
    review = brain.review(transcript(gauge("one", 97.0)))
    assert [finding.title for finding in review.findings] == ["The gauge is high"]
    (blind,) = review.not_seen
    assert "gauge-broken" in blind.reason


def broken_readings(answer: fake_tools.Gauge) -> tuple[Reading, ...]:
    raise AttributeError("no such field")


def other_readings(answer: fake_tools.Gauge) -> tuple[Reading, ...]:
    if answer.path != "slow":
        return ()
    return (Reading(subject="the slow one", value=answer.busy_percent, pointer="/busy_percent"),)


BROKEN = Rule(
    name="gauge-broken",
    tool="gauge",
    metric="cpu.busy_percent",
    readings=broken_readings,
    title="",
    advice="",
)
OTHER = Rule(
    name="gauge-other",
    tool="gauge",
    metric="memory.used_percent",
    readings=other_readings,
    title="The other gauge is high",
    advice="",
)
