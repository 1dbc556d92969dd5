"""`hostswarm --help`: its CPU, and that nothing heavy is imported for it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence

from benchmarks.support import HOSTSWARM, Figure, Table, cpu_of

CPU_SECONDS = 0.25

HEAVY = (
    *("celery", "kombu", "redis", "pydantic", "psutil"),
    *("jinja2", "aiohttp", "cryptography", "dns", "litellm"),
)
"""Top-level packages that a person who only reads the help must not wait for."""


def run(runs: int) -> Table:
    """Measure."""
    argv = (str(HOSTSWARM), "--help")
    timed(argv)  # the first writes the byte code
    samples = [timed(argv) for _ in range(runs)]
    modules = imported(argv)
    heavy = sorted({name.partition(".")[0] for name in modules} & set(HEAVY))
    return Table(
        "startup: hostswarm --help",
        (
            Figure("CPU", "s", [cpu for cpu, _ in samples], CPU_SECONDS, 3),
            Figure("wall", "s", [wall for _, wall in samples], None, 3),
            Figure("heavy packages imported", "count", [len(heavy)], 0, 0),
            Figure("modules imported", "count", [len(modules)], None, 0),
        ),
        (
            "CPU is user and system time of the process and of all that it started.",
            f"Heavy: {', '.join(heavy) or 'none'} of {', '.join(HEAVY)}.",
        ),
    )


def timed(argv: Sequence[str]) -> tuple[float, float]:
    """Seconds of CPU and of wall time that a command takes.

    Raises:
        RuntimeError: It failed.
    """
    began = time.monotonic()
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    cpu = cpu_of(process)
    wall = time.monotonic() - began
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)} ended with {process.returncode}")
    return cpu, wall


def imported(argv: Sequence[str]) -> set[str]:
    """Every module that a Python command imports, by its full name."""
    done = subprocess.run(
        (sys.executable, "-X", "importtime", *argv), capture_output=True, text=True, check=True
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines[1:]}
