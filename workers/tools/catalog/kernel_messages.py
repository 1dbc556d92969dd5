"""What the kernel's messages mean: processes killed, memory and disks that fail. Pure.

Every pattern is matched from the start of the message: further in stand names that processes
chose for themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Literal

from swarm_tasks.models.base import Moment
from workers.tools.catalog.kernel_log import Message
from workers.tools.catalog.logfile import clean
from workers.tools.catalog.shown import shown
from workers.tools.spec import Result

LINE_LIMIT = 400
NAME_LIMIT = 64

KILLED = re.compile(
    r"(?:Memory cgroup out of memory[^:]*: |Out of memory[^:]*: )?"
    r"Killed process (?P<pid>\d+) \((?P<name>.*?)\)(?=[ ,]|$)"
)
"""mm/oom_kill.c. The older `Kill process … or sacrifice child` announces it and is no kill yet:
the child that follows may be another process."""

OOM_CONTEXT = re.compile(
    r"oom-kill:constraint=(?P<constraint>\w+),.*?task_memcg=(?P<memcg>[^,]*),.*,pid=(?P<pid>\d+),"
)
KILLED_MACOS = re.compile(
    r"(?:[\d.]+ )?memorystatus: killing\w* (?:process )?pid (?P<pid>\d+) \[(?P<name>.*?)\]"
    r" \((?P<cause>[\w-]+)"
)
"""bsd/kern/kern_memorystatus.c of XNU."""

SHORTAGE_MACOS = frozenset(
    {
        *("vm-pageshortage", "vm-compressor-thrashing", "vm-compressor-space-shortage"),
        *("fc-thrashing", "zone-map-exhaustion", "low-swap", "sustained-memory-pressure"),
        "per-process-limit",
    }
)
"""The causes that are a want of memory; `idle-exit` and `highwater` are everyday housekeeping."""

EDAC = re.compile(r"EDAC (?P<where>\S+): (?P<count>\d+) (?P<kind>[CU])E ")
MACHINE_CHECK = re.compile(
    r"(?:mce: )?\[Hardware Error\]: CPU (?P<cpu>\d+): Machine Check(?: Exception)?: \w+ "
    r"Bank (?P<bank>\d+): (?P<status>[0-9a-f]{16})"
)
MCI_STATUS_UC = 1 << 61
"""Bit 61 of a machine check's status: the error was not corrected (Intel SDM 3B, 16.3.2.2)."""

POISONED = re.compile(r"(?:mce: |MCE: )?Uncorrected hardware memory error")
GHES = re.compile(
    r"\{(?P<number>\d+)\}\[Hardware Error\]:\s+"
    r"(?:event severity: (?P<severity>\w+)|section_type: (?P<section>.*))"
)

IO_ERRORS = tuple(
    re.compile(pattern)
    for pattern in (
        # block/blk-core.c; what a device does not support is asked and refused in good health
        r"(?:\w+: )?(?!operation not supported)[\w/ ]+ error, dev (?P<device>[^\s,]+), sector ",
        r"Buffer I/O error on dev(?:ice)? (?P<device>[^\s,]+),",
        r"EXT4-fs (?:error|panic) \(device (?P<device>[^\s)]+)\)",
        r"EXT4-fs \((?P<device>[^\s)]+)\): .*I/O error",
        r"Aborting journal on device (?P<device>[^\s]+?)(?:-\d+)?\.$",
        r"XFS \((?P<device>[^\s)]+)\): .*(?:I/O error|[Cc]orruption|writeback error|hutting down)",
        r"BTRFS (?:error|critical) \(device (?P<device>[^\s):]+)",
        r"BTRFS warning \(device (?P<device>[^\s):]+).*(?:csum failed|checksum error)",
        r"(?P<device>ata\d+(?:\.\d+)?): (?:failed command|COMRESET failed|disabled$)",
        r"nvme (?P<device>nvme\w+): (?:I/O .*timeout|controller is down|Device not ready"
        r"|Removing after probe failure|Disabling device after reset failure)",
        r"(?P<device>nvme\w+): \w+\(0x[0-9a-f]+\) @ LBA ",
        r"(?P<device>sd \d+:\d+:\d+:\d+): (?:\[\w+\] )?rejecting I/O to offline device",
        r"md/\S+: Disk failure on (?P<device>[^\s,]+), disabling",
        r"(?P<device>mmcblk\w+): error -?\d+",
        r"(?P<device>disk\d\w*): I/O error",  # macOS
    )
)
WITHOUT_MEDIUM = re.compile(r"(?:fd|sr)\d")
"""Floppy and CD drives: virtual machines have empty ones, and each look at them fails."""

HUNG = re.compile(
    r"INFO: task (?P<name>.+):(?P<pid>\d+) blocked (?:in I/O wait )?for more than (?P<seconds>\d+)"
)
XID = re.compile(r"NVRM: Xid \((?:PCI:)?(?P<gpu>[0-9A-Fa-f:.]+)\): (?P<code>\d+)")


class OomKill(Result):
    """A process that the kernel killed for want of memory.

    `wanting` says where memory ran out: on the whole host, or below a control group's limit.
    `kills` is 1: the value that a claim about this process points at.
    """

    at: Moment
    process: str
    pid: int
    kills: int
    wanting: Literal["host", "cgroup"]
    memory_cgroup: str | None
    log: str
    line: str


class EccErrors(Result):
    """Memory errors that one controller, bank or module reported."""

    where: str
    corrected: int
    uncorrectable: int
    last_at: Moment
    last_line: str


class IoErrors(Result):
    """Error messages about one device, as the kernel names it."""

    device: str
    errors: int
    last_at: Moment
    last_line: str


class HungTask(Result):
    """A task that waited too long without being able to be interrupted."""

    at: Moment
    process: str
    pid: int
    blocked_seconds: int


class XidErrors(Result):
    """Errors that NVIDIA's driver reported for one GPU, by its PCI address."""

    gpu: str
    errors: int
    codes: tuple[int, ...]
    last_at: Moment
    last_line: str


def oom_kills(messages: Iterable[Message]) -> list[OomKill]:
    """Every process that was killed for want of memory, oldest first."""
    contexts: dict[int, re.Match[str]] = {}
    kills: list[OomKill] = []
    for message in messages:
        if context := OOM_CONTEXT.match(message.text):
            contexts[int(context["pid"])] = context
        found = KILLED.match(message.text) or KILLED_MACOS.match(message.text)
        if found is None or found.groupdict().get("cause", "low-swap") not in SHORTAGE_MACOS:
            continue
        pid = int(found["pid"])
        context = contexts.pop(pid, None)
        limited = message.text.startswith("Memory cgroup") or (
            context is not None and context["constraint"] == "CONSTRAINT_MEMCG"
        )
        kills.append(
            OomKill(
                at=moment(message),
                process=shown(found["name"], NAME_LIMIT),
                pid=pid,
                kills=1,
                wanting="cgroup" if limited else "host",
                memory_cgroup=shown(context["memcg"]) if context else None,
                log=message.log,
                line=line_of(message),
            )
        )
    return kills


def ecc_errors(messages: Iterable[Message]) -> list[EccErrors]:
    """Memory errors by where they happened."""
    found: dict[str, EccErrors] = {}
    for where, corrected, uncorrectable, message in _memory_errors(messages):
        before = found.get(where)
        found[where] = EccErrors(
            where=where,
            corrected=corrected + (before.corrected if before else 0),
            uncorrectable=uncorrectable + (before.uncorrectable if before else 0),
            last_at=moment(message),
            last_line=line_of(message),
        )
    return list(found.values())


def _memory_errors(messages: Iterable[Message]) -> Iterator[tuple[str, int, int, Message]]:
    """(where, corrected, uncorrectable, message) of each report."""
    severities: dict[str, str] = {}
    for message in messages:
        if edac := EDAC.match(message.text):
            count = int(edac["count"])
            fatal = edac["kind"] == "U"
            yield f"EDAC {edac['where']}", 0 if fatal else count, count if fatal else 0, message
        elif check := MACHINE_CHECK.match(message.text):
            fatal = bool(int(check["status"], 16) & MCI_STATUS_UC)
            yield f"CPU {check['cpu']} bank {check['bank']}", int(not fatal), int(fatal), message
        elif POISONED.match(message.text):
            yield "memory page", 0, 1, message
        elif ghes := GHES.match(message.text):
            # The firmware's report is a block of lines under one number: severity, then section.
            if ghes["severity"]:
                severities[ghes["number"]] = ghes["severity"]
            elif ghes["section"].startswith("memory error"):
                severity = severities.get(ghes["number"], "")
                if severity in ("corrected", "recoverable", "fatal"):
                    fatal = severity != "corrected"
                    yield "firmware (GHES)", int(not fatal), int(fatal), message


def io_errors(messages: Iterable[Message]) -> list[IoErrors]:
    """Error messages about disks and file systems by device, the most frequent first."""
    by_device: dict[str, list[Message]] = {}
    for message in messages:
        for pattern in IO_ERRORS:
            if found := pattern.match(message.text):
                if not WITHOUT_MEDIUM.match(found["device"]):
                    by_device.setdefault(shown(found["device"], NAME_LIMIT), []).append(message)
                break
    return [
        IoErrors(
            device=device,
            errors=len(found),
            last_at=moment(found[-1]),
            last_line=line_of(found[-1]),
        )
        for device, found in sorted(by_device.items(), key=lambda item: -len(item[1]))
    ]


def hung_tasks(messages: Iterable[Message]) -> list[HungTask]:
    """Tasks that the kernel's watchdog reported as blocked, oldest first."""
    return [
        HungTask(
            at=moment(message),
            process=shown(found["name"], NAME_LIMIT),
            pid=int(found["pid"]),
            blocked_seconds=int(found["seconds"]),
        )
        for message in messages
        if (found := HUNG.match(message.text))
    ]


def xid_errors(messages: Iterable[Message]) -> list[XidErrors]:
    """Xid reports by GPU."""
    by_gpu: dict[str, list[tuple[int, Message]]] = {}
    for message in messages:
        if found := XID.match(message.text):
            by_gpu.setdefault(found["gpu"], []).append((int(found["code"]), message))
    return [_xid(gpu, found) for gpu, found in by_gpu.items()]


def _xid(gpu: str, found: Sequence[tuple[int, Message]]) -> XidErrors:
    last = found[-1][1]
    return XidErrors(
        gpu=gpu,
        errors=len(found),
        codes=tuple(sorted({code for code, _ in found})),
        last_at=moment(last),
        last_line=line_of(last),
    )


def moment(message: Message) -> datetime:
    """When it was written."""
    return datetime.fromtimestamp(message.at, tz=UTC)


def line_of(message: Message) -> str:
    """The message itself, fit to be shown."""
    return clean(message.text)[:LINE_LIMIT]
