"""Capacity: how many more processes and open files the kernel allows."""

from __future__ import annotations

from collections import Counter

import psutil

from workers.tools.access import Access
from workers.tools.catalog.memory import percent
from workers.tools.catalog.shown import shown
from workers.tools.spec import Command, NoArguments, Result, Tool

FILE_NR = "/proc/sys/fs/file-nr"
PID_MAX = "/proc/sys/kernel/pid_max"
THREADS_MAX = "/proc/sys/kernel/threads-max"
LOADAVG = "/proc/loadavg"
SYSCTL_FILES = Command(("sysctl", "-n", "kern.num_files", "kern.maxfiles"))
SYSCTL_PROCESSES = Command(("sysctl", "-n", "kern.maxproc"))

PARENTS_LIMIT = 20


class FdUsage(Result):
    """File handles of the whole machine."""

    used: int
    limit: int
    used_percent: float


class ZombieParent(Result):
    """A process that does not collect its dead children."""

    pid: int
    name: str
    zombies: int


class Pids(Result):
    """Process ids in use; on Linux every thread takes one.

    `limit` is the lower of pid_max and threads-max, or kern.maxproc on macOS. Of the parents
    of zombies the worst are named.
    """

    used: int
    limit: int
    used_percent: float
    processes: int
    zombies: int
    zombie_parents: tuple[ZombieParent, ...]


def parse_file_nr(text: str) -> FdUsage:
    """`/proc/sys/fs/file-nr`: allocated, allocated but free, limit."""
    allocated, free, limit = (int(word) for word in text.split())
    return fd_usage_from(allocated - free, limit)


def parse_sysctl_files(text: str) -> FdUsage:
    """`sysctl -n kern.num_files kern.maxfiles`: one number a line."""
    used, limit = (int(word) for word in text.split())
    return fd_usage_from(used, limit)


def fd_usage_from(used: int, limit: int) -> FdUsage:
    """File handles in use against their limit."""
    return FdUsage(used=used, limit=limit, used_percent=percent(used, limit))


def parse_tasks(text: str) -> int:
    """How many tasks there are, threads counted: `/proc/loadavg` says `running/existing`."""
    return int(text.split()[3].partition("/")[2])


def pids_from(used: int | None, limit: int, parent_of: dict[int, tuple[int, str, bool]]) -> Pids:
    """Process ids in use.

    Args:
        used: How many; None counts the processes, where threads take no id of their own.
        parent_of: Process id -> parent's id, own name, whether it is a zombie.
    """
    counted = Counter(parent for parent, _, zombie in parent_of.values() if zombie)
    taken = len(parent_of) if used is None else used
    return Pids(
        used=taken,
        limit=limit,
        used_percent=percent(taken, limit),
        processes=len(parent_of),
        zombies=counted.total(),
        zombie_parents=tuple(
            ZombieParent(pid=pid, name=parent_of[pid][1] if pid in parent_of else "", zombies=count)
            for pid, count in counted.most_common(PARENTS_LIMIT)
        ),
    )


async def read_fd_usage_linux(arguments: NoArguments, access: Access) -> FdUsage:
    """File handles on Linux."""
    return parse_file_nr(await access.read(FILE_NR))


async def read_fd_usage_macos(arguments: NoArguments, access: Access) -> FdUsage:
    """File handles on macOS."""
    return parse_sysctl_files((await access.run(SYSCTL_FILES)).stdout)


async def read_pids_linux(arguments: NoArguments, access: Access) -> Pids:
    """Process ids on Linux."""
    limit = min(int(await access.read(PID_MAX)), int(await access.read(THREADS_MAX)))
    used = parse_tasks(await access.read(LOADAVG))
    return pids_from(used, limit, await access.call("psutil.process_iter()", _parents))


async def read_pids_macos(arguments: NoArguments, access: Access) -> Pids:
    """Process ids on macOS."""
    limit = int((await access.run(SYSCTL_PROCESSES)).stdout)
    return pids_from(None, limit, await access.call("psutil.process_iter()", _parents))


def _parents() -> dict[int, tuple[int, str, bool]]:
    return {
        one.pid: (
            one.info["ppid"] or 0,
            shown(one.info["name"] or ""),
            one.info["status"] == psutil.STATUS_ZOMBIE,
        )
        for one in psutil.process_iter(["ppid", "name", "status"])
    }


TOOLS = (
    Tool(
        name="fd_usage",
        summary="How many of the machine's file handles are in use.",
        arguments=NoArguments,
        result=FdUsage,
        reads={"linux": read_fd_usage_linux, "darwin": read_fd_usage_macos},
    ),
    Tool(
        name="pids",
        summary="How many process ids are in use, and which processes leave zombies behind.",
        arguments=NoArguments,
        result=Pids,
        reads={"linux": read_pids_linux, "darwin": read_pids_macos},
    ),
)
