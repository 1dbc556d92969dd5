"""Copies of parts that went astray, or cannot be read, over a real store: they end no other's."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from celery.exceptions import Ignore

from swarm_tasks.config import Settings
from swarm_tasks.models.job import PART_FORMAT
from swarm_tasks.models.report import StopReason
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.leases import Lease
from swarm_tasks.store.ledger import Ledger
from swarm_tasks.store.records import PartRecord
from tests.support.jobs import open_anywhere, open_job
from workers.parts import Parts

JOB = "abcdefgh"
OURS, THEIRS = "alpha/napper", "bravo/napper"
TOO_NEW = {"format": PART_FORMAT + 1, "host": "bravo"}


def received(ledger: Ledger, payload: object) -> str:
    """What alpha answers to a copy of a part that it does not begin."""
    shelf, played = cast(Any, SimpleNamespace(ledger=ledger)), cast(Any, None)
    parts = Parts(Settings(host="alpha"), "one", shelf, played, played, played, played)
    return parts.begin(cast(Any, payload)).finish()


def unreadable(part: str) -> dict[str, Any]:
    return {"job": JOB, "part": part}


def states(ledger: Ledger) -> dict[str, str]:
    return {part.part: part.state for part in ledger.parts(JOB)}


@pytest.mark.parametrize("under_way", [False, True])
@pytest.mark.parametrize("kind", ["unreadable", "too new", "misrouted"])
def test_a_copy_of_another_host_s_part_leaves_that_alone(
    client: Commands, kind: str, under_way: bool
) -> None:
    ledger = open_job(client, JOB, "alpha", "bravo")
    if under_way:
        assert isinstance(ledger.leases.take(JOB, THEIRS, "two", "bravo", 60.0), Lease)
    before = states(ledger)
    copies: dict[str, object] = {
        "unreadable": unreadable(THEIRS),
        "too new": unreadable(THEIRS) | TOO_NEW,
        "misrouted": ledger.payload(JOB, THEIRS),
    }
    with pytest.raises(Ignore):
        received(ledger, copies[kind])
    assert states(ledger) == before


def test_a_copy_that_cannot_be_read_leaves_what_is_under_way_here_alone(client: Commands) -> None:
    ledger = open_job(client, JOB, "alpha")
    ledger.leases.take(JOB, OURS, "one", "alpha", 60.0)
    with pytest.raises(Ignore):
        received(ledger, unreadable(OURS))
    assert states(ledger) == {OURS: "running"}


def test_a_part_that_waits_for_this_host_and_cannot_be_read_fails_at_once(
    client: Commands,
) -> None:
    ledger = open_job(client, JOB, "alpha", "bravo")
    assert received(ledger, unreadable(OURS)) == OURS
    assert states(ledger) == {OURS: "closed", THEIRS: "sent"}
    assert ledger.reports(JOB)[0].stop is StopReason.ERROR
    assert received(ledger, unreadable(OURS)) == OURS, "it still counts for whoever waits"


def test_a_part_for_any_host_that_cannot_be_read_fails_while_nobody_runs_it(
    client: Commands,
) -> None:
    ledger = open_anywhere(client, JOB, 2)
    ledger.leases.take(JOB, "*/napper/1", "two", "bravo", 60.0)
    with pytest.raises(Ignore):
        received(ledger, unreadable("*/napper/1"))
    assert received(ledger, unreadable("*/napper/2")) == "*/napper/2"
    assert states(ledger) == {"*/napper/1": "running", "*/napper/2": "closed"}


def test_a_part_that_is_begun_while_a_copy_of_it_is_refused_goes_on(client: Commands) -> None:
    class Begun(Ledger):
        """A ledger in which a part is begun just after it was read."""

        def part_records(self, members: Sequence[str]) -> dict[str, PartRecord]:
            found = super().part_records(members)
            self.leases.take(JOB, OURS, "one", "alpha", 60.0)
            return found

    open_job(client, JOB, "alpha")
    ledger = Begun(client, 3600)
    with pytest.raises(Ignore):
        received(ledger, unreadable(OURS))
    assert states(ledger) == {OURS: "running"}
