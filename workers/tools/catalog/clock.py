"""The clock: whether it follows a time source, and how far off it is."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Literal

from swarm_tasks.errors import ToolError, ToolFailed, Unavailable
from workers.tools.access import Access
from workers.tools.catalog.host import container_engine
from workers.tools.catalog.shown import shown
from workers.tools.catalog.systemd import properties
from workers.tools.spec import Command, NoArguments, Result, Tool

CHRONYC = Command(("chronyc", "-n", "-c", "tracking"), package="chrony", timeout_seconds=5)
TIMEDATECTL = Command(
    ("timedatectl", "show", "--property=NTPSynchronized,NTP,CanNTP"),
    package="systemd",
    timeout_seconds=5,
)
# It starts systemd-timesyncd over the bus where that is installed and idle; only asked if in use.
TIMESYNC = Command(("timedatectl", "timesync-status"), package="systemd", timeout_seconds=5)
NTPQ = Command(
    ("ntpq", "-n", "-c", "rv 0 leap,stratum,refid,offset"), package="ntpsec", timeout_seconds=5
)
NETWORK_TIME = Command(("systemsetup", "-getusingnetworktime"), ok=None)
TIME_SERVER = Command(("systemsetup", "-getnetworktimeserver"), ok=None)
SNTP = Command(("sntp", "-t", "3", "{server}"), timeout_seconds=10)

APPLE_TIME = "time.apple.com"
"""What a Mac asks unless it is told otherwise."""

SERVER = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:-]{0,252}")

CLOCK_SOURCE = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
PTP_CLOCK = "/sys/class/ptp/ptp0/clock_name"

NEVER_SET, OWN_CLOCK = "00000000", "7F7F0101"
"""Reference ids of chrony: no source yet, and its `local` directive, where it follows itself."""

SPAN = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>[a-zµ]+)")
UNITS = {
    **{"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0},
    **{"d": 86_400.0, "day": 86_400.0, "days": 86_400.0, "w": 604_800.0},
    **{"month": 2_629_800.0, "months": 2_629_800.0, "y": 31_557_600.0},
}
"""The units of systemd.time(7); a month and a year are its 30.44 and 365.25 days."""

Synchronised = Literal["yes", "no", "unknown"]


class TimeSync(Result):
    """Whether the clock follows a time source.

    `unknown` is a clock whose distance was measured once, by a program that does not set it.
    `offset_seconds` is that distance, never negative; None where nobody measures it. `said_by`
    names the daemon or program that was asked.
    """

    synchronised: Synchronised
    offset_seconds: float | None
    server: str
    stratum: int | None
    said_by: str


def parse_chrony(text: str) -> TimeSync:
    """The state in `chronyc -c tracking`: comma-separated, in the order of its manual.

    0 reference id, 1 its address, 2 stratum, 4 offset of the clock in seconds, 13 leap status.
    """
    fields = text.strip().split(",")
    if len(fields) < 14:
        raise ToolFailed(f"chronyc: {text.strip()[:200]}")
    never = fields[0] in (NEVER_SET, OWN_CLOCK) or fields[13] == "Not synchronised"
    return TimeSync(
        synchronised="no" if never else "yes",
        offset_seconds=None if never else abs(float(fields[4])),
        server=shown(fields[1], 256),
        stratum=int(fields[2]) or None,
        said_by="chrony",
    )


def parse_timesync(text: str) -> TimeSync:
    """The state in `timedatectl timesync-status`, of systemd-timesyncd."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        found[name.strip()] = value.strip()
    offset = found.get("Offset", "")
    return TimeSync(
        # Without a packet there is neither a leap status nor an offset.
        synchronised="yes" if offset and found.get("Leap") != "not synchronized" else "no",
        offset_seconds=span_seconds(offset) if offset else None,
        server=shown(found.get("Server", ""), 256),
        stratum=int(found["Stratum"]) if found.get("Stratum", "").isdecimal() else None,
        said_by="systemd-timesyncd",
    )


def parse_ntpq(text: str) -> TimeSync:
    """The state in `ntpq -c "rv 0 leap,stratum,refid,offset"`; the offset is in milliseconds."""
    found = dict(re.findall(r"(\w+)=\"?([^,\"\s]+)", text))
    if "leap" not in found:
        raise ToolFailed(f"ntpq: {text.strip()[:200] or 'no answer'}")
    never = found["leap"] in ("11", "3", "leap_alarm")
    return TimeSync(
        synchronised="no" if never else "yes",
        offset_seconds=None if never else abs(float(found["offset"])) / 1000,
        server=shown(found.get("refid", ""), 256),
        stratum=int(found["stratum"]) if found.get("stratum", "").isdecimal() else None,
        said_by="ntpd",
    )


def parse_sntp(text: str, server: str, synchronised: Synchronised) -> TimeSync:
    """The offset in macOS `sntp`: `+0.012345 +/- 0.006789 time.apple.com 17.253.34.125`."""
    found = re.search(r"^(?P<offset>[+-]\d+\.\d+) \+/- ", text, re.M)
    if found is None:
        raise ToolFailed(f"sntp: {server} did not answer")
    return TimeSync(
        synchronised=synchronised,
        offset_seconds=abs(float(found["offset"])),
        server=server,
        stratum=None,
        said_by="sntp",
    )


def parse_systemsetup(setting: str, server: str) -> tuple[Synchronised, str]:
    """(whether the Mac sets its clock, the server it asks), from two answers of `systemsetup`.

    Without root it prints a refusal and ends with 0: nothing is known then.
    """
    known: dict[str, Synchronised] = {"on": "yes", "off": "no"}
    name = server.rpartition(": ")[2].strip()
    return (
        known.get(setting.rpartition(": ")[2].strip().lower(), "unknown"),
        name if SERVER.fullmatch(name) else APPLE_TIME,
    )


def span_seconds(text: str) -> float:
    """The length of a span as systemd prints it, `-1min 2.5s`, without its sign."""
    return round(
        sum(float(found["number"]) * UNITS[found["unit"]] for found in SPAN.finditer(text)), 9
    )


async def read_time_sync(arguments: NoArguments, access: Access) -> TimeSync:
    """Ask each time daemon in turn, then the kernel by way of timedatectl.

    Raises:
        Unavailable: No daemon runs, and the clock may well be kept from outside.
    """
    daemons: tuple[Callable[[Access], Awaitable[TimeSync]], ...] = (_chrony, _ntpd)
    for ask in daemons:
        try:
            return await ask(access)
        except ToolError:
            continue  # not installed or not running: the next one may be
    try:
        known = properties((await access.run(TIMEDATECTL)).stdout)
    except ToolError:
        known = {}
    if known.get("NTP") == "yes":
        return await _timesyncd(access, known)
    if known.get("NTPSynchronized") == "yes":
        return _from_kernel("yes")
    keeper = await kept_from_outside(access)
    if keeper or not known:
        raise Unavailable(
            f"no time daemon runs here{keeper and f', and {keeper}'}",
            "run chrony or systemd-timesyncd if this host is to keep its own time",
        )
    return _from_kernel("no")


async def _chrony(access: Access) -> TimeSync:
    return parse_chrony((await access.run(CHRONYC)).stdout)


async def _ntpd(access: Access) -> TimeSync:
    return parse_ntpq((await access.run(NTPQ)).stdout)


async def _timesyncd(access: Access, known: dict[str, str]) -> TimeSync:
    """What systemd-timesyncd says; where another daemon is meant, what the kernel says."""
    try:
        found = parse_timesync((await access.run(TIMESYNC)).stdout)
    except ToolError:
        return _from_kernel("yes" if known.get("NTPSynchronized") == "yes" else "no")
    in_step = known.get("NTPSynchronized") == "yes"
    return found.model_copy(update={"synchronised": "yes" if in_step else "no"})


def _from_kernel(synchronised: Synchronised) -> TimeSync:
    return TimeSync(
        synchronised=synchronised, offset_seconds=None, server="", stratum=None, said_by="kernel"
    )


async def kept_from_outside(access: Access) -> str:
    """Who keeps the clock if no daemon does; empty where it is nobody."""
    engine = await container_engine(access)
    if engine:
        return f"the clock of a {engine} container is its host's"
    for path, keepers in ((PTP_CLOCK, ("kvm", "hyperv")), (CLOCK_SOURCE, ("kvm", "hyperv", "xen"))):
        try:
            name = (await access.read(path)).strip().lower()
        except Unavailable:
            continue
        if any(keeper in name for keeper in keepers):
            return f"the hypervisor offers its own clock ({shown(name, 64)})"
    return ""


async def read_time_sync_macos(arguments: NoArguments, access: Access) -> TimeSync:
    """Ask the Mac's own time server how far off the clock is."""
    setting = (await access.run(NETWORK_TIME)).stdout
    synchronised, server = parse_systemsetup(setting, (await access.run(TIME_SERVER)).stdout)
    return parse_sntp((await access.run(SNTP, server=server)).stdout, server, synchronised)


TOOLS = (
    Tool(
        name="time_sync",
        summary="Whether the clock follows a time source, and how far it is off.",
        arguments=NoArguments,
        result=TimeSync,
        reads={"linux": read_time_sync, "darwin": read_time_sync_macos},
    ),
)
