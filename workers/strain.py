"""How strained a machine is: one quick look at its load, its waiting work and its memory.

It reads the few files that the tools of the same names read, with their parsers. It is looked at
with each sign of life, so it takes a fraction of a millisecond and never waits.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from workers.tools.catalog.memory import (
    ARCSTATS,
    CGROUP_MEMORY,
    MEMINFO,
    MemoryLimit,
    limit_from,
    memory_from,
    parse_arcstats,
    parse_inactive_file,
    parse_meminfo,
)
from workers.tools.catalog.performance import PRESSURE, parse_psi

CGROUP_QUOTA = "/sys/fs/cgroup/cpu.max"
CGROUP_PRESSURE = "/sys/fs/cgroup/{name}.pressure"


@dataclass(frozen=True, slots=True)
class Strain:
    """A look at a machine.

    Args:
        load_per_cpu: The load average over one minute, for each processor of the machine; None
            where a container's own share of processors is what counts, as no load average is
            kept of that.
        waited_percent: The share of the last ten seconds in which work waited for a processor or
            a disk; None where the kernel does not say.
        memory_percent: Memory that no new program could have, or a container's, if that is more;
            None where it could not be read.
    """

    load_per_cpu: float | None = None
    waited_percent: float | None = None
    memory_percent: float | None = None


def look(root: Path = Path("/")) -> Strain:
    """Look at this machine; what cannot be read is None.

    The load average is the whole machine's, also in a container, and is divided by the machine's
    processors. Where a container has a quota of processor time, neither tells how it fares; its
    own pressure does, which counts a group that is throttled as waiting.
    """
    if sys.platform != "linux":
        return Strain(load_per_cpu=_load_per_cpu(), memory_percent=psutil.virtual_memory().percent)
    limited = _has_quota(root)
    waited = _waited_percent(root, CGROUP_PRESSURE) if limited else None
    own = waited is not None
    return Strain(
        load_per_cpu=None if own else _load_per_cpu(),
        waited_percent=waited if own else _waited_percent(root, f"{PRESSURE}{{name}}"),
        memory_percent=_memory_percent(root),
    )


def _load_per_cpu() -> float | None:
    try:
        return os.getloadavg()[0] / (os.cpu_count() or 1)
    except OSError:
        return None


def _has_quota(root: Path) -> bool:
    """Whether the cgroup at the root of what is seen has a quota: only a container sees one."""
    quota = _text(root, CGROUP_QUOTA)  # "max 100000" without one, else microseconds a period
    return quota[:1].isdigit()


def _waited_percent(root: Path, pattern: str) -> float | None:
    """The greater of `some avg10` for processors and disks; see the kernel's psi.rst."""
    try:
        stalls = [parse_psi(_text(root, pattern.format(name=name))) for name in ("cpu", "io")]
    except LookupError:
        return None
    return max(one.some.avg10_percent for one in stalls)


def _memory_percent(root: Path) -> float | None:
    try:
        sizes = parse_meminfo(_text(root, MEMINFO))
        arc = parse_arcstats(_text(root, ARCSTATS))
        memory = memory_from(sizes, arc, _container(root, sizes["MemTotal"]))
    except (LookupError, ValueError):
        return None
    own = memory.container.used_percent if memory.container else 0.0
    return max(memory.used_percent, own)


def _container(root: Path, total_bytes: int) -> MemoryLimit | None:
    """The memory limit that only a container sees, as the tool `memory` finds it."""
    for limit_name, used_name, stat_name in CGROUP_MEMORY:
        limit, used = _text(root, limit_name).strip(), _text(root, used_name).strip()
        if limit.isdigit() and used.isdigit() and int(limit) < total_bytes:
            cache = parse_inactive_file(_text(root, stat_name))
            return limit_from(int(limit), max(0, int(used) - cache))
    return None


def _text(root: Path, path: str) -> str:
    """A file's text; empty where it is not there, or the kernel has it switched off."""
    try:
        return (root / path.lstrip("/")).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
