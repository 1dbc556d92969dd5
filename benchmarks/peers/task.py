"""The task that every peer does, and how its runs are measured. The standard library only.

A task is four calls of a model: three that each ask for one reading of one local tool, and the
answer. A peer's program is started once for each scale with a `Brief` as its argument, does one
task to warm up, then as many as it is told at once, and prints what that took as a line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

SAMPLE_SECONDS = 0.1
PAGE_BYTES = resource.getpagesize()
STEPS = 4


@dataclass(frozen=True)
class Brief:
    """What to do.

    Args:
        url: The model's base URL.
        system: The standing orders, word for word.
        question: What the user asks.
        tasks: How many.
        at_once: How many of them at the same time.
    """

    url: str
    system: str
    question: str
    tasks: int
    at_once: int


@dataclass(frozen=True)
class Taken:
    """What it took.

    Args:
        wall_seconds: From the first task's start to the last one's end.
        cpu_seconds: User and system time of the process meanwhile.
        rest_bytes: Resident memory before, with one task done.
        most_bytes: The most resident memory meanwhile.
    """

    wall_seconds: float
    cpu_seconds: float
    rest_bytes: int
    most_bytes: int


def read_meter(number: int) -> dict[str, float]:
    """What the tool answers. It costs nothing, so that only the agents are measured."""
    return {"number": number, "busy_percent": 40.0 + number}


def brief() -> Brief:
    """What this program was told to do."""
    return Brief(**json.loads(sys.argv[1]))


async def nothing() -> None:
    """What there is to close at the end, where a framework sees to it."""


def run_async(
    told: Brief,
    one: Callable[[], Awaitable[object]],
    close: Callable[[], Awaitable[object]] = nothing,
) -> None:
    """Measure tasks that are coroutines."""

    async def bounded(gate: asyncio.Semaphore) -> None:
        async with gate:
            await one()

    async def all_of_them() -> None:
        await one()
        gate = asyncio.Semaphore(told.at_once)
        with Watch() as watch:
            await asyncio.gather(*(bounded(gate) for _ in range(told.tasks)))
        watch.print()
        await close()

    asyncio.run(all_of_them())


def run_threads(told: Brief, one: Callable[[], object]) -> None:
    """Measure tasks that block a thread each."""
    one()
    with ThreadPoolExecutor(told.at_once) as pool, Watch() as watch:
        for done in [pool.submit(one) for _ in range(told.tasks)]:
            done.result()
    watch.print()


def check_answer(text: object) -> None:
    """See that a task was done to its end.

    Raises:
        RuntimeError: It was not.
    """
    if "calm" not in str(text):
        raise RuntimeError(f"this is not the answer: {str(text)[:500]!r}")


class Watch:
    """Measures this process while it is open."""

    def __enter__(self) -> Watch:
        self._rest = self._most = resident_bytes()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        self._wall, self._cpu = time.monotonic(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        wall, cpu = time.monotonic() - self._wall, time.process_time() - self._cpu
        self._over.set()
        self._thread.join()
        self._taken = Taken(wall, cpu, self._rest, self._most)

    def print(self) -> None:
        """Tell whoever started this program."""
        sys.stdout.write(f"\n{json.dumps(asdict(self._taken))}\n")
        sys.stdout.flush()

    def _sample(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            self._most = max(self._most, resident_bytes())


def resident_bytes() -> int:
    """This process's resident memory; where the kernel does not tell, the most it ever was."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def quiet(**variables: str) -> None:
    """Set environment variables that keep a framework from calling home; before its import."""
    os.environ.update(variables)
