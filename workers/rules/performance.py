"""Rules about processors and memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from swarm_tasks.models.base import JsonScalar
from swarm_tasks.models.evidence import ToolCall
from workers.rules.rule import AGAIN_SECONDS, Reading, Rule
from workers.tools.catalog.memory import Memory, Swap
from workers.tools.catalog.performance import Cpu, Load


def cpu_busy(answer: Cpu) -> Iterable[Reading]:
    """Share of processor time in use by others than this audit."""
    yield Reading(
        subject=f"all {answer.cores} cores",
        value=answer.others_percent,
        pointer="/others_percent",
        detail=f"busiest core {answer.busiest_core_percent:g} %",
        key="cpu",
    )


def cpu_iowait(answer: Cpu) -> Iterable[Reading]:
    """Share of processor time that waited for disks, where the system tells."""
    if answer.iowait_percent is not None:
        yield Reading(
            subject=f"all {answer.cores} cores",
            value=answer.iowait_percent,
            pointer="/iowait_percent",
            key="cpu",
        )


def cpu_steal(answer: Cpu) -> Iterable[Reading]:
    """Share of processor time that the hypervisor took, where the system tells."""
    if answer.steal_percent is not None:
        yield Reading(
            subject=f"all {answer.cores} cores",
            value=answer.steal_percent,
            pointer="/steal_percent",
            key="cpu",
        )


def load_per_core(answer: Load) -> Iterable[Reading]:
    """The load average over 15 minutes, per core."""
    yield Reading(
        subject=f"15 min over {answer.cores} cores",
        value=answer.load15_per_core,
        pointer="/load15_per_core",
        detail=f"load {answer.load1:g} {answer.load5:g} {answer.load15:g}",
        key="load",
    )


def memory_used(answer: Memory) -> Iterable[Reading]:
    """Memory in use on the machine, and against a container's own limit."""
    yield Reading(
        subject="physical memory",
        value=answer.used_percent,
        pointer="/used_percent",
        detail=f"{_gib(answer.available_bytes)} of {_gib(answer.total_bytes)} available",
    )
    if answer.container is not None:
        limit = answer.container
        yield Reading(
            subject="container memory limit",
            value=limit.used_percent,
            pointer="/container/used_percent",
            detail=f"{_gib(limit.used_bytes)} of {_gib(limit.limit_bytes)} used",
        )


def swap_used(answer: Swap) -> Iterable[Reading]:
    """Swap space in use, where there is any."""
    if answer.total_bytes:
        yield Reading(
            subject="swap space",
            value=answer.used_percent,
            pointer="/used_percent",
            detail=f"{_gib(answer.used_bytes)} of {_gib(answer.total_bytes)} used",
        )


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / 1024**3:.1f} GiB"


def by_cpu(reading: Reading) -> tuple[ToolCall, ...]:
    """Look for who uses the processors."""
    return (ToolCall(tool="top_processes", arguments={"sort": "cpu"}),)


def by_memory(reading: Reading) -> tuple[ToolCall, ...]:
    """Look for who holds the memory."""
    return (ToolCall(tool="top_processes", arguments={"sort": "memory"}),)


def by_disk(reading: Reading) -> tuple[ToolCall, ...]:
    """Look for which disk is slow."""
    return (ToolCall(tool="disk_io", arguments={}),)


def by_cpu_and_pressure(reading: Reading) -> tuple[ToolCall, ...]:
    """Look for who uses the processors, and for what the others wait."""
    return (*by_cpu(reading), ToolCall(tool="pressure", arguments={}))


def a_moment(subject: str) -> Mapping[str, JsonScalar] | None:
    """For a shorter time."""
    return {"window_seconds": AGAIN_SECONDS}


RULES = (
    Rule(
        name="cpu-busy",
        tool="cpu",
        metric="cpu.busy_percent",
        readings=cpu_busy,
        title="Processors nearly saturated",
        advice="See which processes use them; stop, limit or move what should not run here.",
        dig=by_cpu,
        probe=a_moment,
    ),
    Rule(
        name="cpu-iowait",
        tool="cpu",
        metric="cpu.iowait_percent",
        readings=cpu_iowait,
        title="Processors wait for disks",
        advice="Look at the disks' utilisation and at what reads or writes so much.",
        dig=by_disk,
        probe=a_moment,
    ),
    Rule(
        name="cpu-steal",
        tool="cpu",
        metric="cpu.steal_percent",
        readings=cpu_steal,
        title="The hypervisor gives away this machine's processor time",
        advice="Ask for a less crowded hypervisor or a larger share.",
        probe=a_moment,
    ),
    Rule(
        name="load-per-core",
        tool="load",
        metric="load.per_core",
        readings=load_per_core,
        title="More work than the cores can do",
        advice="See which processes run or wait, and whether they wait for disks.",
        dig=by_cpu_and_pressure,
    ),
    Rule(
        name="memory-used",
        tool="memory",
        metric="memory.used_percent",
        readings=memory_used,
        title="Memory nearly used up",
        advice="See which processes hold it; restart what leaks, or add memory.",
        dig=by_memory,
    ),
    Rule(
        name="swap-used",
        tool="swap",
        metric="swap.used_percent",
        readings=swap_used,
        title="Swap space nearly used up",
        advice="Memory is short: see which processes hold it before the kernel kills one.",
        dig=by_memory,
    ),
)
