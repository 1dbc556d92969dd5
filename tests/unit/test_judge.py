"""Readings are graded: levels, hysteresis, overrides, size, words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import pytest

from swarm_tasks.measures import Measure, measure, measures
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.evidence import Evidence, EvidenceStatus
from swarm_tasks.models.finding import Finding, Severity, Verdict, fingerprint
from swarm_tasks.models.policy import Limits, Override, Policy
from workers.rules.judge import Judgement, crosses, grade, judge, limits_for, strongest
from workers.rules.rule import Reading, Rule
from workers.rules.storage import SCALED_FROM_BYTES, scaled, volume_limits
from workers.tools.spec import Result

CPU = measure("cpu.busy_percent")
TIB = 1024**4
LEVELS = Limits(warning=80, critical=90, warning_clear=70, critical_clear=80)
DOWN = Limits(warning=20, critical=10, warning_clear=30, critical_clear=15)
NONE, WARNING, CRITICAL = None, Severity.WARNING, Severity.CRITICAL


def at_least(**more: object) -> Measure:
    return CPU.model_copy(update=more)


@pytest.mark.parametrize(
    ("value", "before", "expected", "level"),
    [
        (69.9, NONE, NONE, None),
        (79.9, NONE, NONE, None),
        (80.0, NONE, WARNING, 80),
        (89.9, NONE, WARNING, 80),
        (90.0, NONE, CRITICAL, 90),
        (100.0, NONE, CRITICAL, 90),
        # Once raised, a level holds until the value is back past its clear level.
        (79.9, WARNING, WARNING, 70),
        (70.0, WARNING, WARNING, 70),
        (69.9, WARNING, NONE, None),
        (80.0, WARNING, WARNING, 80),
        (89.9, WARNING, WARNING, 80),
        (90.0, WARNING, CRITICAL, 90),
        (89.9, CRITICAL, CRITICAL, 80),
        (80.0, CRITICAL, CRITICAL, 80),
        (79.9, CRITICAL, WARNING, 70),
        (69.9, CRITICAL, NONE, None),
        (75.0, Severity.INFO, NONE, None),
    ],
)
def test_a_high_value_is_graded_with_memory(
    value: float, before: Severity | None, expected: Severity | None, level: float | None
) -> None:
    crossed = grade(value, CPU, LEVELS, before)
    assert (crossed.severity if crossed else None) is expected
    assert (crossed.level if crossed else None) == level


@pytest.mark.parametrize(
    ("value", "before", "expected"),
    [
        (25, NONE, NONE),
        (20, NONE, WARNING),
        (10, NONE, CRITICAL),
        (25, WARNING, WARNING),
        (30, WARNING, WARNING),
        (30.1, WARNING, NONE),
        (15, CRITICAL, CRITICAL),
        (15.1, CRITICAL, WARNING),
        (31, CRITICAL, NONE),
    ],
)
def test_a_low_value_is_graded_the_other_way_round(
    value: float, before: Severity | None, expected: Severity | None
) -> None:
    crossed = grade(value, at_least(comparator="<="), DOWN, before)
    assert (crossed.severity if crossed else None) is expected


def test_a_level_that_is_not_there_is_never_crossed() -> None:
    assert grade(1e12, CPU, Limits(), None) is None
    only = grade(1e12, CPU, Limits(warning=5), CRITICAL)
    assert only is not None
    assert only.severity is WARNING


def test_without_a_clear_level_there_is_no_memory() -> None:
    assert grade(79.9, CPU, Limits(warning=80), WARNING) is None


@pytest.mark.parametrize(
    ("word", "expected"),
    [("failed", CRITICAL), ("active", NONE), ("inactive", NONE), ("", NONE), (3, NONE)],
)
def test_a_word_is_graded_by_the_table(word: str | int, expected: Severity | None) -> None:
    crossed = grade(word, measure("service.state"), Limits(), CRITICAL)
    assert (crossed.severity if crossed else None) is expected


@pytest.mark.parametrize(
    ("value", "comparator", "level", "yes"),
    [(5, ">=", 5, True), (4.9, ">=", 5, False), (5, "<=", 5, True), (5.1, "<=", 5, False)],
)
def test_a_level_itself_counts_as_crossed(
    value: float, comparator: str, level: float, yes: bool
) -> None:
    assert crosses(value, comparator, level) is yes


@pytest.mark.parametrize(
    "name", [name for name, one in measures().items() if one.judged and not one.states]
)
def test_every_metric_s_own_levels_stand_in_a_sensible_order(name: str) -> None:
    metric = measure(name)
    # From the harmless side to the grave one; what is not set is left out.
    harmless_first = [
        level
        for level in (metric.warning_clear, metric.warning, metric.critical)
        if level is not None
    ]
    assert metric.warning is not None or metric.critical is not None
    for milder, graver in pairwise(harmless_first):
        assert crosses(graver, metric.comparator, milder), name
        assert not crosses(milder, metric.comparator, graver), name
    if metric.critical_clear is not None:
        assert metric.critical is not None
        assert not crosses(metric.critical_clear, metric.comparator, metric.critical), name


HOME = Reading(subject="/home (/dev/sda1, ext4)", key="/home", value=50, pointer="/x")
BIG = Reading(subject="/big", value=50, pointer="/x", limits=Limits(warning=95, critical=97))


@pytest.mark.parametrize(
    ("reading", "policy", "warning", "critical"),
    [
        (HOME, Policy(), 85, 95),
        (BIG, Policy(), 95, 97),
        (HOME, Policy(thresholds={"cpu.busy_percent": Limits(warning=50)}), 50, 95),
        (BIG, Policy(thresholds={"cpu.busy_percent": Limits(warning=50)}), 50, 97),
        (HOME, Policy(thresholds={"disk.used_percent": Limits(warning=50)}), 85, 95),
        (
            HOME,
            Policy(
                thresholds={"cpu.busy_percent": Limits(warning=50, critical=60)},
                overrides=(Override(metric="cpu.*", warning=55),),
            ),
            55,
            60,
        ),
        (
            HOME,
            Policy(
                overrides=(
                    Override(metric="cpu.busy_percent", warning=10, critical=20),
                    Override(metric="cpu.busy_percent", warning=30),
                )
            ),
            30,
            20,
        ),
        (HOME, Policy(overrides=(Override(metric="disk.*", warning=1),)), 85, 95),
        (HOME, Policy(overrides=(Override(metric="*", host="web*", warning=1),)), 1, 95),
        (HOME, Policy(overrides=(Override(metric="*", host="db*", warning=1),)), 85, 95),
        # The short key names the subject where there is one.
        (HOME, Policy(overrides=(Override(metric="*", subject="/home", warning=1),)), 1, 95),
        (HOME, Policy(overrides=(Override(metric="*", subject="/hom*", warning=1),)), 1, 95),
        (HOME, Policy(overrides=(Override(metric="*", subject="/", warning=1),)), 85, 95),
        (BIG, Policy(overrides=(Override(metric="*", subject="/big", critical=99),)), 95, 99),
    ],
)
def test_the_nearest_word_on_a_limit_wins(
    reading: Reading, policy: Policy, warning: float, critical: float
) -> None:
    limits = limits_for(CPU, reading, policy, "web1")
    assert limits is not None
    assert (limits.warning, limits.critical) == (warning, critical)


def test_a_host_s_own_policy_is_laid_over_the_asker_s() -> None:
    asker = Policy(
        thresholds={"cpu.busy_percent": Limits(warning=50)},
        overrides=(Override(metric="cpu.*", critical=60),),
    )
    own = Policy(overrides=(Override(metric="cpu.*", critical=99),))
    limits = limits_for(CPU, HOME, asker.under(own), "web1")
    assert limits is not None
    assert (limits.warning, limits.critical) == (50, 99)


def test_silence_is_the_last_word_until_another_override_speaks() -> None:
    silence = Override(metric="cpu.*", subject="/home", ignore=True)
    loud = Override(metric="cpu.*", warning=5)
    assert limits_for(CPU, HOME, Policy(overrides=(loud, silence)), "web1") is None
    assert limits_for(CPU, BIG, Policy(overrides=(loud, silence)), "web1") is not None


def test_the_last_override_that_matches_wins_over_an_earlier_silence() -> None:
    silence = Override(metric="cpu.*", ignore=True)
    but = Override(metric="cpu.*", subject="/home", warning=5)
    limits = limits_for(CPU, HOME, Policy(overrides=(silence, but)), "web1")
    assert limits is not None
    assert limits.warning == 5
    assert limits_for(CPU, BIG, Policy(overrides=(silence, but)), "web1") is None


def test_a_level_that_is_set_loses_an_inherited_clear_level() -> None:
    moved = limits_for(CPU, HOME, Policy(overrides=(Override(metric="*", warning=50),)), "a")
    assert moved is not None
    assert (moved.warning_clear, moved.critical_clear) == (None, CPU.critical_clear)
    both = Override(metric="*", warning=50, warning_clear=40)
    kept = limits_for(CPU, HOME, Policy(overrides=(both,)), "a")
    assert kept is not None
    assert kept.warning_clear == 40


@pytest.mark.parametrize(
    ("total_bytes", "warning", "critical"),
    [(TIB, 90.9, 95.45), (4 * TIB, 93.1, 96.55), (100 * TIB, 96.38, 98.19)],
)
def test_a_very_large_volume_may_be_fuller_after_checkmk_s_formula(
    total_bytes: int, warning: float, critical: float
) -> None:
    limits = volume_limits(total_bytes)
    assert limits is not None
    assert (limits.warning, limits.critical) == (warning, critical)
    assert limits.warning_clear is not None
    assert limits.critical_clear is not None
    assert limits.warning_clear < warning
    assert warning < critical < 100
    assert limits.critical_clear < critical


def test_an_ordinary_volume_keeps_the_plain_levels() -> None:
    assert volume_limits(SCALED_FROM_BYTES - 1) is None
    assert scaled(80, SCALED_FROM_BYTES - 1) == 80


def test_levels_grow_with_the_volume_and_never_reach_the_full() -> None:
    sizes = [TIB * 2**power for power in range(20)]
    levels = [scaled(80, size) for size in sizes]
    assert levels == sorted(levels)
    assert levels[-1] < 100


class Gauges(Result):
    """Numbers for a rule to read."""

    values: list[float]


def readings(answer: Gauges) -> Iterable[Reading]:
    """Each number."""
    for index, value in enumerate(answer.values):
        yield Reading(
            subject=f"gauge {index}",
            value=value,
            pointer=f"/values/{index}",
            detail="leaky" if index == 1 else "",
        )


RULE = Rule(
    name="gauge-high",
    tool="gauges",
    metric="cpu.busy_percent",
    readings=readings,
    title="A gauge is high",
    advice="Turn it down.",
)


def aside(answer: Gauges) -> Iterable[Reading]:
    """The same, with the first only there to be claimed."""
    return (replace(one, judged=one.subject != "gauge 0") for one in readings(answer))


def judged(
    *values: float,
    policy: Policy | None = None,
    raised: dict[str, Severity] | None = None,
    rule: Rule = RULE,
) -> tuple[Judgement, Evidence]:
    answer = Gauges(values=list(values))
    evidence = Evidence(
        call_id="alpha/gauges#1",
        host="alpha",
        specialist="gauges",
        tool="gauges",
        arguments={},
        started=now_utc(),
        seconds=0.1,
        status=EvidenceStatus.OK,
        data=answer.model_dump(mode="json"),
    )
    return judge(rule, evidence, answer, policy or Policy(), raised or {}), evidence


def test_a_finding_quotes_its_evidence_and_the_level_it_crossed() -> None:
    judgement, evidence = judged(10, 90, 99)
    assert judgement.healthy == 1
    assert judgement.cleared == {fingerprint("alpha", "cpu.busy_percent", "gauge 0")}
    (first, read), (second, _) = judgement.findings
    assert (first.severity, second.severity) == (WARNING, CRITICAL)
    assert first.fingerprint == fingerprint("alpha", "cpu.busy_percent", "gauge 1")
    assert first.advice == "Turn it down. (leaky)"
    assert second.advice == "Turn it down."
    assert first.verdict is Verdict.UNVERIFIABLE
    assert read.value == 90
    (claim,) = first.claims
    assert (claim.observed, claim.comparator, claim.value, claim.unit) == (90, ">=", 85, "percent")
    (reference,) = claim.evidence
    assert reference.call_id == evidence.call_id
    assert reference.sha256 == evidence.sha256()
    assert reference.pointer == "/values/1"


def test_what_was_raised_before_is_held_by_its_fingerprint_alone() -> None:
    mark = fingerprint("alpha", "cpu.busy_percent", "gauge 1")
    judgement, _ = judged(80, 80, raised={mark: WARNING})
    assert [finding.subject for finding, _ in judgement.findings] == ["gauge 1"]
    assert judgement.healthy == 1


def test_silence_is_counted_apart_and_clears_what_was_raised() -> None:
    quiet = Policy(overrides=(Override(metric="*", subject="gauge 0", ignore=True),))
    judgement, _ = judged(99, 99, policy=quiet)
    assert [finding.subject for finding, _ in judgement.findings] == ["gauge 1"]
    assert (judgement.silenced, judgement.healthy) == (1, 0)
    assert fingerprint("alpha", "cpu.busy_percent", "gauge 0") in judgement.cleared


def test_a_reading_that_the_levels_do_not_fit_is_neither_measured_nor_well_nor_ill() -> None:
    rule = replace(RULE, readings=aside)
    for value in (10, 99):
        assert judged(value, rule=rule)[0] == Judgement()
        judgement, _ = judged(value, 90, rule=rule)
        assert [one.subject for one in judgement.measured] == ["gauge 1"]
        assert [finding.subject for finding, _ in judgement.findings] == ["gauge 1"]


def test_nothing_to_read_is_neither_well_nor_ill() -> None:
    assert judged()[0] == Judgement()


def test_of_the_same_trouble_only_the_gravest_is_kept_and_the_gravest_stand_first() -> None:
    found = [finding for finding, _ in judged(90, 99, 88)[0].findings]
    milder = found[1].model_copy(update={"severity": WARNING})
    kept: tuple[Finding, ...] = strongest([found[2], milder, found[1], found[0]])
    assert [(one.severity.value, one.subject) for one in kept] == [
        ("critical", "gauge 1"),
        ("warning", "gauge 0"),
        ("warning", "gauge 2"),
    ]
