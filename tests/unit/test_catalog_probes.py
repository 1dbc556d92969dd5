"""Probes: ping's words in every dialect, real sockets on loopback, rules on typed answers."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from swarm_tasks.errors import ToolFailed, Unavailable
from swarm_tasks.measures import measure
from swarm_tasks.models.evidence import EvidenceStatus
from swarm_tasks.models.finding import Severity
from tests.support.golden import assert_golden, inputs
from workers.rules.judge import grade
from workers.rules.probes import behind_port, ping_loss, ping_rtt, tcp_answer
from workers.rules.rule import Reading
from workers.tools.access import this_machine
from workers.tools.catalog import probes
from workers.tools.catalog.probes import Ping, TcpCheck
from workers.tools.registry import Outcome, Registry
from workers.tools.spec import Completed

REGISTRY = Registry(probes.TOOLS)


def call(tool: str, **arguments: Any) -> Outcome:
    return asyncio.run(REGISTRY.call(tool, arguments, this_machine()))


def severity(reading: Reading, metric: str) -> Severity | None:
    crossed = grade(reading.value, measure(metric), measure(metric), None)
    return crossed.severity if crossed else None


@pytest.mark.parametrize("source", inputs("ping"), ids=lambda path: path.stem)
def test_ping_is_parsed_in_every_dialect(source: Path) -> None:
    assert_golden(probes.parse_ping(source.read_text(), "the-host"), source)


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("ping: nosuch.invalid: Name or service not known", "unresolved"),
        ("/usr/bin/ping: x: Temporary failure in name resolution", "unresolved"),
        ("ping: bad address 'nosuch.invalid'", "unresolved"),
        ("ping: cannot resolve nosuch.invalid: Unknown host", "unresolved"),
        ("ping6: getaddrinfo -- nodename nor servname provided, or not known", "unresolved"),
        ("ping: connect: Network is unreachable", "unreachable"),
        ("ping: sendto: No route to host", "unreachable"),
    ],
)
def test_a_ping_that_could_not_send_is_an_answer_with_the_reason(said: str, state: str) -> None:
    answer = probes.ping_refusal(Completed(("ping",), 2, "", said), "the-host")
    assert (answer.state, answer.sent, answer.loss_percent) == (state, 0, 100.0)
    assert answer.note in said
    assert not answer.note.startswith(("ping", "/usr"))


def test_a_ping_that_is_not_permitted_is_unavailable_with_a_remedy() -> None:
    said = "ping: socktype: SOCK_RAW\nping: socket: Operation not permitted"
    with pytest.raises(Unavailable) as caught:
        probes.ping_refusal(Completed(("ping",), 2, "", said), "the-host")
    assert caught.value.remedy


def test_a_ping_that_says_something_new_has_failed() -> None:
    with pytest.raises(ToolFailed, match="lost its way"):
        probes.ping_refusal(Completed(("ping",), 2, "", "ping: lost its way"), "the-host")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_answers_or_ping_is_not_here(host: str) -> None:
    outcome = call("ping", host=host, count=1)
    if outcome.status is EvidenceStatus.UNAVAILABLE:
        assert outcome.reason
        return
    assert isinstance(outcome.result, Ping), outcome.reason
    if outcome.result.state == "unreachable" and ":" in host:
        pytest.skip("this machine has no IPv6")
    assert (outcome.result.state, outcome.result.loss_percent) == ("ok", 0.0)
    assert "-- " + host in outcome.source[0]


@pytest.mark.parametrize(
    "host",
    ["-f", "--help", "", "a b", "a;id", "$(id)", "`id`", "a\nb", "a\x00", "http://a/", "a" * 300],
)
def test_a_host_that_is_no_host_is_refused(host: str) -> None:
    for tool, arguments in (("ping", {}), ("tcp_check", {"port": 80})):
        outcome = call(tool, host=host, **arguments)
        assert outcome.status is EvidenceStatus.FAILED
        assert not outcome.source


def test_an_open_port_is_ok_and_says_how_fast() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        outcome = call("tcp_check", host="127.0.0.1", port=server.getsockname()[1])
    assert isinstance(outcome.result, TcpCheck)
    assert (outcome.result.state, outcome.result.address) == ("ok", "127.0.0.1")
    assert outcome.result.connect_ms is not None
    assert outcome.result.connect_ms > 0


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_closed_port_is_refused_and_critical() -> None:
    port = closed_port()
    outcome = call("tcp_check", target=f"127.0.0.1:{port}")
    assert isinstance(outcome.result, TcpCheck)
    assert (outcome.result.state, outcome.result.note) == ("refused", "Connection refused")
    (reading,) = tcp_answer(outcome.result)
    assert reading.subject == f"127.0.0.1:{port}"
    assert severity(reading, "tcp.answer") is Severity.CRITICAL


def test_a_port_that_takes_no_more_connections_is_a_timeout() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(server.getsockname())
        port = server.getsockname()[1]
        outcome = call("tcp_check", host="127.0.0.1", port=port, timeout_seconds=0.2)
        for one in waiting:
            one.close()
    assert isinstance(outcome.result, TcpCheck)
    assert outcome.result.state == "timeout"


def test_a_name_that_nobody_can_know_is_unresolved() -> None:
    # Too long for DNS, so that no resolver is asked.
    outcome = call("tcp_check", target=f"{'a' * 64}.invalid:80")
    assert isinstance(outcome.result, TcpCheck)
    assert outcome.result.state == "unresolved"
    assert outcome.result.note


@pytest.mark.parametrize(
    ("target", "endpoint"),
    [
        ("example.org:443", ("example.org", 443)),
        ("192.0.2.1:22", ("192.0.2.1", 22)),
        ("[::1]:443", ("::1", 443)),
        ("[fe80::1%eth0]:53", ("fe80::1%eth0", 53)),
    ],
)
def test_a_target_is_host_and_port_in_one_word(target: str, endpoint: tuple[str, int]) -> None:
    arguments = probes.TcpArguments(target=target)
    assert arguments.endpoint() == endpoint
    assert probes.endpoint_name(*endpoint) == target


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"host": "a"},
        {"port": 1},
        {"target": "a:1", "host": "a", "port": 1},
        {"target": "a:1", "port": 1},
        {"target": "a"},
        {"target": "a:0"},
        {"target": "a:70000"},
        {"target": "::1:443"},
        {"target": "-a:1"},
        {"host": "a", "port": 0},
        {"host": "a", "port": 1, "timeout_seconds": 600},
    ],
)
def test_exactly_one_way_to_name_a_port_is_taken(arguments: dict[str, Any]) -> None:
    assert call("tcp_check", **arguments).status is EvidenceStatus.FAILED


def pinged(received: int, rtt_ms: float | None) -> Ping:
    return Ping(
        host="gateway.example",
        state="ok" if received == 10 else "lossy",
        address="192.0.2.1",
        sent=10,
        received=received,
        loss_percent=100.0 - 10 * received,
        rtt_min_ms=rtt_ms,
        rtt_avg_ms=rtt_ms,
        rtt_max_ms=rtt_ms,
    )


@pytest.mark.parametrize(
    ("received", "rtt_ms", "loss", "rtt"),
    [
        (10, 1.0, None, None),
        (10, 600.0, None, Severity.WARNING),
        (9, 1200.0, Severity.CRITICAL, Severity.CRITICAL),
    ],
)
def test_loss_and_time_are_graded(
    received: int, rtt_ms: float, loss: Severity | None, rtt: Severity | None
) -> None:
    (lost,) = ping_loss(pinged(received, rtt_ms))
    (slow,) = ping_rtt(pinged(received, rtt_ms))
    assert lost.subject == slow.subject == "gateway.example"
    assert severity(lost, "ping.loss_percent") is loss
    assert severity(slow, "ping.rtt_ms") is rtt


def test_a_silent_host_has_no_time_to_grade() -> None:
    assert not list(ping_rtt(pinged(0, None)))


@pytest.mark.parametrize(
    ("state", "tools"),
    [("unresolved", ["dns_check"]), ("timeout", ["ping"]), ("error", ["ping"]), ("refused", [])],
)
def test_the_cause_of_a_dead_port_is_looked_for_one_layer_down(
    state: str, tools: list[str]
) -> None:
    calls = behind_port(Reading(subject="[::1]:443", value=state, pointer="/state"))
    assert [one.tool for one in calls] == tools
    assert all("::1" in one.arguments.values() for one in calls)
