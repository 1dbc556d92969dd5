"""SMART: what disks say about their own health."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeVar

from pydantic import Field

from swarm_tasks.errors import ToolFailed, ToolTimeout, Unavailable
from workers.tools.access import DENIED, Access
from workers.tools.catalog.shown import shown
from workers.tools.spec import Arguments, Command, Completed, Result, Tool, every_platform

T = TypeVar("T")

SMARTCTL_SCAN = Command(
    ("smartctl", "--json", "--scan-open"), ok=None, package="smartmontools", timeout_seconds=10.0
)
SMARTCTL = Command(
    # A disk that sleeps is left asleep: an audit must not spin up an archive.
    ("smartctl", "--json", "--nocheck=standby", "--all", "--", "{device}"),
    ok=None,
    package="smartmontools",
    timeout_seconds=10.0,
)
SMARTCTL_TYPED = Command(
    ("smartctl", "--json", "--nocheck=standby", "--all", "--device={type}", "--", "{device}"),
    ok=None,
    package="smartmontools",
    timeout_seconds=10.0,
)

AT_ONCE = 4
DISKS_LIMIT = 64

EXIT_NOT_OPENED = 0b0000_0011
EXIT_FAILING = 0b0000_1000
EXIT_PREFAIL = 0b0001_0000
EXIT_SELF_TEST = 0b1000_0000
"""Bits of smartctl's exit code (its manual, EXIT STATUS). The others speak of commands that a
disk did not know and of log entries that healthy disks have as well."""

NVME_WARNINGS = (
    "spare blocks are low",
    "temperature out of range",
    "reliability degraded",
    "media are read-only",
    "volatile memory backup failed",
    "persistent memory is read-only",
)
"""Bits of the critical warning, from the lowest (NVM Express base specification, SMART log)."""

REALLOCATED, PENDING, UNCORRECTABLE = 5, 197, 198
"""ATA attributes above 0 on disks that are likely to fail (Backblaze's drive statistics)."""

WORN_PERCENT = 100
"""The maker's estimate of the endurance is used up; a disk may live on (NVM Express)."""

ASLEEP = re.compile(r"device is in (standby|sleep)", re.I)
VIRTUAL = "virtual disks and some controllers have no SMART: ask the machine below"

DEVICE_PATTERN = r"^/dev/[A-Za-z0-9][A-Za-z0-9_.:+-]*(/[A-Za-z0-9][A-Za-z0-9_.:+-]*)*$"

PORT = re.compile(r",\d")

Health = Literal["ok", "warning", "failing", "asleep", "unknown"]


class SmartDevice(Result):
    """A disk that smartctl can ask, and how; `error` says why it could not open it."""

    device: str
    type: str
    error: str


class SmartDisk(Result):
    """One disk's word on its health. What it does not report is None.

    `health` is `failing` where the disk says so itself, `warning` where it counts what precedes
    a failure, `asleep` where it was left in standby, `unknown` where it did not answer. `port`
    is where a disk behind a controller hangs, as smartctl names it (`megaraid,4`): such disks
    share the controller's device.
    """

    device: str
    port: str = ""
    model: str = ""
    serial: str = ""
    protocol: str = ""
    health: Health = "unknown"
    reasons: tuple[str, ...] = ()
    passed: bool | None = None
    temperature_celsius: float | None = None
    power_on_hours: int | None = None
    reallocated_sectors: int | None = None
    pending_sectors: int | None = None
    uncorrectable_sectors: int | None = None
    percentage_used: float | None = None
    available_spare_percent: float | None = None
    media_errors: int | None = None
    critical_warning: int | None = None


class SmartHealth(Result):
    """Every disk that answers SMART."""

    disks: tuple[SmartDisk, ...]


class OneDevice(Arguments):
    """Which disk."""

    device: str | None = Field(
        default=None,
        pattern=DEVICE_PATTERN,
        max_length=128,
        description="Such as /dev/sda or /dev/nvme0; without it, every disk.",
    )


def parse_scan(text: str) -> tuple[SmartDevice, ...]:
    """The disks in `smartctl --json --scan-open`; without any there is no `devices` at all."""
    found: list[dict[str, Any]] = json.loads(text).get("devices", [])
    return tuple(
        SmartDevice(
            device=str(one["name"]),
            type=str(one.get("type", "")),
            error=str(one.get("open_error", "")),
        )
        for one in found[:DISKS_LIMIT]
    )


def port_of(kind: str) -> str:
    """The type of a disk where it names a port of a controller, such as `sat+megaraid,4`, `3ware,2`
    or `areca,1/2`; empty for a plain one, such as `sat` (smartctl's manual, --device)."""
    return shown(kind) if PORT.search(kind) else ""


def parse_smart(text: str) -> SmartDisk:
    """One disk, from `smartctl --json --all`."""
    data: dict[str, Any] = json.loads(text)
    device: dict[str, Any] = data.get("device", {})
    nvme: dict[str, Any] = data.get("nvme_smart_health_information_log", {})
    rows: list[dict[str, Any]] = data.get("ata_smart_attributes", {}).get("table", [])
    raw = {int(row["id"]): int(row["raw"]["value"]) for row in rows}
    worn = data.get("endurance_used", {}).get("current_percent")
    disk = SmartDisk(
        device=str(device.get("name", "")),
        model=shown(str(data.get("model_name") or data.get("scsi_model_name") or "")),
        serial=shown(str(data.get("serial_number", ""))),
        protocol=str(device.get("protocol", "")),
        passed=data.get("smart_status", {}).get("passed"),
        temperature_celsius=data.get("temperature", {}).get("current"),
        power_on_hours=data.get("power_on_time", {}).get("hours"),
        reallocated_sectors=raw.get(REALLOCATED),
        pending_sectors=raw.get(PENDING),
        uncorrectable_sectors=raw.get(UNCORRECTABLE),
        percentage_used=nvme.get("percentage_used", worn),
        available_spare_percent=nvme.get("available_spare"),
        media_errors=nvme.get("media_errors"),
        critical_warning=nvme.get("critical_warning"),
    )
    smartctl: dict[str, Any] = data["smartctl"]
    messages = tuple(shown(str(one["string"])) for one in smartctl.get("messages", []))
    health, reasons = judged(disk, int(smartctl["exit_status"]), messages)
    return disk.model_copy(update={"health": health, "reasons": reasons})


def judged(disk: SmartDisk, code: int, messages: tuple[str, ...]) -> tuple[Health, tuple[str, ...]]:
    """What a disk's numbers, smartctl's exit code and its messages amount to, and why."""
    if failing := tuple(_failures(disk, code)):
        return "failing", failing
    if any(ASLEEP.search(message) for message in messages):
        return "asleep", messages
    if code & EXIT_NOT_OPENED or (disk.passed is None and disk.critical_warning is None):
        return "unknown", messages or ("it does not report its health",)
    warnings = tuple(_warnings(disk, code))
    return ("warning", warnings) if warnings else ("ok", ())


def _failures(disk: SmartDisk, code: int) -> Iterator[str]:
    if disk.passed is False or code & EXIT_FAILING:
        yield "the disk says that it is failing"
    if code & EXIT_PREFAIL:
        yield "an attribute that foretells failure is past its threshold"
    for bit, meaning in enumerate(NVME_WARNINGS):
        if (disk.critical_warning or 0) & 1 << bit:
            yield meaning


def _warnings(disk: SmartDisk, code: int) -> Iterator[str]:
    counts = {
        "reallocated sectors": disk.reallocated_sectors,
        "pending sectors": disk.pending_sectors,
        "uncorrectable sectors": disk.uncorrectable_sectors,
        "media errors": disk.media_errors,
    }
    yield from (f"{count} {name}" for name, count in counts.items() if count)
    if (disk.percentage_used or 0) >= WORN_PERCENT:
        yield f"{disk.percentage_used:g} % of its rated endurance is used"
    if code & EXIT_SELF_TEST:
        yield "its last self-test found errors"


async def read_smart_health(arguments: OneDevice, access: Access) -> SmartHealth:
    """Ask one disk or all of them.

    Raises:
        Unavailable: No disk here answers.
    """
    if arguments.device is not None:
        asked = (SmartDevice(device=arguments.device, type="", error=""),)
    else:
        asked = _decoded(parse_scan, await access.run(SMARTCTL_SCAN))
    if not asked:
        raise Unavailable("no disk here answers SMART", VIRTUAL)
    turn = asyncio.Semaphore(AT_ONCE)
    disks = tuple(await asyncio.gather(*(_ask(one, access, turn) for one in asked)))
    if all(disk.health == "unknown" for disk in disks):
        said = disks[0].reasons[0]
        denied = any(phrase in said.lower() for phrase in DENIED)
        raise Unavailable(said, "run the worker as root" if denied else VIRTUAL)
    return SmartHealth(disks=disks)


async def _ask(one: SmartDevice, access: Access, turn: asyncio.Semaphore) -> SmartDisk:
    """One disk's answer; a disk that hangs or cannot be opened is one of unknown health."""
    if one.error:
        return _silent(one, one.error)
    async with turn:
        try:
            if one.type:
                done = await access.run(SMARTCTL_TYPED, device=one.device, type=one.type)
            else:
                done = await access.run(SMARTCTL, device=one.device)
        except ToolTimeout as error:
            return _silent(one, error.message)
    return _decoded(parse_smart, done).model_copy(
        update={"device": one.device, "port": port_of(one.type)}
    )


def _decoded(parse: Callable[[str], T], done: Completed) -> T:
    """What `parse` makes of the output.

    Raises:
        ToolFailed: It is no JSON: smartctl learnt that with version 7.
    """
    try:
        return parse(done.stdout)
    except json.JSONDecodeError as error:
        raise ToolFailed("smartctl printed no JSON", "install smartmontools 7 or later") from error


def _silent(one: SmartDevice, why: str) -> SmartDisk:
    """A disk that did not answer."""
    return SmartDisk(device=one.device, port=port_of(one.type), reasons=(shown(why),))


TOOLS = (
    Tool(
        name="smart_health",
        summary="What each disk says about its own health: verdict, wear, bad sectors, age, heat.",
        arguments=OneDevice,
        result=SmartHealth,
        reads=every_platform(read_smart_health),
        needs={"linux": (SMARTCTL,), "darwin": (SMARTCTL,)},
        timeout_seconds=30.0,
    ),
)
