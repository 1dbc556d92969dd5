"""What a model's words are taken for: findings that stand on evidence, or a reason to ask again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from swarm_tasks.brain.base import Answer, Unusable
from swarm_tasks.models.finding import Severity, Verdict
from swarm_tasks.models.tally import Tally
from tests.support.thinking import CHARGE, gauge, rules, step, swept, transcript
from workers.answers import NO_ANSWER, Reader
from workers.forms import written_calls
from workers.merge import merged

GATHERED = transcript(step(gauge("g1", 97.25), gauge("g2", 12.0), gauge("g3", None)))


def read(answer: object, *, lenient: bool = False) -> Answer | Unusable:
    """The answer to a task whose gauges stand at 97.25 and 12."""
    text = answer if isinstance(answer, str) else json.dumps(answer)
    review = rules().review(GATHERED)
    return Reader(rules(), GATHERED, review, lenient).read(text, CHARGE)


def claiming(*claims: str, **more: Any) -> dict[str, Any]:
    """An answer with one finding."""
    return {"findings": [{"title": "The gauge is high", "claims": list(claims), **more}]}


def good(answer: object) -> Answer:
    found = read(answer)
    assert isinstance(found, Answer), found
    return found


def bad(answer: object) -> str:
    found = read(answer)
    assert isinstance(found, Unusable), found
    assert found.charge == CHARGE
    return found.problem


def test_a_claim_takes_its_subject_and_what_was_observed_from_the_evidence() -> None:
    (finding,) = good(
        claiming("cpu.busy_percent >= 90 @c1/busy_percent", subject="the disk", cause="It is old.")
    ).findings
    (claim,) = finding.claims
    assert (claim.metric, claim.subject, claim.comparator) == (
        *("cpu.busy_percent", "the gauge"),
        ">=",
    )
    assert (claim.value, claim.observed, claim.unit) == (90, 97.25, "percent")
    assert claim.verdict is Verdict.UNVERIFIABLE
    assert claim.evidence[0].call_id == "g1"
    assert claim.evidence[0].sha256 == GATHERED.evidence[0].sha256()
    assert finding.subject == "the gauge"
    assert (finding.source, finding.explanation) == ("model", "It is old.")


def test_a_model_raises_notes_whatever_severity_it_writes() -> None:
    answer = good(claiming("cpu.busy_percent > 10 @c2/busy_percent", severity="critical"))
    assert answer.findings[0].severity is Severity.INFO


@pytest.mark.parametrize(
    ("claim", "holds"),
    [
        ("cpu.busy_percent >= 97.25 @c1/busy_percent", True),
        ("cpu.busy_percent>=90%@c1/busy_percent", True),
        ("cpu.busy_percent > 97.25 @c1/busy_percent", False),
        ("cpu.busy_percent == 97.3 percent @c1/busy_percent", True),
        ("cpu.busy_percent = 97 @ c1/busy_percent", True),
        ("cpu.busy_percent != 97 @c1/busy_percent", False),
        ("cpu.busy_percent >= 90 @c2/busy_percent", False),
        ("cpu.busy_percent <= 12 @c2/busy_percent", True),
        ("cpu.busy_percent < 20 @c2/busy_percent", True),
    ],
)
def test_a_claim_is_held_against_what_the_evidence_says(claim: str, holds: bool) -> None:
    (finding,) = good(claiming(claim)).findings
    expected = Verdict.UNVERIFIABLE if holds else Verdict.UNSUPPORTED
    assert (finding.verdict, finding.claims[0].verdict) == (expected, expected)


@pytest.mark.parametrize(
    ("claim", "why"),
    [
        ("cpu.busy_percent >= 90 @c9/busy_percent", "c9 was never gathered"),
        ("cpu.busy_percent >= 90 @c1/nowhere", "it stands at /busy_percent"),
        ("cpu.busy_percent >= 90 @c1", "does not stand at the top of that result"),
        ("cpu.busy_percent >= 90 @c3/busy_percent", "that result does not tell it"),
        ("disk.used_percent >= 90 @c1/busy_percent", "that result does not tell it"),
        ("made.up >= 90 @c1/busy_percent", "there is no metric made.up"),
        ("cpu.busy_percent >= 90 bytes @c1/busy_percent", "is in percent, not in bytes"),
        ("cpu.busy_percent >= nan @c1/busy_percent", "'nan' is no percent"),
        ("cpu.busy_percent >= inf @c1/busy_percent", "'inf' is no percent"),
        ("cpu.busy_percent >= lots @c1/busy_percent", "'lots' is no percent"),
        ("cpu.busy_percent >= 1e400 @c1/busy_percent", "'1e400' is no percent"),
        ("cpu.busy_percent >= 97,25 @c1/busy_percent", "is not `METRIC"),
        ("cpu.busy_percent >= 1_000 @c1/busy_percent", "is not `METRIC"),
        ("cpu.busy_percent >= 1 @c" + "1" * 700, "is not `METRIC"),
        ("the gauge is very high", "is not `METRIC COMPARATOR VALUE @RESULT/POINTER`"),
        ("", "is not `METRIC"),
        ("x" * 800, "is not `METRIC"),
    ],
)
def test_a_claim_that_cannot_be_resolved_sends_the_answer_back(claim: str, why: str) -> None:
    assert why in bad(claiming(claim))
    assert "finding 1, claim 1: " in bad(claiming(claim))


def test_after_it_was_told_an_unresolved_claim_marks_its_finding_instead() -> None:
    answer = read(claiming("cpu.busy_percent >= 90 @c9/busy_percent"), lenient=True)
    assert isinstance(answer, Answer)
    (finding,) = answer.findings
    assert (finding.verdict, answer.rejected) == (Verdict.UNSUPPORTED, 0)
    (claim,) = finding.claims
    assert (claim.verdict, claim.reason) == (Verdict.UNSUPPORTED, "c9 was never gathered")
    unread = read(claiming("the gauge is very high"), lenient=True)
    assert isinstance(unread, Answer)
    assert (unread.findings[0].claims, unread.rejected) == ((), 1)


def test_evidence_that_was_never_gathered_counts_against_the_model() -> None:
    invented, real = (f"cpu.busy_percent >= 90 @{at}/busy_percent" for at in ("c9", "c1"))
    told = [
        {"title": "One is high", "claims": [invented], "subject": "the gauge"},
        {"title": "Two is high", "claims": [invented], "subject": "the gauge"},
        {"title": "It is high", "claims": [real]},
        {"title": "Of it", "claims": [invented.replace(" >=", " of a gauge >=")]},
    ]
    answer = read({"findings": told}, lenient=True)
    assert isinstance(answer, Answer)
    kept = merged((), answer)
    claims = [claim for finding in kept for claim in finding.claims]
    assert sorted(claim.subject for claim in claims) == ["a gauge", *["the gauge"] * 3]
    assert Tally.of(claims).wrong == 3
    assert {claim.observed for claim in claims} == {None, 97.25}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("All is well.", NO_ANSWER),
        ("", NO_ANSWER),
        ('{"answer": "cut', NO_ANSWER),
        ("[1, 2]", NO_ANSWER),
        ("{}", NO_ANSWER),
        ('{"error": {"message": "overloaded"}}', NO_ANSWER),
        ('{"findings": [{"title": "t", "claims": [],}]}', NO_ANSWER),
        ({"answer": "deep", "findings": [[[[["x"] * 2] * 2]] * 2]}, "findings.0"),
        ('{"answer": ' + "[" * 100_000, NO_ANSWER),
        ('{"findings": [{"title": "\\u200b"}]}', "finding 1: it has no title"),
        ('{"findings": [{}]}', "findings.0.title: Field required"),
        ({"findings": "none"}, "findings: Input should be a valid list"),
        ({"findings": [{"title": "t", "severity": "awful"}]}, "findings.0.severity"),
        ({"findings": [{"title": "t"}] * 51}, "50 findings are read: there are 51"),
        (claiming("x" * 801), "is not `METRIC COMPARATOR"),
        (claiming(*["x"] * 21), "20 claims of a finding and 100 in all are read: 1 were not"),
    ],
)
def test_what_is_no_answer_goes_back_with_the_reason(text: object, why: str) -> None:
    assert why in bad(text)


def test_an_answer_is_found_in_a_fence_and_past_thoughts() -> None:
    wrapped = '<think>{"answer": "no"}</think>Here:\n```json\n{"answer": "yes"}\n```\nDone.'
    assert good(wrapped).text == "yes"


def test_control_and_bidi_characters_do_not_leave_the_host() -> None:
    answer = good({"answer": "a\u202eb\x1b[31mc\u200b", "ruled_out": ["\x07x"]})
    assert (answer.text, answer.ruled_out) == ("ab[31mc", ("x",))


def test_what_was_not_seen_names_the_tool_where_it_is_one() -> None:
    seen = good({"not_seen": ["gauge: no such file", "the other room", " "]}).not_seen
    assert [(one.tool, one.reason) for one in seen] == [
        ("gauge", "no such file"),
        ("other", "the other room"),
    ]


def test_an_explanation_joins_the_finding_it_explains() -> None:
    found, review = swept(97.0, 12.0)
    text = json.dumps({"explained": {"f1": "A stuck valve.", "f7": "Nothing."}})
    answer = Reader(rules(), found, review).read(text, CHARGE)
    assert isinstance(answer, Answer)
    (finding,) = merged(review.findings, answer)
    assert (finding.explanation, finding.source) == ("A stuck valve.", "rules")
    assert finding.severity is Severity.CRITICAL


def test_a_model_cannot_take_back_what_the_rules_raised() -> None:
    found, review = swept(97.0)
    text = json.dumps(
        claiming("cpu.busy_percent < 100 @c1/busy_percent", cause="Noise.", advice="Ignore it.")
    )
    answer = Reader(rules(), found, review).read(text, CHARGE)
    assert isinstance(answer, Answer)
    (finding,) = merged(review.findings, answer)
    assert finding.severity is Severity.CRITICAL
    assert finding.explanation == "Noise. Ignore it."
    assert finding.advice == "Turn it down."


def test_a_small_model_s_written_calls_are_read() -> None:
    calls = [{"tool": "nap", "arguments": {"seconds": 1}}, {"x": 1}]
    asked = written_calls(f"Sure. {json.dumps({'calls': calls})}")
    assert [(one.tool, one.arguments, one.problem) for one in asked] == [
        ("nap", {"seconds": 1}, ""),
        ("", {}, "a call has no `tool`"),
    ]
    assert written_calls('{"answer": "none"}') == ()


def test_a_model_s_words_are_made_such_that_they_can_travel() -> None:
    answer = good('{"answer": "half \\ud83d of it", "explained": {"f\\ud800": "x"}}')
    assert answer.text == "half \ufffd of it"
    assert answer.model_dump_json()
    line_end = good('{"answer": "one\ntwo", "ruled_out": ["a\nb"]}')
    assert (line_end.text, line_end.ruled_out) == ("one\ntwo", ("a b",))


def test_an_answer_may_quote_the_end_of_a_thought() -> None:
    assert good('{"answer": "it printed </think> there"}').text == "it printed </think> there"


def test_words_of_a_finding_that_does_not_hold_explain_nothing() -> None:
    found, review = swept(97.0)
    text = json.dumps(claiming("cpu.busy_percent <= 5 @c1/busy_percent", cause="All is well."))
    answer = Reader(rules(), found, review).read(text, CHARGE)
    assert isinstance(answer, Answer)
    raised, said = merged(review.findings, answer)
    assert (raised.source, raised.explanation) == ("rules", "")
    assert (said.source, said.verdict) == ("model", Verdict.UNSUPPORTED)


def test_a_finding_that_does_not_hold_stands_beside_the_one_that_does() -> None:
    claims = ("cpu.busy_percent > 50 @c2/busy_percent", "cpu.busy_percent < 50 @c2/busy_percent")
    answer = good({"findings": [{"title": "t", "claims": [claim]} for claim in claims]})
    for findings in (answer.findings, answer.findings[::-1]):
        told = merged((), answer.model_copy(update={"findings": findings}))
        assert len({finding.fingerprint for finding in told}) == 2
        (kept,) = (finding for finding in told if finding.verdict.counts)
        assert kept.claims[0].comparator == "<"
