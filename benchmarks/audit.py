"""`hostswarm audit` and `make audit` on this machine: store and worker started, report printed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.support import HOSTSWARM, Figure, Table, cpu_of
from tests.support.fleets import REPOSITORY

WALL_SECONDS = 4.0
AUDIT = (str(HOSTSWARM), "audit")
MAKE = ("make", "audit")


@dataclass(frozen=True, slots=True)
class Timed:
    """What a command took, in seconds, and what it printed."""

    wall: float
    cpu: float
    output: str


def run(runs: int) -> Table:
    """Measure: the commands in turn, so that what else goes on here falls on all of them."""
    make = (MAKE,) if shutil.which("make") else ()
    for argv in make:
        timed(*argv)  # set-up, where it is still to be done, is not measured
    commands = (AUDIT, *make, (*AUDIT, "--json"))
    rounds = [{argv: timed(*argv) for argv in commands} for _ in range(runs)]
    reports = [json.loads(one[(*AUDIT, "--json")].output) for one in rounds]
    slowest: list[dict[str, Any]] = [
        max(report["evidence"], key=lambda item: item["seconds"]) for report in reports
    ]
    jobs = [report["usage"]["wall_seconds"] for report in reports]
    return Table(
        "audit: one audit of this machine",
        (
            Figure(
                "hostswarm audit, wall", "s", [one[AUDIT].wall for one in rounds], WALL_SECONDS, 2
            ),
            *(
                Figure("make audit, wall", "s", [one[argv].wall for one in rounds], WALL_SECONDS, 2)
                for argv in make
            ),
            Figure("hostswarm audit, CPU", "s", [one[AUDIT].cpu for one in rounds], None, 2),
            Figure("the job in it, asked to closed", "s", jobs, None, 2),
            Figure("the slowest tool in it", "s", [item["seconds"] for item in slowest], None, 2),
        ),
        (
            "Every run begins with an empty state directory, as the first on a machine does.",
            "CPU is of all processes: the command, the store, the worker and its tools' programs.",
            f"{reports[-1]['usage']['tool_calls']} tool calls; the slowest tool of each run: "
            f"{', '.join(item['tool'] for item in slowest)}.",
            *(() if make else ("make is not installed, so `make audit` was not measured.",)),
        ),
    )


def timed(*argv: str) -> Timed:
    """Run a command with a state directory of its own.

    Raises:
        RuntimeError: It failed.
    """
    with tempfile.TemporaryDirectory(prefix="hostswarm-bench-") as directory:
        output, errors = Path(directory) / "output", Path(directory) / "errors"
        with output.open("wb") as stdout, errors.open("wb") as stderr:
            began = time.monotonic()
            process = subprocess.Popen(
                argv,
                cwd=REPOSITORY,
                env={**os.environ, "HOSTSWARM_STATE_DIR": str(Path(directory) / "state")},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )
            cpu = cpu_of(process)
            wall = time.monotonic() - began
        if process.returncode != 0:
            said = errors.read_text(encoding="utf-8").strip()
            raise RuntimeError(f"{' '.join(argv)} ended with {process.returncode}: {said}")
        return Timed(wall, cpu, output.read_text(encoding="utf-8"))
