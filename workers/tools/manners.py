"""How a tool's programs behave towards what else the machine does.

All of it is set from outside, right after the program began. A wrapper such as nice(1) with
ionice(1) doubled what a call of a short program costs (2.1 ms in place of 1.1), and a thread of low
priority that starts programs holds Python's lock while it waits for a processor, which on a busy
machine holds up the signs of life. The price is that the first millisecond goes at the worker's
own priority.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import math
import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

LEAST_NICENESS = 19
"""The lowest priority there is; see setpriority(2)."""

LOWEST_DISK_LEVEL = 7
"""The last of the eight levels of the best-effort class; see ioprio_set(2)."""

AUTOGROUP = "/proc/{pid}/autogroup"
AUTOGROUP_SECONDS = 0.1
"""How long to wait until an autogroup's niceness may be set again: without CAP_SYS_ADMIN, all of a
machine's users together may set one each tenth of a second (kernel/sched/autogroup.c)."""


@dataclass(frozen=True, slots=True)
class Manners:
    """How programs of tools are run.

    Args:
        niceness: By how much they give way, on top of the worker's own niceness; 0 leaves it.
        mark: Variables in the environment of each, by which a later life of the worker knows what
            an earlier one left behind.
    """

    niceness: int = 0
    mark: tuple[tuple[str, str], ...] = ()


def give_way(pid: int, niceness: int) -> bool:
    """Put a program that has just begun, and what it may have begun by now, at low priority.

    Its niceness is set for its process group, so that no child is missed; what they begin later
    inherits it. On Linux disks serve it after all others, where the disk's scheduler knows of
    priorities; see ioprio_set(2). It still has its turn: in the idle class it would be all but
    shut out from a disk that never rests, and that disk is what it may be asked about.

    Args:
        pid: A process that leads a session of its own. It may have ended.

    Returns:
        False if its session still counts as much as any other: `give_way_soon` sees to that.
    """
    if not niceness:
        return True
    target = min(LEAST_NICENESS, os.getpriority(os.PRIO_PROCESS, 0) + niceness)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PGRP, pid, target)
    if sys.platform != "linux":
        return True
    with contextlib.suppress(psutil.Error, OSError):
        psutil.Process(pid).ionice(psutil.IOPRIO_CLASS_BE, LOWEST_DISK_LEVEL)
    return _give_way_as_session(pid, niceness)


async def give_way_soon(pid: int, niceness: int) -> None:
    """Lower a session as soon as the system lets us."""
    lowered = False
    while not lowered:
        await asyncio.sleep(AUTOGROUP_SECONDS)
        lowered = _give_way_as_session(pid, niceness)


def _give_way_as_session(pid: int, niceness: int) -> bool:
    """Have niceness count towards other sessions as well; False if that must be tried again.

    A program in a session of its own is in an autogroup of its own, and niceness only counts within
    one: it would have as much processor time as before. So the group gets one, too; see "The
    autogroup feature" in sched(7).
    """
    try:
        Path(AUTOGROUP.format(pid=pid)).write_text(str(niceness), encoding="ascii")
    except OSError as error:
        # Any other: it has ended, or the kernel has no such groups.
        return error.errno != errno.EAGAIN
    return True


def bound_processor_time(pid: int, seconds: float) -> None:
    """Have the kernel end a program that uses more processor time than its call may last.

    Nobody else would, if the worker is killed first. It may use all processors for that long.
    """
    if sys.platform != "linux":
        return
    limit = math.ceil(seconds) * (os.cpu_count() or 1)
    with contextlib.suppress(OSError, ValueError):
        _, hard = resource.prlimit(pid, resource.RLIMIT_CPU)
        if hard == resource.RLIM_INFINITY or limit < hard:
            resource.prlimit(pid, resource.RLIMIT_CPU, (limit, limit))
