"""A host that is dark is looked at by a peer: real sockets, real programs, real workers."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from swarm_tasks import sending
from swarm_tasks.contracts import OutsideLook
from swarm_tasks.models.host import HostFacts, OpenPort
from swarm_tasks.models.outside import OutsideView, Seen
from swarm_tasks.store import keys
from swarm_tasks.store.last_audits import LastAudits
from swarm_tasks.store.outside import VIEW_SECONDS, OutsideViews
from tests.support import reports
from tests.support.fleets import TestFleet
from tests.support.golden import GOLDEN
from tests.support.waiting import wait_until
from workers import outside
from workers.facts import addresses_here
from workers.tools import runner
from workers.tools.access import this_machine

OWN = next(iter(addresses_here()), "")
"""An address of this machine that is not loopback: what another machine would try."""

pytestmark = pytest.mark.skipif(not OWN, reason="this machine has no address but loopback")


@contextmanager
def listening(backlog: int = 8) -> Generator[tuple[socket.socket, int]]:
    """A port of this machine that takes connections from others."""
    family = socket.AF_INET6 if ":" in OWN else socket.AF_INET
    with closing(socket.create_server((OWN, 0), family=family, backlog=backlog)) as server:
        yield server, server.getsockname()[1]


def states(*numbers: int) -> list[str]:
    ports = [OpenPort(number=number) for number in numbers]
    tried = asyncio.run(outside.try_address(OWN, ports, this_machine()))
    return [port.state for port in tried.ports]


def test_a_port_is_seen_to_answer_to_refuse_or_to_be_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outside, "CONNECT_SECONDS", 20.0)
    with (
        listening() as (server, answers),
        listening() as (gone, refuses),
        listening(0) as (_, full),
    ):
        gone.close()
        # What stands in line for a program that takes nobody in: the kernel drops all others.
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex((OWN, full))
        assert states(answers, refuses) == ["answers", "refused"]
        monkeypatch.setattr(outside, "CONNECT_SECONDS", 0.3)
        assert states(full) == ["silent"]
        taken, _ = server.accept()
        with taken:
            taken.settimeout(5)
            assert taken.recv(1) == b"", "nothing is sent, and the connection is closed at once"
        for one in waiting:
            one.close()


@pytest.mark.parametrize(
    ("script", "state", "seconds"),
    [
        (f"cat {GOLDEN / 'ping' / 'linux-iputils-ipv4.in'}", "answers", 20.0),
        (f"cat {GOLDEN / 'ping' / 'linux-iputils-silent.in'}; exit 1", "silent", 20.0),
        ("echo 'ping: connect: Network is unreachable' >&2; exit 2", "silent", 20.0),
        ("echo 'ping: socket: Operation not permitted' >&2; exit 2", "unknown", 20.0),
        ("exec sleep 60", "silent", 0.3),
    ],
)
def test_ping_is_the_machine_s_own_and_bounded(
    script: str, state: str, seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "ping"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(runner, "SEARCH_PATH", str(tmp_path))
    monkeypatch.setattr(outside, "PING_SECONDS", seconds)
    ping = asyncio.run(outside.try_address(OWN, [], this_machine())).ping
    assert ping.state == state
    assert (ping.milliseconds is not None) == (state == "answers")


@pytest.fixture(scope="module")
def doors() -> Generator[tuple[tuple[socket.socket, int], tuple[socket.socket, int]]]:
    """Two ports of this machine, open before its workers look for such."""
    with listening() as first, listening() as second:
        yield first, second


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, doors: object) -> Generator[TestFleet]:
    """Two workers; bravo may be dead after a test."""
    with TestFleet(tmp_path_factory.mktemp("outside")) as running:
        running.start_workers("alpha", "bravo")
        yield running


def known_facts(fleet: TestFleet, host: str) -> HostFacts | None:
    return OutsideViews(fleet.fleet.client).facts(host)


def look_at(fleet: TestFleet, host: str, peer: str) -> OutsideView:
    """What a peer sees of a host, asked for as the watch does."""
    views = OutsideViews(fleet.fleet.client)
    assert views.claim(host, 30)
    assert not views.claim(host, 30), "one look at a time"
    assert views.get(host) is None
    sending.send_outside_look(
        fleet.fleet.app,
        OutsideLook(
            call=secrets.token_hex(6),
            host=peer,
            dark=host,
            expires_at=fleet.fleet.ledger.now() + 30,
        ),
    )
    wait_until(f"{peer} has looked at {host}", lambda: views.get(host) is not None)
    view = views.get(host)
    assert view is not None
    return view


def test_a_killed_worker_s_machine_is_seen_to_answer(
    fleet: TestFleet, doors: tuple[tuple[socket.socket, int], tuple[socket.socket, int]]
) -> None:
    presence = fleet.fleet.presence
    audits = LastAudits(fleet.fleet.client, presence.forget_seconds)
    (_, stays), (goes, went) = doors
    wait_until(
        "bravo said where it is found",
        lambda: (
            (said := known_facts(fleet, "bravo"))
            and {stays, went} <= {port.number for port in said.ports}
        ),
    )
    audits.keep(reports.report_of(("bravo",), [reports.full_volume("bravo")]))
    fleet.kill("bravo")
    goes.close()
    view = look_at(fleet, "bravo", "alpha")
    assert view.seen is Seen.MACHINE
    assert (view.host, view.seen_by, view.address) == ("bravo", "alpha", OWN)
    assert view.same_machine
    seen = {port.number: port.state for port in view.ports}
    assert (seen[stays], seen[went]) == ("answers", "refused")
    assert view.last_seen is not None
    assert view.last_seen <= view.at
    assert view.last_audit is not None
    assert view.last_audit.titles == ("Volume nearly full",)
    assert 0 < fleet.fleet.client.ttl(keys.OUTSIDE.at(host="bravo")) <= VIEW_SECONDS


def test_what_was_seen_of_a_worker_goes_when_it_is_back(fleet: TestFleet) -> None:
    views = OutsideViews(fleet.fleet.client)
    views.drop("bravo")
    look_at(fleet, "bravo", "alpha")
    fleet.start_workers("bravo")
    wait_until("bravo took it back", lambda: views.claim("bravo", 1))


def test_of_a_host_that_said_nothing_the_peer_says_that_it_could_not_look(
    fleet: TestFleet,
) -> None:
    view = look_at(fleet, "stranger", "alpha")
    assert view.seen is Seen.UNKNOWN
    assert (view.address, view.last_seen, view.last_audit) == ("", None, None)
    assert view.notes == ("nothing that it said of itself is known",)


def test_a_view_from_before_the_last_sign_of_life_is_of_another_silence(fleet: TestFleet) -> None:
    views = OutsideViews(fleet.fleet.client)
    view = look_at(fleet, "wanderer", "alpha")
    assert views.get("wanderer", view.at) == view
    later = fleet.fleet.presence.last_seen(("alpha",))["alpha"]
    wait_until(
        "alpha gave a sign of life since",
        lambda: fleet.fleet.presence.last_seen(("alpha",))["alpha"] > max(view.at, later),
    )
    since = fleet.fleet.presence.last_seen(("alpha",))["alpha"]
    assert views.get("wanderer", since) is None
    assert views.claim("wanderer", 1), "so that it is looked at anew"
