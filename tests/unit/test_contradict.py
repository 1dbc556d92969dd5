"""Which claims of several agents cannot all be so, and what a measurement makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from orchestrator.contradict import (
    MOST_COMPARED,
    MOST_CONTRADICTIONS,
    MOST_OF_A_PART,
    compatible,
    contradicts,
    disputes,
)
from swarm_tasks.measures import Measure, measure
from swarm_tasks.models.finding import Claim, MeasuredValue, Severity, Verdict
from swarm_tasks.models.report import Contradiction, HostReport
from tests.support.claims import USED, VAR, claimed, said
from tests.support.scenes import AT, job, part, report
from workers.rules.rule import Reading
from workers.sample import Case, Sample

ANY: Any = None
"""The probe of a claim that is held against a sample only."""

VERIFIED, REFUTED, UNVERIFIABLE = Verdict.VERIFIED, Verdict.REFUTED, Verdict.UNVERIFIABLE


def loose(tolerance: float, percent: float) -> Measure:
    return measure(USED).model_copy(update={"tolerance": tolerance, "tolerance_percent": percent})


def grid(values: Sequence[float]) -> list[float]:
    """Values around and between those that are claimed."""
    return sorted(
        {one / 8 for one in range(8 * int(min(values)) - 120, 8 * int(max(values)) + 120)}
    )


@pytest.mark.parametrize(("tolerance", "percent"), [(0.0, 0.0), (2.0, 0.0), (0.0, 10.0)])
def test_two_claims_are_compatible_just_where_one_measurement_bears_both_out(
    tolerance: float, percent: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    metric = loose(tolerance, percent)

    def this(_: str) -> Measure:
        return metric

    monkeypatch.setattr("workers.sample.measure", this)
    samples = [Sample(reading=Reading(VAR, value, "/x")) for value in grid((10.0, 40.0))]
    seen: set[tuple[bool, bool]] = set()
    for signs in product((">=", "<=", ">", "<", "=="), repeat=2):
        for values in product((10.0, 14.0, 18.0, 40.0), repeat=2):
            one, other = (
                claimed(comparator=sign, value=value)
                for sign, value in zip(signs, values, strict=True)
            )
            cases = [Case(claim, ANY) for claim in (one, other)]
            both = any(all(case.bears_out(sample) for case in cases) for sample in samples)
            told = compatible(one, other, metric)
            assert told or not both, (one, other)  # nothing is called impossible that can be
            if "==" not in signs:  # of equality, rather too much is let pass
                assert told == both, (one, other)
            seen.add((told, both))
    assert seen >= {(True, True), (False, False)}


@pytest.mark.parametrize(
    ("one", "other", "agree"),
    [
        (("==", "failed"), ("==", "active"), False),
        (("==", "failed"), ("==", "failed"), True),
        (("==", "active"), ("==", "running"), True),  # both are well
        (("==", "failed"), ("!=", "failed"), False),
        (("!=", "failed"), ("==", "active"), True),
        (("!=", "failed"), ("!=", "active"), True),
    ],
)
def test_words_agree_where_they_are_as_bad_as_each_other(
    one: tuple[Any, str], other: tuple[Any, str], agree: bool
) -> None:
    state = measure("service.state")
    first, second = (
        claimed("service.state", "a.service", comparator=sign, value=word, observed=word)
        for sign, word in (one, other)
    )
    assert compatible(first, second, state) is agree
    assert compatible(second, first, state) is agree


def test_equal_and_unequal_to_the_same_cannot_both_be() -> None:
    metric = measure("updates.security")
    for value, agree in ((3, False), (4, True)):
        one = claimed(metric.name, "apt", comparator="==", value=3)
        other = claimed(metric.name, "apt", comparator="!=", value=value)
        assert compatible(one, other, metric) is agree


@pytest.mark.parametrize(
    ("verdicts", "readings", "apart"),
    [
        ((UNVERIFIABLE, UNVERIFIABLE), (97.0, 82.0), True),
        ((VERIFIED, UNVERIFIABLE), (97.0, 82.0), True),
        ((VERIFIED, VERIFIED), (97.0, 82.0), False),  # it moved within what both say
        ((UNVERIFIABLE, UNVERIFIABLE), (97.0, 96.9), False),
        ((UNVERIFIABLE, UNVERIFIABLE), (97.0, None), False),
    ],
)
def test_readings_that_are_far_apart_contradict_unless_both_were_measured_again(
    verdicts: tuple[Verdict, Verdict], readings: tuple[MeasuredValue, Any], apart: bool
) -> None:
    one, other = (
        claimed(value=80.0, observed=reading, verdict=verdict)
        for verdict, reading in zip(verdicts, readings, strict=True)
    )
    assert contradicts(one, other, measure(USED)) is apart
    assert not contradicts(one, other, measure(USED), trusted=True)


def two(one: Claim, other: Claim, **more: Any) -> tuple[HostReport, HostReport]:
    """Two agents of a host, a claim each."""
    return (
        part("web1", specialist="storage", part="web1/storage", findings=(said("web1", one),)),
        part(
            "web1",
            specialist="services",
            part="web1/services",
            findings=(said("web1", other, specialist="services", source="model", **more),),
        ),
    )


def told(parts: Sequence[HostReport], **around: Any) -> tuple[Contradiction, ...]:
    return report(job(*dict.fromkeys(one.host for one in parts)), *parts, **around).contradictions


HIGH = claimed(value=90.0, observed=97.0, verdict=VERIFIED, remeasured=97.1)


def test_what_one_verdict_withdrew_is_settled_by_the_other_s_measurement() -> None:
    low = claimed(
        comparator="<=", value=20.0, observed=12.0, verdict=REFUTED, remeasured=97.3, after=5.0
    )
    (dispute,) = disputes(two(HIGH, low))
    assert not dispute.stands
    made = report(job("web1"), *two(HIGH, low))
    (one,) = made.contradictions
    assert (one.host, one.metric, one.subject) == ("web1", USED, VAR)
    assert (one.value, one.unit) == (97.1, "percent")
    assert one.settled_at == AT + timedelta(seconds=1)
    ids = {claim.id: finding.id for finding in made.findings for claim in finding.claims}
    assert tuple(ids[name] for name in one.claims) == one.findings
    assert len(one.claims) == 2


def test_what_still_stands_against_each_other_is_settled_by_nothing_old() -> None:
    low = claimed(comparator="<=", value=20.0, observed=12.0, verdict=VERIFIED, remeasured=12.0)
    (dispute,) = disputes(two(HIGH, low))
    assert dispute.stands
    (one,) = told(two(HIGH, low))
    assert (one.value, one.settled_at) == (None, None)
    (one,) = told(two(HIGH, low), anew=frozenset({(1, 0, 0)}))
    assert one.value == 12.0


def test_an_agent_does_not_contradict_itself_nor_what_is_of_something_else() -> None:
    low = claimed(comparator="<=", value=20.0, verdict=VERIFIED)
    own = said("web1", HIGH).model_copy(update={"claims": (HIGH, low)})
    assert disputes([part("web1", findings=(own,))]) == ()
    for update in (
        {"subject": "/ (/dev/sda1, ext4)"},
        {"metric": "disk.inodes_percent"},
        {"host": "web2"},
        {"metric": "none.such"},
    ):
        assert disputes(two(HIGH, low.model_copy(update=update))) == ()


def test_of_two_that_were_both_withdrawn_nothing_more_is_said() -> None:
    high, low = (
        claimed(comparator=sign, value=value, verdict=REFUTED, remeasured=50.0)
        for sign, value in ((">=", 90.0), ("<=", 20.0))
    )
    assert disputes(two(high, low)) == ()


def test_a_claim_about_another_host_meets_that_host_s_own() -> None:
    low = claimed(comparator="<=", value=20.0, observed=None, verdict=REFUTED, remeasured=97.2)
    elsewhere = part("web2", findings=(said("web2", low.model_copy(update={"host": "web1"})),))
    (one,) = told((part("web1", findings=(said("web1", HIGH),)), elsewhere))
    assert one.host == "web1"
    assert one.value == 97.1


def test_a_host_that_claims_without_end_is_heard_with_an_end() -> None:
    def many(comparator: Any, value: float) -> tuple[Claim, ...]:
        return tuple(
            claimed(subject=f"/v{at}", comparator=comparator, value=value, verdict=VERIFIED)
            for at in range(150)
        )

    high, low = many(">=", 90.0), many("<=", 20.0)
    parts = two(HIGH, HIGH)
    flooded = [
        one.model_copy(
            update={"findings": (one.findings[0].model_copy(update={"claims": claims}),)}
        )
        for one, claims in zip(parts, (high * 40, low * 40), strict=True)
    ]
    assert len(disputes(flooded)) == MOST_CONTRADICTIONS


@pytest.mark.parametrize("parts", [1, 100])
def test_what_one_part_says_again_and_again_hides_no_lie_of_another(parts: int) -> None:
    noise = tuple(
        claimed(value=80.0 + at / 100, observed=97.0, verdict=VERIFIED) for at in range(200)
    )
    low = claimed(comparator="<=", value=20.0, observed=12.0, verdict=VERIFIED, remeasured=12.0)
    loud = part("web1", findings=(said("web1", *noise),))
    _, liar = two(HIGH, low)
    (dispute,) = disputes((*(loud,) * parts, liar)[-MOST_COMPARED:])
    assert dispute.said[-1].claim == low
    assert len(dispute.said) <= MOST_COMPARED
    of_one = [one for one in dispute.said if one.part == 0]
    assert len(of_one) <= MOST_OF_A_PART


def test_an_agent_hides_its_lie_behind_nothing_that_it_took_back() -> None:
    noise = tuple(
        claimed(value=80.0 + at / 100, observed=97.0, verdict=REFUTED) for at in range(200)
    )
    low = claimed(comparator="<=", value=20.0, observed=12.0, verdict=VERIFIED, remeasured=12.0)
    honest, liar = two(HIGH, low)
    (finding,) = liar.findings
    hidden = finding.model_copy(update={"claims": (*noise, low)})
    (dispute,) = disputes((honest, liar.model_copy(update={"findings": (hidden,)})))
    assert low in [one.claim for one in dispute.said]


def test_findings_that_contradict_each_other_are_both_in_the_report() -> None:
    low = claimed(comparator="<=", value=20.0, observed=12.0, verdict=VERIFIED, remeasured=12.0)
    made = report(job("web1"), *two(HIGH, low, severity=Severity.INFO))
    assert len(made.findings) == 2
    assert len({one.fingerprint for one in made.findings}) == 2
