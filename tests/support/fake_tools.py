"""Tools for tests, loaded by real workers as an operator's own: they nap, fail and crash."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pydantic import Field

from swarm_tasks.errors import Unavailable
from workers.rules.rule import Reading, Rule
from workers.tools.access import Access
from workers.tools.spec import Arguments, Command, NoArguments, Result, Tool, every_platform

SLEEP = Command(("sleep", "{seconds}"), timeout_seconds=120)


class NapArguments(Arguments):
    """How long."""

    seconds: float = Field(default=1.0, ge=0, le=120)


class Nap(Result):
    """How long it was."""

    slept_seconds: float


class GaugeArguments(Arguments):
    """The file that holds the number."""

    path: str


class Gauge(Result):
    """A number from a file."""

    path: str
    busy_percent: float


async def read_nap(arguments: NapArguments, access: Access) -> Nap:
    """Wait as a tool waits for a slow device."""
    access.source.append(f"nap({arguments.seconds})")
    await asyncio.sleep(arguments.seconds)
    return Nap(slept_seconds=arguments.seconds)


async def read_child_nap(arguments: NapArguments, access: Access) -> Nap:
    """Wait in a real subprocess."""
    await access.run(SLEEP, seconds=str(arguments.seconds))
    return Nap(slept_seconds=arguments.seconds)


async def read_hold(arguments: GaugeArguments, access: Access) -> Nap:
    """Wait until a file is there: as long as a test, which is another process, wants."""
    access.source.append(f"hold({arguments.path})")
    while not await access.call(arguments.path, Path(arguments.path).exists):  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    return Nap(slept_seconds=0)


async def read_ticket(arguments: GaugeArguments, access: Access) -> Nap:
    """Wait until there is a file in a directory, and take it: so many of these end at the same
    time as a test puts files there."""

    def taken() -> bool:
        for ticket in Path(arguments.path).iterdir():
            with suppress(FileNotFoundError):  # another was faster
                ticket.unlink()
                return True
        return False

    while not await access.call(arguments.path, taken):  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    return Nap(slept_seconds=0)


async def read_gauge(arguments: GaugeArguments, access: Access) -> Gauge:
    """A number that a test can change."""
    text = await access.call(arguments.path, Path(arguments.path).read_text)
    return Gauge(path=arguments.path, busy_percent=float(text))


async def read_missing(arguments: NoArguments, access: Access) -> Nap:
    """Something this machine does not have."""
    raise Unavailable("no such device here", "buy one")


async def read_broken(arguments: NoArguments, access: Access) -> Nap:
    """A mistake in a tool: an error that no tool is expected to raise."""
    raise RuntimeError("this tool is broken")


def gauge_readings(answer: Gauge) -> Iterable[Reading]:
    """The number, for the levels of `cpu.busy_percent`: 85/95, clear at 75/85."""
    yield Reading(subject="the gauge", value=answer.busy_percent, pointer="/busy_percent")


TOOLS = (
    Tool("nap", "Waits.", NapArguments, Nap, every_platform(read_nap), timeout_seconds=120),
    Tool(
        "child_nap",
        "Waits in a subprocess.",
        NapArguments,
        Nap,
        every_platform(read_child_nap),
        timeout_seconds=120,
    ),
    Tool(
        "hold",
        "Waits for a file.",
        GaugeArguments,
        Nap,
        every_platform(read_hold),
        timeout_seconds=120,
    ),
    Tool(
        "ticket",
        "Waits for a file, and takes it.",
        GaugeArguments,
        Nap,
        every_platform(read_ticket),
        timeout_seconds=120,
    ),
    Tool("gauge", "Reads a number.", GaugeArguments, Gauge, every_platform(read_gauge)),
    Tool("missing", "Is not there.", NoArguments, Nap, every_platform(read_missing)),
    Tool("broken", "Breaks.", NoArguments, Nap, every_platform(read_broken)),
)

RULES = (
    Rule(
        name="gauge-high",
        tool="gauge",
        metric="cpu.busy_percent",
        readings=gauge_readings,
        title="The gauge is high",
        advice="Turn it down.",
    ),
)
