"""Sockets: what listens on the host, and who is connected to it."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal, get_args

import psutil
from pydantic import Field

from swarm_tasks.errors import Unavailable
from workers.tools.access import Access
from workers.tools.spec import Arguments, Command, NoArguments, Result, Tool, every_platform

Protocol = Literal["tcp", "udp"]
TcpState = Literal[
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
]
TCP_STATES: tuple[TcpState, ...] = get_args(TcpState)
"""In the kernel's order: /proc/net/tcp numbers them from 1 (include/net/tcp_states.h)."""

MACOS_STATES: Mapping[str, TcpState] = {
    "SYN_RCVD": "SYN_RECV",
    "FIN_WAIT_1": "FIN_WAIT1",
    "FIN_WAIT_2": "FIN_WAIT2",
    "CLOSED": "CLOSE",
}

SS_LISTENING = Command(("ss", "-H", "-tulnp"), package="iproute2")
LSOF_SOCKETS = Command(("lsof", "-nP", "-i", "-FpcftPnT"), ok=(0, 1), package="lsof")
NETSTAT_TCP = Command(("netstat", "-anW", "-p", "tcp"), output_limit_bytes=16 << 20)

PROC_TCP_LIMIT_BYTES = 16 << 20
"""About a hundred thousand connections."""

NOBODY = ("*", "0.0.0.0", "::")  # noqa: S104 - shown, not bound
"""The remote address of a socket without a peer."""

LISTENERS = 500
PEERS = 20


class Listener(Result):
    """A socket that waits for others.

    `external` means bound to an address that is not loopback; a firewall may still shut it.
    `pid` is None and `process` empty where the worker may not see whose socket it is.
    """

    protocol: Protocol
    address: str
    port: int
    external: bool
    pid: int | None
    process: str


class ListeningPorts(Result):
    """What listens; `total` counts those past the bound of the list too."""

    listeners: tuple[Listener, ...]
    total: int


class Peer(Result):
    """A remote address and how many connections it has."""

    address: str
    connections: int


class Connections(Result):
    """TCP connections: how many in each state, and the peers with the most of them.

    `peers` counts connections in `state`, or in every state where none was asked for.
    """

    state: TcpState | None
    total: int
    by_state: dict[TcpState, int]
    peers: tuple[Peer, ...]


class ConnectionsArguments(Arguments):
    """Whose peers to count: those of one state, or all."""

    state: TcpState | None = Field(default=None, description="Count peers in this state only.")


Connection = tuple[TcpState, str]
"""A connection's state and its remote address."""


def listener(
    protocol: Protocol, address: str, port: int, pid: int | None = None, process: str = ""
) -> Listener:
    """A listener, with the verdict whether its address can be reached from outside."""
    plain = address.partition("%")[0]
    return Listener(
        protocol=protocol,
        address=plain,
        port=port,
        external=not _is_loopback(plain),
        pid=pid,
        process=process,
    )


def _is_loopback(address: str) -> bool:
    ip = ipaddress.ip_address(address)
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_loopback


def parse_ss_listening(text: str) -> tuple[Listener, ...]:
    """The sockets in `ss -H -tulnp`; a bare `*` is any address of either family."""
    found: list[Listener] = []
    for line in text.splitlines():
        fields = line.split(None, 6)
        if len(fields) < 6 or fields[0] not in ("tcp", "udp"):
            continue
        address, _, port = fields[4].rpartition(":")
        owner = re.search(r'\("([^"]*)",pid=(\d+)', fields[6] if len(fields) > 6 else "")
        found.append(
            listener(
                "udp" if fields[0] == "udp" else "tcp",
                "::" if address == "*" else re.sub(r"[\[\]]", "", address),
                int(port),
                int(owner[2]) if owner else None,
                owner[1] if owner else "",
            )
        )
    return tuple(found)


def parse_lsof_listening(text: str) -> tuple[Listener, ...]:
    """The sockets in `lsof -i -FpcftPnT` that wait for others.

    Each line begins with a letter for its field: `p` begins a process, `f` one of its files.
    """
    found: list[Listener] = []
    process: dict[str, str] = {}
    for block in re.split(r"^(?=[pf])", text, flags=re.M):
        # Of the many lines that begin with T only the state counts.
        lines = [line for line in block.splitlines() if line and line[:1] != "T"]
        state = re.search(r"^T(ST=.*)$", block, re.M)
        fields = {line[0]: line[1:] for line in lines} | ({"T": state[1]} if state else {})
        if "p" in fields:
            process = fields
        elif one := _lsof_listener(fields, process):
            found.append(one)
    return tuple(found)


def _lsof_listener(fields: Mapping[str, str], process: Mapping[str, str]) -> Listener | None:
    """A file that listens; None for one with a peer (`a:1->b:2`) or without a port (`*:*`)."""
    address, _, port = fields.get("n", "").rpartition(":")
    protocol = fields.get("P")
    waits = protocol == "UDP" or (protocol == "TCP" and fields.get("T") == "ST=LISTEN")
    if not waits or "->" in address or not port.isdigit():
        return None
    if address == "*":
        address = "::" if fields.get("t") == "IPv6" else "0.0.0.0"  # noqa: S104 - shown, not bound
    return listener(
        "udp" if protocol == "UDP" else "tcp",
        address.strip("[]"),
        int(port),
        int(process["p"]),
        process.get("c", ""),
    )


def parse_proc_tcp(text: str) -> tuple[Connection, ...]:
    """The connections in /proc/net/tcp or tcp6."""
    found: list[Connection] = []
    for line in text.splitlines()[1:]:
        fields = line.split(None, 4)
        if len(fields) < 5 or ":" not in fields[2]:
            continue
        number = int(fields[3], 16)
        if 1 <= number <= len(TCP_STATES):
            remote = proc_address(fields[2].partition(":")[0])
            found.append((TCP_STATES[number - 1], remote))
    return tuple(found)


def proc_address(text: str) -> str:
    """An address of /proc/net: hexadecimal, in 32-bit words of the host's own byte order."""
    raw = bytes.fromhex(text)
    words = [raw[at : at + 4] for at in range(0, len(raw), 4)]
    packed = b"".join(
        socket.htonl(int.from_bytes(word, "big")).to_bytes(4, "big") for word in words
    )
    ip = ipaddress.ip_address(packed)
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return str(mapped or ip)


def parse_netstat_tcp(text: str) -> tuple[Connection, ...]:
    """The connections in macOS `netstat -anW -p tcp`: `17.57.144.84.5223  ESTABLISHED`."""
    found: list[Connection] = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 6 or not fields[0].startswith("tcp"):
            continue
        state = MACOS_STATES.get(fields[5], fields[5])
        if state in TCP_STATES:
            remote = fields[4].rpartition(".")[0].partition("%")[0]
            found.append((state, remote))
    return tuple(found)


def count(connections: Iterable[Connection], state: TcpState | None) -> Connections:
    """Connections by state, and the peers that have the most of the state that was asked for."""
    states: Counter[TcpState] = Counter()
    peers: Counter[str] = Counter()
    for current, remote in connections:
        states[current] += 1
        if current == (state or current) and remote not in NOBODY:
            peers[remote] += 1
    return Connections(
        state=state,
        total=states.total(),
        by_state={name: states[name] for name in TCP_STATES if states[name]},
        peers=tuple(
            Peer(address=address, connections=many)
            for address, many in sorted(peers.items(), key=lambda one: (-one[1], one[0]))[:PEERS]
        ),
    )


async def read_listening_ports(arguments: NoArguments, access: Access) -> ListeningPorts:
    """Listening sockets from psutil; from ss or lsof where psutil may not see them."""
    try:
        found = await access.call("psutil.net_connections(inet)", _psutil_listeners)
    except Unavailable:
        # macOS lets only root list every socket in this way; lsof then shows at least our own.
        if access.machine.platform == "darwin":
            found = parse_lsof_listening((await access.run(LSOF_SOCKETS)).stdout)
        else:
            found = parse_ss_listening((await access.run(SS_LISTENING)).stdout)
    # Many processes may share one port; it is one entry, under the first of them.
    unique = {(one.protocol, one.port, one.address): one for one in reversed(found)}
    ordered = tuple(unique[key] for key in sorted(unique))
    return ListeningPorts(listeners=ordered[:LISTENERS], total=len(ordered))


def _psutil_listeners() -> tuple[Listener, ...]:
    names: dict[int, str] = {}
    found: list[Listener] = []
    for one in psutil.net_connections("inet"):
        waits = (
            one.status == psutil.CONN_LISTEN if one.type == socket.SOCK_STREAM else not one.raddr
        )
        if not waits or not one.laddr:
            continue
        if one.pid is not None and one.pid not in names:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                names[one.pid] = psutil.Process(one.pid).name()
        found.append(
            listener(
                "tcp" if one.type == socket.SOCK_STREAM else "udp",
                one.laddr.ip,
                one.laddr.port,
                one.pid,
                names.get(one.pid, "") if one.pid is not None else "",
            )
        )
    return tuple(found)


async def read_connections_linux(arguments: ConnectionsArguments, access: Access) -> Connections:
    """Connections from /proc: no look at every process's files, which psutil would take."""
    found: list[Connection] = []
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            text = await access.read(path, PROC_TCP_LIMIT_BYTES)
        except Unavailable:
            if path == "/proc/net/tcp":
                raise
            continue  # IPv6 is switched off
        access.truncated = access.truncated or len(text) >= PROC_TCP_LIMIT_BYTES
        found += parse_proc_tcp(text)
    return count(found, arguments.state)


async def read_connections_macos(arguments: ConnectionsArguments, access: Access) -> Connections:
    """Connections from netstat, which needs no root."""
    return count(parse_netstat_tcp((await access.run(NETSTAT_TCP)).stdout), arguments.state)


TOOLS = (
    Tool(
        name="listening_ports",
        summary="What listens on TCP and UDP: address, port, process, and whether from outside.",
        arguments=NoArguments,
        result=ListeningPorts,
        reads=every_platform(read_listening_ports),
    ),
    Tool(
        name="connections",
        summary="How many TCP connections are in each state, and the peers that have the most.",
        arguments=ConnectionsArguments,
        result=Connections,
        reads={"linux": read_connections_linux, "darwin": read_connections_macos},
    ),
)
