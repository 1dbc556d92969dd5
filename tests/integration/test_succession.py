"""What a worker that starts takes over from a former life of its own name."""

from __future__ import annotations

from pytest import MonkeyPatch

from swarm_tasks.store import keys
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.ledger import Ledger
from swarm_tasks.watch import succession
from swarm_tasks.watch.succession import succeed
from tests.support.jobs import open_anywhere, open_job


class Counted:
    """A store that counts what is read of it by name."""

    def __init__(self, client: Commands) -> None:
        self._client = client
        self.read: list[str] = []

    def __getattr__(self, name: str) -> object:
        self.read.append(name)
        return getattr(self._client, name)


def test_a_worker_that_starts_has_what_its_former_life_held_done_again(
    client: Commands, monkeypatch: MonkeyPatch
) -> None:
    monkeypatch.setattr(succession, "READ_AT_ONCE", 10)  # so that the scan takes several portions
    hosts = [f"h{number:03}" for number in range(300)]
    ledger = open_job(client, "aaaaaaaa", *hosts)
    for host in hosts:
        ledger.leases.take("aaaaaaaa", f"{host}/napper", f"life of {host}", host, 60.0)
    open_anywhere(client, "bbbbbbbb", 2)
    ledger.leases.take("bbbbbbbb", "*/napper/1", "life of h007", "h007", 60.0)
    ledger.leases.take("bbbbbbbb", "*/napper/2", "life of h008", "h008", 60.0)
    # What cannot be read is in nobody's way.
    client.zadd(keys.LEASES.at(), {"gone:h007/napper": 0.0, "odd:h007/napper": 0.0})
    client.set(keys.PART.at(job="odd", part="h007/napper"), "no hash")
    assert succeed(ledger, "h007") == (2, 0)
    (own,) = (part for part in ledger.parts("aaaaaaaa") if part.host == "h007")
    assert (own.state, own.returns) == ("sent", 1)
    states = [part.state for part in ledger.parts("bbbbbbbb")]
    assert states == ["sent", "running"]
    assert sum(part.state == "running" for part in ledger.parts("aaaaaaaa")) == 299
    assert succeed(ledger, "h007") == (0, 0)


def test_a_worker_that_starts_does_not_read_what_the_whole_fleet_runs(client: Commands) -> None:
    ledger = open_job(client, "aaaaaaaa", "alpha", "bravo")
    for host in ("alpha", "bravo"):
        ledger.leases.take("aaaaaaaa", f"{host}/napper", "a life", host, 60.0)
    counted = Counted(client)
    assert succeed(Ledger(counted, 3600), "charlie") == (0, 0)  # type: ignore[arg-type]
    assert not {"zrange", "hmget", "pipeline"} & set(counted.read)
