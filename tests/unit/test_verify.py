"""The four checks: what the evidence says, what is measured again, and what that justifies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from swarm_tasks.brain.base import Answer, Mind, Transcript
from swarm_tasks.measures import measure
from swarm_tasks.models.evidence import Evidence, ToolCall
from swarm_tasks.models.finding import (
    Claim,
    Comparator,
    EvidenceRef,
    Finding,
    MeasuredValue,
    Severity,
    Verdict,
    fingerprint,
)
from swarm_tasks.models.policy import Checks, Limits, Policy
from tests.support import fake_tools
from tests.support.thinking import REGISTRY, gauge, step
from tests.support.thinking import transcript as swept_by
from workers.checker import Checked, Checker
from workers.merge import merged
from workers.rules.brain import RulesBrain
from workers.rules.rule import Reading, Rule
from workers.verify import standing

INFO = Severity.INFO
Fresh = Callable[[ToolCall, str], Evidence]


def transcript(*evidence: Evidence) -> Transcript:
    """A sweep that gathered this."""
    return swept_by(step(*evidence, by=Mind.RULES))


def claim(taken: Evidence, sign: Comparator, limit: MeasuredValue, /, **more: Any) -> Claim:
    """What a model claims of a gauge."""
    told: dict[str, Any] = {
        "metric": "cpu.busy_percent",
        "subject": "the gauge",
        "comparator": sign,
        "value": limit,
        "unit": "percent",
        "observed": taken.data["busy_percent"] if taken.data else None,
        "observed_at": taken.started,
        "evidence": (
            EvidenceRef(call_id=taken.call_id, pointer="/busy_percent", sha256=taken.sha256()),
        ),
    }
    return Claim.model_validate({**told, **more})


def finding(*claims: Claim, said: Severity | None = Severity.CRITICAL) -> Finding:
    """What a model makes of its claims."""
    mark = fingerprint("alpha", "cpu.busy_percent", "the gauge")
    return Finding(
        id=mark,
        fingerprint=mark,
        host="alpha",
        specialist="gauges",
        severity=Severity.INFO,
        said_severity=said,
        title="The gauge is high",
        subject="the gauge",
        advice="",
        verdict=Verdict.UNVERIFIABLE,
        claims=claims,
        source="model",
        model="scripted",
    )


def samples(*values: float | None) -> Fresh:
    """Fresh measurements, one after another, whatever was asked."""
    left = list(values)

    def take(call: ToolCall, call_id: str) -> Evidence:
        return gauge(call_id, left.pop(0) if len(left) > 1 else left[0])

    return take


def check(
    findings: Sequence[Finding],
    evidence: Sequence[Evidence],
    fresh: Fresh,
    *,
    rules: Sequence[Rule] = fake_tools.RULES,
    policy: Policy | None = None,
    raised: Mapping[str, Severity] | None = None,
    seconds: float = 5.0,
    chosen: Sequence[str] = (),
) -> Checked:
    """All four checks, with these measurements."""

    async def call(asked: ToolCall, call_id: str) -> Evidence:
        return fresh(asked, call_id)

    brain = RulesBrain(REGISTRY, rules, raised or {})
    checker = Checker("alpha", REGISTRY, brain, policy or Policy(), call, "alpha/gauges#1.check")
    return asyncio.run(checker.check(findings, evidence, seconds, chosen))


def raised(
    value: float,
    *after: float | None,
    rules: Sequence[Rule] = fake_tools.RULES,
    seconds: float = 5.0,
) -> Finding:
    """A finding of the rules that was measured again."""
    evidence = gauge("one", value)
    found = RulesBrain(REGISTRY, rules, {}).review(transcript(evidence)).findings
    return check(found, [evidence], samples(*after), rules=rules, seconds=seconds).findings[0]


def said(made: Claim, *after: float | None, about: Sequence[Evidence]) -> Claim:
    """One claim of a model, checked."""
    return check([finding(made)], about, samples(*after)).findings[0].claims[0]


def test_a_value_that_holds_is_verified() -> None:
    found = raised(97.0, 96.0)
    assert found.verdict is Verdict.VERIFIED
    assert found.claims[0].remeasured == 96.0
    assert found.claims[0].remeasured_at is not None
    assert found.counts
    assert found.alarms


def test_a_value_that_is_back_within_its_limit_twice_is_stale_and_no_longer_stands() -> None:
    found = raised(97.0, 40.0, 41.0)
    assert found.verdict is Verdict.STALE
    assert found.claims[0].remeasured == 41.0
    assert standing((found,)) == {}
    assert not found.counts


def test_one_of_two_fresh_samples_is_enough_for_what_comes_and_goes() -> None:
    found = raised(97.0, 40.0, 98.0)
    assert (found.verdict, found.claims[0].reason) == (Verdict.VERIFIED, "it comes and goes")


def test_a_critical_that_has_become_a_warning_is_told_as_one() -> None:
    memory = replace(PROBED, metric="memory.used_percent")
    found = raised(99.0, 93.0, 92.0, rules=[memory])
    assert (found.verdict, found.severity) == (Verdict.VERIFIED, Severity.WARNING)
    assert (found.claims[0].value, found.claims[0].observed, found.claims[0].remeasured) == (
        90,
        93.0,
        92.0,
    )


def test_what_cannot_be_measured_again_is_unsure_and_raises_no_alarm() -> None:
    found = raised(97.0, None)
    assert found.verdict is Verdict.UNVERIFIABLE
    assert found.claims[0].reason == "no such file"
    assert found.unsure
    assert not found.alarms
    assert standing((found,)) == {found.fingerprint: found.severity}


def test_measured_otherwise_once_is_neither_verified_nor_stale() -> None:
    found = raised(97.0, 40.0, None)
    assert found.verdict is Verdict.UNVERIFIABLE
    assert found.claims[0].remeasured == 40.0


def test_without_time_nothing_is_measured_again() -> None:
    found = raised(97.0, 97.0, seconds=0.0)
    assert found.verdict is Verdict.UNVERIFIABLE
    assert found.claims[0].reason == "there was no time to measure it again"


def test_a_tool_that_hangs_costs_the_others_not_even_their_second_sample() -> None:
    brain = RulesBrain(REGISTRY, (*fake_tools.RULES, OTHER), {})
    first = transcript(gauge("quick", 97.0), gauge("slow", 99.0))
    findings = brain.review(first).findings
    assert len(findings) == 2
    values = [40.0, 97.0]

    async def again(call: ToolCall, call_id: str) -> Evidence:
        if call.arguments["path"] == "slow":
            await asyncio.Event().wait()
        return gauge(call_id, values.pop(0))

    checker = Checker("alpha", REGISTRY, brain, Policy(), again, "check")
    after = asyncio.run(checker.check(findings, first.evidence, 0.2)).findings
    assert {finding.subject: finding.verdict for finding in after} == {
        "the gauge": Verdict.VERIFIED,
        "the slow one": Verdict.UNVERIFIABLE,
    }


def test_claims_that_rest_on_one_measurement_share_it() -> None:
    evidence = gauge("one", 97.0)
    made = finding(claim(evidence, ">=", 90), claim(evidence, ">=", 95))
    assert len(check([made, made], [evidence], samples(97.0)).evidence) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"evidence": ()}, "it names no evidence"),
        ({"subject": "another gauge"}, "what stands there is of the gauge"),
        ({"metric": "memory.used_percent"}, "the metric does not stand where the claim points"),
        ({"comparator": "<="}, "the evidence does not say so"),
        ({"value": 98}, "the evidence does not say so"),
        ({"comparator": "==", "value": 96}, "the evidence does not say so"),
    ],
)
def test_what_the_evidence_does_not_say_is_unsupported(
    change: dict[str, object], reason: str
) -> None:
    evidence = gauge("one", 97.0)
    checked = said(claim(evidence, ">=", 90, **change), 97.0, about=[evidence])
    assert (checked.verdict, checked.reason) == (Verdict.UNSUPPORTED, reason)


def test_evidence_must_be_of_this_job_and_host_and_what_it_was() -> None:
    evidence = gauge("one", 97.0)
    made = claim(evidence, ">=", 90)
    elsewhere = evidence.model_copy(update={"host": "beta"})
    changed = evidence.model_copy(update={"data": {"path": "one", "busy_percent": 98.0}})
    for about, reason in (
        ([gauge("two", 97.0)], "the evidence that it names was never gathered in this job"),
        ([elsewhere], "the evidence that it names is of beta"),
        ([changed], "the evidence is not what it was when the claim was made"),
    ):
        checked = said(made, 97.0, about=about)
        assert (checked.verdict, checked.reason) == (Verdict.UNSUPPORTED, reason)


def test_nothing_is_measured_for_a_claim_that_its_evidence_does_not_support() -> None:
    evidence = gauge("one", 12.0)
    checked = check([finding(claim(evidence, ">=", 90))], [evidence], samples(95.0))
    assert checked.findings[0].verdict is Verdict.UNSUPPORTED
    assert checked.evidence == ()


def test_a_claim_about_another_host_waits_for_that_host() -> None:
    made = claim(gauge("one", 97.0), ">=", 90, host="beta", evidence=())
    checked = said(made, 12.0, about=[])
    assert checked == made


@pytest.mark.parametrize(
    ("value", "said_severity", "expected"),
    [
        (97.0, Severity.CRITICAL, Severity.CRITICAL),
        (97.0, Severity.WARNING, Severity.WARNING),
        (88.0, Severity.CRITICAL, Severity.WARNING),
        (12.0, Severity.CRITICAL, Severity.INFO),
    ],
)
def test_the_rules_say_how_grave_a_true_number_can_be(
    value: float, said_severity: Severity, expected: Severity
) -> None:
    evidence = gauge("one", value)
    made = finding(claim(evidence, ">=", 5), said=said_severity)
    found = check([made], [evidence], samples(value)).findings[0]
    assert (found.verdict, found.severity) == (Verdict.VERIFIED, expected)


def test_the_operators_own_limits_decide_what_a_value_justifies() -> None:
    evidence = gauge("one", 97.0)
    calm = Policy(thresholds={"cpu.busy_percent": Limits(warning=98, critical=99)})
    made = finding(claim(evidence, ">=", 90))
    found = check([made], [evidence], samples(97.0), policy=calm).findings[0]
    assert (found.verdict, found.severity) == (Verdict.VERIFIED, Severity.INFO)


def test_one_claim_that_is_wrong_spoils_the_finding() -> None:
    evidence = gauge("one", 97.0)
    made = finding(claim(evidence, ">=", 90), claim(evidence, ">=", 99))
    found = check([made], [evidence], samples(97.0)).findings[0]
    assert [one.verdict for one in found.claims] == [Verdict.VERIFIED, Verdict.UNSUPPORTED]
    assert found.verdict is Verdict.UNSUPPORTED
    assert not found.alarms


def test_another_thing_s_fault_makes_a_finding_about_a_well_thing_no_graver() -> None:
    calm = replace(PROBED, metric="memory.used_percent", readings=calm_readings)
    evidence = gauge("one", 97.0)
    well = claim(evidence, ">=", 5, metric="memory.used_percent", subject="the calm gauge")
    made = finding(well, claim(evidence, ">=", 90))
    found = check([made], [evidence], samples(97.0), rules=[calm, PROBED]).findings[0]
    assert [one.verdict for one in found.claims] == [Verdict.VERIFIED, Verdict.VERIFIED]
    assert found.severity is Severity.INFO


@pytest.mark.parametrize(("chosen", "severity"), [((), "critical"), (("one",), "info")])
def test_what_a_model_picked_is_no_trouble_of_the_host_s(
    chosen: tuple[str, ...], severity: str
) -> None:
    picky = replace(PROBED, of_choice=True)
    evidence = gauge("one", 97.0)
    made = finding(claim(evidence, ">=", 90))
    found = check([made], [evidence], samples(97.0), rules=[picky], chosen=chosen).findings[0]
    assert (found.verdict, found.severity) == (Verdict.VERIFIED, severity)


def test_the_rules_raise_nothing_of_what_a_model_picked() -> None:
    picky = RulesBrain(REGISTRY, [replace(PROBED, of_choice=True)], {})
    assert picky.review(transcript(gauge("one", 97.0))).findings
    assert not picky.review(swept_by(step(gauge("one", 97.0), by=Mind.MODEL))).findings


@pytest.mark.parametrize(
    ("value", "title"), [(97.0, "The gauge is high"), (12.0, "Share of CPU time in use")]
)
def test_a_fact_of_a_model_s_is_told_in_the_rules_words(value: float, title: str) -> None:
    evidence = gauge("one", value)
    told = finding(claim(evidence, ">=", 5)).model_copy(
        update={"title": "/dev/sda is failing", "explanation": "It is hot."}
    )
    found = check([told], [evidence], samples(value)).findings[0]
    assert (found.verdict, found.title) == (Verdict.VERIFIED, title)
    assert found.explanation == "/dev/sda is failing. It is hot."


def test_of_two_that_hold_the_graver_is_kept() -> None:
    evidence = gauge("one", 97.0)
    grave, calm = finding(claim(evidence, ">=", 90)), finding(claim(evidence, ">=", 1), said=INFO)
    checked = check([grave, calm], [evidence], samples(97.0)).findings
    for pair in (checked, checked[::-1]):
        (kept,) = merged((), Answer(findings=pair))
        assert kept.severity is Severity.CRITICAL


def test_what_another_host_has_yet_to_measure_stands_for_itself() -> None:
    evidence = gauge("one", 97.0)
    both = [
        finding(claim(evidence, ">=", limit, host="beta", evidence=(), observed=None))
        for limit in (90, 10)
    ]
    assert len(merged((), Answer(findings=tuple(both)))) == 2


def calm_readings(answer: fake_tools.Gauge) -> tuple[Reading, ...]:
    """The gauge as something that is well at any value below 99."""
    return (
        Reading(
            subject="the calm gauge",
            value=answer.busy_percent,
            pointer="/busy_percent",
            limits=Limits(warning=99, critical=100),
        ),
    )


def absent_readings(answer: fake_tools.Gauge) -> tuple[Reading, ...]:
    """What a list of trouble shows: nothing under 50."""
    if answer.busy_percent < 50:
        return ()
    word = "failed" if answer.busy_percent > 90 else "activating"
    return (Reading(subject="web.service", value=word, pointer="/busy_percent"),)


LIST = Rule(
    name="list",
    tool="gauge",
    metric="service.state",
    readings=absent_readings,
    title="A service failed",
    advice="",
    probe=lambda subject: {"path": "trusted"},
    absent_is_well=True,
)


@pytest.mark.parametrize(
    ("sign", "word", "after", "verdict"),
    [
        ("==", "failed", (97.0,), "verified"),
        ("==", "failed", (12.0,), "stale"),
        ("!=", "activating", (12.0,), "unverifiable"),
        ("!=", "failed", (97.0,), "unsupported"),
        ("==", "purple", (12.0,), "unsupported"),
    ],
)
def test_of_a_state_that_is_no_longer_listed_only_trouble_is_known(
    sign: Comparator, word: str, after: tuple[float, ...], verdict: str
) -> None:
    evidence = gauge("one", 97.0)
    made = claim(evidence, sign, word, metric="service.state", subject="web.service", unit="state")
    found = check([finding(made)], [evidence], samples(*after), rules=[LIST]).findings[0]
    assert found.claims[0].verdict == verdict


def test_what_an_answer_that_was_cut_does_not_show_is_not_gone() -> None:
    evidence = gauge("one", 97.0)
    made = claim(
        evidence, "==", "failed", metric="service.state", subject="web.service", unit="state"
    )

    def cut(call: ToolCall, call_id: str) -> Evidence:
        return gauge(call_id, 12.0).model_copy(update={"truncated": True})

    found = check([finding(made)], [evidence], cut, rules=[LIST]).findings[0]
    assert found.claims[0].verdict is Verdict.UNVERIFIABLE
    assert found.claims[0].reason == "web.service is no longer shown"


@pytest.mark.parametrize("word", ["active", "purple"])
def test_nothing_is_true_of_a_service_that_is_not_there(word: str) -> None:
    made = claim(
        gauge("x", 1.0),
        "==",
        word,
        metric="service.state",
        subject="purple monkey",
        host="alpha",
        evidence=(),
        observed=None,
        unit="state",
    )
    assert elsewhere(made, 12.0, rules=[LIST]).verdict is Verdict.UNVERIFIABLE


@pytest.mark.parametrize(("sign", "verdict"), [("<=", "verified"), ("==", "unverifiable")])
def test_a_calm_claim_is_borne_out_where_the_thing_is_no_longer_among_the_busy(
    sign: Comparator, verdict: str
) -> None:
    busy = replace(LIST, metric="process.cpu_percent", readings=busy_readings)
    evidence = gauge("one", 60.0)
    made = claim(evidence, sign, 60, metric="process.cpu_percent", subject="pid 7 x, since y")
    found = check([finding(made)], [evidence], samples(12.0), rules=[busy]).findings[0]
    assert found.claims[0].verdict == verdict


def busy_readings(answer: fake_tools.Gauge) -> tuple[Reading, ...]:
    """What a list of busy processes shows."""
    if answer.busy_percent < 50:
        return ()
    return (
        Reading(subject="pid 7 x, since y", value=answer.busy_percent, pointer="/busy_percent"),
    )


def probed(subject: str) -> dict[str, str]:
    """The gauge that trusted code reads."""
    return {"path": "trusted"}


PROBED = Rule("own", "gauge", "cpu.busy_percent", fake_tools.gauge_readings, "", "", probe=probed)


def test_trusted_code_picks_the_probe_and_not_the_model() -> None:
    own = replace(PROBED, decisive=("path",))
    evidence = gauge("one-that-the-model-chose", 97.0)
    asked: list[str] = []

    def fresh(call: ToolCall, call_id: str) -> Evidence:
        asked.append(call.arguments["path"])
        return gauge(call_id, 12.0)

    checked = check([finding(claim(evidence, ">=", 90))], [evidence], fresh, rules=[own])
    (one,) = checked.findings[0].claims
    assert asked == ["trusted", "trusted"]
    assert (one.verdict, one.observed, one.remeasured) == (Verdict.REFUTED, 97.0, 12.0)


def test_what_was_so_and_has_changed_is_stale_whatever_else_the_model_asked_for() -> None:
    evidence = gauge("another-way-to-ask", 97.0)
    made = finding(claim(evidence, ">=", 90))
    found = check([made], [evidence], samples(12.0), rules=[PROBED]).findings[0]
    assert found.verdict is Verdict.STALE


def elsewhere(
    made: Claim, *after: float | None, rules: Sequence[Rule], policy: Policy | None = None
) -> Claim:
    """A claim that another host made of this one."""

    async def call(asked: ToolCall, call_id: str) -> Evidence:
        return fresh(asked, call_id)

    fresh = samples(*after)
    brain = RulesBrain(REGISTRY, rules, {})
    checker = Checker("alpha", REGISTRY, brain, policy or Policy(), call, "check")
    return asyncio.run(checker.check_for_others([made], 5.0))[0]


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((97.0,), Verdict.VERIFIED),
        ((12.0, 13.0), Verdict.REFUTED),
        ((None,), Verdict.UNVERIFIABLE),
    ],
)
def test_a_claim_that_another_host_made_of_this_one_is_measured_here(
    values: tuple[float | None, ...], verdict: Verdict
) -> None:
    made = claim(
        gauge("x", 1.0), ">=", 90, host="alpha", evidence=(), observed=None, observed_at=None
    )
    checked = elsewhere(made, *values, rules=[PROBED])
    assert checked.verdict is verdict
    assert bool(checked.evidence) == (values[0] is not None)


def test_one_measurement_of_another_host_s_claim_has_no_tolerance() -> None:
    made = claim(gauge("x", 1.0), ">=", 90, host="alpha", evidence=(), observed=None)
    assert measure("cpu.busy_percent").slack(90.0) > 1
    checked = elsewhere(made, 89.5, rules=[PROBED])
    assert checked.verdict is Verdict.REFUTED


@pytest.mark.parametrize(("listed", "verdict"), [((), "unverifiable"), (("trusted",), "verified")])
def test_no_other_host_sends_this_one_to_a_place_of_its_choice(
    listed: tuple[str, ...], verdict: str
) -> None:
    made = claim(gauge("x", 1.0), ">=", 90, host="alpha", evidence=(), observed=None)
    picky = replace(PROBED, of_choice=True)
    policy = Policy(checks=Checks(http=listed))
    checked = elsewhere(made, 97.0, rules=[picky], policy=policy)
    assert checked.verdict == verdict


def test_a_claim_about_something_that_is_not_here_cannot_be_checked() -> None:
    made = claim(
        gauge("x", 1.0),
        ">=",
        90,
        host="alpha",
        subject="/dev/sdx",
        evidence=(),
        observed=None,
        observed_at=None,
    )
    checked = elsewhere(made, 97.0, rules=[PROBED])
    assert checked.verdict is Verdict.UNVERIFIABLE
    assert "/dev/sdx" in checked.reason


def test_no_rule_for_a_metric_leaves_a_claim_unverifiable_with_the_reason() -> None:
    made = claim(gauge("x", 1.0), ">=", 90, host="alpha", evidence=(), observed=None)
    checked = elsewhere(made, 97.0, rules=[])
    assert (checked.verdict, checked.reason) == (
        Verdict.UNVERIFIABLE,
        "no tool here measures that",
    )


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
