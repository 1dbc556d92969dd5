"""The findings of all parts in one report: named, in order, with what only control knows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from orchestrator.joining import Known
from swarm_tasks.models.finding import Acknowledgement, Finding, Severity, Verdict
from swarm_tasks.models.report import Doubt, Report
from swarm_tasks.models.tally import Tally
from tests.support.claims import claimed, said
from tests.support.scenes import AT, job, part, report

VERIFIED, REFUTED = Verdict.VERIFIED, Verdict.REFUTED
HOLDS = claimed(observed=97.0, verdict=VERIFIED, remeasured=97.0)
FALSE = claimed(observed=97.0, verdict=REFUTED, remeasured=12.0)
MODEL: dict[str, Any] = {"source": "model", "model": "quick"}


def of(*findings: Finding, **around: Any) -> Report:
    """A report of a part for each of these findings."""
    parts = [
        part(
            one.host,
            specialist=one.specialist,
            part=f"{one.host}/{one.specialist}/{number}",
            findings=(one,),
        )
        for number, one in enumerate(findings)
    ]
    return report(job(*dict.fromkeys(one.host for one in parts)), *parts, **around)


def ack(mark: str, severity: Severity = Severity.CRITICAL) -> Known:
    known = Acknowledgement(
        fingerprint=mark,
        severity=severity,
        until=AT + timedelta(days=3),
        reason="a new disk comes on Thursday",
        by="anna",
        at=AT,
    )
    return Known(acknowledged={mark: known})


def test_each_claim_has_a_name_and_a_host() -> None:
    elsewhere = HOLDS.model_copy(update={"host": "web9", "observed": None})
    made = of(said("web1", HOLDS, elsewhere), said("web2", HOLDS))
    told = [[(claim.id, claim.host) for claim in one.claims] for one in made.findings]
    assert told == [[("f1.c1", "web1"), ("f1.c2", "web9")], [("f2.c1", "web2")]]


@pytest.mark.parametrize("turned", [False, True])
def test_what_was_not_so_does_not_vanish_behind_what_is(turned: bool) -> None:
    found = [
        said("web1", HOLDS, severity=Severity.WARNING),
        said("web1", FALSE, specialist="services", **MODEL),
    ]
    made = of(*(reversed(found) if turned else found))
    assert [one.verdict for one in made.findings] == [VERIFIED, REFUTED]
    assert made.findings[0].fingerprint == found[0].fingerprint
    assert made.findings[1].fingerprint != found[0].fingerprint
    assert (made.claims.verified, made.claims.refuted) == (1, 1)
    assert made.summary.startswith("1 of 1 host answered. 2 claims: 1 refuted, 1 verified.")


def test_three_sides_of_a_contradiction_are_told_where_two_are_one_specialist_s() -> None:
    sides = [
        said("web1", HOLDS, specialist="services"),
        *(
            said("web1", claimed(comparator="<=", value=value, observed=value), **MODEL)
            for value in (10.0, 20.0)
        ),
    ]
    made = of(*sides)
    assert len(made.findings) == 3
    assert len({one.fingerprint for one in made.findings}) == 3
    (one,) = made.contradictions
    assert len(one.claims) == 3


def test_what_was_measured_twice_is_told_before_what_was_measured_once() -> None:
    once = claimed(observed=98.0)
    made = of(said("web1", once), said("web1", HOLDS, specialist="services"))
    (one,) = made.findings
    assert one.counts


def test_facts_come_before_what_is_unsure_and_that_before_opinions() -> None:
    made = of(
        said("a", FALSE),
        said("b", claimed(observed=97.0), **MODEL, severity=Severity.INFO),
        said("c", claimed(observed=97.0)),
        said("d", HOLDS, severity=Severity.INFO),
    )
    assert [one.host for one in made.findings] == ["d", "c", "b", "a"]


def test_what_is_acknowledged_raises_no_alarm_and_asks_for_no_action() -> None:
    finding = said("web1", HOLDS)
    (free,) = of(finding).findings
    assert free.alarms
    made = of(finding, known=ack(finding.fingerprint))
    (known,) = made.findings
    assert known.acknowledged is not None
    assert known.acknowledged.by == "anna"
    assert not known.alarms
    assert of(finding).actions
    assert made.actions == ()
    assert "No findings. Acknowledged: 1 finding." in made.summary


def test_what_became_graver_than_it_was_acknowledged_alarms_again() -> None:
    finding = said("web1", HOLDS)
    (again,) = of(finding, known=ack(finding.fingerprint, Severity.WARNING)).findings
    assert again.acknowledged is None
    assert again.alarms


def test_a_host_can_neither_acknowledge_its_own_troubles_nor_clear_its_model() -> None:
    mark = said("web1", HOLDS).fingerprint
    forged = said("web1", HOLDS, doubted=True, acknowledged=ack(mark).acknowledged[mark])
    (made,) = of(forged).findings
    assert (made.acknowledged, made.doubted) == (None, False)


def test_findings_of_a_doubted_model_are_marked_for_the_specialist_it_was_wrong_as() -> None:
    tally = Tally(model="quick", specialist="storage", verified=9, refuted=6)
    doubt = Doubt(tally=tally, wrong_percent=40.0, limit_percent=10.0)
    made = of(
        said("a", HOLDS, **MODEL),
        said("b", HOLDS, **MODEL, specialist="services"),
        said("c", HOLDS, source="model", model="wise"),
        said("d", HOLDS),
        known=Known(doubts=(doubt,)),
    )
    assert [one.host for one in made.findings if one.doubted] == ["a"]
    assert made.doubts == (doubt,)
    assert made.summary.endswith(
        "quick is doubted as storage: 6 of its 15 checked claims of late were wrong (40 %, where "
        "10 % may be)."
    )
