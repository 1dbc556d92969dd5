"""Questions for any host: how they are asked, how they become parts, and how they are told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from rich.console import Console

from orchestrator.plan import host_tasks, parts_anywhere, select_specialists
from orchestrator.proposal import planned_by_asker
from orchestrator.render import coverage
from orchestrator.render.console import print_report
from orchestrator.render.html import render_html
from orchestrator.surfaces.audit import AuditOptions, request_from
from orchestrator.surfaces.question_files import questions_from
from orchestrator.synthesis import Circumstances, bare_report, synthesize
from swarm_tasks import __version__
from swarm_tasks.config import Settings
from swarm_tasks.errors import ArgumentError, UnknownName
from swarm_tasks.models.finding import Claim, Finding, Severity, Verdict, fingerprint
from swarm_tasks.models.job import (
    ANY_HOST,
    ANYWHERE_LIMIT_CHARACTERS,
    MOST_ANYWHERE,
    PART_FORMAT,
    QUESTION_LIMIT,
    Anywhere,
    AuditRequest,
    Job,
    Plan,
)
from swarm_tasks.models.outside import OutsideView
from swarm_tasks.models.policy import Policy
from swarm_tasks.models.report import HostReport, HostStatus, JobStatus, Report, StopReason
from swarm_tasks.specialists import shipped_specialists

CREATED = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
AROUND = Circumstances(finished=CREATED + timedelta(seconds=7))


def asked(*questions: dict[str, Any], **more: Any) -> AuditRequest:
    return AuditRequest.model_validate({"anywhere": questions, **more})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"anywhere": [{"specialist": "network"}], "hosts": ["alpha"]}, "leave out `hosts`"),
        ({"anywhere": [{"question": "?"}]}, "question 1 of `anywhere` names no specialist"),
        ({"anywhere": [{"question": "?"}], "specialists": ["cpu", "network"]}, "names one at most"),
        ({"anywhere": [{"specialist": "../x"}]}, "string_pattern_mismatch"),
        ({"anywhere": [{"specialist": "network", "host": "alpha"}]}, "extra_forbidden"),
        ({"anywhere": "network"}, "tuple_type"),
        ({"anywhere": [{"specialist": "a", "question": "x" * (QUESTION_LIMIT + 1)}]}, "too_long"),
        ({"anywhere": [{"specialist": "a"}] * (MOST_ANYWHERE + 1)}, "too_long"),
        (
            {
                "specialists": ["a"],
                "anywhere": [{"question": "x" * QUESTION_LIMIT}]
                * (ANYWHERE_LIMIT_CHARACTERS // QUESTION_LIMIT + 1),
            },
            "characters, and may have",
        ),
    ],
)
def test_a_request_for_any_host_that_is_unclear_is_refused(
    given: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        AuditRequest.model_validate(given)


def test_a_request_wants_the_specialists_that_its_questions_name() -> None:
    request = asked({"specialist": "network"}, {}, {"specialist": "network"}, specialists=["cpu"])
    assert request.wanted == ("network", "cpu")
    assert AuditRequest(specialists=("storage", "network")).wanted == ("storage", "network")


def test_each_question_is_a_part_of_its_own_for_any_host_in_the_asker_s_order() -> None:
    request = asked(
        {"specialist": "network", "question": "is db up?"},
        {"specialist": "storage"},
        {"specialist": "network", "question": "is web up?"},
        question="and?",
    )
    specialists = select_specialists(request.wanted, shipped_specialists())
    planned = planned_by_asker(parts_anywhere(request, specialists))
    assert (planned.hosts, planned.specialists(specialists)) == ((), ("storage", "network"))
    tasks = host_tasks(job(plan=planned.plan), planned.parts, Policy(), 1000.0)
    assert [(task.part, task.host, task.question) for task in tasks] == [
        ("*/network", "", "is db up?"),
        ("*/storage", "", "and?"),
        ("*/network/2", "", "is web up?"),
    ]
    assert {(task.format, task.version) for task in tasks} == {(PART_FORMAT, __version__)}


def options(**more: Any) -> AuditOptions:
    given: dict[str, Any] = {
        **{"question": "why?", "hosts": (), "specialists": (), "anywhere": True, "images": ()},
        **{"anywhere_from": None, "brain": "auto", "deadline_seconds": None, "budget_usd": None},
        **{"max_tokens": None, "as_json": False, "html": None, "wait": True, "exit_code": False},
    }
    return AuditOptions(**{**given, **more})


def test_the_command_line_asks_each_chosen_specialist_once() -> None:
    request = request_from(options(specialists=("network", "storage")), Settings())
    assert request.anywhere == (Anywhere(specialist="storage"), Anywhere(specialist="network"))
    assert (request.question, request.specialists) == ("why?", ())
    everybody = request_from(options(), Settings()).anywhere
    assert [one.specialist for one in everybody] == list(shipped_specialists())


def test_the_command_line_refuses_any_host_beside_named_ones() -> None:
    with pytest.raises(ArgumentError, match="--anywhere asks any host, and --hosts names some"):
        request_from(options(hosts=("alpha",)), Settings())
    with pytest.raises(UnknownName, match="no specialist called 'netwrok': did you mean network"):
        request_from(options(specialists=("netwrok",)), Settings())


def test_the_command_line_refuses_what_a_file_of_questions_would_silently_drop() -> None:
    file = Path("questions")
    with pytest.raises(ArgumentError, match="there is another beside it: write it into the file"):
        request_from(options(anywhere=False, anywhere_from=file), Settings())
    with pytest.raises(ArgumentError, match="--anywhere asks each specialist once, and "):
        request_from(options(question="", anywhere_from=file), Settings())


def test_a_file_asks_a_question_a_line(tmp_path: Path) -> None:
    path = tmp_path / "questions"
    path.write_text("# ours\nnetwork: is db: 5432 up?\n\n  storage:what fills /srv #2?\n")
    assert questions_from(path, ()) == (
        Anywhere(specialist="network", question="is db: 5432 up?"),
        Anywhere(specialist="storage", question="what fills /srv #2?"),
    )
    path.write_text("why: tell me\n")
    wanted = ("storage", "network")
    chosen = options(question="", anywhere=False, anywhere_from=path, specialists=wanted)
    assert request_from(chosen, Settings()).anywhere == (
        Anywhere(specialist="storage", question="why: tell me"),
        Anywhere(specialist="network", question="why: tell me"),
    )


def test_a_line_of_a_file_of_questions_ends_where_editors_end_it(tmp_path: Path) -> None:
    path = tmp_path / "questions"
    path.write_bytes("\ufeffnetwork: is\u2028it\tup?\r\nstorage: full?\r\n".encode())
    assert questions_from(path, ()) == (
        Anywhere(specialist="network", question="is\u2028it\tup?"),
        Anywhere(specialist="storage", question="full?"),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "asks nothing"),
        ("network: up?\nnetwork: is\x0cit up?\n", r"line 2: .* control character U\+000C"),
        ("network: is it up?\x85\n", r"line 1: it holds the control character U\+0085"),
        ("network: \x1b[31mup?\n", r"U\+001B: take it out"),
        ("# network: is it up?\n", "asks nothing"),
        ("network: up?\nis it up?\n", "line 2: it does not say who is asked: write SPECIALIST: "),
        ("network:\n", "line 1: it does not say who is asked"),
        ("The network: up?\n", "line 1: it does not say who is asked"),
        (f"network: {'x' * 8_001}\n", "line 1: the question has 8,001 characters"),
        ("network: ?\n" * (MOST_ANYWHERE + 1), "asks 5,001 agents"),
        ("x" * (ANYWHERE_LIMIT_CHARACTERS + 1), "more than 4,194,304 characters"),
        ("network: \udcff", "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_a_file_of_questions_that_cannot_be_used_says_where(
    tmp_path: Path, text: str | None, said: str
) -> None:
    path = tmp_path / "questions"
    if text is not None:
        path.write_text(text, errors="surrogateescape")
    with pytest.raises(ArgumentError, match=said):
        questions_from(path, ())


def job(**more: Any) -> Job:
    given: dict[str, Any] = {
        **{"id": "abcdefgh", "specialists": ("storage", "network"), "created": CREATED},
        **{"deadline_seconds": 300, "plan": Plan(by="asker")},
    }
    return Job.model_validate({**given, **more})


def part(number: int, host: str, *, answered: bool = True, **more: Any) -> HostReport:
    given: dict[str, Any] = {
        "job": "abcdefgh",
        "part": "*/network" if number == 1 else f"*/network/{number}",
        "host": host,
        "specialist": "network",
        "status": HostStatus.ANSWERED if answered else HostStatus.FAILED,
        "stop": StopReason.ANSWERED if answered else StopReason.DEADLINE,
        "reason": "" if answered else "was not begun by the deadline",
        "question": f"question {number}?",
        "answer": f"Answer to {number}." if answered else "",
    }
    return HostReport.model_validate({**given, **more})


def plain(report: Report) -> str:
    out = StringIO()
    print_report(report, Console(file=out, width=100))
    return out.getvalue()


def test_every_question_is_told_with_its_answer_whoever_took_it() -> None:
    parts = [part(number, "alpha" if number % 4 else "bravo") for number in range(1, 25)]
    report = synthesize(job(), parts, AROUND)
    assert report.job.status is JobStatus.COMPLETE
    assert report.coverage.asked == report.coverage.answered == ("alpha", "bravo")
    lines = {line.host: [one.question for one in line.parts] for line in report.hosts}
    by_four = range(4, 25, 4)
    assert lines["bravo"] == [f"question {number}?" for number in by_four]
    assert lines["alpha"] == [f"question {n}?" for n in range(1, 25) if n not in by_four]
    told = {(one.question, one.text) for one in coverage.answers(report)}
    assert {question for question, _ in told} == {f"question {n}?" for n in range(1, 25)}
    assert coverage.coverage_text(report) == "24 of 24 questions answered, on 2 hosts"
    assert report.summary.startswith("24 of 24 questions answered. ")
    page, text = render_html(report), plain(report)
    for number in range(1, 25):
        assert f"question {number}?" in page
        assert f"(question {number}?)" in text


def test_a_question_that_nobody_took_is_told_as_failed_and_spoils_no_other() -> None:
    parts = [part(1, "alpha"), part(2, ANY_HOST, answered=False), part(3, "alpha")]
    report = synthesize(job(), parts, AROUND)
    assert report.job.status is JobStatus.PARTIAL
    assert report.coverage.asked == ("alpha", ANY_HOST)
    assert (report.coverage.answered, report.coverage.failed) == (("alpha",), (ANY_HOST,))
    assert report.hosts[1].reason == "was not begun by the deadline"
    assert coverage.coverage_text(report) == "2 of 3 questions answered, on 1 host"
    missed = "No answer: was stopped by the deadline (was not begun by the deadline)."
    assert ("question 2?", missed) in [(one.question, one.text) for one in coverage.answers(report)]
    assert coverage.plugin_exit_code(report) == 3


@pytest.mark.parametrize(
    ("answered", "status", "headline"),
    [
        ((True, False), JobStatus.PARTIAL, "No host answered in full"),
        ((False, False), JobStatus.FAILED, "No host answered"),
    ],
)
def test_a_job_for_any_host_has_failed_only_if_no_question_was_answered(
    answered: tuple[bool, bool], status: JobStatus, headline: str
) -> None:
    parts = [part(number, "alpha", answered=well) for number, well in enumerate(answered, 1)]
    report = synthesize(job(), parts, AROUND)
    assert (report.job.status, coverage.headline(report)) == (status, headline)
    assert report.coverage.failed == ("alpha",)
    assert report.hosts[0].reason.endswith("was not begun by the deadline")


def test_parts_that_cannot_be_joined_name_the_hosts_that_took_them() -> None:
    report = bare_report(job(), [part(1, "bravo"), part(2, "alpha")], AROUND, "it broke")
    assert report.coverage.asked == report.coverage.failed == ("alpha", "bravo")
    assert report.job.status is JobStatus.FAILED


def test_parts_that_cannot_be_joined_keep_why_a_host_was_not_asked_and_what_a_peer_saw() -> None:
    seen = OutsideView(host="alpha", seen_by="bravo", at=CREATED)
    dark: dict[str, Any] = {"status": HostStatus.DARK, "stop": StopReason.DARK, "answer": ""}
    parts = [
        part(1, "alpha", **dark, reason="never came", outside=seen),
        part(2, "bravo", answered=False, reason="is drained"),
        part(3, "charlie", answered=False, reason="is drained"),
        part(4, "charlie"),
    ]
    report = bare_report(job(), parts, AROUND, "it broke")
    assert [(line.host, line.reason, line.outside) for line in report.hosts] == [
        ("alpha", "never came", seen),
        ("bravo", "is drained", None),
        ("charlie", "network: is drained; it broke", None),
    ]


def test_the_same_trouble_that_two_agents_see_on_one_host_is_one_finding() -> None:
    def seen(host: str) -> Finding:
        claim = Claim(
            metric="disk.used_percent",
            subject="/srv",
            comparator=">=",
            value=80,
            unit="percent",
            observed=91,
            observed_at=CREATED,
            verdict=Verdict.VERIFIED,
        )
        return Finding(
            id="f",
            fingerprint=fingerprint(host, "disk.used_percent", "/srv"),
            host=host,
            specialist="network",
            severity=Severity.WARNING,
            title="Volume nearly full",
            subject="/srv",
            advice="Make room.",
            verdict=Verdict.VERIFIED,
            claims=(claim,),
        )

    where = ("alpha", "alpha", "bravo")
    parts = [part(n, host, findings=(seen(host),)) for n, host in enumerate(where, 1)]
    report = synthesize(job(), parts, AROUND)
    assert sorted(one.host for one in report.findings) == ["alpha", "bravo"]
    assert sum(len(line.parts) for line in report.hosts) == 3


def test_rules_that_answer_a_question_say_so() -> None:
    report = synthesize(job(), [part(1, "alpha", answer="")], AROUND)
    (answer,) = coverage.answers(report)
    assert answer.text == "Answered by the rules, which speak in findings only."
