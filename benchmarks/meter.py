"""The one local tool of the benchmark's agents. It costs next to nothing, so that they do."""

from __future__ import annotations

from collections.abc import Iterable

from workers.rules.rule import Reading, Rule
from workers.tools.access import Access
from workers.tools.spec import Arguments, Result, Tool, every_platform


class MeterArguments(Arguments):
    """Which one."""

    number: int


class Meter(Result):
    """What it shows."""

    number: int
    busy_percent: float


async def read_meter(arguments: MeterArguments, access: Access) -> Meter:
    """A number that is never alarming."""
    access.source.append(f"meter({arguments.number})")
    return Meter(number=arguments.number, busy_percent=40.0 + arguments.number)


def meter_readings(answer: Meter) -> Iterable[Reading]:
    """The number, so that an answer can claim something of it that is checked."""
    yield Reading(
        subject=f"meter {answer.number}", value=answer.busy_percent, pointer="/busy_percent"
    )


TOOLS = (Tool("meter", "Reads a meter.", MeterArguments, Meter, every_platform(read_meter)),)

RULES = (
    Rule(
        name="meter-high",
        tool="meter",
        metric="cpu.busy_percent",
        readings=meter_readings,
        title="The meter is high",
        advice="Turn it down.",
    ),
)
