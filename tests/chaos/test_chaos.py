"""Faults on real processes: one kind at a time on purpose, then all of them at random."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest
import redis

from orchestrator.service import Fleet
from swarm_tasks import contracts, routing
from swarm_tasks.models.event import Event, EventKind
from swarm_tasks.models.job import AuditRequest
from swarm_tasks.store.events import read_events
from tests.chaos.arena import FAKETIME, Arena, arena
from tests.chaos.books import Ended, audit_of, left_over
from tests.chaos.faults import Spell
from tests.chaos.play import Round, play
from tests.support.cable import Line
from tests.support.waiting import wait_until

SEED = int(os.environ.get("HOSTSWARM_CHAOS_SEED", "20"))
HEARTBEAT_SECONDS = 0.5
DEADLINE_SECONDS = 90.0


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Generator[Arena]:
    """A fleet of six workers with two places each, and two controls."""
    directory = tmp_path_factory.mktemp("ring")
    with arena(directory, 6, SEED, agents=2, heartbeat_seconds=HEARTBEAT_SECONDS) as found:
        yield found


@pytest.fixture(autouse=True)
def whole(ring: Arena) -> None:
    """Each test begins with all processes there."""
    presence = ring.fleet.fleet.presence
    wait_until("all workers are there", lambda: len(presence.beats(ring.hosts)) == len(ring.hosts))
    wait_until("both controls are there", lambda: len(presence.controls()) >= 2)


def anywhere(count: int, nap: str = "nap", brain: str = "rules") -> AuditRequest:
    """So many parts that any host may do."""
    return AuditRequest.model_validate(
        {
            "anywhere": [{"specialist": nap}] * count,
            "deadline_seconds": DEADLINE_SECONDS,
            "brain": brain,
        }
    )


def running(fleet: Fleet, job: str) -> list[str]:
    """The hosts that have a part of this job now."""
    return [part.host for part in fleet.ledger.parts(job) if part.state == "running"]


def ends(ring: Arena, job: str, answered: int | None = None) -> None:
    """Wait for the end of a job, and go through its books."""
    fleet = ring.fleet.fleet
    began = time.monotonic()
    fleet.wait(job)
    total = fleet.record(job).total
    books = audit_of(fleet, [Ended(job, total, time.monotonic() - began, DEADLINE_SECONDS)])
    assert books.add_up, books
    assert books.answered == (total if answered is None else answered), books
    wait_until("nothing is left of it", lambda: not left_over(fleet.ledger))


def test_what_a_killed_worker_had_is_done_elsewhere(ring: Arena) -> None:
    fleet = ring.fleet.fleet
    job = fleet.audit(anywhere(24)).id
    wait_until("all places are taken", lambda: len(running(fleet, job)) == 12)
    ring.fleet.kill("h3")
    ends(ring, job)
    returned = {part.part for part in fleet.ledger.parts(job) if part.returns}
    assert len(returned) == 2


def test_a_worker_that_was_stopped_and_wakes_up_closes_nothing_twice(ring: Arena) -> None:
    fleet = ring.fleet.fleet
    job = fleet.audit(anywhere(12, "sleep")).id
    wait_until("all places are taken", lambda: len(running(fleet, job)) == 12)
    ring.fleet.freeze("h2")
    try:
        wait_until("others have its parts", lambda: "h2" not in running(fleet, job))
    finally:
        ring.fleet.thaw("h2")
    ends(ring, job)


def test_a_host_that_loses_touch_for_a_while_keeps_nobody_waiting(ring: Arena) -> None:
    fleet = ring.fleet.fleet
    job = fleet.audit(anywhere(12, "sleep")).id
    wait_until("all places are taken", lambda: len(running(fleet, job)) == 12)
    ring.cables["h1"].set(Line.HELD)
    try:
        ends(ring, job)
    finally:
        ring.cables["h1"].set(Line.WHOLE)


def test_a_control_that_dies_while_it_sends_leaves_nothing_unsent(ring: Arena) -> None:
    fleet = ring.fleet.fleet
    asked = anywhere(200, "blink").model_dump(mode="json", exclude_defaults=True)
    before = set(fleet.ledger.open_jobs())
    fleet.app.send_task(contracts.AUDIT, kwargs=asked, queue=routing.CONTROL)
    new = wait_until("the job is open", lambda: set(fleet.ledger.open_jobs()) - before)
    for name in ring.controls:
        ring.fleet.kill(name)
    ends(ring, new.pop())


def test_a_control_that_dies_while_it_makes_a_report_leaves_the_job_to_another(
    ring: Arena,
) -> None:
    fleet = ring.fleet.fleet
    job = fleet.audit(anywhere(12, "blink")).id

    def closed() -> bool:
        head = fleet.ledger.heads((job,))[job]
        return head.closed == head.total

    wait_until("all parts are closed", closed)
    ring.fleet.kill("control1")
    ends(ring, job)


def test_a_killed_store_costs_no_part(ring: Arena) -> None:
    fleet = ring.fleet.fleet
    job = fleet.audit(anywhere(24)).id
    wait_until("all places are taken", lambda: len(running(fleet, job)) == 12)
    ring.fleet.kill_store()
    with pytest.raises(redis.RedisError):
        fleet.client.ping()
    ring.fleet.revive_store()
    ends(ring, job)


def test_a_program_that_is_killed_costs_its_tool_and_not_the_part(ring: Arena) -> None:
    fleet = ring.fleet.fleet
    job = fleet.audit(anywhere(12, "child")).id
    (victim, *_) = wait_until("programs run", ring.children)
    victim.kill()
    ends(ring, job)
    statuses = Counter(item.status.value for item in fleet.report(job).evidence)
    assert statuses["ok"] == 11


def test_a_dead_model_costs_its_words_and_no_part(ring: Arena) -> None:
    fleet = ring.fleet.fleet
    job = fleet.audit(anywhere(36, "blink", brain="auto")).id
    wait_until("some of it was thought", lambda: fleet.ledger.heads((job,))[job].closed)
    ring.model.kill()
    try:
        ends(ring, job)
    finally:
        ring.model.restart()
    report = fleet.report(job)
    assert report.degraded
    assert report.usage.llm_calls > 0


@pytest.mark.skipif(FAKETIME is None, reason="libfaketime is not installed")
def test_a_clock_that_is_set_wrong_changes_nothing(ring: Arena) -> None:
    fleet = ring.fleet.fleet
    job = fleet.audit(anywhere(24)).id
    wait_until("all places are taken", lambda: len(running(fleet, job)) == 12)
    for path, jump in zip(ring.clocks.values(), ("+3600", "-3600"), strict=True):
        path.write_text(jump, encoding="ascii")
    try:
        ends(ring, job)
    finally:
        for path in ring.clocks.values():
            path.write_text("+0", encoding="ascii")
    assert {part.returns for part in fleet.ledger.parts(job)} == {0}


def test_a_round_of_all_of_them_at_random(ring: Arena) -> None:
    asked = Round(120, 4, DEADLINE_SECONDS, SEED, every_seconds=1.5, spell=Spell(0.5, 4.0))
    outcome = play(ring, asked)
    assert outcome.books.add_up, outcome
    assert outcome.left == ()
    assert sum(outcome.faults.values()) > 3


def test_the_story(tmp_path: Path) -> None:
    """Six machines, 24 tasks, 12 at once; one falls in the middle and stays away, one joins."""
    with arena(tmp_path, 6, SEED, agents=2, heartbeat_seconds=HEARTBEAT_SECONDS) as ring:
        ring.leave()
        fleet = ring.fleet.fleet
        job = fleet.audit(anywhere(24)).id
        wait_until("12 are at work", lambda: len(running(fleet, job)) == 12)
        ring.fleet.kill("h4")
        ring.join("h7")
        wait_until("one has joined", lambda: fleet.presence.beats(("h7",)))
        ends(ring, job, answered=24)
        report = fleet.report(job)
    assert report.coverage.dark == report.coverage.failed == ()


def test_a_host_that_joins_takes_shared_work_that_waits(ring: Arena) -> None:
    fleet = ring.fleet.fleet
    job = fleet.audit(anywhere(60)).id
    ring.join("h8")
    ends(ring, job)
    began = [event for event in _events(fleet, job) if event.kind is EventKind.PART_STARTED]
    assert "h8" in {event.host for event in began}


def _events(fleet: Fleet, job: str) -> list[Event]:
    return [event for _, event in read_events(fleet.client, job, "0", 0.01)]
