"""Disks: how busy they are, how healthy they say they are, and the arrays they form."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil
from pydantic import Field

from swarm_tasks.errors import ToolFailed, Unavailable
from workers.tools.access import Access
from workers.tools.catalog.raid import TOOLS as RAID_TOOLS
from workers.tools.catalog.smart import TOOLS as SMART_TOOLS
from workers.tools.spec import Arguments, Result, Tool

DISKSTATS = "/proc/diskstats"
SYS_BLOCK = "/sys/block"
SECTOR_BYTES = 512
"""The kernel counts sectors of 512 bytes, whatever the disk's own are (Documentation/iostats)."""

DEVICE_PATTERN = r"^(/dev/)?[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)*$"


class DiskIo(Result):
    """What one disk did during the window.

    `busy_percent` is the share of time with at least one request under way; a disk that serves
    many at once may be 100 % busy and have room. `queue` is how many were under way or waiting
    on average, `latency_ms` how long one took, None where there was none. macOS does not tell
    the first two.
    """

    device: str
    busy_percent: float | None
    queue: float | None
    latency_ms: float | None
    reads_per_second: float
    writes_per_second: float
    read_bytes_per_second: float
    write_bytes_per_second: float


class DisksIo(Result):
    """What the disks did during the window."""

    window_seconds: float
    disks: tuple[DiskIo, ...]


class Counters(Result):
    """What a disk did since it appeared; None where the system does not count it."""

    reads: int
    read_bytes: int
    writes: int
    write_bytes: int
    wait_ms: int | None
    busy_ms: int | None
    queue_ms: int | None


class DiskIoArguments(Arguments):
    """Which disk, and how long to look."""

    device: str | None = Field(
        default=None,
        pattern=DEVICE_PATTERN,
        max_length=128,
        description="Such as sda or /dev/nvme0n1; without it, every whole disk.",
    )
    window_seconds: float = Field(default=1.0, ge=0.1, le=10.0)


def parse_diskstats(text: str) -> dict[str, Counters]:
    """Device -> counters, from /proc/diskstats (Documentation/admin-guide/iostats.rst)."""
    found: dict[str, Counters] = {}
    for line in text.splitlines():
        _, _, name, *words = line.split()
        if len(words) < 11:  # before Linux 2.6.25, partitions had fewer columns
            continue
        reads, _, read_sectors, read_ms, writes, _, write_sectors, write_ms = map(int, words[:8])
        found[name] = Counters(
            reads=reads,
            read_bytes=read_sectors * SECTOR_BYTES,
            writes=writes,
            write_bytes=write_sectors * SECTOR_BYTES,
            wait_ms=read_ms + write_ms,
            busy_ms=int(words[9]),
            queue_ms=int(words[10]),
        )
    return found


def io_between(device: str, before: Counters, after: Counters, seconds: float) -> DiskIo:
    """What one disk did in `seconds`.

    Utilisation is busy time over time, and the queue weighted time over time, as `iostat -x`
    computes %util and aqu-sz.
    """
    reads, writes = after.reads - before.reads, after.writes - before.writes
    busy_ms = _grown(before.busy_ms, after.busy_ms)
    queue_ms = _grown(before.queue_ms, after.queue_ms)
    wait_ms = _grown(before.wait_ms, after.wait_ms)
    requests = reads + writes
    return DiskIo(
        device=device,
        busy_percent=None if busy_ms is None else round(min(100.0, busy_ms / 10 / seconds), 2),
        queue=None if queue_ms is None else round(queue_ms / 1000 / seconds, 2),
        latency_ms=None if wait_ms is None or requests <= 0 else round(wait_ms / requests, 2),
        reads_per_second=_rate(reads, seconds),
        writes_per_second=_rate(writes, seconds),
        read_bytes_per_second=_rate(after.read_bytes - before.read_bytes, seconds),
        write_bytes_per_second=_rate(after.write_bytes - before.write_bytes, seconds),
    )


def _grown(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else max(0, after - before)


def _rate(difference: int, seconds: float) -> float:
    return round(max(0, difference) / seconds, 1)


async def read_disk_io_linux(arguments: DiskIoArguments, access: Access) -> DisksIo:
    """Two readings of /proc/diskstats."""
    before, began = parse_diskstats(await access.read(DISKSTATS)), time.monotonic()
    whole = await access.call(SYS_BLOCK, whole_disks, access.machine.root)
    names = _chosen(before, whole, arguments.device)
    await asyncio.sleep(arguments.window_seconds)
    after, seconds = parse_diskstats(await access.read(DISKSTATS)), time.monotonic() - began
    return _answer(names, before, after, seconds)


async def read_disk_io_macos(arguments: DiskIoArguments, access: Access) -> DisksIo:
    """Two readings of psutil's counters, which macOS keeps for whole disks only."""
    note = "psutil.disk_io_counters(perdisk=True)"
    before, began = await access.call(note, _psutil_counters), time.monotonic()
    names = _chosen(before, tuple(before), arguments.device)
    await asyncio.sleep(arguments.window_seconds)
    after, seconds = await access.call(note, _psutil_counters), time.monotonic() - began
    return _answer(names, before, after, seconds)


def whole_disks(root: Path) -> tuple[str, ...]:
    """The disks that have a device behind them, by the names of /proc/diskstats.

    Loop devices, compressed memory, arrays and volumes of a volume manager have none: what they
    do shows on the disks below them. An `!` in sysfs stands for a `/` in the name.
    """
    blocks = (root / SYS_BLOCK.lstrip("/")).iterdir()
    return tuple(sorted(one.name.replace("!", "/") for one in blocks if (one / "device").exists()))


def _psutil_counters() -> dict[str, Counters]:
    return {
        name: Counters(
            reads=one.read_count,
            read_bytes=one.read_bytes,
            writes=one.write_count,
            write_bytes=one.write_bytes,
            wait_ms=one.read_time + one.write_time,
            busy_ms=None,
            queue_ms=None,
        )
        for name, one in psutil.disk_io_counters(perdisk=True).items()
    }


def _chosen(
    known: Mapping[str, Counters], whole: Iterable[str], device: str | None
) -> tuple[str, ...]:
    """The disks to look at.

    Raises:
        ToolFailed: The one that is asked for is not there.
        Unavailable: There is none at all.
    """
    if device is not None:
        name = device.removeprefix("/dev/")
        if name not in known:
            raise ToolFailed(f"there is no disk {name}", f"there are: {', '.join(known) or 'none'}")
        return (name,)
    names = tuple(name for name in whole if name in known)
    if not names:
        raise Unavailable("no disk is visible here", "ask the machine that holds this container")
    return names


def _answer(
    names: Iterable[str],
    before: Mapping[str, Counters],
    after: Mapping[str, Counters],
    seconds: float,
) -> DisksIo:
    return DisksIo(
        window_seconds=round(seconds, 3),
        disks=tuple(
            io_between(name, before[name], after[name], seconds) for name in names if name in after
        ),
    )


TOOLS = (
    Tool(
        name="disk_io",
        summary="How busy each disk is now: utilisation, queue, latency, bytes read and written.",
        arguments=DiskIoArguments,
        result=DisksIo,
        reads={"linux": read_disk_io_linux, "darwin": read_disk_io_macos},
    ),
    *SMART_TOOLS,
    *RAID_TOOLS,
)
