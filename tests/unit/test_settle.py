"""What a host is asked of others' claims, and what becomes of its answer."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.contradict import Place
from orchestrator.settle import (
    CHANGED,
    NOT_SAID,
    TOO_MANY,
    Answer,
    Question,
    answers,
    folded,
    questions,
    tallies_of,
    unasked,
    without_hearsay,
)
from swarm_tasks.contracts import MOST_CHECKS, ClaimsChecked
from swarm_tasks.models.finding import Claim, EvidenceRef, Severity, Verdict
from swarm_tasks.models.report import HostReport
from swarm_tasks.models.tally import Tally
from tests.support.claims import VAR, claimed, said
from tests.support.scenes import AT, answer, job, part, report

VERIFIED, REFUTED, UNVERIFIABLE = Verdict.VERIFIED, Verdict.REFUTED, Verdict.UNVERIFIABLE
STALE, UNSUPPORTED = Verdict.STALE, Verdict.UNSUPPORTED

OPEN = claimed(host="web2", subject="/var", observed=None)
MODEL: dict[str, Any] = {"source": "model", "model": "quick", "severity": Severity.INFO}


def asking(*claims: Claim, **more: Any) -> HostReport:
    """A part of web1 whose model claims this."""
    finding = said("web1", *claims, **{**MODEL, **more})
    tally = Tally.of(claims, model="quick", specialist="storage", rejected=1, opinions=1)
    return part("web1", findings=(finding,), tallies=(tally,))


def checked(verdict: Verdict = VERIFIED, **more: Any) -> Claim:
    """What web2 answers."""
    given: dict[str, Any] = {
        "verdict": verdict,
        "subject": VAR,
        "remeasured": 97.0,
        "remeasured_at": AT,
        "evidence": (EvidenceRef(call_id="web2.check", pointer="/x", sha256="0" * 64),),
    }
    return OPEN.model_copy(update={**given, **more})


EVIDENCE = answer("web2", "disk.used_percent", {"x": 97.0}, "web2.check")


def settled(parts: list[HostReport], *claims: Claim) -> HostReport:
    """The first part, with these answers of the one host that was to be asked."""
    (question,), refused = questions(parts)
    answer = ClaimsChecked(claims=claims, evidence=(EVIDENCE,))
    told, evidence = answers(question, answer, frozenset())
    return folded(parts, refused | told, evidence).parts[0]


def test_a_host_is_asked_once_for_all_that_others_say_of_it() -> None:
    other = OPEN.model_copy(update={"subject": "/srv"})
    third = OPEN.model_copy(update={"host": "web3"})
    own = claimed(observed=12.0)
    parts = [asking(OPEN, other, own), asking(OPEN, third)]
    asked, refused = questions(parts)
    assert [(one.host, len(one.claims)) for one in asked] == [("web2", 2), ("web3", 1)]
    assert asked[0].places == (((0, 0, 0), (1, 0, 0)), ((0, 0, 1),))
    assert refused == {}
    assert [claim.host for one in asked for claim in one.claims] == ["web2", "web2", "web3"]


def test_a_host_s_own_word_on_another_is_no_verdict() -> None:
    forged = OPEN.model_copy(
        update={"verdict": VERIFIED, "observed": 97.0, "observed_at": AT, "remeasured": 97.0}
    )
    (question,), _ = questions([asking(forged)])
    assert (question.claims[0].observed, question.claims[0].verdict) == (None, UNVERIFIABLE)
    told = unasked(question, "web2 gives no sign of life")
    (part_,) = folded([asking(forged)], told).parts
    (claim,) = part_.findings[0].claims
    assert (claim.verdict, claim.remeasured) == (UNVERIFIABLE, None)
    assert part_.findings[0].verdict is UNVERIFIABLE
    assert claim.reason == "web2 gives no sign of life"


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_host_s_forged_measurement_of_another_is_shown_nowhere(verdict: Verdict) -> None:
    numbers = {"observed": 1.0, "observed_at": AT, "remeasured": 2.0, "remeasured_at": AT}
    own = claimed(subject=VAR, observed=97.0, verdict=VERIFIED, remeasured=97.1)
    forged = OPEN.model_copy(
        update={**numbers, "verdict": verdict, "subject": VAR, "comparator": "<=", "value": 20.0}
    )
    theirs = part("web2", findings=(said("web2", own),))
    parts = without_hearsay([asking(forged), theirs])
    (claim,) = parts[0].findings[0].claims
    assert claim == OPEN.model_copy(
        update={"subject": VAR, "comparator": "<=", "value": 20.0, "reason": forged.reason}
    )
    # What cannot be read of a finding's claims, its host says of its own model.
    unread = verdict is UNSUPPORTED
    assert parts[0].findings[0].verdict is (UNSUPPORTED if unread else UNVERIFIABLE)
    (tally,) = parts[0].tallies
    assert (tally.unverifiable, tally.checked) == (1, 0)
    assert parts[1] == theirs
    asked, _ = questions(parts)
    assert {question.host for question in asked} == {"web2"}
    (one,) = report(job("web1", "web2"), *parts).contradictions
    assert (one.value, one.settled_at) == (None, None)


def test_more_claims_than_a_host_is_asked_say_so() -> None:
    many = tuple(OPEN.model_copy(update={"subject": f"/v{at}"}) for at in range(MOST_CHECKS + 7))
    (question,), refused = questions([asking(*many)])
    assert len(question.claims) == MOST_CHECKS
    assert len(refused) == 7
    assert {one.reason for one in refused.values()} == {TOO_MANY}


@pytest.mark.parametrize("verdict", [VERIFIED, REFUTED])
def test_a_verdict_comes_with_what_was_measured_and_of_what(verdict: Verdict) -> None:
    made = settled([asking(OPEN)], checked(verdict))
    (finding,) = made.findings
    (claim,) = finding.claims
    assert (claim.verdict, finding.verdict) == (verdict, verdict)
    assert (claim.subject, claim.remeasured, claim.remeasured_at) == (VAR, 97.0, AT)
    assert claim.observed is None
    assert [ref.call_id for ref in claim.evidence] == ["web2.check"]
    (tally,) = made.tallies
    assert (getattr(tally, verdict.value), tally.unverifiable) == (1, 0)
    assert (tally.rejected, tally.opinions) == (1, 0)


def test_a_host_that_was_asked_says_not_how_grave_it_is_where_it_was_not_its_rules() -> None:
    grave = asking(OPEN, severity=Severity.CRITICAL)
    (finding,) = settled([grave], checked()).findings
    assert finding.counts
    assert (finding.severity, finding.said_severity) == (Severity.INFO, Severity.CRITICAL)
    assert not finding.alarms


def test_one_claim_that_is_wrong_spoils_those_beside_it() -> None:
    own = claimed(observed=97.0, verdict=VERIFIED, remeasured=97.0)
    (finding,) = settled([asking(own, OPEN)], checked(REFUTED)).findings
    assert [claim.verdict for claim in finding.claims] == [VERIFIED, REFUTED]
    assert finding.verdict is REFUTED


def test_a_finding_with_claims_that_could_not_be_read_stays_unsupported() -> None:
    (finding,) = settled([asking(OPEN, verdict=UNSUPPORTED)], checked()).findings
    assert finding.claims[0].verdict is VERIFIED
    assert finding.verdict is UNSUPPORTED


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ((), NOT_SAID),
        ((checked(), checked()), NOT_SAID),
        ((checked(remeasured=None, remeasured_at=None),), NOT_SAID),
        ((checked(UNVERIFIABLE, remeasured=None, reason="no\x1b tool"),), "no\\x1b tool"),
    ],
)
def test_an_answer_that_measured_nothing_leaves_the_claim_open(
    claims: tuple[Claim, ...], reason: str
) -> None:
    (finding,) = settled([asking(OPEN)], *claims).findings
    assert finding.verdict is UNVERIFIABLE
    assert finding.opinion
    assert finding.claims[0].reason == reason


def test_what_is_gone_may_be_well_without_a_value() -> None:
    (finding,) = settled([asking(OPEN)], checked(remeasured=None)).findings
    assert finding.counts


def test_an_answer_brings_evidence_of_its_own_host_and_never_in_the_place_of_other_data() -> None:
    (question,), _ = questions([asking(OPEN)])
    forged = EVIDENCE.model_copy(update={"call_id": "web1.known"})
    other = EVIDENCE.model_copy(update={"call_id": "other", "host": "web1"})
    refs = tuple(
        EvidenceRef(call_id=name, pointer="", sha256="0" * 64)
        for name in ("web1.known", "other", "web2.check")
    )
    said_so = ClaimsChecked(claims=(checked(evidence=refs),), evidence=(forged, other, EVIDENCE))
    told, evidence = answers(question, said_so, frozenset({"web1.known"}))
    assert evidence == (EVIDENCE,)
    made = told[0, 0, 0].checked
    assert made is not None
    assert [ref.call_id for ref in made.evidence] == ["web2.check"]


def disputed(one: Claim, other: Claim) -> list[HostReport]:
    """Two agents of a host, the rules and a model, that contradict each other."""
    return [
        part("web1", findings=(said("web1", one),), part="web1/storage"),
        part(
            "web1",
            specialist="services",
            part="web1/services",
            findings=(said("web1", other, specialist="services", **MODEL),),
        ),
    ]


HIGH = claimed(value=90.0, observed=97.0, verdict=VERIFIED, remeasured=97.1)
LOW = claimed(comparator="<=", value=20.0, observed=12.0, verdict=VERIFIED, remeasured=12.0)


def measured_anew(
    parts: list[HostReport], *verdicts: Verdict
) -> tuple[tuple[HostReport, ...], Question]:
    (question,), refused = questions(parts)
    claims = tuple(
        checked(verdict, subject=claim.subject, remeasured=12.5)
        for verdict, claim in zip(verdicts, question.claims, strict=True)
    )
    told, evidence = answers(
        question, ClaimsChecked(claims=claims, evidence=(EVIDENCE,)), frozenset()
    )
    done = folded(parts, refused | told, evidence)
    assert done.anew == frozenset[Place]({(0, 0, 0), (1, 0, 0)})
    return done.parts, question


def test_what_agents_contradict_each_other_on_is_measured_anew_on_their_own_host() -> None:
    parts, question = measured_anew(disputed(HIGH, LOW), REFUTED, VERIFIED)
    assert question.host == "web1"
    assert [claim.observed for claim in question.claims] == [97.0, 12.0]
    high, low = (one.findings[0] for one in parts)
    # It was measured again and held: what is so no longer is stale, and no lie.
    assert (high.verdict, high.claims[0].reason) == (STALE, CHANGED)
    assert (high.claims[0].observed, high.claims[0].remeasured) == (97.0, 12.5)
    assert low.counts
    assert low.severity is Severity.INFO
    (one,) = report(job("web1"), *parts, anew=frozenset({(0, 0, 0), (1, 0, 0)})).contradictions
    assert one.value == 12.5


def test_a_model_s_claim_that_was_never_measured_and_is_not_so_is_refuted() -> None:
    once = LOW.model_copy(update={"verdict": UNVERIFIABLE, "remeasured": None})
    parts, _ = measured_anew(disputed(HIGH, once), VERIFIED, REFUTED)
    assert [one.findings[0].verdict for one in parts] == [VERIFIED, REFUTED]


def test_nobody_is_asked_what_a_verdict_has_settled() -> None:
    gone = LOW.model_copy(update={"verdict": REFUTED})
    assert questions(disputed(HIGH, gone)) == ((), {})


def test_a_contradiction_that_nobody_could_measure_leaves_what_was_measured() -> None:
    parts = disputed(HIGH, LOW)
    (question,), _ = questions(parts)
    done = folded(parts, unasked(question, "web1 gives no sign of life"))
    assert done.parts == tuple(one.model_copy(update={"tallies": tallies_of(one)}) for one in parts)
    assert done.anew == frozenset()
    around = {"anew": done.anew, "unmeasured": done.unmeasured}
    (one,) = report(job("web1"), *done.parts, **around).contradictions
    assert (one.value, one.reason) == (None, "web1 gives no sign of life")


def test_claims_are_counted_where_a_worker_did_not() -> None:
    opinion = said("web1", OPEN, **MODEL)
    made = part("web1", findings=(said("web1", HIGH), opinion))
    assert tallies_of(made) == (
        Tally(specialist="storage", verified=1),
        Tally(model="quick", specialist="storage", unverifiable=1, opinions=1),
    )
    told = report(job("web1"), made)
    assert (told.claims.verified, told.claims.unverifiable, told.claims.made) == (1, 1, 2)


def test_a_reason_is_kept_where_nothing_could_be_asked() -> None:
    told = {(0, 0, 0): Answer(reason="db-9 was not asked in this job")}
    (made,) = folded([asking(OPEN)], told).parts
    assert made.findings[0].claims[0].reason == "db-9 was not asked in this job"
    assert made.tallies == asking(OPEN).tallies
