"""What it costs to have all that the store was told on the disk before it answers."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from benchmarks.part import work
from benchmarks.support import Figure, Table, fleet
from swarm_tasks.models.job import AuditRequest
from tests.support.fleets import TestFleet, specialist
from tests.support.waiting import wait_until

HOSTS = tuple(f"host-{number}" for number in range(4))
CROWD = {f"busy{number}": specialist(f"busy{number}", "nap", seconds=0) for number in range(30)}
"""Parts that end at once: nothing but the store and the workers' own work is measured."""

TYPICAL = {
    name: specialist(name, "nap", seconds=0.2) for name in ("first", "second", "third", "fourth")
}
"""Parts as those of the shipped specialists are: they wait for a tool most of their time."""

CROWDS, AUDITS = 8, 4
"""Jobs in a sample, one after the other."""

FORCED_WRITES = 300
COST_PERCENT = 10.0
"""What `always` may cost to be the default of the ledger's store."""

OFF, EVERYSEC, ALWAYS = "off", "everysec", "always"
MODES = (OFF, EVERYSEC, ALWAYS)


@dataclass(slots=True)
class Samples:
    """What was measured in one mode."""

    rates: list[float] = field(default_factory=list[float])
    walls: list[float] = field(default_factory=list[float])


def run(runs: int) -> Table:
    """Measure: the modes in turn on the same processes, so that what else goes on falls on all."""
    found = {mode: Samples() for mode in MODES}
    with fleet(
        tool_modules=["tests.support.fake_tools"], specialists={**CROWD, **TYPICAL}
    ) as running:
        forced = forced_write_microseconds(running.directory)
        running.start_control()
        running.start_workers(*HOSTS)
        sample(running)
        for number in range(runs):
            # Another one begins each round: what a round leaves behind weighs on none of them.
            for mode in (*MODES[number % 3 :], *MODES[: number % 3]):
                switch(running, mode)
                rate, wall = sample(running)
                found[mode].rates.append(rate)
                found[mode].walls.append(wall)
    return _table(found, forced)


def _table(found: dict[str, Samples], forced: float) -> Table:
    many, few = len(HOSTS) * len(CROWD), len(HOSTS) * len(TYPICAL)
    rates = {mode: found[mode].rates for mode in MODES}
    walls = {mode: found[mode].walls for mode in MODES}
    return Table(
        "durability: what it costs to have every answer of the store on the disk",
        (
            *(Figure(f"parts closed, {mode}", "1/s", rates[mode]) for mode in MODES),
            Figure(
                "always costs of the parts a second of everysec",
                "%",
                lost_percent(rates[ALWAYS], rates[EVERYSEC]),
                COST_PERCENT,
            ),
            *(Figure(f"an audit of {few}, {mode}", "s", walls[mode], None, 3) for mode in MODES),
            Figure(
                "always adds to the wall of everysec",
                "%",
                [-one for one in lost_percent(walls[ALWAYS], walls[EVERYSEC])],
                COST_PERCENT,
            ),
        ),
        (
            f"A sample is {CROWDS} jobs of {many} parts that end at once, and {AUDITS} audits of "
            f"{few} parts of 0.2 s, on {len(HOSTS)} workers of eight agents.",
            "They are the values of appendfsync; off keeps no append-only file at all.",
            f"A small write forced to the disk took {forced:.0f} µs, the middle one of "
            f"{FORCED_WRITES}, where the stores' files are: with a slower disk always costs more.",
        ),
    )


def lost_percent(values: Sequence[float], bases: Sequence[float]) -> list[float]:
    """By how much each value is below the base of the same round."""
    return [100 * (1 - value / base) for value, base in zip(values, bases, strict=True)]


def sample(running: TestFleet) -> tuple[float, float]:
    """Parts closed a second in a crowd, and the wall of a typical audit in seconds."""
    crowd = AuditRequest(specialists=tuple(CROWD))
    began = time.monotonic()
    work(running, crowd, CROWDS)
    rate = CROWDS * len(HOSTS) * len(CROWD) / (time.monotonic() - began)
    typical = AuditRequest(specialists=tuple(TYPICAL))
    began = time.monotonic()
    work(running, typical, AUDITS)
    return rate, (time.monotonic() - began) / AUDITS


def switch(running: TestFleet, mode: str) -> None:
    """Have the running store write its file in another way."""
    client = cast(Any, running.fleet.client)
    client.config_set("appendonly", "no" if mode == OFF else "yes")
    if mode == OFF:
        return
    client.config_set("appendfsync", mode)

    def written() -> bool:
        state = client.info("persistence")
        busy = state["aof_rewrite_in_progress"] or state["aof_rewrite_scheduled"]
        return bool(state["aof_enabled"]) and not busy

    wait_until("the file is written anew", written)


def forced_write_microseconds(directory: Path) -> float:
    """What one small write that is forced to the disk takes there: the middle one of many."""
    took: list[float] = []
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(FORCED_WRITES):
            began = time.perf_counter()
            file.write(b"x" * 500)
            file.flush()
            os.fsync(file.fileno())
            took.append(time.perf_counter() - began)
    return sorted(took)[len(took) // 2] * 1e6
