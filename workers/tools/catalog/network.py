"""Network: the interfaces, what they lost lately, and the ways out."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import re
import socket
import struct
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import psutil

from swarm_tasks.errors import ToolFailed, Unavailable
from workers.tools.access import Access
from workers.tools.spec import Command, NoArguments, Result, Sample, Tool

LinkState = Literal["up", "no_carrier", "down"]

IP_ADDR = Command(("ip", "-j", "-s", "addr", "show"), package="iproute2")
IFCONFIG = Command(("ifconfig", "-a"))
NETSTAT_COUNTERS = Command(("netstat", "-ibdn"))
NETSTAT_ROUTES = Command(("netstat", "-rn"))

NICS = 128

WINDOW_SECONDS = 600
SHORTEST_WINDOW_SECONDS = 60
FEWEST_PACKETS = 1000
"""Below this many packets a share of drops says nothing (Netdata's outbound ratio has the
same floor)."""

Samples = list[tuple[float, float]]


class Nic(Result):
    """One network interface. Counters run since the interface came up.

    `errors_10min` and `drops_percent` need a sample of at least a minute ago in the host's
    history and are None without one; `window_seconds` says how far back the sample lies. Over
    a longer window errors are the average of ten minutes; over a shorter one they are what
    was counted. Drops are a share of all packets, received, sent and dropped.
    """

    name: str
    state: LinkState
    loopback: bool
    mtu_bytes: int
    speed_mbit_per_second: int | None
    addresses: tuple[str, ...]
    rx_bytes: int
    tx_bytes: int
    rx_packets: int
    tx_packets: int
    rx_errors: int
    tx_errors: int
    rx_dropped: int
    tx_dropped: int
    window_seconds: float | None = None
    errors_10min: float | None = None
    drops_percent: float | None = None


class Route(Result):
    """A default route; `gateway` is empty where the link itself is the way out."""

    family: Literal["ipv4", "ipv6"]
    gateway: str
    interface: str


class Interfaces(Result):
    """The interfaces of the host and its ways out of the local network."""

    interfaces: tuple[Nic, ...]
    default_routes: tuple[Route, ...] = ()


def parse_ip_addr(text: str) -> tuple[Nic, ...]:
    """The interfaces in `ip -j -s addr show`; speeds are not in it."""
    rows: list[dict[str, Any]] = json.loads(text or "[]")
    return tuple(_nic_from_ip(row) for row in rows if "ifname" in row)


def _nic_from_ip(row: dict[str, Any]) -> Nic:
    flags: list[str] = row["flags"]
    carrier = "NO-CARRIER" not in flags and row.get("operstate") not in ("DOWN", "LOWERLAYERDOWN")
    counters: dict[str, dict[str, int]] = row.get("stats64") or row.get("stats") or {}
    rx, tx = counters.get("rx", {}), counters.get("tx", {})
    return Nic(
        name=row["ifname"],
        state="down" if "UP" not in flags else "up" if carrier else "no_carrier",
        loopback="LOOPBACK" in flags,
        mtu_bytes=row["mtu"],
        speed_mbit_per_second=None,
        addresses=tuple(
            f"{one['local']}/{one['prefixlen']}"
            for one in row.get("addr_info", ())
            if "local" in one
        ),
        rx_bytes=rx.get("bytes", 0),
        tx_bytes=tx.get("bytes", 0),
        rx_packets=rx.get("packets", 0),
        tx_packets=tx.get("packets", 0),
        rx_errors=rx.get("errors", 0),
        tx_errors=tx.get("errors", 0),
        rx_dropped=rx.get("dropped", 0),
        tx_dropped=tx.get("dropped", 0),
    )


def parse_ifconfig_status(text: str) -> dict[str, LinkState]:
    """The state of each interface in macOS `ifconfig -a`.

    `status: inactive` is an interface without a link; those without a status line (lo0, utun0)
    have no link to lose.
    """
    states: dict[str, LinkState] = {}
    name = ""
    for line in text.splitlines():
        if head := re.match(r"(\S+): flags=[0-9a-f]+<([^>]*)>", line):
            name = head[1]
            states[name] = "up" if "UP" in head[2].split(",") else "down"
        elif line.strip() == "status: inactive" and states.get(name) == "up":
            states[name] = "no_carrier"
    return states


def parse_netstat_drops(text: str) -> dict[str, int]:
    """Packets that each interface dropped on the way out, from macOS `netstat -ibdn`.

    psutil has every other counter of macOS, and always 0 for this one.
    """
    drops: dict[str, int] = {}
    for line in text.splitlines():
        fields = line.split()
        # Only the link's own line holds a number here; its Address column may be empty.
        if len(fields) >= 11 and fields[2].startswith("<Link#") and fields[-1].isdigit():
            drops[fields[0].rstrip("*")] = int(fields[-1])
    return drops


def parse_proc_routes(text: str) -> tuple[Route, ...]:
    """The IPv4 default routes in /proc/net/route, whose addresses are in the host's order."""
    routes: list[Route] = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 8 or fields[1] != "00000000" or fields[7] != "00000000":
            continue
        gateway = socket.inet_ntoa(struct.pack("=I", int(fields[2], 16)))
        routes.append(
            Route(
                family="ipv4",
                gateway="" if gateway == "0.0.0.0" else gateway,  # noqa: S104 - not bound to
                interface=fields[0],
            )
        )
    return tuple(routes)


def parse_proc_ipv6_routes(text: str) -> tuple[Route, ...]:
    """The IPv6 default routes in /proc/net/ipv6_route; the kernel's own reject route is none."""
    routes: list[Route] = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 10 or int(fields[0], 16) or fields[1] != "00" or fields[9] == "lo":
            continue
        gateway = ipaddress.IPv6Address(int(fields[4], 16))
        routes.append(
            Route(
                family="ipv6",
                gateway="" if gateway.is_unspecified else str(gateway),
                interface=fields[9],
            )
        )
    return tuple(routes)


def parse_netstat_routes(text: str) -> tuple[Route, ...]:
    """The default routes in macOS `netstat -rn`; `link#12` for a gateway is the link itself."""
    routes: list[Route] = []
    family: Literal["ipv4", "ipv6"] = "ipv4"
    for line in text.splitlines():
        if line.startswith("Internet"):
            family = "ipv6" if line.startswith("Internet6") else "ipv4"
        fields = line.split()
        if len(fields) >= 4 and fields[0] == "default":
            gateway = "" if fields[1].startswith("link#") else fields[1].partition("%")[0]
            routes.append(Route(family=family, gateway=gateway, interface=fields[3]))
    return tuple(routes)


def nics_from_psutil(
    stats: Mapping[str, Any], addresses: Mapping[str, Any], counters: Mapping[str, Any]
) -> tuple[Nic, ...]:
    """The interfaces as psutil sees them: on macOS, and where `ip` is not installed."""
    nics: list[Nic] = []
    for name, stat in stats.items():
        flags = stat.flags.split(",")
        count = counters.get(name)
        nics.append(
            Nic(
                name=name,
                state="down" if "up" not in flags else "up" if "running" in flags else "no_carrier",
                loopback="loopback" in flags,
                mtu_bytes=stat.mtu,
                speed_mbit_per_second=stat.speed or None,
                addresses=tuple(_with_prefix(addresses.get(name, ()))),
                rx_bytes=count.bytes_recv if count else 0,
                tx_bytes=count.bytes_sent if count else 0,
                rx_packets=count.packets_recv if count else 0,
                tx_packets=count.packets_sent if count else 0,
                rx_errors=count.errin if count else 0,
                tx_errors=count.errout if count else 0,
                rx_dropped=count.dropin if count else 0,
                tx_dropped=count.dropout if count else 0,
            )
        )
    return tuple(nics)


def _with_prefix(addresses: Iterable[Any]) -> Iterator[str]:
    for one in addresses:
        if one.family not in (socket.AF_INET, socket.AF_INET6):
            continue
        address = one.address.partition("%")[0]
        if not one.netmask:
            yield address
            continue
        mask = int(ipaddress.ip_address(one.netmask))
        yield f"{address}/{mask.bit_count()}"


def gained(samples: Samples, total: float, now: float) -> tuple[float, float] | None:
    """How far a counter rose since the sample that is nearest to ten minutes old.

    Returns:
        The rise and the seconds that it took; None without a sample that is at least a minute
        old, or where the counter began anew since.
    """
    old = [(at, value) for at, value in samples if now - at >= SHORTEST_WINDOW_SECONDS]
    if not old:
        return None
    at, value = min(old, key=lambda one: abs(now - one[0] - WINDOW_SECONDS))
    return (total - value, now - at) if total >= value else None


def with_rates(nic: Nic, errors: Samples, drops: Samples, packets: Samples, now: float) -> Nic:
    """`nic` with what its counters gained since about ten minutes ago."""
    update: dict[str, float] = {}
    if risen := gained(errors, nic.rx_errors + nic.tx_errors, now):
        count, seconds = risen
        update["window_seconds"] = round(seconds, 1)
        update["errors_10min"] = round(count * min(1.0, WINDOW_SECONDS / seconds), 2)
    lost = gained(drops, nic.rx_dropped + nic.tx_dropped, now)
    moved = gained(packets, nic.rx_packets + nic.tx_packets, now)
    if lost and moved and lost[0] + moved[0] >= FEWEST_PACKETS:
        update["window_seconds"] = round(moved[1], 1)
        update["drops_percent"] = round(100 * lost[0] / (lost[0] + moved[0]), 2)
    return nic.model_copy(update=update)


def counter_samples(result: Interfaces) -> Iterable[Sample]:
    """What each interface counted until now, for the next call's `errors_10min` and drops."""
    for nic in result.interfaces:
        if not nic.loopback:
            yield Sample("net.errors_total", nic.name, nic.rx_errors + nic.tx_errors)
            yield Sample("net.drops_total", nic.name, nic.rx_dropped + nic.tx_dropped)
            yield Sample("net.packets_total", nic.name, nic.rx_packets + nic.tx_packets)


async def read_interfaces_linux(arguments: NoArguments, access: Access) -> Interfaces:
    """Interfaces from `ip`, or from psutil where that cannot answer; routes from /proc."""
    try:
        listed = (await access.run(IP_ADDR)).stdout
    except (Unavailable, ToolFailed):
        # Not installed, or busybox's, which knows no JSON.
        nics = await _psutil_nics(access)
    else:
        stats = await access.call("psutil.net_if_stats()", psutil.net_if_stats)
        nics = tuple(
            nic.model_copy(update={"speed_mbit_per_second": stats[nic.name].speed or None})
            if nic.name in stats
            else nic
            for nic in parse_ip_addr(listed)
        )
    routes = parse_proc_routes(await access.read("/proc/net/route"))
    # Absent where IPv6 is switched off.
    with contextlib.suppress(Unavailable):
        routes += parse_proc_ipv6_routes(await access.read("/proc/net/ipv6_route"))
    return Interfaces(
        interfaces=await _all_with_rates(nics[:NICS], access), default_routes=routes[:NICS]
    )


async def read_interfaces_macos(arguments: NoArguments, access: Access) -> Interfaces:
    """Interfaces from psutil, with the link state of ifconfig and the drops of netstat."""
    states = parse_ifconfig_status((await access.run(IFCONFIG)).stdout)
    drops = parse_netstat_drops((await access.run(NETSTAT_COUNTERS)).stdout)
    routes = parse_netstat_routes((await access.run(NETSTAT_ROUTES)).stdout)
    nics = tuple(
        nic.model_copy(
            update={
                "state": states.get(nic.name, nic.state),
                "tx_dropped": drops.get(nic.name, nic.tx_dropped),
            }
        )
        for nic in await _psutil_nics(access)
    )
    return Interfaces(
        interfaces=await _all_with_rates(nics[:NICS], access), default_routes=routes[:NICS]
    )


async def _psutil_nics(access: Access) -> tuple[Nic, ...]:
    stats = await access.call("psutil.net_if_stats()", psutil.net_if_stats)
    addresses = await access.call("psutil.net_if_addrs()", psutil.net_if_addrs)
    counters = await access.call(
        "psutil.net_io_counters(pernic=True)", psutil.net_io_counters, pernic=True, nowrap=False
    )
    return nics_from_psutil(stats, addresses, counters)


async def _all_with_rates(nics: tuple[Nic, ...], access: Access) -> tuple[Nic, ...]:
    access.source.append("history(net.errors_total, net.drops_total, net.packets_total)")
    history, now = access.machine.history, time.time()

    async def one(nic: Nic) -> Nic:
        if nic.loopback:
            return nic
        return with_rates(
            nic,
            await history.samples("net.errors_total", nic.name),
            await history.samples("net.drops_total", nic.name),
            await history.samples("net.packets_total", nic.name),
            now,
        )

    return tuple(await asyncio.gather(*(one(nic) for nic in nics)))


TOOLS = (
    Tool(
        name="interfaces",
        summary="Each network interface with its link, addresses, errors and drops; the gateways.",
        arguments=NoArguments,
        result=Interfaces,
        reads={"linux": read_interfaces_linux, "darwin": read_interfaces_macos},
        samples=counter_samples,
    ),
)
