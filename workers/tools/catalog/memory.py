"""Memory: how much is used, how much is left, and what a container may have of it."""

from __future__ import annotations

import psutil

from swarm_tasks.errors import Unavailable
from workers.tools.access import Access
from workers.tools.spec import NoArguments, Result, Tool

MEMINFO = "/proc/meminfo"
ARCSTATS = "/proc/spl/kstat/zfs/arcstats"
CGROUP_MEMORY = (
    (
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory.current",
        "/sys/fs/cgroup/memory.stat",
    ),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "/sys/fs/cgroup/memory/memory.stat",
    ),
)
"""A container's limit, its use and its statistics: cgroup version 2, then version 1."""


class MemoryLimit(Result):
    """What a container may use. Used is without the page cache that can be dropped at once."""

    limit_bytes: int
    used_bytes: int
    used_percent: float


class Memory(Result):
    """Physical memory; used is what is not available to a new program without swapping.

    `arc_reclaimable_bytes` is ZFS cache that the kernel can take back although it does not
    count it as available; it is counted as available here, as Netdata does.
    """

    total_bytes: int
    available_bytes: int
    used_bytes: int
    used_percent: float
    arc_reclaimable_bytes: int
    container: MemoryLimit | None


class Swap(Result):
    """Swap space; a machine without any has a total of 0."""

    total_bytes: int
    used_bytes: int
    free_bytes: int
    used_percent: float


def parse_meminfo(text: str) -> dict[str, int]:
    """Name -> bytes, from /proc/meminfo; the few lines that are counts are left out."""
    sizes: dict[str, int] = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        value, _, unit = rest.strip().partition(" ")
        if unit == "kB":
            sizes[name] = int(value) * 1024
    return sizes


def parse_arcstats(text: str) -> int:
    """Bytes that the ZFS cache can give back: its size above its minimum.

    The lines are `name type value`, after two of header.
    """
    rows = (line.split() for line in text.splitlines()[2:])
    values = {row[0]: int(row[2]) for row in rows if len(row) == 3}
    return max(0, values.get("size", 0) - values.get("c_min", 0))


def percent(part: float, whole: float) -> float:
    """`part` of `whole` in percent, two digits; 0 of nothing is 0."""
    return round(100 * part / whole, 2) if whole > 0 else 0.0


def memory_from(sizes: dict[str, int], arc_bytes: int, container: MemoryLimit | None) -> Memory:
    """Memory as /proc/meminfo tells it. Used is total less available (Netdata `ram_in_use`).

    Raises:
        LookupError: The kernel does not say what is available.
    """
    total = sizes["MemTotal"]
    available = min(total, sizes["MemAvailable"] + arc_bytes)
    return Memory(
        total_bytes=total,
        available_bytes=available,
        used_bytes=total - available,
        used_percent=percent(total - available, total),
        arc_reclaimable_bytes=arc_bytes,
        container=container,
    )


def parse_inactive_file(text: str) -> int:
    """Bytes of page cache that nobody used lately, from a cgroup's memory.stat.

    Version 1 has a `total_` beside it that counts the groups below as well.
    """
    values = dict(line.split(" ", 1) for line in text.splitlines() if " " in line)
    return int(values.get("total_inactive_file", values.get("inactive_file", "0")))


def limit_from(limit: int, used: int) -> MemoryLimit:
    """A container's memory limit in bytes against what it uses."""
    return MemoryLimit(limit_bytes=limit, used_bytes=used, used_percent=percent(used, limit))


def swap_from(total: int, free: int) -> Swap:
    """Swap from its total and free bytes."""
    return Swap(
        total_bytes=total,
        used_bytes=total - free,
        free_bytes=free,
        used_percent=percent(total - free, total),
    )


async def read_memory_linux(arguments: NoArguments, access: Access) -> Memory:
    """Memory of the machine, and of the container that this may be."""
    sizes = parse_meminfo(await access.read(MEMINFO))
    arc = await _optional(access, ARCSTATS)
    container = await _container_limit(access, sizes["MemTotal"])
    return memory_from(sizes, parse_arcstats(arc), container)


async def read_memory_macos(arguments: NoArguments, access: Access) -> Memory:
    """Memory of a Mac."""
    seen = await access.call("psutil.virtual_memory()", psutil.virtual_memory)
    return memory_from({"MemTotal": seen.total, "MemAvailable": seen.available}, 0, None)


async def read_swap_linux(arguments: NoArguments, access: Access) -> Swap:
    """Swap as the kernel counts it."""
    sizes = parse_meminfo(await access.read(MEMINFO))
    return swap_from(sizes.get("SwapTotal", 0), sizes.get("SwapFree", 0))


async def read_swap_macos(arguments: NoArguments, access: Access) -> Swap:
    """Swap of a Mac, which makes its files as it needs them."""
    seen = await access.call("psutil.swap_memory()", psutil.swap_memory)
    return swap_from(seen.total, seen.free)


async def _optional(access: Access, path: str) -> str:
    """A file that most machines lack; empty where it is not there or may not be read."""
    try:
        return await access.read(path)
    except Unavailable:
        return ""


async def _container_limit(access: Access, total_bytes: int) -> MemoryLimit | None:
    """The memory limit at the root of the visible cgroup tree, or None.

    Only a container sees one there: a machine's root group has none (version 2 lacks even the
    file, version 1 shows a number beyond any memory).
    """
    for limit_name, used_name, stat_name in CGROUP_MEMORY:
        limit = (await _optional(access, limit_name)).strip()
        if not limit.isdigit() or int(limit) >= total_bytes:
            continue
        used = (await _optional(access, used_name)).strip()
        if used.isdigit():
            cache = parse_inactive_file(await _optional(access, stat_name))
            return limit_from(int(limit), max(0, int(used) - cache))
    return None


TOOLS = (
    Tool(
        name="memory",
        summary="How much memory is used and available, and a container's own limit.",
        arguments=NoArguments,
        result=Memory,
        reads={"linux": read_memory_linux, "darwin": read_memory_macos},
    ),
    Tool(
        name="swap",
        summary="How much swap space there is and how much of it is used.",
        arguments=NoArguments,
        result=Swap,
        reads={"linux": read_swap_linux, "darwin": read_swap_macos},
    ),
)
