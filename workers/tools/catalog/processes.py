"""Processes: who uses the machine, and one of them closely.

Command lines and environments are never shown: they are where secrets are passed.
"""

from __future__ import annotations

import asyncio
import heapq
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

import psutil
from pydantic import Field

from swarm_tasks.errors import ToolFailed, Unavailable
from swarm_tasks.models.base import Moment
from workers.blocking import in_thread
from workers.tools.access import Access
from workers.tools.catalog.capacity import TOOLS as CAPACITY_TOOLS
from workers.tools.catalog.memory import percent
from workers.tools.catalog.shown import shown
from workers.tools.spec import Arguments, Result, Tool, every_platform

T = TypeVar("T")

Sort = Literal["cpu", "memory", "io"]

MOST_SHOWN = 100
NAME_LIMIT = 64
PARENTS_LIMIT = 32
HIGHEST_PID = 4_194_304
"""PID_MAX_LIMIT of 64-bit Linux; macOS stays below 100,000."""


class ProcessUse(Result):
    """What one process uses.

    `cpu_percent` is of one core, as `top` counts: several threads may pass 100. What the system
    does not tell about this process is None.
    """

    pid: int
    name: str
    user: str
    started: Moment
    cpu_percent: float | None
    rss_bytes: int | None
    memory_percent: float | None
    read_bytes_per_second: float | None
    write_bytes_per_second: float | None


class TopProcesses(Result):
    """The processes that use most of one thing, the greatest first."""

    sort: Sort
    window_seconds: float
    processes_seen: int
    processes: tuple[ProcessUse, ...]


class ProcessName(Result):
    """A process by its id and its program's name."""

    pid: int
    name: str


class ProcessDetail(Result):
    """One process closely; what this worker may not see of another's process is None."""

    pid: int
    name: str
    program: str | None
    user: str | None
    status: str
    started: Moment
    age_seconds: float
    cpu_user_seconds: float | None
    cpu_system_seconds: float | None
    rss_bytes: int | None
    memory_percent: float | None
    threads: int | None
    open_fds: int | None
    open_fds_limit: int | None
    connections: int | None
    children: int
    parents: tuple[ProcessName, ...]


class TopArguments(Arguments):
    """By what to sort, how many to show, and how long to look, in seconds."""

    sort: Sort = "cpu"
    n: int = Field(default=10, ge=1, le=MOST_SHOWN)
    window_seconds: float = Field(default=0.5, ge=0.1, le=5.0)


class OnePid(Arguments):
    """The process id."""

    pid: int = Field(ge=1, le=HIGHEST_PID)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one process had used at one moment; None where the system does not tell.

    Args:
        started_at: Unix time in seconds; with the pid it tells one process from the next.
        cpu_seconds: User and system time since its start.
    """

    pid: int
    name: str
    started_at: float
    cpu_seconds: float | None
    rss_bytes: int | None
    read_bytes: int | None
    write_bytes: int | None


@dataclass(frozen=True, slots=True)
class Use:
    """A process and its rates per second since an earlier snapshot."""

    process: Snapshot
    cpu: float | None
    read: float | None
    write: float | None

    def by(self, sort: Sort) -> float:
        """What `sort` compares; what is not known comes last."""
        if sort == "cpu":
            return self.cpu or 0.0
        if sort == "memory":
            return float(self.process.rss_bytes or 0)
        return (self.read or 0.0) + (self.write or 0.0)


def use_between(before: Snapshot | None, after: Snapshot, seconds: float) -> Use:
    """What a process used in `seconds`.

    One that is new counts from nothing; so does one that was given another's old id.
    """
    known = before if before is not None and before.started_at == after.started_at else None

    def rate(now: float | None, then: float | None) -> float | None:
        return None if now is None else max(0.0, now - (then or 0.0)) / seconds

    return Use(
        process=after,
        cpu=rate(after.cpu_seconds, known.cpu_seconds if known else None),
        read=rate(after.read_bytes, known.read_bytes if known else None),
        write=rate(after.write_bytes, known.write_bytes if known else None),
    )


def most(uses: Iterable[Use], sort: Sort, n: int) -> list[Use]:
    """The `n` greatest users; who uses nothing is none of them."""
    return heapq.nlargest(
        n, (use for use in uses if use.by(sort) > 0), key=lambda use: use.by(sort)
    )


def take_snapshots() -> dict[int, Snapshot]:
    """Every process that this worker can see, by its id."""
    attributes = ["name", "create_time", "cpu_times", "memory_info"]
    if hasattr(psutil.Process, "io_counters"):  # macOS has none
        attributes.append("io_counters")
    taken: dict[int, Snapshot] = {}
    for one in psutil.process_iter(attributes):
        info: dict[str, Any] = one.info
        cpu, memory, io = info["cpu_times"], info["memory_info"], info.get("io_counters")
        taken[one.pid] = Snapshot(
            pid=one.pid,
            name=info["name"] or "",
            started_at=info["create_time"] or 0.0,
            cpu_seconds=cpu.user + cpu.system if cpu else None,
            rss_bytes=memory.rss if memory else None,
            read_bytes=io.read_bytes if io else None,
            write_bytes=io.write_bytes if io else None,
        )
    return taken


async def read_top_processes(arguments: TopArguments, access: Access) -> TopProcesses:
    """Who uses most, over the window."""
    note = "psutil.process_iter()"
    before, began = await access.call(note, take_snapshots), time.monotonic()
    await asyncio.sleep(arguments.window_seconds)
    after, seconds = await access.call(note, take_snapshots), time.monotonic() - began
    if arguments.sort == "io" and all(one.read_bytes is None for one in after.values()):
        raise Unavailable(
            "the system does not tell what each process reads and writes",
            "" if access.machine.platform == "darwin" else "run the worker as root",
        )
    uses = [use_between(before.get(pid), one, seconds) for pid, one in after.items()]
    top = most(uses, arguments.sort, arguments.n)
    total_bytes = psutil.virtual_memory().total
    return TopProcesses(
        sort=arguments.sort,
        window_seconds=round(seconds, 3),
        processes_seen=len(after),
        processes=await in_thread(lambda: tuple(_described(use, total_bytes) for use in top)),
    )


def _described(use: Use, total_bytes: int) -> ProcessUse:
    """A process for showing. Its user is looked up here, for the few that are shown."""
    process = use.process
    try:
        user = psutil.Process(process.pid).username()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        user = ""
    return ProcessUse(
        pid=process.pid,
        name=shown(process.name, NAME_LIMIT),
        user=user,
        started=_moment(process.started_at),
        cpu_percent=_rounded(use.cpu, 100),
        rss_bytes=process.rss_bytes,
        memory_percent=_share(process.rss_bytes, total_bytes),
        read_bytes_per_second=_rounded(use.read),
        write_bytes_per_second=_rounded(use.write),
    )


async def read_process(arguments: OnePid, access: Access) -> ProcessDetail:
    """One process.

    Raises:
        ToolFailed: There is no process of that id.
    """
    return await access.call(f"psutil.Process({arguments.pid})", _look_at, arguments.pid)


def _look_at(pid: int) -> ProcessDetail:
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            return _detail(process)
    except psutil.NoSuchProcess as error:
        raise ToolFailed(f"there is no process {pid}", "see the tool `top_processes`") from error


def _detail(process: psutil.Process) -> ProcessDetail:
    program = _allowed(process.exe)
    cpu, memory = _allowed(process.cpu_times), _allowed(process.memory_info)
    connections = _allowed(process.net_connections)
    rss_bytes = memory.rss if memory else None
    started_at = process.create_time()
    return ProcessDetail(
        pid=process.pid,
        name=shown(process.name(), NAME_LIMIT),
        program=shown(program) if program else None,
        user=_allowed(process.username),
        status=str(process.status()),
        started=_moment(started_at),
        age_seconds=round(max(0.0, time.time() - started_at), 1),
        cpu_user_seconds=cpu.user if cpu else None,
        cpu_system_seconds=cpu.system if cpu else None,
        rss_bytes=rss_bytes,
        memory_percent=_share(rss_bytes, psutil.virtual_memory().total),
        threads=_allowed(process.num_threads),
        open_fds=_allowed(process.num_fds),
        open_fds_limit=_allowed(lambda: _fds_limit(process)),
        connections=None if connections is None else len(connections),
        children=len(process.children()),
        parents=tuple(_named(parent) for parent in process.parents()[:PARENTS_LIMIT]),
    )


def _allowed(look: Callable[[], T]) -> T | None:
    """What `look` sees, or None where it may not look or a dead process has nothing left."""
    try:
        return look()
    except (psutil.AccessDenied, psutil.ZombieProcess):
        return None


def _named(process: psutil.Process) -> ProcessName:
    try:
        name = process.name()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        name = ""
    return ProcessName(pid=process.pid, name=shown(name, NAME_LIMIT))


def _fds_limit(process: psutil.Process) -> int | None:
    """The soft limit of open files; None where the system does not tell (macOS)."""
    if sys.platform != "linux":
        return None
    return process.rlimit(psutil.RLIMIT_NOFILE)[0]


def _moment(unix_seconds: float) -> datetime:
    return datetime.fromtimestamp(unix_seconds, tz=UTC)


def _rounded(value: float | None, factor: float = 1.0) -> float | None:
    return None if value is None else round(value * factor, 1)


def _share(part_bytes: int | None, total_bytes: int) -> float | None:
    return None if part_bytes is None else percent(part_bytes, total_bytes)


TOOLS = (
    Tool(
        name="top_processes",
        summary="The processes that use most processor time, memory or disk traffic now.",
        arguments=TopArguments,
        result=TopProcesses,
        reads=every_platform(read_top_processes),
    ),
    Tool(
        name="process",
        summary="One process closely: state, parents, memory, threads, open files, connections.",
        arguments=OnePid,
        result=ProcessDetail,
        reads=every_platform(read_process),
    ),
    *CAPACITY_TOOLS,
)
