"""Whoever follows a job, over a real store: they look after parts only where nobody else is."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from pydantic import SecretStr

from orchestrator.following import Lookout, watcher_of_asker
from orchestrator.keeper import Keeper
from orchestrator.service import Fleet
from swarm_tasks.config import Settings
from swarm_tasks.embedded import EmbeddedStore
from swarm_tasks.models.event import EventKind
from swarm_tasks.store import keys
from swarm_tasks.store.commands import Commands
from tests.support import hosts
from tests.support.jobs import open_job

JOB = "abcdefgh"


@pytest.fixture
def asker(
    client: Commands, store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> Generator[Fleet]:
    """One who asks, and looks often, on an empty store."""
    monkeypatch.setattr("orchestrator.following.LOOK_SECONDS", 0.01)
    fleet = Fleet(Settings(broker_url=SecretStr(store.url)))
    yield fleet
    fleet.close()


class Eager(Lookout):
    """One for whom it is always time to look."""

    def __init__(self, asker: Fleet) -> None:
        watcher = watcher_of_asker(asker.app, asker.ledger, asker.presence)
        keeper = Keeper(asker.app, asker.ledger, asker.presence)
        super().__init__(JOB, asker.ledger, asker.presence, watcher, keeper)

    def ended(self) -> bool:
        self._looked = 0.0
        return super().ended()


def beat(asker: Fleet) -> None:
    sign = hosts.view("alpha").beat
    assert sign is not None
    asker.presence.beat(sign)


@pytest.mark.parametrize("who", ["a worker", "a control"])
def test_nobody_who_follows_competes_for_the_watch_while_another_is_there(
    asker: Fleet, client: Commands, who: str
) -> None:
    open_job(client, JOB)
    if who == "a worker":
        beat(asker)
    else:
        asker.presence.beat_control("an instance", "home")
    assert not Eager(asker).ended()
    assert client.get(keys.WATCH.at()) is None


def test_the_watch_is_left_to_a_worker_that_comes(asker: Fleet, client: Commands) -> None:
    open_job(client, JOB)
    lookout = Eager(asker)
    assert not lookout.ended()
    assert str(client.get(keys.WATCH.at())).startswith("asker ")
    beat(asker)
    assert not lookout.ended()
    assert client.get(keys.WATCH.at()) is None


def test_a_job_that_nobody_else_looks_after_ends_and_its_follower_lets_go(
    asker: Fleet, client: Commands
) -> None:
    open_job(client, JOB, deadline_seconds=-1.0)
    *_, last = asker.follow(JOB)
    assert last.kind is EventKind.JOB_CLOSED
    assert client.get(keys.WATCH.at()) is None
