"""Two reports side by side, finding by finding."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from orchestrator import joining
from orchestrator.change import Change, Diff, Difference, exit_code_of
from orchestrator.compare import compare
from swarm_tasks.measures import measure
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.evidence import Evidence, EvidenceStatus
from swarm_tasks.models.finding import Acknowledgement, Finding, Severity, Verdict
from swarm_tasks.models.report import HostReport, HostStatus, Report, StopReason
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


@pytest.mark.parametrize("comparator", ["==", "!="])
def test_where_a_claim_names_no_limit_its_metric_says_what_is_worse(comparator: str) -> None:
    mild, grave = (
        report_of(HOSTS, [withdrawn(percent, Verdict.VERIFIED, comparator=comparator)])
        for percent in (91.0, 99.0)
    )
    assert told(mild, grave) == (Change.WORSE, "")
    assert told(grave, mild) == (Change.BETTER, "")
    assert told(grave, grave) == (Change.SAME, "")


@pytest.mark.parametrize(
    ("claimed", "why"),
    [
        ({"unit": "bytes"}, "cannot be compared: in percent then, in bytes now"),
        (
            {"remeasured": None, "observed": None, "remeasured_at": None},
            "cannot be compared: no value was measured now",
        ),
        ({"remeasured": "full"}, "cannot be compared: one value is a word and the other a number"),
        ({"subject": "/srv"}, "cannot be compared: they are claims about different things"),
    ],
)
def test_values_that_cannot_be_compared_are_said_to_be_so(
    claimed: dict[str, Any], why: str
) -> None:
    changes = {"remeasured": 99.0, **claimed}
    new = report_of(HOSTS, [withdrawn(verdict=Verdict.VERIFIED, **changes)])
    assert told(report_of(HOSTS, [full(91.0)]), new) == (Change.SAME, why)


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


def joined_again(report: Report, room: int) -> Report:
    """A report as control makes it where there is this much room for what no finding cites."""
    part = HostReport(
        job=report.job.id,
        part="db-1/storage",
        host="db-1",
        specialist="storage",
        status=HostStatus.ANSWERED,
        stop=StopReason.ANSWERED,
        evidence=report.evidence,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joining, "UNCITED_BYTES", room)
        return report.model_copy(update={"evidence": joining.bounded([part], ())})


def test_evidence_that_was_left_out_for_its_size_was_there() -> None:
    thinned = joined_again(well(), 0)
    assert all(one.data is None for one in thinned.evidence)
    assert told(report_of(HOSTS, [full()]), thinned)[0] is Change.RESOLVED


def test_evidence_that_was_cut_stays_so_when_it_is_left_out_for_its_size() -> None:
    cut = tuple(one.model_copy(update={"truncated": True}) for one in well().evidence)
    thinned = joined_again(well().model_copy(update={"evidence": cut}), 0)
    assert told(report_of(HOSTS, [full()]), thinned) == (
        Change.UNKNOWN,
        "the output of disk_usage was cut in later",
    )


def test_of_a_finding_of_the_rules_that_names_no_evidence_nobody_can_tell() -> None:
    found, answers = full()
    bare = tuple(one.model_copy(update={"evidence": ()}) for one in found.claims)
    sick = report_of(HOSTS, [(found.model_copy(update={"claims": bare}), answers)])
    why = "nothing tells what later would have had to call"
    assert told(sick, well()) == (Change.UNKNOWN, why)


def test_each_claim_of_a_finding_has_to_be_looked_at() -> None:
    found, answers = full()
    inodes = evidence("db-1", "storage", "inode_usage", {"volumes": [{"used_percent": 99.0}]})
    also = claim("disk.inodes_percent", VAR, 99.0, 90, [(inodes, "/volumes/0/used_percent")])
    both = found.model_copy(update={"claims": (*found.claims, also)})
    sick = report_of(HOSTS, [(both, [*answers, inodes])])
    assert told(sick, well())[0] is Change.RESOLVED
    fewer = tuple(one for one in well().evidence if one.tool != "inode_usage")
    assert told(sick, well().model_copy(update={"evidence": fewer})) == (
        Change.UNKNOWN,
        "later did not call inode_usage in the same way",
    )


def of_another_host() -> tuple[Finding, list[Evidence]]:
    """What an agent of web-1 said of db-1, with what db-1 measured for it."""
    found, answers = full()
    claims = tuple(one.model_copy(update={"host": "db-1"}) for one in found.claims)
    return found.model_copy(update={"host": "web-1", "claims": claims}), answers


def test_what_was_found_of_another_host_is_looked_for_on_that_host() -> None:
    sick = report_of(HOSTS, [of_another_host()])
    assert told(sick, well()) == (Change.RESOLVED, "")
    assert told(sick, report_of(HOSTS, dark=["db-1"])) == (
        Change.UNKNOWN,
        "db-1 did not answer in later",
    )
    assert told(sick, report_of(["web-1"])) == (Change.NOT_ASKED, "later did not ask db-1")
    # What the agent's own host says of itself is no answer for the other.
    others = tuple(one for one in well().evidence if (one.host, one.tool) != ("db-1", "disk_usage"))
    assert told(sick, well().model_copy(update={"evidence": others})) == (
        Change.UNKNOWN,
        "later did not call disk_usage in the same way",
    )


def withdrawn(
    remeasured: float | str | None, verdict: Verdict = Verdict.REFUTED, **claimed: Any
) -> tuple[Finding, list[Evidence]]:
    """A claim about the volume that a second measurement took back."""
    found, answers = full(verdict=verdict)
    changes = {"remeasured": remeasured, "remeasured_at": now_utc(), **claimed}
    claims = tuple(one.model_copy(update=changes) for one in found.claims)
    return found.model_copy(update={"claims": claims}), answers


def test_what_was_claimed_again_and_measured_not_to_be_so_is_resolved() -> None:
    sick = report_of(HOSTS, [full()])
    for verdict in (Verdict.REFUTED, Verdict.STALE):
        refuted = report_of(HOSTS, [withdrawn(41.0, verdict)])
        assert told(sick, refuted) == (
            Change.RESOLVED,
            "it did not hold when it was measured again",
        )
        assert between(well(), refuted).findings == ()


@pytest.mark.parametrize(
    "before",
    [
        full(92.0),
        # A value that was claimed and no limit: a worse one does not end the trouble.
        withdrawn(92.0, Verdict.VERIFIED, comparator="==", value=92.0),
    ],
)
def test_a_wrong_claim_about_a_trouble_that_stands_does_not_resolve_it(
    before: tuple[Finding, list[Evidence]],
) -> None:
    sick = report_of(HOSTS, [before])
    exaggerated = report_of(HOSTS, [withdrawn(97.0, comparator=">=", value=99.0)])
    assert told(sick, exaggerated) == (
        Change.UNKNOWN,
        "another claim about it did not hold, but what was claimed before does: 97 %",
    )
    assert told(sick, report_of(HOSTS, [withdrawn(41.0)]))[0] is Change.RESOLVED


def test_a_withdrawn_claim_that_says_nothing_of_the_earlier_one_settles_nothing() -> None:
    sick = report_of(HOSTS, [full()])
    for stray in (withdrawn(41.0, unit="bytes"), withdrawn(41.0, subject="/srv")):
        assert told(sick, report_of(HOSTS, [stray])) == (Change.RESOLVED, "")
        blind = report_of(HOSTS, [stray]).model_copy(update={"evidence": ()})
        assert told(sick, blind)[0] is Change.UNKNOWN


def test_a_state_that_is_gone_when_it_is_measured_again_is_resolved() -> None:
    failed, answers = reports.failed_service("web-1")
    gone = {"remeasured": None, "remeasured_at": now_utc(), "verdict": Verdict.STALE}
    claims = tuple(one.model_copy(update=gone) for one in failed.claims)
    stale = failed.model_copy(update={"claims": claims, "verdict": Verdict.STALE})
    change, why = told(report_of(HOSTS, [(failed, answers)]), report_of(HOSTS, [(stale, answers)]))
    assert (change, why) == (Change.RESOLVED, "it did not hold when it was measured again")


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


@pytest.mark.parametrize(
    ("trouble", "code"), [(full(50, Severity.INFO), 0), (acknowledged(), 0), (full(), 3)]
)
def test_the_exit_code_minds_only_what_was_grave_among_what_nobody_can_tell(
    trouble: tuple[Finding, list[Evidence]], code: int
) -> None:
    blind = well().model_copy(update={"evidence": ()})
    diff = between(report_of(HOSTS, [trouble]), blind)
    assert only(diff).change is Change.UNKNOWN
    assert exit_code_of(diff, blind) == code


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
