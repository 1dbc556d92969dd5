"""The keeper against a real store: patient after a silence, and not to be stopped by one job."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from pydantic import SecretStr

from orchestrator.keeper import Keeper
from orchestrator.plan import default_parts, host_tasks
from swarm_tasks.app import make_app
from swarm_tasks.config import Settings
from swarm_tasks.embedded import EmbeddedStore
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.job import HostTask, Job, Specialist
from swarm_tasks.models.policy import Policy
from swarm_tasks.store import keys
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.ledger import Ledger
from swarm_tasks.store.presence import Presence
from tests.support.waiting import wait_until

SPECIALIST = Specialist(name="napper", title="", prompt="", tools=())
TTL_SECONDS = 1.0


@pytest.fixture
def keeper(client: Commands, store: EmbeddedStore) -> Generator[Keeper]:
    app = make_app(Settings(broker_url=SecretStr(store.url)), listens=False)
    yield Keeper(app, Ledger(client, 3600), Presence(client, TTL_SECONDS, 3600))
    app.close()


def tasks_of(job: Job, deadline_at: float) -> tuple[HostTask, ...]:
    parts = default_parts(job.hosts, (SPECIALIST,), job.question)
    return host_tasks(job, parts, Policy(), deadline_at)


def open_job(client: Commands, job: str) -> Ledger:
    """A job on one host that gives no sign of life."""
    ledger = Ledger(client, 3600)
    asked = Job(
        id=job, hosts=("alpha",), specialists=("napper",), created=now_utc(), deadline_seconds=600
    )
    deadline_at = ledger.now() + 600
    ledger.open(asked, tasks_of(asked, deadline_at), deadline_at)
    return ledger


def test_after_a_silence_of_its_own_it_gives_hosts_time_to_speak(
    keeper: Keeper, client: Commands
) -> None:
    ledger = open_job(client, "aaaaaaaa")
    keeper.tick()
    assert ledger.record("aaaaaaaa").closed == 0

    def closed() -> bool:
        keeper.tick()
        return ledger.record("aaaaaaaa").closed == 1

    wait_until("the silent host is dark after all", closed, 10)
    assert ledger.reports("aaaaaaaa")[0].status.value == "dark"


def test_a_job_that_cannot_be_read_does_not_keep_it_from_the_others(
    keeper: Keeper, client: Commands
) -> None:
    open_job(client, "aaaaaaaa")
    client.hset(keys.JOB.at(job="aaaaaaaa"), "job", '{"from": "another version"}')
    ledger = open_job(client, "bbbbbbbb")

    def closed() -> bool:
        keeper.tick()
        return ledger.record("bbbbbbbb").closed == 1

    wait_until("the other job is looked after", closed, 10)


def test_a_job_whose_life_is_over_is_no_longer_open(keeper: Keeper, client: Commands) -> None:
    ledger = open_job(client, "aaaaaaaa")
    client.delete(keys.JOB.at(job="aaaaaaaa"))
    keeper.tick()
    assert ledger.open_jobs() == ()


def test_a_job_outlives_its_deadline_however_short_results_are_kept(client: Commands) -> None:
    ledger = Ledger(client, 60)
    asked = Job(
        id="cccccccc",
        hosts=("alpha",),
        specialists=("napper",),
        created=now_utc(),
        deadline_seconds=7200,
    )
    deadline_at = ledger.now() + 7200
    ledger.open(asked, tasks_of(asked, deadline_at), deadline_at)
    assert client.ttl(keys.JOB.at(job="cccccccc")) > 7200
    assert client.ttl(keys.PART.at(job="cccccccc", part="alpha/napper")) > 7200
    ledger.drop_open("cccccccc")
