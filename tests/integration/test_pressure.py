"""When more is asked than can be done: producers are turned away, and told when to come back."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from orchestrator import opening
from orchestrator.plan import Part, host_tasks
from orchestrator.pressure import Pressure
from orchestrator.service import Fleet
from swarm_tasks import contracts
from swarm_tasks.config import Settings
from swarm_tasks.embedded import EmbeddedStore
from swarm_tasks.errors import Busy, JobError, UnknownName
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.event import Event, EventKind
from swarm_tasks.models.host import Beat
from swarm_tasks.models.job import AuditRequest, BrainChoice, HostTask, Job, Specialist, new_job_id
from swarm_tasks.models.policy import Policy
from swarm_tasks.store import keys, leases
from swarm_tasks.store.asked import LATE_SECONDS, own_slot, taken_up
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.events import add_event
from swarm_tasks.store.presence import Presence
from tests.support.fleets import NAPPER, TestFleet
from tests.support.model_script import fails, plays, says
from tests.support.model_server import ModelServer
from tests.support.waiting import wait_until

HOST_LIMIT, FLEET_LIMIT = 6, 20
NAP = Specialist.model_validate(NAPPER)
WHY = AuditRequest(question="why?", specialists=("napper",))


@pytest.fixture
def asker(client: Commands, store: EmbeddedStore) -> Generator[Fleet]:
    """Somebody who asks two hosts with two places each. Nobody takes their parts."""
    own = {name: {**NAPPER, "name": name} for name in ("napper", "dozer", "sleeper")}
    options = {
        "broker_url": store.url,
        "expected_hosts": ["alpha", "bravo"],
        "host_queue_limit": HOST_LIMIT,
        "fleet_queue_limit": FLEET_LIMIT,
        "specialists": own,
    }
    fleet = Fleet(Settings.model_validate(options))
    for host in ("alpha", "bravo"):
        fleet.presence.beat(
            Beat(host=host, instance="i", at=now_utc(), load1=0, agents=0, capacity=2)
        )
    yield fleet
    fleet.close()


def tasks_for(*hosts: str) -> tuple[HostTask, ...]:
    """A part for each of these hosts; an empty name is any host."""
    job = a_job()
    return host_tasks(job, [Part(host, NAP, "?") for host in hosts], Policy(), 1e12)


def a_job() -> Job:
    return Job(id=new_job_id(), specialists=("napper",), created=now_utc(), deadline_seconds=60)


def fill(fleet: Fleet, *hosts: str) -> Job:
    """Have parts wait, unsent."""
    job = a_job()
    parts = [Part(host, NAP, "?") for host in hosts]
    fleet.ledger.open(job, host_tasks(job, parts, Policy(), 1e12), 1e12)
    return job


def pressure(fleet: Fleet, draw: float = 0.5) -> Pressure:
    return Pressure(fleet.ledger, fleet.settings, fleet.hosts(), lambda: draw)


def test_a_host_s_queue_takes_as_many_as_may_wait_and_no_more(asker: Fleet) -> None:
    fill(asker, *["alpha"] * 4, "bravo")
    see = pressure(asker).see_room
    see(tasks_for("alpha", "alpha", *["bravo"] * 5))
    with pytest.raises(Busy) as caught:
        see(tasks_for("alpha", "alpha", "alpha", "bravo"))
    assert str(caught.value) == (
        "4 parts wait for alpha, and with 3 more that is more than the 6 that may: retry after 5 s"
    )
    with pytest.raises(Busy, match=r"wait for alpha, .*; the same goes for bravo: retry after"):
        see(tasks_for(*["alpha"] * 3, *["bravo"] * 6))


def test_parts_for_any_host_count_for_the_fleet_alone(asker: Fleet) -> None:
    fill(asker, *[""] * 15)
    see = pressure(asker).see_room
    see(tasks_for(*[""] * 4, "alpha"))
    with pytest.raises(
        Busy,
        match=r"^15 parts wait in the fleet, and with 6 more that is more than the 20 that may: "
        r"retry after 5 s$",
    ):
        see(tasks_for(*[""] * 5, "alpha"))


def test_what_is_under_way_or_closed_waits_no_more(asker: Fleet) -> None:
    job = fill(asker, *["alpha"] * 6)
    assert asker.ledger.leases.waiting_by_host() == {"alpha": 6}
    asker.ledger.leases.take(job.id, "alpha/napper", "life", "alpha", 60)
    assert asker.ledger.leases.waiting_by_host() == {"alpha": 5}
    pressure(asker).see_room(tasks_for("alpha"))


def test_waiting_parts_are_counted_whatever_their_number(
    asker: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "READ_AT_ONCE", 4)
    fill(asker, *["alpha"] * 5, *["bravo"] * 3, *[""] * 4)
    found = asker.waiting()
    assert (found["alpha"], found["bravo"], found.total()) == (5, 3, 12)


def test_a_job_that_would_never_fit_is_told_which_setting_to_raise(asker: Fleet) -> None:
    see = pressure(asker).see_room
    with pytest.raises(JobError, match=r"7 parts for alpha.*raise host_queue_limit") as caught:
        see(tasks_for(*["alpha"] * 7))
    assert not isinstance(caught.value, Busy)
    with pytest.raises(JobError, match=r"has 21 parts.*raise fleet_queue_limit") as caught:
        see(tasks_for(*[""] * 21))
    assert not isinstance(caught.value, Busy)
    see(tasks_for(*["alpha"] * 6, *[""] * 14))


@pytest.mark.parametrize(
    ("took", "draw", "seconds"),
    [
        # Six parts too many, four places in the fleet: one and a half times a part's seconds.
        ((40.0, 80.0), 0.5, 90),
        ((40.0, 80.0), 0.0, 81),
        ((40.0, 80.0), 1.0, 99),
        ((3000.0,), 0.5, 300),
        ((0.1,), 0.5, 5),
    ],
)
def test_when_to_come_back_follows_from_what_waits_and_how_long_parts_took(
    asker: Fleet, took: tuple[float, ...], draw: float, seconds: float
) -> None:
    job = fill(asker, *[""] * 20)
    for one in took:
        closed = Event(kind=EventKind.PART_CLOSED, at=now_utc(), seconds=one)
        add_event(asker.client, job.id, closed)
    with pytest.raises(Busy) as caught:
        pressure(asker, draw).see_room(tasks_for(*[""] * 6))
    assert caught.value.retry_after_seconds == seconds


def test_a_host_that_is_dark_and_full_is_asked_again_late(asker: Fleet) -> None:
    fill(asker, *["gone"] * 6)
    with pytest.raises(Busy) as caught:
        pressure(asker).see_room(tasks_for("gone"))
    assert caught.value.retry_after_seconds == 300


def test_a_full_fleet_pays_no_model_for_a_plan(
    asker: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("the planner was asked")

    fill(asker, *["alpha"] * 6)
    see = pressure(asker).see_any_room
    see(("alpha", "bravo"))
    with pytest.raises(Busy, match="wait for alpha, and with one more"):
        see(("alpha",))
    monkeypatch.setattr(opening, "make_plan", never)
    fill(asker, *["bravo"] * 6)
    with pytest.raises(Busy, match=r"wait for alpha, .*; the same goes for bravo"):
        asker.audit(WHY)
    fill(asker, *[""] * 8)
    with pytest.raises(Busy, match="20 parts wait in the fleet"):
        asker.audit(WHY)


def test_what_is_refused_leaves_nothing_behind(asker: Fleet) -> None:
    rules = AuditRequest(
        brain=BrainChoice.RULES, hosts=("alpha",), specialists=("napper", "dozer", "sleeper")
    )
    asker.audit(rules)
    asker.audit(rules)
    before = set(asker.client.scan_iter(match="*"))
    with pytest.raises(Busy):
        asker.audit_once(rules, "a-message")
    assert set(asker.client.scan_iter(match="*")) == before


def test_busy_is_the_same_behind_celery_s_json_and_pickle() -> None:
    busy = Busy("too many wait: retry after 37 s", 37.0)
    again = Busy(*json.loads(json.dumps(busy.args)))
    for other in (again, pickle.loads(pickle.dumps(busy))):  # noqa: S301 - our own
        assert (str(other), other.retry_after_seconds) == (str(busy), 37.0)


# What comes twice


def test_a_schedule_that_finds_no_room_gives_its_slot_back(asker: Fleet) -> None:
    nightly = WHY.model_copy(update={"slot": "nightly", "slot_seconds": 60.0})
    filled = fill(asker, *["alpha"] * 6, *["bravo"] * 6)
    with pytest.raises(Busy):
        asker.audit_once(nightly)
    for name in asker.ledger.part_names(filled.id):
        asker.ledger.leases.take(filled.id, name, "life", name.partition("/")[0], 60)
    assert asker.audit_once(nightly) is not None
    assert asker.audit_once(nightly) is None


def test_one_message_makes_one_job_however_often_it_comes(asker: Fleet) -> None:
    first = asker.audit_once(WHY, "a-message")
    assert first is not None
    again = asker.audit_once(WHY, "a-message")
    assert again is not None
    assert again.id == first.id
    other = asker.audit_once(WHY, "another")
    assert other is not None
    assert len(asker.jobs()) == 2


def test_two_controls_that_work_on_one_message_open_one_job(
    asker: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = opening.make_plan
    opened: list[str] = []

    def meanwhile(*given: Any) -> Any:
        """The other control is faster."""
        if not opened:
            opened.append("")
            opened[0] = asker.audit(WHY, "a-message").id
        return plan(*given)

    monkeypatch.setattr(opening, "make_plan", meanwhile)
    job = asker.audit_once(WHY, "a-message")
    assert job is not None
    assert [job.id] == opened == [one.id for one in asker.jobs()]
    assert asker.client.get(keys.ASKED.at(request="a-message")) == job.id


def test_a_job_that_another_opens_in_the_very_moment_is_found(
    asker: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, other = a_job(), a_job()
    now = asker.ledger.now
    done: list[bool] = []

    def between() -> float:
        """`open` asks the time once it has looked whether there is a job."""
        if not done:
            done.append(True)
            assert asker.ledger.open(other, tasks_for("alpha"), 1e12, (), "a-message") == other.id
        return now()

    monkeypatch.setattr(asker.ledger, "now", between)
    assert asker.ledger.open(job, tasks_for("alpha"), 1e12, (), "a-message") == other.id
    with pytest.raises(UnknownName):
        asker.record(job.id)


def test_a_message_whose_control_died_is_worked_on_again_and_keeps_its_slot(
    asker: Fleet,
) -> None:
    nightly = WHY.model_copy(update={"slot": "nightly", "slot_seconds": 60.0})

    def died() -> None:
        """Everything up to the planning, and no end."""
        with (
            taken_up(asker.client, "a-message", asker.ledger.now(), 60) as before,
            own_slot(asker.client, nightly, "a-message") as ours,
        ):
            assert (before, ours) == ("", True)
            raise SystemExit

    with pytest.raises(SystemExit):
        died()
    assert asker.audit_once(nightly, "of-another-beat") is None
    assert asker.audit_once(nightly, "a-message") is not None


def test_a_message_that_comes_again_much_later_is_dropped(asker: Fleet) -> None:
    now = asker.ledger.now()
    with (
        pytest.raises(SystemExit),
        taken_up(asker.client, "a-message", now - LATE_SECONDS - 5, 3600),
    ):
        raise SystemExit
    with pytest.raises(JobError, match=r"first came 65 s ago, .*: ask again"):
        asker.audit_once(WHY, "a-message")
    assert asker.jobs() == ()


def test_a_message_that_was_answered_with_an_error_may_be_sent_anew(asker: Fleet) -> None:
    wrong = WHY.model_copy(update={"hosts": ("nowhere",)})
    with pytest.raises(UnknownName):
        asker.audit_once(wrong, "a-message")
    assert not asker.client.exists(keys.ASKED.at(request="a-message"))
    assert re.fullmatch("[a-z0-9]{10}", asker.audit(WHY, "a-message").id)


# From producers, through a real control


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Generator[TestFleet]:
    """A control and a host that gives signs of life, and takes no parts."""
    with TestFleet(
        tmp_path_factory.mktemp("control"), host_queue_limit=3, specialists={"napper": NAPPER}
    ) as running:
        running.start_control()
        presence = Presence(running.fleet.client, ttl_seconds=600, forget_seconds=600)
        presence.beat(Beat(host="alpha", instance="i", at=now_utc(), load1=0, agents=0, capacity=2))
        yield running


def ended(fleet: TestFleet, task_id: str) -> int:
    """How often control has brought a message to its end."""
    return len(
        re.findall(rf"{contracts.AUDIT}\[{task_id}\] (succeeded|raised)", fleet.log("control"))
    )


def test_a_message_that_is_delivered_twice_makes_one_job(control: TestFleet) -> None:
    before = len(control.fleet.jobs())
    with control.celery() as app:
        answer, _ = (
            app.send_task(
                contracts.AUDIT,
                kwargs={"specialists": ["napper"]},
                queue="control",
                task_id="of-one-message",
            )
            for _ in range(2)
        )
        wait_until("both are done", lambda: ended(control, "of-one-message") == 2)
        job = answer.get(timeout=20)
    assert control.fleet.jobs()[0].id == job
    assert len(control.fleet.jobs()) == before + 1


def test_a_producer_is_told_when_to_ask_again_and_a_schedule_is_left_out(
    control: TestFleet,
) -> None:
    fill(control.fleet, *["alpha"] * 3)
    asked = {"specialists": ["napper"]}
    with control.celery() as app:
        answer = app.send_task(contracts.AUDIT, kwargs=asked, queue="control")
        with pytest.raises(Busy, match=r"wait for alpha, .*: retry after \d+ s$") as caught:
            answer.get(timeout=20)
        slot = {"slot": "nightly", "slot_seconds": 600}
        scheduled = app.send_task(contracts.AUDIT, kwargs=asked | slot, queue="control")
        assert scheduled.get(timeout=20) is None
    assert 4 <= caught.value.retry_after_seconds <= 330
    client = control.fleet.client
    # What a producer sees that has no hostswarm.
    assert "retry after" in (client.get(f"celery-task-meta-{answer.id}") or "")
    assert not client.exists(keys.SLOT.at(schedule="nightly"))
    log = control.log("control")
    assert "schedule nightly is left out this time: " in log
    assert "Traceback" not in log


def test_a_request_outlives_the_control_that_was_planning_it(tmp_path: Path) -> None:
    with (
        ModelServer(plays(fails(hang=True))) as server,
        TestFleet(tmp_path, heartbeat_seconds=0.5, router_url=[server.url]) as fleet,
    ):
        fleet.start_control()
        for host in ("alpha", "bravo"):
            beat = Beat(host=host, instance="i", at=now_utc(), load1=0, agents=0, capacity=2)
            Presence(fleet.fleet.client, ttl_seconds=600, forget_seconds=600).beat(beat)
        with fleet.celery() as app:
            asked = {"question": "why?", "specialists": ["storage"]}
            answer = app.send_task(contracts.AUDIT, kwargs=asked, queue="control")
            wait_until("it is being planned", server.requests)
            fleet.kill("control")
            server.play(plays(says("no plan")))
            wait_until("it is missed", lambda: not fleet.fleet.presence.controls())
            fleet.start_control("another")
            job = answer.get(timeout=30)
        assert [one.id for one in fleet.fleet.jobs()] == [job]
