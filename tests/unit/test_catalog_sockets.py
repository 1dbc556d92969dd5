"""Sockets: parsers on golden files, tools on this machine's own sockets."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import psutil
import pytest

from swarm_tasks.models.evidence import EvidenceStatus
from tests.support.golden import assert_golden, inputs
from workers.tools.access import Machine, this_machine
from workers.tools.catalog import sockets
from workers.tools.catalog.sockets import Connections, ListeningPorts
from workers.tools.registry import Registry

REGISTRY = Registry(sockets.TOOLS)


@pytest.mark.parametrize("source", inputs("ss_listening"), ids=lambda path: path.stem)
def test_ss_is_parsed(source: Path) -> None:
    assert_golden(sockets.parse_ss_listening(source.read_text()), source)


@pytest.mark.parametrize("source", inputs("lsof_listening"), ids=lambda path: path.stem)
def test_lsof_is_parsed(source: Path) -> None:
    assert_golden(sockets.parse_lsof_listening(source.read_text()), source)


@pytest.mark.parametrize("source", inputs("proc_tcp"), ids=lambda path: path.stem)
def test_connections_of_proc_are_parsed(source: Path) -> None:
    assert_golden(sockets.parse_proc_tcp(source.read_text()), source)


@pytest.mark.parametrize("source", inputs("netstat_tcp"), ids=lambda path: path.stem)
def test_macos_connections_are_parsed(source: Path) -> None:
    assert_golden(sockets.parse_netstat_tcp(source.read_text()), source)


@pytest.mark.parametrize(
    ("address", "external"),
    [
        ("0.0.0.0", True),
        ("::", True),
        ("192.0.2.1", True),
        ("127.0.0.1", False),
        ("127.0.0.53%lo", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
    ],
)
def test_only_loopback_cannot_be_reached_from_outside(address: str, external: bool) -> None:
    assert sockets.listener("tcp", address, 80).external is external


def test_a_port_that_this_process_opened_is_listed_with_its_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        outcome = asyncio.run(REGISTRY.call("listening_ports", {}, this_machine()))
    assert outcome.status is EvidenceStatus.OK, outcome.reason
    assert isinstance(outcome.result, ListeningPorts)
    (mine,) = [one for one in outcome.result.listeners if one.port == port]
    assert (mine.protocol, mine.address, mine.external) == ("tcp", "127.0.0.1", False)
    assert (mine.pid, mine.process) == (os.getpid(), psutil.Process().name())


def test_a_connection_is_counted_and_its_peer_named() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()),
        server.accept()[0],
    ):
        outcome = asyncio.run(
            REGISTRY.call("connections", {"state": "ESTABLISHED"}, this_machine())
        )
    assert outcome.status is EvidenceStatus.OK, outcome.reason
    assert isinstance(outcome.result, Connections)
    assert outcome.result.by_state["ESTABLISHED"] >= 2
    assert "127.0.0.1" in {peer.address for peer in outcome.result.peers}


def test_a_host_without_ipv6_still_counts_its_connections(tmp_path: Path) -> None:
    (tmp_path / "proc/net").mkdir(parents=True)
    text = next(one for one in inputs("proc_tcp") if one.stem.endswith("tcp")).read_text()
    (tmp_path / "proc/net/tcp").write_text(text)
    machine = Machine(platform="linux", root=tmp_path)
    outcome = asyncio.run(REGISTRY.call("connections", {}, machine))
    assert isinstance(outcome.result, Connections)
    assert outcome.result.total == 12
    assert outcome.result.by_state["LISTEN"] == 2
    assert outcome.result.peers[0].address == "127.0.0.1"


def test_peers_are_bounded_and_the_busiest_come_first() -> None:
    waiting: list[sockets.Connection] = [("TIME_WAIT", "198.51.100.1")] * 3
    open_ones: list[sockets.Connection] = [("ESTABLISHED", f"192.0.2.{n}") for n in range(200)]
    listening: list[sockets.Connection] = [("LISTEN", "0.0.0.0")]
    many = waiting + open_ones + listening
    counted = sockets.count(many, None)
    assert len(counted.peers) == sockets.PEERS
    assert counted.peers[0] == sockets.Peer(address="198.51.100.1", connections=3)
    assert sockets.count(many, "TIME_WAIT").peers == counted.peers[:1]


def test_an_unknown_state_is_refused() -> None:
    outcome = asyncio.run(REGISTRY.call("connections", {"state": "OPEN"}, this_machine()))
    assert outcome.status is EvidenceStatus.FAILED
    assert "state" in outcome.reason
