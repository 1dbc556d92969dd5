"""One audit over a real fleet of three hosts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.surfaces.host_files import expand_files
from swarm_tasks import contracts
from swarm_tasks.errors import JobError, UnknownName, UsageError
from swarm_tasks.models.evidence import EvidenceStatus
from swarm_tasks.models.finding import Severity, Verdict
from swarm_tasks.models.job import AuditRequest, BrainChoice
from swarm_tasks.models.report import JobStatus, Report
from swarm_tasks.routing import host_queue
from swarm_tasks.store.client import connect
from swarm_tasks.store.history import History
from tests.support.fleets import TestFleet, specialist
from tests.support.waiting import wait_until

NAP = AuditRequest(specialists=("napper",))


def ask(fleet: TestFleet, request: AuditRequest, **settings: object) -> Report:
    producer = fleet.asking(**settings)
    try:
        return producer.wait(producer.audit(request).id)
    finally:
        producer.close()


def test_every_host_answers_and_the_books_add_up(fleet: TestFleet) -> None:
    report = ask(fleet, NAP)
    assert report.job.status is JobStatus.COMPLETE
    assert report.coverage.asked == report.coverage.answered == ("alpha", "bravo", "charlie")
    assert report.coverage.dark == report.coverage.failed == ()
    assert [line.specialists for line in report.hosts] == [("napper",)] * 3
    assert report.usage.tool_calls == 3
    assert {item.status for item in report.evidence} == {EvidenceStatus.OK}
    record = fleet.fleet.record(report.job.id)
    assert record.state == "closed"
    assert record.total == record.closed == 3


def test_names_and_globs_choose_the_hosts(fleet: TestFleet, tmp_path: Path) -> None:
    listed = tmp_path / "hosts"
    listed.write_text("charlie  # the slow one\n\n")
    request = NAP.model_copy(update={"hosts": expand_files(("al*", f"@{listed}"))})
    assert ask(fleet, request).coverage.asked == ("alpha", "charlie")


@pytest.mark.parametrize("hosts", [("delta",), ("x*",), ("alpha", "delta")])
def test_an_unknown_host_is_refused_before_anything_is_sent(
    fleet: TestFleet, hosts: tuple[str, ...]
) -> None:
    before = len(fleet.fleet.jobs())
    with pytest.raises(UnknownName, match="alpha, bravo, charlie"):
        fleet.fleet.audit(NAP.model_copy(update={"hosts": hosts}))
    assert len(fleet.fleet.jobs()) == before


def test_a_brain_that_is_not_there_is_refused(fleet: TestFleet) -> None:
    with pytest.raises(UsageError, match="no model"):
        fleet.fleet.audit(NAP.model_copy(update={"brain": BrainChoice.LLM}))


def test_a_report_that_is_not_there_yet_says_how_to_follow(fleet: TestFleet) -> None:
    slow = specialist("slow", "nap", seconds=1)
    producer = fleet.asking(specialists={"slow": slow})
    job = producer.audit(AuditRequest(specialists=("slow",)))
    with pytest.raises(JobError, match=f"watch {job.id}"):
        producer.report(job.id)
    producer.wait(job.id)
    producer.close()


def test_a_tool_that_breaks_costs_its_part_nothing_else(fleet: TestFleet) -> None:
    both = {
        **specialist("both", "broken"),
        "tools": ["broken", "nap"],
        "sweep": [{"tool": "broken"}, {"tool": "nap", "arguments": {"seconds": 0}}],
    }
    report = ask(fleet, AuditRequest(specialists=("both",)), specialists={"both": both})
    assert report.job.status is JobStatus.COMPLETE
    broken, napped = report.evidence[:2]
    assert broken.status is EvidenceStatus.FAILED
    assert "RuntimeError: this tool is broken" in broken.reason
    assert napped.status is EvidenceStatus.OK
    assert report.hosts[0].parts[0].not_seen[0].tool == "broken"


def test_what_a_machine_lacks_is_told_and_is_no_failure(fleet: TestFleet) -> None:
    report = ask(
        fleet,
        AuditRequest(specialists=("lacks",)),
        specialists={"lacks": specialist("lacks", "missing")},
    )
    assert report.job.status is JobStatus.COMPLETE
    (blind,) = report.hosts[0].parts[0].not_seen
    assert (blind.reason, blind.remedy) == ("no such device here", "buy one")


def test_a_finding_is_measured_twice_and_points_at_its_evidence(
    fleet: TestFleet, tmp_path: Path
) -> None:
    gauge = tmp_path / "gauge"
    gauge.write_text("97")
    report = ask(
        fleet,
        AuditRequest(specialists=("gauges",), hosts=("alpha",)),
        specialists={"gauges": specialist("gauges", "gauge", path=str(gauge))},
    )
    (finding,) = report.findings
    assert finding.severity is Severity.CRITICAL
    assert finding.verdict is Verdict.VERIFIED
    (claim,) = finding.claims
    assert (claim.observed, claim.remeasured, claim.value) == (97.0, 97.0, 95.0)
    (reference,) = claim.evidence
    cited = next(item for item in report.evidence if item.call_id == reference.call_id)
    assert cited.sha256() == reference.sha256
    assert cited.data is not None
    assert cited.data[reference.pointer.removeprefix("/")] == 97.0


def test_what_the_rules_read_is_kept_from_one_audit_to_the_next(
    fleet: TestFleet, tmp_path: Path
) -> None:
    gauge = tmp_path / "kept"
    request = AuditRequest(specialists=("gauges",), hosts=("charlie",))
    history = History(connect(fleet.settings()), "charlie", 3600)
    expected: list[float] = []

    def kept() -> list[float]:
        return [value for _, value in history.samples("cpu.busy_percent", "the gauge")]

    for value in (41.0, 42.5):
        gauge.write_text(str(value))
        ask(fleet, request, specialists={"gauges": specialist("gauges", "gauge", path=str(gauge))})
        expected.append(value)
        # It is kept once the part is closed: the report may be there a moment before.
        wait_until("what was read is kept", lambda: kept() == expected)


def test_a_value_on_the_edge_does_not_flap_between_audits(fleet: TestFleet, tmp_path: Path) -> None:
    gauge = tmp_path / "edge"
    settings = {"gauges": specialist("gauges", "gauge", path=str(gauge))}
    request = AuditRequest(specialists=("gauges",), hosts=("bravo",))
    seen: list[str] = []
    for value in ("80", "86", "80", "74", "80"):
        gauge.write_text(value)
        findings = ask(fleet, request, specialists=settings).findings
        seen.append(findings[0].severity.value if findings else "well")
    assert seen == ["well", "warning", "warning", "well", "well"]


def test_a_threshold_of_the_asker_holds_on_every_host(fleet: TestFleet, tmp_path: Path) -> None:
    gauge = tmp_path / "low"
    gauge.write_text("50")
    report = ask(
        fleet,
        AuditRequest(specialists=("gauges",)),
        specialists={"gauges": specialist("gauges", "gauge", path=str(gauge))},
        thresholds={"cpu.busy_percent": {"warning": 40, "critical": 60}},
        overrides=[{"metric": "cpu.*", "host": "charlie", "ignore": True}],
    )
    assert [(one.host, one.severity.value) for one in report.findings] == [
        ("alpha", "warning"),
        ("bravo", "warning"),
    ]


def test_a_producer_needs_nothing_but_celery(fleet: TestFleet) -> None:
    with fleet.celery() as app:
        answer = app.send_task(
            contracts.AUDIT, kwargs={"question": "?", "specialists": ["napper"]}, queue="control"
        )
        job = answer.get(timeout=20)
    report = fleet.fleet.wait(job)
    assert report.job.question == "?"
    assert report.coverage.whole


def test_a_producer_s_mistake_comes_back_as_its_error(fleet: TestFleet) -> None:
    with fleet.celery() as app:
        answer = app.send_task(contracts.AUDIT, kwargs={"hosts": ["nowhere"]}, queue="control")
        with pytest.raises(Exception, match="there is no host called 'nowhere'"):
            answer.get(timeout=20)


def test_two_beats_that_ask_for_the_same_audit_get_one(fleet: TestFleet) -> None:
    request = NAP.model_copy(update={"slot": "nightly", "slot_seconds": 30.0})
    first = fleet.fleet.audit_once(request)
    assert first is not None
    assert fleet.fleet.audit_once(request) is None
    fleet.fleet.wait(first.id)


@pytest.mark.parametrize(
    "payload",
    [{}, {"job": 7}, {"job": "x" * 10_000}, {"job": "abcdefgh", "part": "alpha/napper"}],
)
def test_a_payload_that_is_no_task_harms_nobody(
    fleet: TestFleet, payload: dict[str, object]
) -> None:
    with fleet.celery() as app:
        app.send_task(contracts.INVESTIGATE, args=(payload,), queue=host_queue("alpha"))
    assert ask(fleet, NAP).coverage.whole


def test_a_part_that_is_delivered_twice_is_counted_once(fleet: TestFleet) -> None:
    report = ask(fleet, NAP)
    ledger = fleet.fleet.ledger
    before = fleet.fleet.client.hgetall(f"hostswarm:part:{report.job.id}:alpha/napper")
    task = json.loads(before["task"])
    with fleet.celery() as app:
        app.send_task(contracts.INVESTIGATE, args=(task,), queue=host_queue("alpha"))
    wait_until("it was taken", lambda: fleet.fleet.client.llen(host_queue("alpha")) == 0)
    ask(fleet, NAP)
    assert ledger.record(report.job.id).closed == 3
    after = fleet.fleet.client.hgetall(f"hostswarm:part:{report.job.id}:alpha/napper")
    assert after == before


def test_one_tool_can_be_called_on_one_host(fleet: TestFleet) -> None:
    evidence = fleet.fleet.call_tool("bravo", "nap", {"seconds": "0.1"})
    assert (evidence.host, evidence.status) == ("bravo", EvidenceStatus.OK)
    assert evidence.data == {"slept_seconds": 0.1}


def test_a_wrong_argument_to_a_far_tool_is_told_by_its_name(fleet: TestFleet) -> None:
    evidence = fleet.fleet.call_tool("bravo", "nap", {"secs": 1})
    assert evidence.status is EvidenceStatus.FAILED
    assert "secs" in evidence.reason
    assert "seconds" in evidence.remedy


def test_a_running_job_is_in_the_list_and_in_its_events(fleet: TestFleet) -> None:
    job = fleet.fleet.audit(NAP)
    kinds = [event.kind.value for event in fleet.fleet.follow(job.id)]
    assert kinds[0] == "job_opened"
    assert kinds[-1] == "job_closed"
    assert kinds.count("part_started") == kinds.count("part_closed") == 3
    # The start of a tool that had ended before it could be told is left out.
    assert kinds.count("tool_started") <= kinds.count("tool_ended") == 3
    assert fleet.fleet.jobs()[0].id == job.id


def test_hosts_say_what_they_are(fleet: TestFleet) -> None:
    alpha = fleet.fleet.hosts()[0]
    assert alpha.facts is not None
    assert alpha.alive
    assert "nap" in alpha.facts.tools
    assert alpha.facts.memory_bytes > 0
