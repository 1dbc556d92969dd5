"""How a host leaves: told to stop, drained, forgotten, or thrown out by another of its name."""

from __future__ import annotations

import json
import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from orchestrator.service import Fleet
from orchestrator.surfaces.cli import app
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.event import EventKind
from swarm_tasks.models.host import Beat, Drained
from swarm_tasks.models.job import AuditRequest, Job
from swarm_tasks.models.report import HostStatus, StopReason
from swarm_tasks.store import keys
from swarm_tasks.store.draining import Draining
from swarm_tasks.store.events import read_events
from swarm_tasks.store.names import Claim, Names, Ours
from tests.support.fleets import TestFleet, run_cli, specialist
from tests.support.waiting import wait_until

TOOLS = ["tests.support.fake_tools", "tests.support.odd_tools"]
HEARTBEAT_SECONDS = 1.0
"""A worker passes for dead after three of them: longer than one on a busy machine is silent."""


class Waiting:
    """A fleet with a specialist that waits for a file.

    Args:
        grace_seconds: What a worker gives its agents when it is told to stop.
    """

    def __init__(self, directory: Path, grace_seconds: float) -> None:
        self.file = directory / "there"
        own = {"waiting": specialist("waiting", "waits", path=str(self.file))}
        self.fleet = TestFleet(
            directory,
            tool_modules=TOOLS,
            specialists=own,
            grace_seconds=grace_seconds,
            heartbeat_seconds=HEARTBEAT_SECONDS,
        )

    def asked(self) -> tuple[Fleet, Job]:
        """A job whose parts wait for the file."""
        asked = self.fleet.fleet
        return asked, asked.audit(AuditRequest(specialists=("waiting",)))

    def begun(self) -> tuple[Fleet, Job]:
        """The same, once an agent is at work."""
        asked, job = self.asked()
        wait_until("an agent waits", lambda: EventKind.TOOL_STARTED in kinds(asked, job))
        return asked, job

    def cli(self, *words: str) -> Any:
        """What the command answers, as JSON."""
        code, said = self.says(*words, "--json")
        assert code == 0, said
        return json.loads(said)

    def says(self, *words: str) -> tuple[int, str]:
        """What the command leaves with and says, run in this process: a start takes a second."""
        done = CliRunner().invoke(app, words, env=self.environment)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.stdout

    def draining(self, host: str) -> bool:
        """Whether a host says that it takes no more parts; a sign of life may come late."""
        beat = self.fleet.fleet.presence.beats((host,)).get(host)
        return beat is not None and beat.draining

    @property
    def environment(self) -> dict[str, str]:
        """How the command line finds this fleet."""
        return {
            "HOSTSWARM_BROKER_URL": self.fleet.url,
            "HOSTSWARM_STATE_DIR": str(self.fleet.directory),
            "HOSTSWARM_HEARTBEAT_SECONDS": str(HEARTBEAT_SECONDS),
        }


def kinds(asked: Fleet, job: Job) -> list[EventKind]:
    return [event.kind for _, event in read_events(asked.client, job.id, "0", 0.01)]


def state_of(asked: Fleet, job: Job) -> str:
    (part,) = asked.ledger.parts(job.id)
    return part.state


@pytest.fixture
def patient(tmp_path: Path) -> Generator[Waiting]:
    """Where agents may come to their end."""
    waiting = Waiting(tmp_path, 60.0)
    with waiting.fleet:
        yield waiting
        waiting.file.touch()


@pytest.fixture
def hasty(tmp_path: Path) -> Generator[Waiting]:
    """Where they have a fifth of a second."""
    waiting = Waiting(tmp_path, 0.2)
    with waiting.fleet:
        yield waiting


def test_a_worker_that_is_told_to_stop_finishes_what_it_can(patient: Waiting) -> None:
    patient.fleet.start_workers("alpha")
    asked, job = patient.begun()
    process = patient.fleet.process("alpha")
    process.send_signal(signal.SIGTERM)
    wait_until("it takes no more", lambda: patient.draining("alpha"))
    assert state_of(asked, job) == "running"
    patient.file.touch()
    process.wait(20)
    (report,) = asked.ledger.reports(job.id)
    assert report.status is HostStatus.ANSWERED
    (part,) = asked.ledger.parts(job.id)
    assert (part.attempt, part.returns) == (1, 0)
    assert asked.presence.beats(("alpha",)) == {}


def test_what_is_not_done_by_then_is_put_back_and_done_in_the_next_life(hasty: Waiting) -> None:
    hasty.fleet.start_workers("alpha")
    asked, job = hasty.begun()
    process = hasty.fleet.process("alpha")
    process.send_signal(signal.SIGTERM)
    process.wait(20)
    (part,) = asked.ledger.parts(job.id)
    assert (part.state, part.attempt, part.returns) == ("sent", 1, 1)
    hasty.file.touch()
    hasty.fleet.start_workers("alpha")
    wait_until("it is done again", lambda: state_of(asked, job) == "closed")
    (report,) = asked.ledger.reports(job.id)
    assert report.stop is StopReason.ANSWERED
    (part,) = asked.ledger.parts(job.id)
    assert (part.attempt, part.returns) == (2, 1)


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGQUIT])
def test_a_second_signal_cuts_the_grace_short(patient: Waiting, second: signal.Signals) -> None:
    patient.fleet.start_workers("alpha")
    asked, job = patient.begun()
    process = patient.fleet.process("alpha")
    process.send_signal(signal.SIGTERM)
    wait_until("it takes no more", lambda: patient.draining("alpha"))
    process.send_signal(second)
    process.wait(20)
    (part,) = asked.ledger.parts(job.id)
    assert (part.state, part.returns) == ("sent", 1)


def test_a_drained_host_finishes_what_runs_and_takes_no_more(patient: Waiting) -> None:
    patient.fleet.start_workers("alpha")
    asked, job = patient.begun()
    words = ("drain", "alpha", "--reason", "new disk")
    code, said = patient.says(*words, "--wait", "0.1s")
    assert code == 1
    assert said.startswith("alpha takes no more parts; 1 still under way.\n")
    patient.file.touch()
    (row,) = patient.cli(*words)
    assert (row["host"], row["quiet"], row["agents"]) == ("alpha", True, 0)
    (report,) = asked.ledger.reports(job.id)
    assert report.status is HostStatus.ANSWERED
    (view,) = patient.cli("hosts")
    assert view["drained"]["reason"] == "new disk"
    assert "alive, drained" in patient.says("hosts")[1]
    # Errands go on, and it stays so in the next life.
    assert asked.call_tool("alpha", "nap", {"seconds": 0}).status.value == "ok"
    patient.fleet.kill("alpha")
    asked.presence.silence("alpha")
    patient.fleet.start_workers("alpha")
    wait_until("it takes no part", lambda: patient.draining("alpha"))
    patient.cli("drain", "alpha", "--undo")
    after = asked.wait(asked.audit(AuditRequest(specialists=("waiting",))).id)
    assert after.coverage.whole


def test_drain_knows_the_hosts_that_it_is_given(patient: Waiting) -> None:
    patient.fleet.fleet.presence.beat(
        Beat(host="alpha", instance="i", at=now_utc(), load1=0, agents=0, capacity=1)
    )
    done = run_cli("drain", "alhpa", environment=patient.environment)
    assert done.returncode == 2
    assert "alhpa" in done.stderr
    assert Draining(patient.fleet.fleet.client).drained() == {}
    assert "was not drained" in patient.says("drain", "alpha", "--undo")[1]


def test_a_mark_that_cannot_be_read_drains_all_the_same(patient: Waiting) -> None:
    client = patient.fleet.fleet.client
    client.hset(keys.DRAINED.at(), "alpha", "{half a m")
    assert Draining(client).drained()["alpha"].reason == "its mark cannot be read"
    patient.fleet.start_workers("alpha")
    wait_until("it takes no part", lambda: patient.draining("alpha"))


def test_only_a_host_that_is_gone_can_be_forgotten(patient: Waiting) -> None:
    patient.fleet.start_workers("alpha")
    client = patient.fleet.fleet.client
    Draining(client).mark(["alpha"], Drained(since=now_utc()))
    words = ("hosts", "--forget", "alpha")
    refused = run_cli(*words, environment=patient.environment)
    assert refused.returncode == 2
    assert refused.stderr.startswith("hostswarm: alpha is alive, and would be back at once: stop")
    patient.fleet.terminate("alpha")
    assert keys.MACHINES.at() in client.scan_iter(match=keys.MACHINES.at())
    assert patient.says(*words)[0] == 0
    assert not client.exists(keys.MACHINES.at(), keys.DRAINED.at())


def test_a_worker_whose_name_is_taken_meanwhile_ends_and_its_next_life_says_why(
    hasty: Waiting,
) -> None:
    hasty.fleet.start_workers("alpha")
    presence = hasty.fleet.fleet.presence
    names = Names(hasty.fleet.fleet.client, presence.ttl_seconds, presence.forget_seconds)
    (own,) = wait_until("a sign of life", lambda: tuple(presence.beats(("alpha",)).values()))
    beat = own.model_copy(update={"instance": "other"})
    process = hasty.fleet.process("alpha")
    # As if it had been cut off for so long that another machine got its name.
    hasty.fleet.fleet.client.delete(keys.MACHINES.at())
    presence.silence("alpha")
    assert isinstance(names.claim(Claim("alpha", "another machine", "other")), Ours)
    presence.beat(beat, "another machine")
    process.wait(20)
    assert "another worker is called alpha by now: this one ends" in hasty.fleet.log("alpha")
    presence.beat(beat, "another machine")
    hasty.fleet.start_workers("alpha")
    refused = "cannot serve: alpha is the name of another machine (id another machine, this one is "
    wait_until("it is refused", lambda: refused in hasty.fleet.log("alpha"))
