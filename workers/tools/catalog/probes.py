"""Probes: whether another machine answers an echo request, and whether a port takes a call."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Literal, Self, TypeVar

from pydantic import Field, model_validator

from swarm_tasks.errors import ToolFailed, Unavailable
from workers.tools.access import DENIED, Access
from workers.tools.spec import Arguments, Command, Completed, Result, Tool, every_platform

T = TypeVar("T")

HOST = r"(?:[A-Za-z0-9]|::)[A-Za-z0-9.:%_-]{0,252}"
"""A name or an IP address. It never starts with a dash: it reaches a command line."""

HOST_PATTERN = rf"^{HOST}$"
TARGET_PATTERN = (
    r"^(?:\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9_.-]+)?\]|[A-Za-z0-9][A-Za-z0-9._-]{0,252}):[0-9]{1,5}$"
)
"""A host and its port in one word, as a list of checks in the settings has it."""

ConnectState = Literal["ok", "refused", "timeout", "unresolved", "error"]

PING_WAIT_SECONDS = 2
UNRESOLVED = (
    *("name or service not known", "name resolution", "bad address", "cannot resolve"),
    *("nodename nor servname", "no address associated", "unknown host", "not supported for host"),
)
UNREACHABLE = ("unreachable", "no route to host", "can't assign requested address")
"""What ping says, in any of its three kinds, when it could not send a single request."""

PING_LINUX = Command(
    ("ping", "-n", "-c", "{count}", "-i", "0.2", "-W", "{wait}", "--", "{host}"),
    ok=None,
    package="iputils-ping",
)
PING_MACOS = Command(
    ("ping", "-n", "-c", "{count}", "-i", "0.2", "-W", "{wait_ms}", "--", "{host}"), ok=None
)
PING6_MACOS = Command(("ping6", "-n", "-c", "{count}", "-i", "0.2", "--", "{host}"), ok=None)

ADDRESSES = 4
"""How many of a name's addresses are tried before it counts as not answering."""


class Ping(Result):
    """Echo requests to one host, and what came back.

    `loss_percent` is 100 also where not one request could be sent: `state` and `note` then say
    why. Round-trip times are None where nothing came back.
    """

    host: str
    state: Literal["ok", "lossy", "silent", "unresolved", "unreachable"]
    address: str
    sent: int
    received: int
    loss_percent: float
    rtt_min_ms: float | None
    rtt_avg_ms: float | None
    rtt_max_ms: float | None
    note: str = ""


class PingArguments(Arguments):
    """Whom to ask, and how often."""

    host: str = Field(pattern=HOST_PATTERN, max_length=253, description="Name or IP address.")
    count: int = Field(default=3, ge=1, le=20)


class TcpCheck(Result):
    """Whether a TCP port takes a connection; `connect_ms` leaves out the name's resolution."""

    target: str
    host: str
    port: int
    state: ConnectState
    address: str
    connect_ms: float | None
    note: str = ""


class EndpointArguments(Arguments):
    """A port of a host: either `target`, or `host` and `port`."""

    target: str | None = Field(
        default=None,
        pattern=TARGET_PATTERN,
        max_length=300,
        description="`host:port`, with an IPv6 address as `[::1]:443`; in place of host and port.",
    )
    host: str | None = Field(default=None, pattern=HOST_PATTERN, max_length=253)
    port: int | None = Field(default=None, ge=1, le=65535)

    @model_validator(mode="after")
    def _exactly_one_form(self) -> Self:
        if self.target is not None and self.host is None and self.port is None:
            self.endpoint()
        elif self.target is not None or self.host is None or self.port is None:
            raise ValueError("give either target, or host and port")
        return self

    def endpoint(self) -> tuple[str, int]:
        """Host and port, whichever way they were given.

        Raises:
            ValueError: The port is past 65535 or 0.
        """
        if self.target is None:
            return self.host or "", self.port or 0
        host, _, port = self.target.rpartition(":")
        if not 1 <= int(port) <= 65535:
            raise ValueError(f"there is no port {port}")
        return host.strip("[]"), int(port)


class TcpArguments(EndpointArguments):
    """Which port to connect to, and how long to wait."""

    timeout_seconds: float = Field(default=3.0, gt=0, le=10)


def endpoint_name(host: str, port: int) -> str:
    """`host:port`, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_ping(text: str, host: str) -> Ping | None:
    """What ping printed, be it of iputils, busybox or macOS; None where it has no summary.

    Loss is counted from the two numbers, because each program rounds its own percentage.
    """
    summary = re.search(r"(\d+) packets transmitted, (\d+) (?:packets )?received", text)
    if summary is None or int(summary[1]) == 0:
        return None
    sent, received = int(summary[1]), min(int(summary[1]), int(summary[2]))
    times = re.search(r"(?:rtt|round-trip) min/avg/max\S* = ([\d.]+)/([\d.]+)/([\d.]+)", text)
    head = re.search(r"^PING6?(?:\([^)]*\) \S+ --> (\S+)| ?\S*? ?\(([^)]+)\))", text)
    errors = re.findall(r"^From \S+ icmp_seq=\d+ (.+)$", text, re.M)
    return Ping(
        host=host,
        state="ok" if received == sent else "lossy" if received else "silent",
        address=(head[1] or head[2] or "") if head else "",
        sent=sent,
        received=received,
        loss_percent=round(100 * (sent - received) / sent, 2),
        rtt_min_ms=float(times[1]) if times else None,
        rtt_avg_ms=float(times[2]) if times else None,
        rtt_max_ms=float(times[3]) if times else None,
        note=errors[-1][:200] if errors else "",
    )


def ping_refusal(done: Completed, host: str) -> Ping:
    """A ping that could not send anything, as an answer of its own.

    Raises:
        Unavailable: This process may not send echo requests.
        ToolFailed: Anything else.
    """
    lines = done.stderr.strip().splitlines() or [f"exit code {done.code}"]
    said = re.sub(r"^\S*ping6?: ", "", lines[-1])[:200]
    lowered = said.lower()
    if any(phrase in lowered for phrase in DENIED):
        raise Unavailable(
            f"ping: {said}", "run the worker as root, or widen sysctl net.ipv4.ping_group_range"
        )
    state: Literal["unresolved", "unreachable"] = "unreachable"
    if any(phrase in lowered for phrase in UNRESOLVED):
        state = "unresolved"
    elif not any(phrase in lowered for phrase in UNREACHABLE):
        raise ToolFailed(f"ping: {said}")
    return Ping(
        host=host,
        state=state,
        address="",
        sent=0,
        received=0,
        loss_percent=100.0,
        rtt_min_ms=None,
        rtt_avg_ms=None,
        rtt_max_ms=None,
        note=said,
    )


async def read_ping(arguments: PingArguments, access: Access) -> Ping:
    """Send echo requests with the machine's own ping."""
    return await echo(arguments.host, arguments.count, PING_WAIT_SECONDS, access)


async def echo(host: str, count: int, wait_seconds: int, access: Access) -> Ping:
    """Send echo requests, 0.2 s apart; macOS has a program for each family.

    Args:
        wait_seconds: How long the last one's answer is waited for.

    Raises:
        Unavailable: This machine has no ping, or this process may not send echo requests.
        ToolFailed: Anything else.
    """
    command = PING_LINUX
    if access.machine.platform == "darwin":
        command = PING6_MACOS if ":" in host else PING_MACOS
    done = await access.run(
        command, count=count, host=host, wait=wait_seconds, wait_ms=wait_seconds * 1000
    )
    return parse_ping(done.stdout, host) or ping_refusal(done, host)


@dataclass(frozen=True, slots=True)
class Reached(Generic[T]):
    """How a call on a port ended; `value` is there where the state is ok."""

    state: ConnectState
    address: str = ""
    note: str = ""
    value: T | None = None


async def reach(
    host: str,
    port: int,
    timeout_seconds: float,
    access: Access,
    visit: Callable[[str], Awaitable[T]],
) -> Reached[T]:
    """Resolve `host`, then `visit` its addresses in turn until one answers.

    Each address has an equal share of the time that is left, so that one that swallows
    everything does not hide another that answers.
    """
    deadline = time.monotonic() + timeout_seconds
    try:
        async with asyncio.timeout(timeout_seconds):
            addresses = await access.call(f"getaddrinfo({host})", _addresses, host, port)
    except TimeoutError:
        return Reached("unresolved", note="no resolver answered in time")
    except (socket.gaierror, UnicodeError) as error:
        return Reached("unresolved", note=said(error))
    last: Reached[T] = Reached("unresolved", note="the name has no address")
    for index, address in enumerate(addresses):
        access.source.append(f"connect({endpoint_name(address, port)})")
        share = max(0.0, deadline - time.monotonic()) / (len(addresses) - index)
        try:
            async with asyncio.timeout(share):
                return Reached("ok", address, value=await visit(address))
        except TimeoutError:
            last = Reached("timeout", address, f"no answer within {timeout_seconds:g} s")
        except ConnectionRefusedError as error:
            last = Reached("refused", address, said(error))
        except OSError as error:
            last = Reached("error", address, said(error))
    return last


def _addresses(host: str, port: int) -> tuple[str, ...]:
    """A name's addresses, each once; a link-local one keeps its interface."""
    found: dict[str, None] = {}
    for *_, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        scope = place[3] if len(place) == 4 else 0
        found[f"{place[0]}%{scope}" if scope else str(place[0])] = None
    return tuple(found)[:ADDRESSES]


def said(error: OSError | UnicodeError) -> str:
    """What an error of the network says, in a few words."""
    if isinstance(error, UnicodeError):
        return "not a host name"
    if isinstance(error, socket.gaierror | ssl.SSLError) or not error.errno:
        return (error.strerror or str(error) or type(error).__name__)[:200]
    # asyncio puts words of its own, with the whole address, in place of the system's.
    return os.strerror(error.errno)


async def read_tcp_check(arguments: TcpArguments, access: Access) -> TcpCheck:
    """Open a connection and close it again, without a byte sent."""
    host, port = arguments.endpoint()

    async def connect(address: str) -> float:
        begun = time.monotonic()
        _, writer = await asyncio.open_connection(address, port)
        taken = time.monotonic() - begun
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return taken

    reached = await reach(host, port, arguments.timeout_seconds, access, connect)
    return TcpCheck(
        target=endpoint_name(host, port),
        host=host,
        port=port,
        state=reached.state,
        address=reached.address,
        connect_ms=None if reached.value is None else round(reached.value * 1000, 3),
        note=reached.note,
    )


TOOLS = (
    Tool(
        name="ping",
        summary="Whether a host answers echo requests: loss and round-trip times.",
        arguments=PingArguments,
        result=Ping,
        reads=every_platform(read_ping),
        needs={"linux": (PING_LINUX,), "darwin": (PING_MACOS,)},
    ),
    Tool(
        name="tcp_check",
        summary="Whether a TCP port of a host takes a connection, and how fast.",
        arguments=TcpArguments,
        result=TcpCheck,
        reads=every_platform(read_tcp_check),
    ),
)
