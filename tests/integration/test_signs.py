"""A host's signs of life, over a real store: what goes with them must not keep them back."""

from __future__ import annotations

from collections.abc import Callable, Generator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from swarm_tasks.config import Settings
from swarm_tasks.store import keys
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.leases import Held
from swarm_tasks.store.ledger import Ledger
from swarm_tasks.store.presence import Presence
from tests.support import hosts
from tests.support.jobs import open_job
from workers.governor import Governor, Lines
from workers.parts import Parts
from workers.runtime import Runtime
from workers.signs import Signs
from workers.strain import Strain

JOB = "abcdefgh"
PART = "alpha/napper"


class Host:
    """A host of which only the membership is played: its name is not in doubt."""

    def __init__(
        self,
        client: Commands,
        look: Callable[[], Strain] = Strain,
        sign: Callable[..., object] | None = None,
    ) -> None:
        def nothing(*_: object) -> None:
            """No pool is there to be told."""

        ledger, presence = Ledger(client, 3600), Presence(client, 60.0, 3600)
        facts, played = hosts.view("alpha").facts, cast(Any, None)
        assert facts is not None
        self.runtime = Runtime()
        shelf = cast(Any, SimpleNamespace(ledger=ledger))
        settings = Settings(host="alpha", heartbeat_seconds=20.0)
        self.parts = Parts(settings, "one", shelf, self.runtime, played, played, nothing)
        governor = Governor(Lines(1.0, 90.0), 8, 4, look, nothing, nothing)
        member = cast(Any, SimpleNamespace(sign=sign or presence.beat))
        self.signs = Signs(lambda: facts, self.parts, governor, member, self.runtime, ledger)


@pytest.fixture
def made() -> Generator[Callable[..., Host]]:
    """Makes hosts, and ends what they run."""
    all_made: list[Host] = []

    def make(*words: Any) -> Host:
        all_made.append(Host(*words))
        return all_made[-1]

    yield make
    for host in all_made:
        host.runtime.close()


def test_a_host_with_a_lease_that_cannot_be_renewed_still_gives_its_sign(
    client: Commands, made: Callable[..., Host], caplog: pytest.LogCaptureFixture
) -> None:
    host = made(client)
    client.set(keys.PART.at(job=JOB, part=PART), "tampered with")
    host.parts.hold(Held(JOB, PART, 1), cast(Any, None))
    host.signs.give()
    assert client.exists(keys.BEAT.at(host="alpha"))
    assert "leases were not renewed" in caplog.text
    assert "Traceback" in caplog.text


def test_a_machine_that_cannot_be_looked_at_still_has_its_host_heard(
    client: Commands, made: Callable[..., Host], caplog: pytest.LogCaptureFixture
) -> None:
    def unreadable() -> Strain:
        raise ValueError("no number")

    made(client, unreadable).signs.give()
    assert client.exists(keys.BEAT.at(host="alpha"))
    assert "ValueError: no number" in caplog.text


def test_whoever_signs_has_renewed_before(client: Commands, made: Callable[..., Host]) -> None:
    ledger = open_job(client, JOB)
    ledger.leases.take(JOB, PART, "one", "alpha", 1.0)
    (before,) = ledger.parts(JOB)
    renewed: list[bool] = []

    def sign(_: object) -> None:
        (part,) = ledger.parts(JOB)
        renewed.append(part.lease_until > before.lease_until)

    host = made(client, Strain, sign)
    host.parts.hold(Held(JOB, PART, 1), cast(Any, None))
    host.signs.give()
    assert renewed == [True]
