"""The second measurement: what it decides, and that it never waits too long."""

from __future__ import annotations

import asyncio

from swarm_tasks.brain.base import Asked, Reply, Step, Transcript
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.evidence import Evidence, EvidenceStatus, ToolCall
from swarm_tasks.models.finding import Finding, Verdict
from swarm_tasks.models.job import HostTask, Specialist
from tests.support import fake_tools
from workers.rules.brain import RulesBrain
from workers.rules.rule import Reading, Rule
from workers.tools.registry import Registry
from workers.verify import recheck, standing

REGISTRY = Registry(fake_tools.TOOLS)
TASK = HostTask(
    job="abcdefgh",
    part="alpha/gauges",
    host="alpha",
    specialist=Specialist(name="gauges", title="", prompt="", tools=("gauge",)),
    deadline_at=0,
)


def gauge(call_id: str, value: float | None) -> Evidence:
    """What the gauge said; None for a gauge that could not be read."""
    return Evidence(
        call_id=call_id,
        host="alpha",
        specialist="gauges",
        tool="gauge",
        arguments={"path": call_id},
        started=now_utc(),
        seconds=0.0,
        status=EvidenceStatus.FAILED if value is None else EvidenceStatus.OK,
        data=None if value is None else {"path": call_id, "busy_percent": value},
    )


def transcript(*evidence: Evidence) -> Transcript:
    replies = tuple(
        Reply(asked=Asked(tool=item.tool, arguments=item.arguments), call_id=item.call_id)
        for item in evidence
    )
    return Transcript(task=TASK).then(Step(replies=replies, evidence=evidence))


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
