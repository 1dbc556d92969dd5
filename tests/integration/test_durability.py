"""A store that dies, comes back, or has no room: no work is lost, and whoever waits is told."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import SecretStr
from rich.console import Console

from orchestrator.surfaces.up import StorePost
from swarm_tasks import embedded
from swarm_tasks.config import Settings
from swarm_tasks.embedded import EmbeddedStore, running_store
from swarm_tasks.errors import JobError, StoreError
from swarm_tasks.models.event import Event, EventKind
from swarm_tasks.models.job import AuditRequest
from swarm_tasks.models.report import JobStatus
from swarm_tasks.store import keys
from swarm_tasks.store.client import connect
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.events import read_events
from tests.support.commands import words_of
from tests.support.disks import filled, small_disk
from tests.support.fleets import TestFleet, run_cli, specialist
from tests.support.waiting import wait_until

SPECIALISTS = tuple(f"held{number}" for number in range(4))


def options(gate: Path) -> dict[str, Any]:
    """Settings of a fleet whose agents wait for tickets. None passes for dead because its machine
    is busy, or the store away for a while."""
    gate.mkdir()
    return {
        "tool_modules": ["tests.support.fake_tools"],
        "specialists": {name: specialist(name, "ticket", path=str(gate)) for name in SPECIALISTS},
        "heartbeat_seconds": 2.0,
    }


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Generator[TestFleet]:
    """Control and two workers, each with work for two turns."""
    directory = tmp_path_factory.mktemp("fleet")
    with TestFleet(directory, **options(directory / "gate")) as running:
        running.start_control()
        running.start_workers("alpha", "bravo", agents=2)
        yield running


def let(fleet: TestFleet, number: int = 100) -> None:
    """Let so many agents come to their end."""
    for one in range(number):
        (fleet.directory / "gate" / str(one)).touch()


def ask(fleet: TestFleet, *hosts: str) -> str:
    """A job whose first turn has begun, and waits for tickets."""
    for left in (fleet.directory / "gate").iterdir():
        left.unlink()
    job = fleet.fleet.audit(AuditRequest(specialists=SPECIALISTS, hosts=hosts)).id
    turn = 2 * len(hosts or ("alpha", "bravo"))
    wait_until("the first turn is at work", lambda: running_parts(fleet, job) == turn)
    return job


def running_parts(fleet: TestFleet, job: str) -> int:
    return sum(part.state == "running" for part in fleet.fleet.ledger.parts(job))


def all_at_work(fleet: TestFleet, job: str) -> bool:
    """Whether each host has as many agents at work as it has places, or parts left: who took a
    ticket twice in a turn has fewer left."""
    left = [part for part in fleet.fleet.ledger.parts(job) if part.state != "closed"]
    hosts = Counter(part.host for part in left)
    working = Counter(part.host for part in left if part.state == "running")
    return all(working[host] == min(2, count) for host, count in hosts.items())


def lives(fleet: TestFleet) -> dict[str, int]:
    """Which processes serve."""
    return {name: fleet.process(name).pid for name in ("control", "alpha", "bravo")}


def closings(events: list[Event]) -> Counter[str]:
    """How often each part was told to be closed."""
    return Counter(event.part for event in events if event.kind is EventKind.PART_CLOSED)


class Follower:
    """Somebody who follows a job from a thread of their own."""

    def __init__(self, fleet: TestFleet, job: str) -> None:
        self.events: list[Event] = []
        self.error: Exception | None = None
        self._asker = fleet.asking()
        self._asker.patience_seconds = 20.0
        self._job = job
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()

    def _follow(self) -> None:
        try:
            for event in self._asker.follow(self._job):
                self.events.append(event)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.error = error
        finally:
            self._asker.close()

    def end(self) -> None:
        """Wait until they have seen the end."""
        self._thread.join(60.0)
        assert not self._thread.is_alive()


def test_a_store_that_is_killed_costs_a_job_nothing(fleet: TestFleet) -> None:
    before = lives(fleet)
    job = ask(fleet)
    follower = Follower(fleet, job)
    wait_until("it is followed", lambda: follower.events)
    fleet.kill_store()
    wait_until("alpha misses it", lambda: "no sign of life was given" in fleet.log("alpha"))
    wait_until("control misses it", lambda: "cannot reach the store" in fleet.log("control"))
    let(fleet)
    fleet.revive_store()
    follower.end()
    assert follower.error is None
    report = fleet.fleet.report(job)
    assert report.job.status is JobStatus.COMPLETE
    assert closings(follower.events) == {part.part: 1 for part in fleet.fleet.ledger.parts(job)}
    assert len(fleet.fleet.ledger.parts(job)) == 2 * len(SPECIALISTS)
    assert lives(fleet) == before


def test_a_job_that_was_asked_in_a_second_that_was_lost_is_told_as_gone(fleet: TestFleet) -> None:
    before = fleet.written_bytes()
    job = ask(fleet)
    follower = Follower(fleet, job)
    wait_until("it is followed", lambda: follower.events)
    fleet.kill_store(keep_bytes=before)
    fleet.revive_store()
    follower.end()
    assert isinstance(follower.error, JobError)
    assert str(follower.error) == (
        f"job {job} is gone: the store was restarted without the last of what it had been told: "
        "ask again"
    )
    # Its agents leave their places to others.
    job = ask(fleet)
    let(fleet)
    assert fleet.fleet.wait(job).job.status is JobStatus.COMPLETE
    assert fleet.fleet.ledger.open_jobs() == ()


def test_what_parts_came_to_in_a_second_that_was_lost_is_done_again_and_counted_once(
    fleet: TestFleet,
) -> None:
    job = ask(fleet)
    before = fleet.written_bytes()
    let(fleet, 4)
    wait_until("the first turn is done", lambda: fleet.fleet.record(job).closed == 4)
    wait_until("all that can be is at work", lambda: all_at_work(fleet, job))
    fleet.kill_store(keep_bytes=before)
    fleet.revive_store()
    record = fleet.fleet.record(job)
    assert (record.closed, record.total) == (0, 2 * len(SPECIALISTS))
    let(fleet)
    report = fleet.fleet.wait(job)
    assert report.job.status is JobStatus.COMPLETE
    parts = fleet.fleet.ledger.parts(job)
    assert [part.state for part in parts] == ["closed"] * record.total
    assert fleet.fleet.record(job).closed == record.total
    told = read_events(fleet.fleet.client, job)
    assert closings([event for _, event in told]) == {part.part: 1 for part in parts}


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.skipif(sys.platform != "linux", reason="tmpfs is Linux's")
def test_a_disk_that_is_full_for_a_while_costs_a_job_nothing(tmp_path: Path) -> None:
    own = options(tmp_path / "gate")
    with small_disk(tmp_path / "store") as disk, TestFleet(tmp_path, **own) as running:
        if disk is None:
            pytest.skip("nothing can be mounted here")
        running.start_control()
        running.start_workers("alpha", agents=2)
        before = [running.process(name).pid for name in ("alpha", "control")]
        job = ask(running, "alpha")
        with filled(disk):
            for name in ("alpha", "control"):
                told = "the store takes no writes, waiting for it: MISCONF"
                wait_until(f"{name} says so", lambda log=name, told=told: told in running.log(log))
            let(running)
            wait_until(
                "the first turn waits to be closed",
                lambda: running.log("alpha").count("the store is away, trying again: MISCONF") >= 2,
            )
            doctor = run_cli("doctor", environment={"HOSTSWARM_BROKER_URL": running.url})
            assert doctor.returncode == 1
            assert "MISCONF Errors writing to the AOF file: No space left" in doctor.stdout
            assert "mend: make room on the disk of its data" in doctor.stdout
            assert running_store(tmp_path, lasting=True) == running.url
        assert running.fleet.wait(job).job.status is JobStatus.COMPLETE
        assert {part.attempt for part in running.fleet.ledger.parts(job)} == {1}
        wait_until(
            "all messages are acknowledged",
            lambda: not running.fleet.client.exists(keys.UNACKED.at(owner="alpha")),
        )
        assert [running.process(name).pid for name in ("alpha", "control")] == before


def test_a_store_that_has_much_to_load_is_given_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = 15_000
    with EmbeddedStore(tmp_path) as store, client_of(store) as client:
        pipe = client.pipeline(transaction=False)
        for number in range(entries):
            pipe.set(f"k{number}", "v")
        pipe.execute()
    monkeypatch.setattr(embedded, "START_SECONDS", 1.5)
    # Microseconds for each of them: longer in all. It answers once in 1,024 of them.
    monkeypatch.setattr(embedded, "CONFIG", embedded.CONFIG + "key-load-delay 150\n")
    with EmbeddedStore(tmp_path) as store, client_of(store) as client:
        assert len(list(client.scan_iter(match="k*"))) == entries


@contextmanager
def client_of(store: EmbeddedStore) -> Generator[Commands]:
    client = connect(Settings(broker_url=SecretStr(store.url)))
    try:
        yield client
    finally:
        client.close()


def killed(store: EmbeddedStore, directory: Path) -> None:
    """SIGKILL its server."""
    (server,) = (
        one
        for one in psutil.Process().children(recursive=True)
        if one.name() == "valkey-server" and str(directory) in " ".join(words_of(one))
    )
    server.kill()
    wait_until("its end is noticed", lambda: store.ended)


def test_a_store_that_ends_is_started_again_at_its_address_with_its_data(tmp_path: Path) -> None:
    said = io.StringIO()
    with EmbeddedStore(tmp_path) as store, client_of(store) as client:
        url, post = store.url, StorePost(store, Console(file=said, width=200))
        client.set("k", "kept")
        assert post.look_after()
        killed(store, tmp_path)
        wait_until("it runs again", post.look_after)
        assert (store.url, running_store(tmp_path)) == (url, url)
        # Whoever had a connection gets over it.
        assert client.get("k") == "kept"
    assert said.getvalue() == "store ended by itself; it is started again\nstore runs again\n"


def test_a_store_that_never_stays_is_given_up_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EmbeddedStore(tmp_path) as store:
        post = StorePost(store, Console(file=io.StringIO()))
        monkeypatch.setattr(embedded, "server_binary", lambda: Path("/bin/false"))
        killed(store, tmp_path)

        def given_up() -> str:
            try:
                post.look_after()
            except StoreError as error:
                return str(error)
            return ""

        told = wait_until("it is given up", given_up)
        assert told == f"the embedded store ends again and again: see {store.log}"
