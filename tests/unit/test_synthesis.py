"""Parts' reports become one report that accounts for every host."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator import joining
from orchestrator.synthesis import Circumstances, synthesize
from swarm_tasks.models.evidence import Evidence, EvidenceStatus
from swarm_tasks.models.finding import Claim, EvidenceRef, Finding, Severity, Verdict, fingerprint
from swarm_tasks.models.job import Job
from swarm_tasks.models.report import (
    HostReport,
    HostStatus,
    JobStatus,
    Measured,
    Report,
    StopReason,
    Usage,
)

CREATED = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
FINISHED = CREATED + timedelta(seconds=7)
AROUND = Circumstances(finished=FINISHED)

ANSWERED, DARK, FAILED = HostStatus.ANSWERED, HostStatus.DARK, HostStatus.FAILED
STOPS = {ANSWERED: StopReason.ANSWERED, DARK: StopReason.DARK, FAILED: StopReason.DEADLINE}


def job(*hosts: str, specialists: tuple[str, ...] = ("storage", "network")) -> Job:
    return Job(
        id="abcdefgh",
        question="?",
        hosts=hosts,
        specialists=specialists,
        created=CREATED,
        deadline_seconds=300,
    )


def part(
    host: str, specialist: str = "storage", status: HostStatus = ANSWERED, **more: Any
) -> HostReport:
    given: dict[str, Any] = {
        "job": "abcdefgh",
        "part": f"{host}/{specialist}",
        "host": host,
        "specialist": specialist,
        "status": status,
        "stop": STOPS[status],
        "reason": "" if status is ANSWERED else f"{status.value} for a reason",
    }
    return HostReport.model_validate({**given, **more})


def finding(
    host: str,
    subject: str,
    severity: Severity = Severity.WARNING,
    verdict: Verdict = Verdict.VERIFIED,
    *,
    title: str = "Volume nearly full",
    cites: str = "",
    related: tuple[str, ...] = (),
) -> Finding:
    mark = fingerprint(host, "disk.used_percent", subject)
    claim = Claim(
        metric="disk.used_percent",
        subject=subject,
        comparator=">=",
        value=80,
        unit="percent",
        observed=91,
        observed_at=CREATED,
        verdict=verdict,
        evidence=(EvidenceRef(call_id=cites, pointer="/x", sha256="0" * 64),) if cites else (),
    )
    return Finding(
        id=mark,
        fingerprint=mark,
        host=host,
        specialist="storage",
        severity=severity,
        title=title,
        subject=subject,
        advice="Free space.",
        verdict=verdict,
        claims=(claim,),
        related=related,
    )


def evidence(call_id: str, size: int = 10) -> Evidence:
    return Evidence(
        call_id=call_id,
        host="alpha",
        specialist="storage",
        tool="disk_usage",
        arguments={},
        started=CREATED,
        seconds=0.1,
        status=EvidenceStatus.OK,
        data={"text": "x" * size},
    )


@pytest.mark.parametrize("statuses", list(product((ANSWERED, DARK, FAILED), repeat=3)))
def test_every_host_asked_stands_in_exactly_one_list(statuses: tuple[HostStatus, ...]) -> None:
    hosts = ("alpha", "bravo", "charlie")
    parts = [part(host, status=status) for host, status in zip(hosts, statuses, strict=True)]
    report = synthesize(job(*hosts), parts, AROUND)
    coverage = report.coverage
    assert sorted((*coverage.answered, *coverage.dark, *coverage.failed)) == list(hosts)
    assert coverage.asked == hosts
    assert [line.status for line in report.hosts] == list(statuses)
    answered = statuses.count(ANSWERED)
    expected = {0: JobStatus.FAILED, 3: JobStatus.COMPLETE}.get(answered, JobStatus.PARTIAL)
    assert report.job.status is expected
    assert report.summary.startswith(f"{answered} of 3 hosts answered.")


@pytest.mark.parametrize(
    ("statuses", "host"),
    [
        ((ANSWERED, ANSWERED), ANSWERED),
        ((ANSWERED, FAILED), FAILED),
        ((FAILED, FAILED), FAILED),
        ((ANSWERED, DARK), DARK),
        ((FAILED, DARK), DARK),
        ((DARK, DARK), DARK),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_a_host_is_as_well_as_its_worst_part_and_dark_is_the_worst(
    statuses: tuple[HostStatus, HostStatus], host: HostStatus, turned: bool
) -> None:
    first, second = reversed(statuses) if turned else statuses
    parts = [part("alpha", "storage", first), part("alpha", "network", second)]
    (line,) = synthesize(job("alpha"), parts, AROUND).hosts
    assert line.status is host
    assert len(line.specialists) == statuses.count(ANSWERED)


def test_a_host_without_any_part_is_dark_and_not_forgotten() -> None:
    report = synthesize(job("alpha", "bravo"), [part("alpha")], AROUND)
    assert report.coverage.dark == ("bravo",)
    assert report.job.status is JobStatus.PARTIAL


def test_a_host_s_reason_names_the_specialists_it_concerns() -> None:
    parts = [
        part("alpha", "storage", FAILED, reason="broke"),
        part("alpha", "network", ANSWERED),
        part("bravo", "storage", FAILED, reason="late"),
        part("bravo", "network", FAILED, reason="late"),
        part("charlie", "storage", FAILED, reason="late"),
        part("charlie", "network", FAILED, reason="broke"),
    ]
    lines = synthesize(job("alpha", "bravo", "charlie"), parts, AROUND).hosts
    assert [line.reason for line in lines] == [
        "storage: broke",
        "late",
        "storage: late; network: broke",
    ]


def test_parts_stand_in_the_order_that_was_asked_for() -> None:
    parts = [part("alpha", "network"), part("alpha", "storage"), part("alpha", "unasked")]
    (line,) = synthesize(job("alpha"), parts, AROUND).hosts
    assert [one.specialist for one in line.parts] == ["storage", "network", "unasked"]


def test_a_host_s_time_runs_from_its_first_start_to_its_last_end() -> None:
    parts = [
        part("alpha", "storage", started=CREATED + timedelta(seconds=1), seconds=2.0),
        part("alpha", "network", started=CREATED + timedelta(seconds=2), seconds=3.0),
    ]
    report = synthesize(job("alpha", "bravo"), [*parts, part("bravo", status=DARK)], AROUND)
    assert [line.seconds for line in report.hosts] == [4.0, 0.0]
    assert report.usage.wall_seconds == 7.0


def test_what_it_took_is_added_up_and_an_unknown_price_stays_unknown() -> None:
    parts = [
        part("alpha", usage=Usage(tool_calls=3, cost_usd=0.5, wall_seconds=2)),
        part("bravo", usage=Usage(tool_calls=4, llm_calls=1, prompt_tokens=5, cost_usd=0.25)),
    ]
    usage = synthesize(job("alpha", "bravo"), parts, AROUND).usage
    assert (usage.tool_calls, usage.llm_calls, usage.prompt_tokens) == (7, 1, 5)
    assert usage.cost_usd == 0.75
    unpriced = part("charlie", usage=Usage(cost_usd=None))
    assert synthesize(job("alpha", "bravo", "charlie"), [*parts, unpriced], AROUND).usage == (
        usage.model_copy(update={"cost_usd": None})
    )


def subjects(report: Report) -> list[str]:
    return [f"{one.id} {one.host} {one.subject}" for one in report.findings]


def test_findings_stand_gravest_first_and_withdrawn_ones_last() -> None:
    found = (
        finding("bravo", "/b", Severity.WARNING),
        finding("alpha", "/gone", Severity.CRITICAL, Verdict.STALE),
        finding("bravo", "/a", Severity.CRITICAL),
        finding("alpha", "/z", Severity.INFO),
        finding("alpha", "/c", Severity.WARNING, Verdict.UNVERIFIABLE),
    )
    report = synthesize(job("alpha", "bravo"), [part("alpha", findings=found)], AROUND)
    assert subjects(report) == [
        *("f1 bravo /a", "f2 bravo /b", "f3 alpha /z", "f4 alpha /c", "f5 alpha /gone")
    ]


def test_the_same_trouble_seen_by_two_specialists_is_one_finding() -> None:
    mild, grave = finding("alpha", "/a"), finding("alpha", "/a", Severity.CRITICAL)
    for first, second in ((mild, grave), (grave, mild)):
        parts = [
            part("alpha", "storage", findings=(first,)),
            part("alpha", "network", findings=(second,)),
        ]
        (kept,) = synthesize(job("alpha"), parts, AROUND).findings
        assert kept.severity is Severity.CRITICAL


def test_evidence_that_a_finding_rests_on_is_kept_whole_and_the_rest_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(joining, "UNCITED_BYTES", 1_000)
    told = finding("alpha", "/a", cites="cited", related=("related",))
    items = (
        *(evidence("first", 600), evidence("over", 600), evidence("small", 100)),
        *(evidence("cited", 5_000), evidence("related", 5_000)),
    )
    report = synthesize(job("alpha"), [part("alpha", findings=(told,), evidence=items)], AROUND)
    kept = {item.call_id: item for item in report.evidence}
    assert list(kept) == ["first", "over", "small", "cited", "related"]
    for name in ("first", "small", "cited", "related"):
        assert kept[name] == next(item for item in items if item.call_id == name)
    assert kept["over"].data is None
    assert kept["over"].reason == "left out for its size"
    # Whether the tool told all is another matter than whether the report has it.
    assert not kept["over"].truncated


def summary(*parts: HostReport, hosts: tuple[str, ...] = ("alpha", "bravo"), **more: Any) -> str:
    around = Circumstances(finished=FINISHED, **more)
    return synthesize(job(*hosts), parts, around).summary


def test_a_healthy_fleet_is_said_to_be_so_in_few_words() -> None:
    assert summary(part("alpha"), part("bravo")) == "2 of 2 hosts answered. No findings."
    assert summary(part("alpha"), hosts=("alpha",)) == "1 of 1 host answered. No findings."


def test_silence_of_a_host_is_never_told_as_health() -> None:
    assert summary(part("alpha"), part("bravo", status=DARK)) == (
        "1 of 2 hosts answered. Dark: bravo. No findings on those that answered."
    )
    assert summary(part("alpha", status=FAILED), part("bravo", status=DARK)) == (
        "0 of 2 hosts answered. Dark: bravo. Failed: alpha. No findings on those that answered."
    )


def test_the_gravest_finding_is_named_first() -> None:
    found = (
        finding("alpha", "/a"),
        finding("alpha", "/b", Severity.CRITICAL),
        finding("alpha", "/c", Severity.CRITICAL),
        finding("alpha", "/d", Severity.CRITICAL, Verdict.REFUTED),
    )
    assert summary(part("alpha", findings=found), part("bravo")) == (
        "2 of 2 hosts answered. 4 claims: 1 refuted, 3 verified. 2 critical findings, 1 warning. "
        "First: volume nearly full on alpha, /b. 1 finding did not hold when measured again."
    )


def test_a_job_that_was_cancelled_says_so_first() -> None:
    said = summary(part("alpha"), part("bravo", status=FAILED), cancelled=True)
    assert said.startswith("The job was cancelled. 1 of 2 hosts answered.")


def test_a_long_list_of_dark_hosts_is_cut() -> None:
    hosts = tuple(f"h{number:02}" for number in range(25))
    said = summary(*(part(host, status=DARK) for host in hosts), hosts=hosts)
    assert "h09 and 15 more." in said


def test_what_presence_knows_of_a_host_stands_beside_it() -> None:
    around = Circumstances(
        finished=FINISHED,
        last_seen={"bravo": CREATED},
        platforms={"alpha": "Debian GNU/Linux 12"},
    )
    report = synthesize(job("alpha", "bravo"), [part("alpha"), part("bravo", status=DARK)], around)
    assert report.hosts[0].platform == "Debian GNU/Linux 12"
    assert report.hosts[1].last_seen == CREATED
    assert report.hosts[0].last_seen is None


def test_a_report_survives_its_own_json() -> None:
    found = (finding("alpha", "/a", cites="cited"),)
    parts = [part("alpha", findings=found, evidence=(evidence("cited"),)), part("bravo")]
    report = synthesize(job("alpha", "bravo"), parts, AROUND)
    assert Report.model_validate_json(report.to_json()) == report


def test_a_date_without_an_end_stops_nothing() -> None:
    far = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    (line,) = synthesize(job("alpha"), [part("alpha", started=far, seconds=90)], AROUND).hosts
    assert line.seconds == 90


@pytest.mark.parametrize("value", [10**400, -(10**400), 1.7e308], ids=["much", "little", "float"])
def test_a_value_that_no_machine_measures_is_refused(value: float) -> None:
    measured = {"metric": "disk.used_percent", "subject": "/", "value": value}
    with pytest.raises(ValidationError, match="measured"):
        part("alpha", measured=(measured,))
    with pytest.raises(ValidationError, match="observed"):
        Claim.model_validate({**finding("alpha", "/").claims[0].model_dump(), "observed": value})


@pytest.mark.parametrize("value", [True, 0, 2**64 - 1, 0.5, 1e30, "failed"])
def test_every_other_value_stays_what_it_is(value: float | str) -> None:
    text = Measured(metric="m", subject="s", value=value).model_dump_json()
    kept = Measured.model_validate_json(text).value
    assert (type(kept), kept) == (type(value), value)
