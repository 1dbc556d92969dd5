"""Every host that was asked is accounted for, whatever becomes of it. Real kills."""

from __future__ import annotations

import time
from pathlib import Path

import psutil

from swarm_tasks.models.event import EventKind
from swarm_tasks.models.job import AuditRequest
from swarm_tasks.models.report import JobStatus, Report
from tests.support.fleets import NAPPER, TestFleet, specialist
from tests.support.waiting import wait_until

NAP = AuditRequest(specialists=("napper",))


def slow(seconds: float, tool: str) -> dict[str, object]:
    return {"specialists": {"slow": specialist("slow", tool, seconds=seconds)}}


def held(gate: Path) -> dict[str, object]:
    """A specialist that waits until a test opens its gate."""
    return {"specialists": {"slow": specialist("slow", "hold", path=str(gate))}}


def reasons(report: Report) -> dict[str, str]:
    return {line.host: line.reason for line in report.hosts if line.reason}


def test_a_host_that_joins_is_part_of_the_next_audit(lone_fleet: TestFleet) -> None:
    lone_fleet.start_control()
    lone_fleet.start_workers("alpha")
    assert lone_fleet.fleet.wait(lone_fleet.fleet.audit(NAP).id).coverage.asked == ("alpha",)
    lone_fleet.start_workers("bravo")
    report = lone_fleet.fleet.wait(lone_fleet.fleet.audit(NAP).id)
    assert report.coverage.answered == ("alpha", "bravo")


def test_a_host_killed_in_mid_part_is_dark_and_the_others_are_heard(
    lone_fleet: TestFleet, tmp_path: Path
) -> None:
    lone_fleet.start_control()
    lone_fleet.start_workers("alpha", "bravo")
    producer = lone_fleet.asking(**held(tmp_path / "gate"))
    job = producer.audit(AuditRequest(specialists=("slow",), deadline_seconds=600))
    for event in producer.follow(job.id):
        if event.kind is EventKind.TOOL_STARTED and event.host == "bravo":
            break
    lone_fleet.kill("bravo")
    (tmp_path / "gate").touch()
    began = time.monotonic()
    report = producer.wait(job.id)
    producer.close()
    assert report.job.status is JobStatus.PARTIAL
    assert report.coverage.dark == ("bravo",)
    assert report.coverage.answered == ("alpha",)
    assert "no sign of life" in reasons(report)["bravo"]
    assert report.hosts[1].last_seen is not None
    assert (seen := report.hosts[1].outside) is not None, "its peer looked at it"
    assert (seen.host, seen.seen_by) == ("bravo", "alpha")
    # Far from the deadline of ten minutes: presence says it is gone after three heartbeats.
    assert time.monotonic() - began < 300


def test_a_host_known_to_be_gone_does_not_keep_the_job_at_all(lone_fleet: TestFleet) -> None:
    lone_fleet.start_control()
    lone_fleet.start_workers("alpha", "bravo")
    lone_fleet.kill("bravo")
    wait_until("bravo is dark", lambda: not lone_fleet.fleet.presence.beats(("bravo",)))
    report = lone_fleet.fleet.wait(lone_fleet.fleet.audit(NAP).id)
    assert report.coverage.dark == ("bravo",)
    assert lone_fleet.fleet.client.llen("host.bravo") == 0


def test_a_worker_that_is_stopped_in_order_is_gone_at_once(lone_fleet: TestFleet) -> None:
    lone_fleet.start_workers("alpha")
    lone_fleet.terminate("alpha")
    assert lone_fleet.fleet.presence.beats(("alpha",)) == {}


def test_a_host_that_never_came_is_named(lone_fleet: TestFleet) -> None:
    lone_fleet.start_control()
    lone_fleet.start_workers("alpha")
    producer = lone_fleet.asking(expected_hosts=("alpha", "zulu"))
    report = producer.wait(producer.audit(NAP).id)
    producer.close()
    assert report.coverage.dark == ("zulu",)
    assert "never came" in reasons(report)["zulu"]


def test_a_fleet_of_dark_hosts_still_ends_with_a_report(lone_fleet: TestFleet) -> None:
    lone_fleet.start_control()
    producer = lone_fleet.asking(expected_hosts=("yankee", "zulu"))
    report = producer.wait(producer.audit(NAP).id)
    producer.close()
    assert report.job.status is JobStatus.FAILED
    assert report.coverage.dark == ("yankee", "zulu")


def test_the_deadline_ends_a_job_with_what_there_is(lone_fleet: TestFleet) -> None:
    lone_fleet.start_control()
    lone_fleet.start_workers("alpha", "bravo")
    both = {
        "slow": specialist("slow", "child_nap", seconds=60),
        "napper": NAPPER,
    }
    producer = lone_fleet.asking(specialists=both)
    request = AuditRequest(specialists=("slow", "napper"), deadline_seconds=6)
    report = producer.wait(producer.audit(request).id)
    producer.close()
    assert report.job.status is JobStatus.FAILED
    for line in report.hosts:
        assert line.specialists == ("napper",)
        assert "by the deadline" in line.reason
    assert report.usage.wall_seconds < 40
    wait_until("no sleep runs", lambda: not children_named("sleep", lone_fleet), 20)


def test_a_frozen_host_is_dark_and_its_late_answer_changes_nothing(
    lone_fleet: TestFleet, tmp_path: Path
) -> None:
    lone_fleet.start_control()
    lone_fleet.start_workers("alpha", "bravo")
    producer = lone_fleet.asking(**held(tmp_path / "gate"))
    job = producer.audit(AuditRequest(specialists=("slow",)))
    for event in producer.follow(job.id):
        if event.kind is EventKind.TOOL_STARTED and event.host == "bravo":
            break
    lone_fleet.freeze("bravo")
    (tmp_path / "gate").touch()
    report = producer.wait(job.id)
    assert report.coverage.dark == ("bravo",)
    lone_fleet.thaw("bravo")
    lone_fleet.wait_alive("bravo")
    after = producer.wait(producer.audit(NAP.model_copy(update={"specialists": ("slow",)})).id)
    assert after.coverage.whole
    assert producer.report(job.id) == report
    producer.close()


def test_without_any_control_the_one_who_asked_brings_the_job_to_its_end(
    lone_fleet: TestFleet,
) -> None:
    lone_fleet.start_workers("alpha")
    report = lone_fleet.fleet.wait(lone_fleet.fleet.audit(NAP).id)
    assert report.coverage.answered == ("alpha",)


def test_cancel_ends_agents_that_run_and_the_programs_that_they_started(
    lone_fleet: TestFleet,
) -> None:
    lone_fleet.start_control()
    lone_fleet.start_workers("alpha", "bravo", agents=1)
    two = {
        "first": specialist("first", "child_nap", seconds=110),
        "second": specialist("second", "child_nap", seconds=111),
    }
    producer = lone_fleet.asking(specialists=two)
    job = producer.audit(AuditRequest(specialists=("first", "second")))
    wait_until("two sleeps run", lambda: len(children_named("sleep", lone_fleet)) == 2)
    began = time.monotonic()
    assert producer.cancel(job.id)
    report = producer.wait(job.id)
    assert report.job.cancelled
    assert {part.stop.value for line in report.hosts for part in line.parts} == {"cancelled"}
    wait_until("no sleep runs", lambda: not children_named("sleep", lone_fleet), 20)
    assert time.monotonic() - began < 60
    assert not producer.cancel(job.id)
    producer.close()


def test_a_cancel_that_nobody_heard_is_learnt_from_the_ledger(lone_fleet: TestFleet) -> None:
    lone_fleet.start_control()
    lone_fleet.start_workers("alpha")
    producer = lone_fleet.asking(**slow(60, "child_nap"))
    job = producer.audit(AuditRequest(specialists=("slow",)))
    wait_until("a sleep runs", lambda: children_named("sleep", lone_fleet))
    producer.ledger.cancel(job.id)
    assert producer.wait(job.id).job.cancelled
    wait_until("no sleep runs", lambda: not children_named("sleep", lone_fleet), 20)
    producer.close()


def children_named(name: str, fleet: TestFleet) -> list[psutil.Process]:
    """Programs of this name that some worker of the fleet has started."""
    found: list[psutil.Process] = []
    for host in ("alpha", "bravo"):
        try:
            workers = [fleet.process(host)]
        except (KeyError, IndexError, psutil.NoSuchProcess):
            continue
        for worker in workers:
            found += [child for child in worker.children(recursive=True) if child.name() == name]
    return found


def test_the_chord_itself_ends_a_job_whose_host_died(lone_fleet: TestFleet, tmp_path: Path) -> None:
    """Control counts the dead host's part towards the chord; it does not end the job past it."""
    lone_fleet.start_control()
    lone_fleet.start_workers("alpha", "bravo")
    producer = lone_fleet.asking(**held(tmp_path / "gate"))
    job = producer.audit(AuditRequest(specialists=("slow",)))
    for event in producer.follow(job.id):
        if event.kind is EventKind.TOOL_STARTED and event.host == "bravo":
            break
    lone_fleet.kill("bravo")
    (tmp_path / "gate").touch()
    assert producer.wait(job.id).coverage.dark == ("bravo",)
    producer.close()
    # The report stands before Celery logs that the task which made it has ended.
    ended = f"Task swarm.synthesize[{job.id}:synthesize] succeeded"
    wait_until("the chord's body ended", lambda: ended in lone_fleet.log("control"))
    assert "the chord did not end it" not in lone_fleet.log("control")


def test_a_worker_that_is_stopped_says_so_for_the_parts_that_it_leaves(
    lone_fleet: TestFleet,
) -> None:
    lone_fleet.start_control()
    lone_fleet.start_workers("alpha")
    producer = lone_fleet.asking(**slow(60, "child_nap"))
    job = producer.audit(AuditRequest(specialists=("slow",)))
    (sleep,) = wait_until("a sleep runs", lambda: children_named("sleep", lone_fleet))
    lone_fleet.terminate("alpha")
    said = [event for event in producer.follow(job.id) if event.kind is EventKind.PART_PUT_BACK]
    assert said[-1].status == "its worker was stopped"
    # It was waited for, and did not come back.
    assert producer.report(job.id).coverage.dark == ("alpha",)
    producer.close()
    assert not sleep.is_running()
