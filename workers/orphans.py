"""Tools that outlived their worker: a worker that is killed cannot end what it began.

Each program of a tool bears its worker's mark in its environment, as does all that it begins. The
next life of the same host's worker ends what bears the mark of a life that is over.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from swarm_tasks.log import logger

MARK = "HOSTSWARM_TOOL"

ENDED = ("Z", "X")
"""States of a process that does nothing more; see proc(5)."""


@dataclass(frozen=True, slots=True)
class Life:
    """One process, told apart from a later one of the same number.

    Args:
        pid: Its number.
        began: When it began, in a unit of the system's own that no set clock moves.
    """

    pid: int
    began: str

    @classmethod
    def of(cls, pid: int) -> Life | None:
        """The process of this number; None if there is none, or only what is left of one."""
        try:
            return cls(pid, _began(pid))
        except (OSError, LookupError, psutil.Error):
            return None


def mark_of(host: str) -> tuple[str, str]:
    """The variable that marks the tools of this process as a host's: its name and its text."""
    began = _began(os.getpid())
    return MARK, f"{host} {os.getpid()} {began}"


def begin_to_end_orphans(host: str) -> None:
    """End them in a thread: a look at every process takes its time on a large machine."""

    def end() -> None:
        if count := end_orphans(host):
            logger("worker").warning("ended what a former life's tools left: processes: %d", count)

    threading.Thread(target=end, name="hostswarm-orphans", daemon=True).start()


def end_orphans(host: str) -> int:
    """Kill what the tools of a former life of this host's worker left; how many that were.

    Only what this user began, in this process's own PID namespace: elsewhere the number of a
    worker's process would mean another one. A program that runs with rights of its own, such as
    ping, shows its environment to root only.
    """
    orphans = list(_marked(host))
    sessions = {_session(process.pid) for process in orphans} - {0, os.getsid(0)}
    ended = 0
    for process in {*orphans, *_of_sessions(sessions)}:
        # psutil looks again whether the number is still that process's.
        with contextlib.suppress(psutil.Error):
            process.kill()
            ended += 1
    return ended


def _marked(host: str) -> Iterator[psutil.Process]:
    """The processes that bear this host's mark, of a life that is over."""
    for process in _ours():
        try:
            mark = process.environ().get(MARK, "")
        except (psutil.Error, OSError):
            continue
        marked_host, _, life = mark.partition(" ")
        if marked_host == host and _is_over(life):
            yield process


def _is_over(life: str) -> bool:
    """Whether the worker that a mark names is gone; a mark that says none is not judged."""
    pid, _, began = life.partition(" ")
    return pid.isdigit() and began != "" and Life.of(int(pid)) != Life(int(pid), began)


def _of_sessions(sessions: set[int]) -> Iterator[psutil.Process]:
    """All processes of these sessions: of a tool's children, some may hide their environment."""
    return (process for process in _ours() if _session(process.pid) in sessions)


def _ours() -> Iterator[psutil.Process]:
    """This user's processes in this PID namespace, but this one."""
    namespace = _namespace(os.getpid())
    for pid in psutil.pids():
        with contextlib.suppress(psutil.Error, OSError):
            process = psutil.Process(pid)
            ours = process.uids().real == os.getuid() and pid != os.getpid()
            if ours and _namespace(pid) == namespace:
                yield process


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return 0


def _namespace(pid: int) -> str:
    """What tells one PID namespace from another; the same for all where there are none."""
    return str(Path(f"/proc/{pid}/ns/pid").readlink()) if sys.platform == "linux" else ""


def _began(pid: int) -> str:
    """When a process began.

    Linux counts it in ticks since the machine's start (field 22 of /proc/PID/stat, proc(5)); that
    does not move with the clock, as a time of day does.

    Raises:
        LookupError: It has ended, and only waits for its parent to notice.
    """
    if sys.platform == "linux":
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        state, *fields = stat.rpartition(")")[2].split()
        if state in ENDED:
            raise LookupError(pid)
        return fields[18]
    return str(int(psutil.Process(pid).create_time()))
