"""The watch against a real store, and in real processes: nothing stays undone that can be done."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from pydantic import SecretStr

from swarm_tasks import routing, sending
from swarm_tasks.app import close_app, make_app
from swarm_tasks.brain.base import Mind, Step
from swarm_tasks.config import Settings
from swarm_tasks.embedded import EmbeddedStore
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.charge import Charge, Tier
from swarm_tasks.models.host import Beat, Drained, HostFacts
from swarm_tasks.models.job import PART_FORMAT, AuditRequest
from swarm_tasks.models.report import HostReport
from swarm_tasks.store import keys
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.draining import Draining
from swarm_tasks.store.leases import Lease, Refusal, task_id
from swarm_tasks.store.ledger import Closing, Ledger
from swarm_tasks.store.presence import Presence, control_owner
from swarm_tasks.store.steps import PartSteps
from swarm_tasks.watch.messages import READ_THROUGH, Messages, give_back, lane_key
from swarm_tasks.watch.watcher import Watcher
from tests.support.fleets import TestFleet, specialist
from tests.support.jobs import answered, open_anywhere, open_job
from tests.support.waiting import wait_until

JOB = "abcdefgh"
TTL_SECONDS = 0.6


class Place:
    """A watch in this process, over a store of its own."""

    def __init__(self, client: Commands, url: str) -> None:
        self.client = client
        self.app = make_app(Settings(broker_url=SecretStr(url)), listens=False)
        self.presence = Presence(client, TTL_SECONDS, 3600)
        self.watcher = Watcher(self.app, Ledger(client, 3600), self.presence, "this watch")

    def until(self, what: str, probe: Callable[[], object]) -> None:
        """Let the watch look until this is so."""

        def looked() -> object:
            self.watcher.tick()
            return probe()

        wait_until(what, looked, 15)

    def alive(self, *hosts: str) -> None:
        """Have hosts give signs of life that last for the whole test."""
        lasting = Presence(self.client, 3600.0, 3600)
        for host in hosts:
            lasting.beat(
                Beat(host=host, instance="x", at=now_utc(), load1=0.0, agents=0, capacity=1)
            )
        far = Ledger(self.client, 3600).now() + 3600
        self.client.zadd(keys.HOSTS.at(), dict.fromkeys(hosts, far))

    def hurry(self, ledger: Ledger) -> None:
        """Have all parts that wait looked after at once."""
        members = ledger.leases.waiting(ledger.now() + 3600)
        ledger.leases.look_again(dict.fromkeys(members, 0.0))

    def report(self, ledger: Ledger) -> HostReport:
        """The one report of the job, once there is one; it is looked after at once."""
        self.hurry(ledger)
        self.until("the part is closed", lambda: ledger.record(JOB).closed == 1)
        (report,) = ledger.reports(JOB)
        return report


@pytest.fixture
def place(client: Commands, store: EmbeddedStore) -> Generator[Place]:
    found = Place(client, store.url)
    yield found
    close_app(found.app)


def test_one_of_several_has_the_watch_until_it_lets_go(place: Place, client: Commands) -> None:
    other = Watcher(place.app, Ledger(client, 3600), place.presence, "another")
    assert place.watcher.tick()
    assert not other.tick()
    other.let_go()
    assert not other.tick()
    place.watcher.let_go()
    assert other.tick()


def test_a_message_that_nobody_holds_is_sent_again_and_one_in_its_queue_is_not(
    place: Place, client: Commands
) -> None:
    ledger = open_job(client, JOB, "alpha", "bravo")
    place.alive("alpha", "bravo")
    payload = ledger.payload(JOB, "alpha/napper")
    assert payload is not None
    queues = {host: routing.host_queue(host) for host in ("alpha", "bravo")}
    sending.send_payload(place.app, task_id(JOB, "alpha/napper"), payload, queues["alpha"])
    place.hurry(ledger)
    place.until("the lost one is there", lambda: client.llen(queues["bravo"]))
    assert client.llen(queues["alpha"]) == client.llen(queues["bravo"]) == 1
    records = ledger.part_records([task_id(JOB, "alpha/napper"), task_id(JOB, "bravo/napper")])
    assert [one.sends for one in records.values()] == [0, 1]


def test_a_message_that_its_worker_holds_is_not_lost(place: Place, client: Commands) -> None:
    ledger = open_job(client, JOB, "alpha")
    member = task_id(JOB, "alpha/napper")
    client.hset(keys.UNACKED.at(owner="alpha"), "tag", json.dumps([{"headers": {"id": member}}]))
    records = ledger.part_records([member])
    messages = Messages(place.app, client)
    assert messages.lost(records) == set()
    client.delete(keys.UNACKED.at(owner="alpha"))
    assert messages.lost(records) == {member}


def test_a_message_that_a_worker_only_seems_to_hold_is_sent_again(
    place: Place, client: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarm_tasks.watch.messages.HAND_SECONDS", 0.2)
    ledger = open_job(client, JOB, "alpha")
    place.alive("alpha")
    member = task_id(JOB, "alpha/napper")
    client.hset(keys.UNACKED.at(owner="alpha"), "tag", json.dumps([{"headers": {"id": member}}]))

    def sent() -> int:
        place.hurry(ledger)
        return client.llen(routing.host_queue("alpha"))

    place.until("it is sent again", sent)


def test_a_part_whose_runner_is_silent_is_sent_to_any_host_again(
    place: Place, client: Commands
) -> None:
    ledger = open_anywhere(client, JOB)
    place.alive("bravo")
    lease = ledger.leases.take(JOB, "*/napper/1", "a life", "alpha", 0.1)
    assert isinstance(lease, Lease)
    place.until("it is sent again", lambda: client.llen(routing.SHARED))
    (record,) = ledger.parts(JOB)
    assert (record.state, record.returns, record.sends) == ("sent", 1, 1)


def test_a_silent_host_is_dark_and_what_its_part_took_of_a_model_is_billed(
    place: Place, client: Commands
) -> None:
    ledger = open_job(client, JOB)
    lease = ledger.leases.take(JOB, "alpha/napper", "a life", "alpha", 0.1)
    assert isinstance(lease, Lease)
    charge = Charge(
        tier=Tier.WORKER, model="m", prompt_tokens=90_000, completion_tokens=500, cost_usd=0.42
    )
    step = Step(by=Mind.MODEL, said="x", charge=charge)
    ledger.steps.save([PartSteps.of(JOB, "alpha/napper", lease.attempt, 0, [step, step])])
    report = place.report(ledger)
    assert (report.status, report.reason) == ("dark", "its worker never came")
    assert (report.usage.llm_calls, report.usage.cost_usd) == (2, 0.84)


def test_a_host_that_comes_back_while_others_work_is_not_dark(
    place: Place, client: Commands
) -> None:
    ledger = open_job(client, JOB, "alpha", "bravo")
    place.alive("bravo")
    lease = ledger.leases.take(JOB, "bravo/napper", "a life", "bravo", 600.0)
    assert isinstance(lease, Lease)
    seen = 0

    def long_enough() -> bool:
        nonlocal seen
        seen += 1
        return seen > 40

    place.until("the watch has looked often", long_enough)
    assert ledger.record(JOB).closed == 0
    place.alive("alpha")
    place.until("its part is sent", lambda: client.llen(routing.host_queue("alpha")))


BROKEN = {
    "its attempt is no number": {"attempt": "x"},
    "its state is none": {"state": "asleep"},
    "its task cannot be read": {"task": "{"},
}


@pytest.mark.parametrize("fields", BROKEN.values(), ids=BROKEN.keys())
def test_a_part_whose_entry_was_tampered_with_fails_and_says_so(
    place: Place, client: Commands, fields: dict[str, str]
) -> None:
    ledger = open_job(client, JOB)
    place.alive("alpha")
    client.hset(keys.PART.at(job=JOB, part="alpha/napper"), mapping=fields)
    report = place.report(ledger)
    assert (report.status, report.stop) == ("failed", "error")
    assert "cannot be read" in report.reason or "is broken" in report.reason


def test_a_part_whose_entry_is_gone_fails_at_once(place: Place, client: Commands) -> None:
    ledger = open_job(client, JOB)
    client.delete(keys.PART.at(job=JOB, part="alpha/napper"))
    report = place.report(ledger)
    assert (report.host, report.specialist, report.stop) == ("alpha", "napper", "error")
    assert report.reason.endswith("it is gone")


SPOILED: dict[str, Callable[[Commands, str], object]] = {
    "a field": lambda client, key: client.hset(key, "specialist", "No Such NAME"),
    "the type of its key": lambda client, key: (client.delete(key), client.set(key, "x")),
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED.keys())
def test_one_broken_part_keeps_no_other_from_being_looked_after(
    place: Place, client: Commands, spoil: Callable[[Commands, str], object]
) -> None:
    ledger = open_job(client, "spoiled1", "alpha")
    open_job(client, JOB, "bravo")
    place.alive("alpha", "bravo")
    spoil(client, keys.PART.at(job="spoiled1", part="alpha/napper"))
    place.hurry(ledger)
    place.until("the other is sent", lambda: client.llen(routing.host_queue("bravo")))
    place.until("the broken one is closed", lambda: ledger.record("spoiled1").closed == 1)
    (report,) = ledger.reports("spoiled1")
    assert (report.status, report.stop) == ("failed", "error")


def test_a_job_whose_deadline_is_no_number_ends_now(place: Place, client: Commands) -> None:
    ledger = open_job(client, JOB)
    client.hset(keys.JOB.at(job=JOB), "deadline_at", "soon")
    assert ledger.leases.take(JOB, "alpha/napper", "x", "alpha", 9.0) is Refusal.UNREADABLE
    report = place.report(ledger)
    assert (report.status, report.stop) == ("failed", "deadline")


def test_a_job_of_which_nothing_is_left_is_given_up(place: Place, client: Commands) -> None:
    ledger = open_job(client, JOB)
    client.delete(keys.JOB.at(job=JOB))
    client.set(keys.JOB.at(job=JOB), "x")
    place.until("it is open no more", lambda: not ledger.open_jobs())


def test_what_was_put_back_does_not_wait_behind_a_long_queue(
    place: Place, client: Commands
) -> None:
    ledger = open_anywhere(client, JOB)
    place.alive("bravo")
    client.rpush(routing.SHARED, *(f"message {number}" for number in range(READ_THROUGH + 1)))
    lease = ledger.leases.take(JOB, "*/napper/1", "a life", "alpha", 0.1)
    assert isinstance(lease, Lease)
    place.until("it is sent", lambda: client.llen(routing.SHARED) > READ_THROUGH + 1)
    (record,) = ledger.parts(JOB)
    assert (record.sends, record.falls) == (1, 1)


def test_a_part_that_was_begun_since_it_was_seen_is_not_closed(client: Commands) -> None:
    ledger = open_job(client, JOB)
    (seen,) = ledger.parts(JOB)
    lease = ledger.leases.take(JOB, "alpha/napper", "x", "alpha", 60.0)
    assert isinstance(lease, Lease)
    late = answered(JOB, "alpha")
    assert ledger.close_part(late, None, seen) is Closing.TAKEN
    assert ledger.close_parts([(late, seen)]) == [Closing.TAKEN]
    assert ledger.close_part(late, lease.attempt) is Closing.CLOSED


def knows(client: Commands, host: str, form: int) -> None:
    """Have a host say which form of parts it knows."""
    facts = HostFacts(
        host=host,
        machine_id="m",
        instance="x",
        version="1",
        platform="linux",
        os="",
        kernel="",
        architecture="",
        cpus=1,
        memory_bytes=1,
        started=now_utc(),
        format=form,
    )
    Presence(client, 3600.0, 3600).announce(facts)


def test_parts_that_an_old_host_refused_go_to_those_that_know_them(
    place: Place, client: Commands
) -> None:
    ledger = open_anywhere(client, JOB, 12)
    place.alive("alpha", "bravo", "charlie", "delta")
    for host, form in (("alpha", 1), ("bravo", 2), ("charlie", 2), ("delta", 2)):
        knows(client, host, form)
    Draining(client).mark(("delta",), Drained(since=now_utc(), reason="new disk"))
    for part in ledger.parts(JOB):
        key = keys.PART.at(job=JOB, part=part.part)
        task = json.loads(client.hget(key, "task") or "")
        client.hset(key, "task", json.dumps({**task, "format": 2, "unheard_of": 1}))
        ledger.refuse(JOB, part.part, ["alpha"])
    queues = {host: routing.host_queue(host) for host in ("alpha", "bravo", "charlie", "delta")}

    def sent() -> dict[str, int]:
        return {host: client.llen(queue) for host, queue in queues.items()}

    place.until("all are sent", lambda: sum(sent().values()) == 12)
    assert sent()["alpha"] == sent()["delta"] == 0
    assert min(sent()["bravo"], sent()["charlie"]) > 0


def test_a_part_that_no_host_knows_is_refused_with_the_versions(
    place: Place, client: Commands
) -> None:
    ledger = open_anywhere(client, JOB)
    place.alive("alpha")
    knows(client, "alpha", 1)
    key = keys.PART.at(job=JOB, part="*/napper/1")
    task = json.loads(client.hget(key, "task") or "")
    client.hset(key, "task", json.dumps({**task, "format": 2, "version": "99.0"}))
    ledger.refuse(JOB, "*/napper/1", ["alpha"])
    report = place.report(ledger)
    assert report.stop == "refused"
    assert "made by hostswarm 99.0 in form 2" in report.reason


def test_many_parts_are_closed_in_one_look_and_the_synthesis_is_sent_once(
    place: Place, client: Commands
) -> None:
    ledger = open_anywhere(client, JOB, 450)
    client.hset(keys.JOB.at(job=JOB), "deadline_at", repr(ledger.now()))
    assert place.watcher.tick()
    assert ledger.record(JOB).closed == 450
    assert client.llen(routing.CONTROL) == 1


def test_what_a_control_held_that_is_gone_goes_back_to_its_queue(
    place: Place, client: Commands
) -> None:
    Presence(client, 0.1, 3600).beat_control("deadbeef", "home")
    message = {
        "headers": {"id": "x"},
        "properties": {"priority": 2, "delivery_info": {"routing_key": routing.CONTROL}},
    }
    held = keys.UNACKED.at(owner=control_owner("deadbeef"))
    client.hset(held, "tag", json.dumps([message, routing.CONTROL, routing.CONTROL]))
    lane = lane_key(routing.CONTROL, 2)
    place.until("it is back", lambda: client.llen(lane))
    assert json.loads(client.lrange(lane, 0, -1)[0])["headers"]["redelivered"] is True
    assert not client.exists(held)
    assert place.presence.ended_controls() == {}


def test_what_cannot_be_read_of_a_former_life_is_left_where_it_is(client: Commands) -> None:
    client.hset(keys.UNACKED.at(owner="alpha"), mapping={"a": "no json", "b": "[]", "c": "[1,2,3]"})
    assert give_back(client, "alpha") == 0
    assert client.hgetall(keys.UNACKED.at(owner="alpha")).keys() == {"a", "b", "c"}


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the agents of this module's fleet wait for."""
    return tmp_path_factory.mktemp("gate") / "open"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, gate: Path) -> Generator[TestFleet]:
    """Control and two hosts, of which none passes for dead because the machine is busy."""
    with TestFleet(
        tmp_path_factory.mktemp("pair"),
        tool_modules=["tests.support.fake_tools"],
        specialists={"holder": specialist("holder", "hold", path=str(gate))},
        heartbeat_seconds=2.0,
    ) as running:
        running.start_control()
        running.start_workers("alpha", "bravo")
        yield running


def test_a_part_is_redone_where_its_worker_fell_and_came_back(pair: TestFleet, gate: Path) -> None:
    ledger = pair.fleet.ledger
    job = pair.fleet.audit(AuditRequest(specialists=("holder",))).id

    def running() -> dict[str, int]:
        """The attempts that are under way."""
        return {one.host: one.attempt for one in ledger.parts(job) if one.state == "running"}

    wait_until("both run", lambda: running() == {"alpha": 1, "bravo": 1})
    pair.kill("alpha")
    pair.start_workers("alpha")
    # The other's part keeps the job open for as long as the start takes.
    wait_until("it is redone", lambda: running() == {"alpha": 2, "bravo": 1})
    gate.touch()
    assert pair.fleet.wait(job).coverage.answered == ("alpha", "bravo")
    assert [part.attempt for part in ledger.parts(job)] == [2, 1]


def test_a_part_of_a_newer_version_is_refused_with_the_version(pair: TestFleet) -> None:
    ledger = open_job(pair.fleet.client, JOB)
    payload = ledger.payload(JOB, "alpha/napper")
    assert payload is not None
    newer = {**payload, "format": PART_FORMAT + 1, "version": "99.0", "unheard_of": 1}
    queue = routing.host_queue("alpha")
    sending.send_payload(pair.fleet.app, task_id(JOB, "alpha/napper"), newer, queue)
    (line,) = pair.fleet.wait(JOB).hosts
    assert line.status == "failed"
    assert "made by 99.0" in line.reason
    assert "upgrade" in line.reason
