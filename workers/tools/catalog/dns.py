"""DNS: whether each resolver of the host answers, what, and how fast."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import time
from collections.abc import Iterable
from pathlib import Path
from socket import SOCK_DGRAM
from typing import TYPE_CHECKING, Any, Literal, cast

from pydantic import Field, field_validator

from swarm_tasks.errors import ToolFailed, Unavailable
from workers.tools.access import Access
from workers.tools.spec import Arguments, Command, Result, Tool

if TYPE_CHECKING:
    from dns.message import Message
    from dns.name import Name
    from dns.rdata import Rdata

DnsState = Literal["ok", "timeout", "servfail", "nxdomain", "refused", "noanswer", "error"]
RecordType = Literal["A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT"]

SCUTIL_DNS = Command(("scutil", "--dns"))

RESOLV_CONF = "/etc/resolv.conf"
RESOLVED_UPSTREAMS = "/run/systemd/resolve/resolv.conf"
RESOLVED_STUBS = frozenset({"127.0.0.53", "127.0.0.54"})

NO_RESOLVER = "no resolver"
"""What stands in place of a resolver where a machine has none."""

LOCAL_DEFAULT = "127.0.0.1"
"""What the C library asks where resolv.conf names nobody (resolv.conf(5))."""

C_LIBRARY_SERVERS = 3
"""MAXNS: the C library never asks a nameserver past the third."""

RESOLV_CONF_LIMIT_BYTES = 64 << 10
SERVERS = 8
ANSWERS = 10
ANSWER_LENGTH = 200

TRY_SECONDS = 1.0
TRIES = 2
"""Two seconds for each server: a question, and the same again if no answer came."""


class ServerAnswer(Result):
    """What one resolver made of the question.

    `state` is in words of the metric `dns.answer`; `rtt_ms` is None where nothing came back.
    `upstreams` are the servers behind systemd-resolved, where the machine names them.
    """

    server: str
    address: str
    port: int
    state: DnsState
    rtt_ms: float | None
    answers: tuple[str, ...] = ()
    upstreams: tuple[str, ...] = ()
    note: str = ""


class DnsCheck(Result):
    """One question and every asked resolver's answer; `configured_by` says who named them."""

    name: str
    type: RecordType
    configured_by: str
    servers: tuple[ServerAnswer, ...]


class DnsArguments(Arguments):
    """What to ask, and whom."""

    name: str = Field(
        default=".",
        pattern=r"^(?:\.|[A-Za-z0-9_:][A-Za-z0-9_.:-]{0,253})$",
        description="A host name or an IP address; the default asks for the root's servers, "
        "which any working resolver can answer.",
    )
    server: str | None = Field(
        default=None,
        max_length=100,
        description="An IP address, or one with a port: 127.0.0.1:5353, [::1]:53. "
        "Without it each resolver of this host is asked.",
    )
    type: RecordType | None = Field(
        default=None, description="A for a host name, PTR for an address and NS for the root."
    )

    @field_validator("server")
    @classmethod
    def _is_an_address(cls, server: str | None) -> str | None:
        if server is not None:
            split_server(server)
        return server


def split_server(text: str) -> tuple[str, int]:
    """The address and the port of a resolver; 53 where none is given.

    Raises:
        ValueError: It is no IP address, or no port.
    """
    address, port = text, "53"
    if text.startswith("["):
        address, _, rest = text[1:].partition("]")
        port = rest[1:] if rest.startswith(":") else port if not rest else "0"
    elif text.count(":") == 1:
        address, _, port = text.partition(":")
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise ValueError("a resolver's port is a number from 1 to 65535")
    try:
        return str(ipaddress.ip_address(address)), int(port)
    except ValueError:
        raise ValueError("a resolver is an IP address, with :port or without") from None


def parse_resolv_conf(text: str) -> tuple[str, ...]:
    """The nameservers of a resolv.conf, each once and in order; what is no address is skipped.

    As the C library does, only lines that begin with the keyword count.
    """
    found: dict[str, None] = {}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) > 1 and line.startswith(("nameserver ", "nameserver\t")):
            with contextlib.suppress(ValueError):
                found[str(ipaddress.ip_address(fields[1]))] = None
    return tuple(found)


def parse_scutil_dns(text: str) -> tuple[str, ...]:
    """The nameservers that macOS asks for any name, from `scutil --dns`.

    Resolvers of a domain (mDNS, a VPN's own) and the scoped ones, which only programs that
    chose an interface use, answer for less than every name.
    """
    found: dict[str, None] = {}
    general = text.partition("DNS configuration (for scoped queries)")[0]
    for block in re.split(r"^resolver #\d+$", general, flags=re.M)[1:]:
        if re.search(r"^\s*domain\s*:", block, re.M):
            continue
        for address in re.findall(r"^\s*nameserver\[\d+\]\s*:\s*(\S+)", block, re.M):
            with contextlib.suppress(ValueError):
                found[str(ipaddress.ip_address(address))] = None
    return tuple(found)


def default_type(name: str) -> RecordType:
    """What is asked for where nobody says: NS of the root, PTR of an address, A of a name."""
    if name == ".":
        return "NS"
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "A"
    return "PTR"


def any_reply_will_do(name: str, asked: RecordType | None) -> bool:
    """Whether a resolver that says no to this question is healthy all the same.

    Nobody needs its word about the root, and localhost and addresses the host knows by itself.
    A resolver that knows only some names may refuse them; one that is ill fails (SERVFAIL).
    """
    if asked is not None:
        return False
    return default_type(name) != "A" or name.rstrip(".").lower() == "localhost"


def to_ask(name: str) -> Name:
    """The DNS name to ask for; for an address, its name in the reverse tree.

    Raises:
        ToolFailed: It is no DNS name, because a label is too long or empty.
    """
    import dns.exception
    import dns.name
    import dns.reversename

    try:
        if default_type(name) == "PTR":
            return dns.reversename.from_address(name)
        return dns.name.from_text(name)
    except dns.exception.DNSException as error:
        raise ToolFailed(f"{name} is not a DNS name: {error}") from None


def graded(reply: Message, wanted: RecordType, any_reply: bool) -> tuple[DnsState, str]:
    """The state that a reply amounts to, and a note for a person."""
    import dns.rcode

    code = dns.rcode.to_text(reply.rcode())
    states: dict[str, DnsState] = {
        "SERVFAIL": "servfail",
        "NXDOMAIN": "nxdomain",
        "REFUSED": "refused",
        "NOERROR": "ok" if answers_in(reply, wanted) else "noanswer",
    }
    state = states.get(code, "error")
    if state == "ok":
        return "ok", ""
    said = "no record of that type" if state == "noanswer" else code
    if any_reply and state != "servfail":
        return "ok", f"it answers, with {said}"
    return state, said


def answers_in(reply: Message, wanted: RecordType) -> tuple[str, ...]:
    """The records of the wanted type in a reply, bounded in number and length."""
    import dns.rdatatype

    kind = dns.rdatatype.from_text(wanted)
    # dnspython leaves the element type of its sets open.
    sets = [cast("Iterable[Rdata]", rrset) for rrset in reply.answer if rrset.rdtype == kind]
    found = [one.to_text() for rrset in sets for one in rrset]
    return tuple(one[:ANSWER_LENGTH] for one in sorted(found)[:ANSWERS])


async def ask(
    server: str, target: Name, wanted: RecordType, any_reply: bool, access: Access
) -> ServerAnswer:
    """Ask one resolver, over UDP and then TCP where the answer is too long for UDP."""
    import dns.exception

    address, port = split_server(server)
    access.source.append(f"DNS {wanted} {target} @{server}")

    def answer(
        state: DnsState, note: str, reply: Message | None = None, seconds: float | None = None
    ) -> ServerAnswer:
        return ServerAnswer(
            server=server,
            address=address,
            port=port,
            state=state,
            rtt_ms=None if seconds is None else round(seconds * 1000, 3),
            answers=answers_in(reply, wanted) if reply else (),
            note=note,
        )

    try:
        async with asyncio.timeout(TRY_SECONDS * TRIES):
            reply, seconds = await _exchange(address, port, target, wanted)
    except (dns.exception.Timeout, TimeoutError):
        return answer("timeout", f"no answer within {TRY_SECONDS * TRIES:g} s")
    except ConnectionRefusedError:
        return answer("error", "nothing listens there")
    except dns.exception.DNSException as error:
        return answer("error", f"what it sent is not DNS: {error}"[:ANSWER_LENGTH])
    except EOFError:
        return answer("error", "it closed the connection instead of answering")
    except OSError as error:
        return answer("error", (error.strerror or type(error).__name__)[:ANSWER_LENGTH])
    state, note = graded(reply, wanted, any_reply)
    return answer(state, note, reply, seconds)


async def _exchange(
    address: str, port: int, target: Name, wanted: RecordType
) -> tuple[Message, float]:
    """One question and its reply, and the seconds from the first to the second.

    Both tries share a socket and an id, so that a late answer to the first is still one. The
    socket is connected: it hears of a closed port at once, and from nobody but this server.
    """
    import dns.asyncbackend
    import dns.asyncquery
    import dns.exception
    import dns.inet
    import dns.message

    query = dns.message.make_query(target, wanted)
    backend: Any = dns.asyncbackend.get_backend("asyncio")
    family = dns.inet.af_for_address(address)
    connected: Any = await backend.make_socket(family, SOCK_DGRAM, destination=(address, port))
    begun = time.monotonic()
    async with connected:
        for left in range(TRIES, 0, -1):
            try:
                reply = await dns.asyncquery.udp(
                    query, address, TRY_SECONDS, port, raise_on_truncation=True, sock=connected
                )
                return reply, time.monotonic() - begun
            except dns.exception.Timeout:
                if left == 1:
                    raise
            except dns.message.Truncated:
                break
    reply = await dns.asyncquery.tcp(query, address, TRY_SECONDS, port)
    return reply, time.monotonic() - begun


async def check(
    arguments: DnsArguments, servers: Iterable[str], configured_by: str, access: Access
) -> DnsCheck:
    """Ask all `servers` at the same time."""
    target, wanted = to_ask(arguments.name), arguments.type or default_type(arguments.name)
    any_reply = any_reply_will_do(arguments.name, arguments.type)
    asked = [ask(server, target, wanted, any_reply, access) for server in servers]
    return DnsCheck(
        name=arguments.name,
        type=wanted,
        configured_by=configured_by,
        servers=tuple(await asyncio.gather(*asked)),
    )


async def read_dns_check_linux(arguments: DnsArguments, access: Access) -> DnsCheck:
    """Ask the given resolver, or each of resolv.conf as the C library would."""
    if arguments.server is not None:
        return await check(arguments, (arguments.server,), "the caller", access)
    path = access.machine.root / RESOLV_CONF.lstrip("/")
    servers = parse_resolv_conf(await access.call(RESOLV_CONF, _text_or_nothing, path))
    if not servers:
        result = await check(arguments, (LOCAL_DEFAULT,), "the C library's default", access)
        return _noted(result, 0, f"{RESOLV_CONF} names no server, so the host asks itself")
    result = await check(arguments, servers[:SERVERS], RESOLV_CONF, access)
    for index in range(C_LIBRARY_SERVERS, len(result.servers)):
        result = _noted(result, index, "past the third, which the C library never asks")
    return await _with_upstreams(result, access)


async def read_dns_check_macos(arguments: DnsArguments, access: Access) -> DnsCheck:
    """Ask the given resolver, or each that macOS asks for any name."""
    if arguments.server is not None:
        return await check(arguments, (arguments.server,), "the caller", access)
    servers = parse_scutil_dns((await access.run(SCUTIL_DNS)).stdout)
    result = await check(arguments, servers[:SERVERS], "scutil --dns", access)
    if result.servers:
        return result
    nobody = ServerAnswer(
        server=NO_RESOLVER,
        address="",
        port=53,
        state="error",
        rtt_ms=None,
        note="this machine has no resolver configured",
    )
    return result.model_copy(update={"servers": (nobody,)})


def _text_or_nothing(path: Path) -> str:
    """A file's text; nothing where it is not there, as the C library takes it."""
    try:
        with path.open("rb") as stream:
            return stream.read(RESOLV_CONF_LIMIT_BYTES).decode(errors="replace")
    except FileNotFoundError:
        return ""


def _noted(result: DnsCheck, index: int, note: str) -> DnsCheck:
    """`result` with a word more about one server."""
    servers = list(result.servers)
    known = servers[index].note
    servers[index] = servers[index].model_copy(
        update={"note": f"{known}; {note}" if known else note}
    )
    return result.model_copy(update={"servers": tuple(servers)})


async def _with_upstreams(result: DnsCheck, access: Access) -> DnsCheck:
    """`result` with the servers that systemd-resolved passes questions on to."""
    if not any(one.address in RESOLVED_STUBS for one in result.servers):
        return result
    try:
        upstreams = parse_resolv_conf(await access.read(RESOLVED_UPSTREAMS))[:SERVERS]
    except Unavailable:
        return result
    servers = tuple(
        one.model_copy(update={"upstreams": upstreams}) if one.address in RESOLVED_STUBS else one
        for one in result.servers
    )
    return result.model_copy(update={"servers": servers})


TOOLS = (
    Tool(
        name="dns_check",
        summary="Whether each resolver of the host answers a question, and how fast.",
        arguments=DnsArguments,
        result=DnsCheck,
        reads={"linux": read_dns_check_linux, "darwin": read_dns_check_macos},
        needs={"darwin": (SCUTIL_DNS,)},
    ),
)
