"""Two reports side by side, finding by finding."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from orchestrator.change import Change, Diff, Difference, exit_code_of
from orchestrator.compare import compare
from swarm_tasks.measures import measure
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.evidence import Evidence, EvidenceStatus
from swarm_tasks.models.finding import Acknowledgement, Finding, Severity, Verdict
from swarm_tasks.models.report import HostStatus, Report
from tests.support import reports
from tests.support.reports import claim, evidence, finding, report_of

VAR = "/var (/dev/sda2, ext4)"
HOSTS = ("db-1", "web-1")
USED = "disk.used_percent"


def full(
    percent: float = 92.0,
    severity: Severity = Severity.CRITICAL,
    verdict: Verdict = Verdict.VERIFIED,
    metric: str = USED,
    limit: float = 90,
    **changes: Any,
) -> tuple[Finding, list[Evidence]]:
    """A volume of db-1 that is so full."""
    usage = evidence("db-1", "storage", "disk_usage", {"volumes": [{"used_percent": percent}]})
    found = [(usage, "/volumes/0/used_percent")]
    told = claim(metric, VAR, percent, limit, found, verdict=verdict, remeasured=percent)
    raised = finding(severity, "Volume nearly full", "Free space.", usage, told)
    return raised.model_copy(update=changes), [usage]


def well() -> Report:
    """Both hosts with nothing wrong, and everything looked at."""
    return report_of(HOSTS)


def named(report: Report, job: str, **job_changes: Any) -> Report:
    line = report.job.model_copy(update={"id": job, **job_changes})
    return report.model_copy(update={"job": line})


def between(old: Report, new: Report) -> Diff:
    after = old.job.created + timedelta(hours=1)
    return compare(named(old, "earlier"), named(new, "later", created=after))


def only(diff: Diff) -> Difference:
    (one,) = diff.findings
    return one


def told(old: Report, new: Report) -> tuple[Change, str]:
    one = only(between(old, new))
    return one.change, one.why


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ((92.0, Severity.CRITICAL), (92.0, Severity.CRITICAL), Change.SAME),
        ((85.0, Severity.WARNING), (92.0, Severity.CRITICAL), Change.WORSE),
        ((92.0, Severity.CRITICAL), (85.0, Severity.WARNING), Change.BETTER),
        ((91.0, Severity.CRITICAL), (99.0, Severity.CRITICAL), Change.WORSE),
        ((99.0, Severity.CRITICAL), (91.0, Severity.CRITICAL), Change.BETTER),
        # Graver, though the value fell: somebody made the levels stricter.
        ((99.0, Severity.WARNING), (91.0, Severity.CRITICAL), Change.WORSE),
    ],
)
def test_what_both_have_is_worse_better_or_the_same(
    before: tuple[float, Severity], after: tuple[float, Severity], change: Change
) -> None:
    one = only(between(report_of(HOSTS, [full(*before)]), report_of(HOSTS, [full(*after)])))
    assert (one.change, one.why) == (change, "")
    assert one.old is not None
    assert one.new is not None
    assert (one.old.value, one.new.value) == (before[0], after[0])
    assert (one.new.comparator, one.new.limit, one.new.unit) == (">=", 90, "percent")


def test_what_two_measurements_may_differ_by_anyhow_is_no_change() -> None:
    slack = measure(USED).slack(92.0)
    old = report_of(HOSTS, [full(92.0)])
    within, beyond = full(92.0 + slack), full(92.0 + slack + 0.1)
    assert told(old, report_of(HOSTS, [within]))[0] is Change.SAME
    assert told(old, report_of(HOSTS, [beyond]))[0] is Change.WORSE


def test_where_less_is_worse_less_is_worse() -> None:
    few = full(1e9, metric="disk.free_bytes", limit=5e9)
    more = full(4e9, metric="disk.free_bytes", limit=5e9)
    assert told(report_of(HOSTS, [more]), report_of(HOSTS, [few]))[0] is Change.WORSE
    assert told(report_of(HOSTS, [few]), report_of(HOSTS, [more]))[0] is Change.BETTER


def test_a_word_is_neither_more_nor_less() -> None:
    trouble = reports.failed_service("web-1")
    assert told(report_of(HOSTS, [trouble]), report_of(HOSTS, [trouble]))[0] is Change.SAME


def test_what_was_not_there_is_new_and_what_is_gone_and_was_looked_at_is_resolved() -> None:
    sick = report_of(HOSTS, [full()])
    assert told(well(), sick) == (Change.NEW, "")
    assert told(sick, well()) == (Change.RESOLVED, "")


def test_what_is_gone_where_nobody_looked_is_not_resolved() -> None:
    sick = report_of(HOSTS, [full()])
    assert told(sick, report_of(HOSTS, dark=["db-1"])) == (
        Change.UNKNOWN,
        "storage did not answer on db-1 in later (no sign of life)",
    )
    assert told(sick, report_of(HOSTS, failed=["db-1"]))[0] is Change.UNKNOWN
    assert told(sick, report_of(HOSTS[1:])) == (Change.NOT_ASKED, "later did not ask db-1")
    lines = tuple(
        line.model_copy(
            update={"parts": [one for one in line.parts if one.specialist != "storage"]}
        )
        for line in well().hosts
    )
    unasked = well().model_copy(update={"hosts": lines})
    assert told(sick, unasked) == (Change.NOT_ASKED, "later had no agent for storage on db-1")


def test_what_is_new_where_nobody_looked_before_may_have_been_there() -> None:
    change, why = told(report_of(HOSTS, dark=["db-1"]), report_of(HOSTS, [full()]))
    assert change is Change.NEW
    assert why.startswith("it may have been there before: storage did not answer on db-1 in ear")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (
            {"status": EvidenceStatus.FAILED, "data": None, "reason": "findmnt hung"},
            "disk_usage gave no answer in later (findmnt hung)",
        ),
        ({"arguments": {"mount": "/"}}, "later did not call disk_usage in the same way"),
        ({"truncated": True}, "the output of disk_usage was cut in later"),
    ],
)
def test_what_is_gone_because_a_tool_did_not_tell_is_not_resolved(
    changes: dict[str, Any], why: str
) -> None:
    answers = tuple(
        one.model_copy(update=changes) if one.call_id == "db-1.storage.disk_usage" else one
        for one in well().evidence
    )
    blind = well().model_copy(update={"evidence": answers})
    assert told(report_of(HOSTS, [full()]), blind) == (Change.UNKNOWN, why)


def test_evidence_that_was_left_out_for_its_size_was_there() -> None:
    answers = tuple(
        one.model_copy(update={"truncated": True, "data": None}) for one in well().evidence
    )
    thinned = well().model_copy(update={"evidence": answers})
    assert told(report_of(HOSTS, [full()]), thinned)[0] is Change.RESOLVED


def test_what_was_claimed_again_and_measured_not_to_be_so_is_resolved() -> None:
    sick = report_of(HOSTS, [full()])
    for verdict in (Verdict.REFUTED, Verdict.STALE):
        refuted = report_of(HOSTS, [full(verdict=verdict)])
        assert told(sick, refuted) == (
            Change.RESOLVED,
            "it did not hold when it was measured again",
        )
        assert between(well(), refuted).findings == ()


def test_opinions_are_counted_and_not_compared() -> None:
    opinion = full(verdict=Verdict.UNVERIFIABLE, source="model", model="small")
    diff = between(report_of(HOSTS, [opinion]), well())
    assert diff.findings == ()
    assert diff.notes == ("not compared: 1 opinion of models that nothing confirmed",)


def test_what_the_rules_measured_once_is_compared_and_says_so() -> None:
    unsure = report_of(HOSTS, [full(verdict=Verdict.UNVERIFIABLE)])
    assert told(report_of(HOSTS, [full()]), unsure) == (
        Change.SAME,
        "nothing could measure it again this time",
    )
    assert exit_code_of(between(well(), unsure), unsure) == 3


def test_of_two_findings_with_one_fingerprint_the_graver_fact_is_compared() -> None:
    twice = report_of(HOSTS, [full(85, Severity.WARNING), full(95), full(99)])
    one = only(between(well(), twice))
    assert one.new is not None
    assert (one.new.severity, one.new.value) == (Severity.CRITICAL, 95)


def acknowledged() -> tuple[Finding, list[Evidence]]:
    found, answers = full()
    ack = Acknowledgement(
        fingerprint=found.fingerprint,
        severity=found.severity,
        until=now_utc() + timedelta(days=1),
        reason="known",
        at=now_utc(),
    )
    return found.model_copy(update={"acknowledged": ack}), answers


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        ([], 0),
        ([full(50, Severity.INFO)], 0),
        ([acknowledged()], 0),
        ([full(85, Severity.WARNING)], 1),
        ([full(85, Severity.WARNING), reports.failed_service("web-1")], 2),
    ],
)
def test_the_exit_code_tells_what_is_new_or_worse(
    trouble: list[tuple[Finding, list[Evidence]]], code: int
) -> None:
    new = report_of(HOSTS, trouble)
    assert exit_code_of(between(well(), new), new) == code
    assert exit_code_of(between(new, new), new) == 0


def test_the_exit_code_says_so_where_nobody_can_tell() -> None:
    for new in (report_of(HOSTS, dark=["web-1"]), report_of(HOSTS, failed=["db-1"])):
        assert exit_code_of(between(well(), new), new) == 3
    blind = well().model_copy(update={"evidence": ()})
    assert exit_code_of(between(report_of(HOSTS, [full()]), blind), blind) == 3


def test_what_calls_for_eyes_stands_first_and_all_are_counted() -> None:
    old = report_of(HOSTS, [full(), reports.missing_updates("web-1", 3)])
    new = report_of(
        HOSTS, [full(99), reports.short_uptime("web-1"), reports.failed_service("web-1")]
    )
    diff = between(old, new)
    assert [one.change for one in diff.findings] == [
        *(Change.NEW, Change.NEW, Change.WORSE, Change.RESOLVED),
    ]
    assert diff.findings[0].title == "Service failed"
    assert {change.value: count for change, count in diff.counts.items() if count} == {
        **{"new": 2, "worse": 1, "resolved": 1},
    }
    assert [one.alarms for one in diff.findings] == [True, False, True, False]


def test_jobs_in_the_wrong_order_are_compared_as_given_with_a_note() -> None:
    early, late = named(well(), "early1"), named(report_of(HOSTS, [full()]), "late22")
    late = named(late, "late22", created=early.job.created + timedelta(days=1))
    diff = compare(late, early)
    assert only(diff).change is Change.RESOLVED
    assert diff.notes == ("early1 is older than late22: they are compared as given",)
    assert compare(late, late).notes == ("it is the same job twice",)


def test_the_diff_is_json_that_reads_back() -> None:
    diff = between(report_of(HOSTS, dark=["db-1"]), reports.hostile())
    again = Diff.model_validate_json(diff.to_json())
    assert again == diff
    assert '"schema": "hostswarm.diff/1"' in diff.to_json()
    assert diff.new.status == "partial"
    assert any(line.status is HostStatus.DARK for line in reports.hostile().hosts)
