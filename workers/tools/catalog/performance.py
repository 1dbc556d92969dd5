"""Performance: how busy the processors are, and how much work waits for what."""

from __future__ import annotations

import asyncio
import errno
import os
import re
from collections.abc import Sequence
from typing import Any

import psutil
from pydantic import Field

from swarm_tasks.errors import Unavailable
from workers.tools.access import Access
from workers.tools.catalog.memory import TOOLS as MEMORY_TOOLS
from workers.tools.catalog.memory import percent
from workers.tools.spec import Arguments, NoArguments, Result, Tool, every_platform

PRESSURE = "/proc/pressure/"
PSI_LINE = re.compile(r"^(some|full) avg10=(\S+) avg60=(\S+) avg300=(\S+) total=(\d+)$", re.M)


class Cpu(Result):
    """Shares of all processors' time during the window.

    `busy_percent` is everything but idle and waiting for disks, as `top` counts. Waiting and
    stolen time are None where the system does not account for them (macOS). `own_percent` is
    what this worker and the tools that it started used meanwhile, and `others_percent` the rest
    of what is busy: an audit that looks everywhere at once must not report itself.
    """

    cores: int
    physical_cores: int | None
    window_seconds: float
    busy_percent: float
    own_percent: float
    others_percent: float
    user_percent: float
    system_percent: float
    iowait_percent: float | None
    steal_percent: float | None
    busiest_core_percent: float


class Load(Result):
    """Load averages, and the same over the number of logical processors."""

    cores: int
    load1: float
    load5: float
    load15: float
    load1_per_core: float
    load5_per_core: float
    load15_per_core: float


class Stall(Result):
    """Share of time in which work stood still, over 10, 60 and 300 seconds."""

    avg10_percent: float
    avg60_percent: float
    avg300_percent: float


class Stalls(Result):
    """Stalls of one resource: of at least one task, and of all of them at once.

    `full` is None where the kernel does not report it (processors, before Linux 5.13).
    """

    some: Stall
    full: Stall | None


class Pressure(Result):
    """Pressure stall information: who had to wait for processors, memory or disks."""

    cpu: Stalls
    memory: Stalls
    io: Stalls


class Window(Arguments):
    """How long to look, in seconds."""

    window_seconds: float = Field(default=1.0, ge=0.1, le=10.0)


def parse_psi(text: str) -> Stalls:
    """The stalls in a file of /proc/pressure.

    Raises:
        LookupError: There is no `some` line.
    """
    found: dict[str, Stall] = {}
    for kind, *averages, _ in PSI_LINE.findall(text):
        ten, sixty, three_hundred = (float(average) for average in averages)
        found[kind] = Stall(avg10_percent=ten, avg60_percent=sixty, avg300_percent=three_hundred)
    return Stalls(some=found["some"], full=found.get("full"))


def spent(before: Any, after: Any) -> dict[str, float]:
    """Seconds by kind between two `psutil.cpu_times` of one core.

    Guest time is part of user time already. A counter may step back a little (iowait does);
    that counts as nothing.
    """
    return {
        kind: max(0.0, getattr(after, kind) - getattr(before, kind))
        for kind in after._fields
        if not kind.startswith("guest")
    }


def cpu_from(
    before: Sequence[Any],
    after: Sequence[Any],
    seconds: float,
    physical: int | None,
    own_seconds: float = 0.0,
) -> Cpu:
    """Shares of time from two readings of `psutil.cpu_times(percpu=True)`.

    Args:
        own_seconds: Processor time that the worker and its children used in between.
    """
    cores = [spent(one, other) for one, other in zip(before, after, strict=False)]
    kinds = {kind: sum(core[kind] for core in cores) for kind in cores[0]}
    total = sum(kinds.values())

    def optional(kind: str) -> float | None:
        return percent(kinds[kind], total) if kind in kinds else None

    busy, own = percent(_busy(kinds), total), percent(own_seconds, total)
    return Cpu(
        cores=len(cores),
        physical_cores=physical,
        window_seconds=seconds,
        busy_percent=busy,
        own_percent=own,
        others_percent=round(max(busy - own, 0.0), 2),
        user_percent=percent(kinds["user"] + kinds.get("nice", 0.0), total),
        system_percent=percent(
            kinds["system"] + kinds.get("irq", 0.0) + kinds.get("softirq", 0.0), total
        ),
        iowait_percent=optional("iowait"),
        steal_percent=optional("steal"),
        busiest_core_percent=max(percent(_busy(core), sum(core.values())) for core in cores),
    )


def _busy(kinds: dict[str, float]) -> float:
    return sum(kinds.values()) - kinds["idle"] - kinds.get("iowait", 0.0)


async def read_cpu(arguments: Window, access: Access) -> Cpu:
    """Processor time by kind over a window."""
    note = "psutil.cpu_times(percpu=True)"
    before = await access.call(note, psutil.cpu_times, percpu=True)
    own_before = _own_seconds()
    await asyncio.sleep(arguments.window_seconds)
    own = _own_seconds() - own_before
    after = await access.call(note, psutil.cpu_times, percpu=True)
    physical = await access.call("psutil.cpu_count(logical=False)", psutil.cpu_count, logical=False)
    return cpu_from(before, after, arguments.window_seconds, physical, own)


def _own_seconds() -> float:
    """Processor time of this process and of its children that have ended."""
    return sum(os.times()[:4])


async def read_load(arguments: NoArguments, access: Access) -> Load:
    """The load averages."""
    one, five, fifteen = await access.call("os.getloadavg()", os.getloadavg)
    cores = psutil.cpu_count() or 1
    return Load(
        cores=cores,
        load1=round(one, 2),
        load5=round(five, 2),
        load15=round(fifteen, 2),
        load1_per_core=round(one / cores, 3),
        load5_per_core=round(five / cores, 3),
        load15_per_core=round(fifteen / cores, 3),
    )


async def read_pressure(arguments: NoArguments, access: Access) -> Pressure:
    """The three files of /proc/pressure.

    Raises:
        Unavailable: The kernel has no PSI, or it is switched off.
    """
    remedy = "boot a kernel of 4.20 or later with psi=1"
    try:
        texts = [await access.read(PRESSURE + name) for name in ("cpu", "memory", "io")]
    except Unavailable as error:
        raise Unavailable(error.message, error.remedy or remedy) from error
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        raise Unavailable("pressure stall information is switched off", remedy) from error
    cpu, memory, io = (parse_psi(text) for text in texts)
    return Pressure(cpu=cpu, memory=memory, io=io)


TOOLS = (
    Tool(
        name="cpu",
        summary="How busy the processors are now: user, system, disk wait and stolen time.",
        arguments=Window,
        result=Cpu,
        reads=every_platform(read_cpu),
    ),
    Tool(
        name="load",
        summary="Load averages over 1, 5 and 15 minutes, also per core.",
        arguments=NoArguments,
        result=Load,
        reads=every_platform(read_load),
    ),
    Tool(
        name="pressure",
        summary="Share of time in which work stood still for want of processors, memory or disks.",
        arguments=NoArguments,
        result=Pressure,
        reads={"linux": read_pressure},
    ),
    *MEMORY_TOOLS,
)
