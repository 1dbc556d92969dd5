"""What the figures have in common: samples become a table, processes become seconds of CPU."""

from __future__ import annotations

import gc
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from swarm_tasks.config import ENV_PREFIX
from swarm_tasks.guarded import SHELL
from tests.support.fleets import TestFleet

RUNS = 5
MEGABYTE = 1e6
SETTLE_SECONDS = 0.7
"""After a job: long enough for the last events to be written and for one turn of the keeper."""

HOSTSWARM = Path(sys.executable).parent / "hostswarm"

MARKS = {
    "store": "valkey-server",
    "control": "control@",
    "workers": "worker@",
    "body": "benchmarks.plain_chord",
}
"""What the command line of a role's processes has in it."""


@dataclass(frozen=True, slots=True)
class Figure:
    """Something that was measured several times.

    Args:
        target: The median is to be at most this; None for what is shown to compare with.
        digits: Decimals that are shown.
    """

    name: str
    unit: str
    values: Sequence[float]
    target: float | None = None
    digits: int = 1

    @property
    def median(self) -> float:
        """The middle one of the values."""
        return statistics.median(self.values)

    def cells(self) -> tuple[str, ...]:
        """The figure as a row."""
        shown = (min(self.values), self.median, max(self.values))
        within = self.target is not None and self.median <= self.target
        return (
            f"{self.name}, {self.unit}",
            str(len(self.values)),
            *(f"{value:.{self.digits}f}" for value in shown),
            "" if self.target is None else f"≤ {self.target:g}",
            "" if self.target is None else "yes" if within else "NO",
        )


@dataclass(frozen=True, slots=True)
class Table:
    """One script's figures, printed as a Markdown table that a terminal shows as well."""

    title: str
    figures: Sequence[Figure]
    notes: Sequence[str] = ()

    def __str__(self) -> str:
        head = ("", "runs", "min", "median", "max", "target", "reached")
        rows = [figure.cells() for figure in self.figures]
        widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
        rule = tuple("-" * width for width in widths)
        lines = [
            "| " + " | ".join(_fit(row[at], widths[at], at) for at in range(len(head))) + " |"
            for row in (head, rule, *rows)
        ]
        return "\n".join((f"## {self.title}", *lines, *(f"- {note}" for note in self.notes)))


def _fit(text: str, width: int, column: int) -> str:
    return text.ljust(width) if column == 0 else text.rjust(width)


class Meter:
    """The CPU of this process and of the fleet that it started, by role.

    Build it when all of them run: a process that starts later is not seen.
    """

    def __init__(self) -> None:
        own = psutil.Process()
        self._processes = {"producer": [own]}
        for child in own.children(recursive=True):
            words = child.cmdline()
            # A guard's command line ends with its child's: the shell itself is left out.
            if not words or words[0] == SHELL:
                continue
            for role, mark in MARKS.items():
                if any(mark in word for word in words):
                    self._processes.setdefault(role, []).append(child)

    def read(self) -> dict[str, float]:
        """Seconds of CPU, user and system, that each role has used so far."""
        return {
            role: sum(_cpu_seconds(process) for process in processes)
            for role, processes in self._processes.items()
        }

    def at_rest(self, seconds: float) -> dict[str, float]:
        """Seconds of CPU a second that each role uses while nothing is asked of it."""
        before, began = self.read(), time.monotonic()
        time.sleep(seconds)
        wall = time.monotonic() - began
        return {role: used / wall for role, used in since(before, self.read()).items()}


def since(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """The difference of two readings of a meter."""
    return {role: after[role] - before[role] for role in after}


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def cpu_of(process: subprocess.Popen[bytes]) -> float:
    """Wait for a child; the seconds of CPU that it and all that it waited for have used."""
    _, status, usage = os.wait4(process.pid, 0)
    # Told, since it cannot be asked any more: the process has been waited for.
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


@contextmanager
def fleet(**options: Any) -> Generator[TestFleet]:
    """A store of its own in a temporary directory, with the signs of life of a real fleet."""
    settings: dict[str, Any] = {"heartbeat_seconds": 2.0, **options}
    with (
        tempfile.TemporaryDirectory(prefix="hostswarm-bench-") as directory,
        TestFleet(Path(directory), **settings) as running,
    ):
        yield running
        # Results that Celery holds in cycles speak to the store when they go: now it is there.
        gc.collect()


@contextmanager
def own_settings_only() -> Generator[None]:
    """While this lasts, no setting of whoever runs this reaches what is measured."""
    kept = {name: os.environ.pop(name) for name in _settings_variables()}
    with tempfile.TemporaryDirectory(prefix="hostswarm-bench-") as directory:
        nothing = Path(directory) / "hostswarm.toml"
        nothing.touch()
        os.environ[f"{ENV_PREFIX}CONFIG"] = str(nothing)
        os.environ[f"{ENV_PREFIX}STATE_DIR"] = directory
        try:
            yield
        finally:
            for name in _settings_variables():
                del os.environ[name]
            os.environ.update(kept)


def _settings_variables() -> list[str]:
    return [name for name in os.environ if name.startswith(ENV_PREFIX)]


def about_this_machine() -> str:
    """One line that the figures must be read with."""
    return (
        f"{os.cpu_count()} cores, {platform.system()} on {platform.machine()}, "
        f"Python {platform.python_version()}"
    )
