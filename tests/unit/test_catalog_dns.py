"""DNS: parsers on golden files, real resolvers on loopback, rules on typed answers."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from swarm_tasks.measures import measure
from swarm_tasks.models.evidence import EvidenceStatus, ToolCall
from swarm_tasks.models.finding import Severity
from tests.support.golden import assert_golden, inputs
from workers.rules.dns import dns_answers, ping_resolver
from workers.rules.judge import grade
from workers.rules.rule import Reading
from workers.tools.access import Machine, this_machine
from workers.tools.catalog import dns as catalog
from workers.tools.catalog.dns import DnsCheck, DnsState, RecordType, ServerAnswer
from workers.tools.registry import Outcome, Registry

REGISTRY = Registry(catalog.TOOLS)

Reply = Callable[[dns.message.Message], dns.message.Message | bytes | None]


class _Udp(asyncio.DatagramProtocol):
    """A resolver whose every answer is what `reply` makes of the question."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.asked = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked += 1
        answer = self.reply(dns.message.from_wire(data))
        if answer is not None:
            wire = answer if isinstance(answer, bytes) else answer.to_wire()
            self.transport.sendto(wire, addr)


@asynccontextmanager
async def resolver(reply: Reply) -> AsyncGenerator[str]:
    """A resolver on loopback, over UDP; yields `address:port`."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Udp(reply), local_addr=("127.0.0.1", 0)
    )
    try:
        host, port = transport.get_extra_info("sockname")
        yield f"{host}:{port}"
    finally:
        transport.close()


def says(code: dns.rcode.Rcode) -> Reply:
    def reply(query: dns.message.Message) -> dns.message.Message:
        answer = dns.message.make_response(query)
        answer.set_rcode(code)
        return answer

    return reply


def knows(*addresses: str) -> Reply:
    def reply(query: dns.message.Message) -> dns.message.Message:
        answer = dns.message.make_response(query)
        asked = query.question[0]
        answer.answer.append(dns.rrset.from_text(asked.name, 60, "IN", asked.rdtype, *addresses))
        return answer

    return reply


def silent(query: dns.message.Message) -> None:
    """No answer, ever."""


async def call(**arguments: Any) -> Outcome:
    return await REGISTRY.call("dns_check", arguments, this_machine())


async def ask(reply: Reply, **arguments: Any) -> ServerAnswer:
    """What the tool makes of one resolver."""
    async with resolver(reply) as server:
        outcome = await call(server=server, **arguments)
    assert isinstance(outcome.result, DnsCheck), outcome.reason
    return outcome.result.servers[0]


@pytest.mark.parametrize("source", inputs("resolv_conf"), ids=lambda path: path.stem)
def test_resolv_conf_is_parsed(source: Path) -> None:
    assert_golden(catalog.parse_resolv_conf(source.read_text()), source)


@pytest.mark.parametrize("source", inputs("scutil_dns"), ids=lambda path: path.stem)
def test_scutil_is_parsed(source: Path) -> None:
    assert_golden(catalog.parse_scutil_dns(source.read_text()), source)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1", ("127.0.0.1", 53)),
        ("127.0.0.1:5353", ("127.0.0.1", 5353)),
        ("::1", ("::1", 53)),
        ("[::1]", ("::1", 53)),
        ("[::1]:5353", ("::1", 5353)),
        ("fe80::1%eth0", ("fe80::1%eth0", 53)),
    ],
)
def test_a_resolver_is_an_address_with_a_port_or_without(
    text: str, expected: tuple[str, int]
) -> None:
    assert catalog.split_server(text) == expected


@pytest.mark.parametrize(
    "text", ["", "dns.example", "127.0.0.1:0", "127.0.0.1:99999", "[::1]x", "[::1]:", "1:2:3", "-h"]
)
def test_what_is_no_resolver_is_refused(text: str) -> None:
    outcome = asyncio.run(call(server=text))
    assert outcome.status is EvidenceStatus.FAILED
    assert "server" in outcome.reason


def test_a_working_resolver_answers_with_its_records_and_time() -> None:
    found = asyncio.run(ask(knows("192.0.2.8", "192.0.2.7"), name="app.example"))
    assert (found.state, found.answers) == ("ok", ("192.0.2.7", "192.0.2.8"))
    assert found.rtt_ms is not None
    assert 0 < found.rtt_ms < 1000


def test_answers_are_bounded() -> None:
    found = asyncio.run(ask(knows(*(f"192.0.2.{n}" for n in range(40))), name="app.example"))
    assert len(found.answers) == catalog.ANSWERS


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (dns.rcode.SERVFAIL, "servfail"),
        (dns.rcode.NXDOMAIN, "nxdomain"),
        (dns.rcode.REFUSED, "refused"),
        (dns.rcode.NOERROR, "noanswer"),
        (dns.rcode.NOTIMP, "error"),
    ],
)
def test_for_a_name_that_was_asked_for_every_failure_counts(
    code: dns.rcode.Rcode, state: str
) -> None:
    assert asyncio.run(ask(says(code), name="app.example")).state == state


@pytest.mark.parametrize("name", [".", "localhost", "127.0.0.1", "::1"])
def test_for_a_name_that_needs_no_resolver_any_reply_but_a_failure_is_life(name: str) -> None:
    alive = asyncio.run(ask(says(dns.rcode.NXDOMAIN), name=name))
    assert (alive.state, alive.note) == ("ok", "it answers, with NXDOMAIN")
    assert asyncio.run(ask(says(dns.rcode.SERVFAIL), name=name)).state == "servfail"
    strict: RecordType = "SOA"
    assert asyncio.run(ask(says(dns.rcode.NXDOMAIN), name=name, type=strict)).state == "nxdomain"


def test_what_is_not_dns_is_an_error() -> None:
    found = asyncio.run(ask(lambda query: query.to_wire()[:2] + b"\x84", name="app.example"))
    assert found.state == "error"
    assert "not DNS" in found.note


def test_a_resolver_that_says_nothing_times_out_and_one_lost_question_is_repeated() -> None:
    questions: list[int] = []

    def second_time(query: dns.message.Message) -> dns.message.Message | bytes | None:
        questions.append(query.id)
        return knows("192.0.2.7")(query) if len(questions) == 2 else None

    async def both() -> tuple[ServerAnswer, ServerAnswer]:
        return await asyncio.gather(
            ask(silent, name="app.example"), ask(second_time, name="app.example")
        )

    mute, deaf = asyncio.run(both())
    assert (mute.state, mute.rtt_ms) == ("timeout", None)
    assert (deaf.state, deaf.answers) == ("ok", ("192.0.2.7",))
    assert len(set(questions)) == 1


def test_an_answer_too_long_for_udp_is_fetched_over_tcp() -> None:
    async def scenario() -> Outcome:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            query = dns.message.from_wire(await reader.readexactly(length))
            answer = knows("192.0.2.7")(query)
            assert isinstance(answer, dns.message.Message)
            wire = answer.to_wire()
            writer.write(struct.pack("!H", len(wire)) + wire)
            await writer.drain()
            writer.close()

        def truncated(query: dns.message.Message) -> dns.message.Message:
            answer = dns.message.make_response(query)
            answer.flags |= dns.flags.TC
            return answer

        async with resolver(truncated) as server:
            host, port = server.split(":")
            async with await asyncio.start_server(serve, host, int(port)):
                return await call(server=server, name="app.example")

    outcome = asyncio.run(scenario())
    assert isinstance(outcome.result, DnsCheck)
    assert outcome.result.servers[0].answers == ("192.0.2.7",)


def test_nobody_at_the_port_is_an_error_at_once() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    outcome = asyncio.run(call(server=f"127.0.0.1:{port}"))
    assert isinstance(outcome.result, DnsCheck)
    assert outcome.result.servers[0].note == "nothing listens there"
    assert outcome.seconds < 1


def machine(root: Path, resolv_conf: str | None) -> Machine:
    if resolv_conf is not None:
        (root / "etc").mkdir()
        (root / "etc/resolv.conf").write_text(resolv_conf)
    return Machine(platform="linux", root=root)


def check(at: Machine) -> DnsCheck:
    outcome = asyncio.run(REGISTRY.call("dns_check", {}, at))
    assert isinstance(outcome.result, DnsCheck), outcome.reason
    assert outcome.source[0] == "/etc/resolv.conf"
    return outcome.result


def test_each_resolver_of_the_host_is_asked_and_named(tmp_path: Path) -> None:
    # Nothing listens on these addresses of loopback, so each fails at once.
    lines = "".join(f"nameserver 127.200.0.{n}\n" for n in range(1, 5))
    found = check(machine(tmp_path, lines))
    assert [one.server for one in found.servers] == [f"127.200.0.{n}" for n in range(1, 5)]
    assert "past the third" in found.servers[3].note
    assert "past the third" not in found.servers[2].note


@pytest.mark.parametrize("resolv_conf", [None, "", "search example.org\n"])
def test_a_host_without_a_resolver_asks_itself(tmp_path: Path, resolv_conf: str | None) -> None:
    found = check(machine(tmp_path, resolv_conf))
    assert [one.server for one in found.servers] == ["127.0.0.1"]
    assert "names no server" in found.servers[0].note
    assert found.configured_by == "the C library's default"


def test_behind_systemd_resolved_its_upstreams_are_named(tmp_path: Path) -> None:
    at = machine(tmp_path, "nameserver 127.0.0.53\n")
    (tmp_path / "run/systemd/resolve").mkdir(parents=True)
    (tmp_path / "run/systemd/resolve/resolv.conf").write_text("nameserver 192.0.2.53\n")
    assert check(at).servers[0].upstreams == ("192.0.2.53",)


@pytest.mark.parametrize("name", ["a..b", "a" * 64, f"{'a.' * 126}toolong"])
def test_what_is_no_name_is_a_failure_that_says_so(name: str) -> None:
    outcome = asyncio.run(call(name=name, server="127.0.0.1"))
    assert outcome.status is EvidenceStatus.FAILED
    assert "name" in outcome.reason


def answered(state: DnsState, name: str = ".", asked: RecordType = "NS") -> DnsCheck:
    server = ServerAnswer(
        server="127.0.0.9", address="127.0.0.9", port=53, state=state, rtt_ms=None
    )
    return DnsCheck(name=name, type=asked, configured_by="/etc/resolv.conf", servers=(server,))


@pytest.mark.parametrize(
    ("state", "severity"),
    [("ok", None)]
    + [
        (bad, Severity.WARNING)
        for bad in ("timeout", "servfail", "nxdomain", "refused", "noanswer", "error")
    ],
)
def test_every_failure_warns_and_names_the_resolver(
    state: DnsState, severity: Severity | None
) -> None:
    (reading,) = dns_answers(answered(state))
    assert (reading.subject, reading.pointer) == ("127.0.0.9 asking for .", "/servers/0/state")
    crossed = grade(reading.value, measure("dns.answer"), measure("dns.answer"), None)
    assert (crossed.severity if crossed else None) is severity
    assert ping_resolver(reading) == (ToolCall(tool="ping", arguments={"host": "127.0.0.9"}),)


def test_the_subject_says_the_type_where_it_is_not_the_plain_one() -> None:
    (plain,) = dns_answers(answered("timeout", "app.example", "A"))
    (other,) = dns_answers(answered("timeout", "app.example", "AAAA"))
    assert plain.subject == "127.0.0.9 asking for app.example"
    assert other.subject == "127.0.0.9 asking for app.example AAAA"


def test_without_an_address_there_is_nobody_to_ping() -> None:
    assert ping_resolver(Reading(subject="no resolver", value="error", pointer="/state")) == ()
