"""Temperatures: how warm each sensor is, against its own marks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import psutil

from swarm_tasks.errors import Unavailable
from workers.tools.access import Access
from workers.tools.catalog.shown import shown
from workers.tools.spec import NoArguments, Result, Tool, every_platform

KEPT = 200
NAME_LIMIT = 128

SensorState = Literal["ok", "high", "critical", "unmarked"]
ORDER: tuple[SensorState, ...] = ("critical", "high", "ok", "unmarked")


class Sensor(Result):
    """One temperature against the sensor's own marks.

    `unmarked` is a sensor without marks: nobody can say what is too warm for it.
    """

    sensor: str
    celsius: float
    high_celsius: float | None
    critical_celsius: float | None
    state: SensorState


class Temperatures(Result):
    """Every temperature sensor, the worst first; at most 200."""

    sensors: tuple[Sensor, ...]


def sensors_from(found: Mapping[str, Sequence[Any]]) -> list[Sensor]:
    """The sensors in the answer of `psutil.sensors_temperatures()`, the worst first.

    psutil fills a mark that is missing with the other one.
    """
    sensors: list[Sensor] = []
    for name, entry in _told_apart(found):
        high, critical = _mark(entry.high), _mark(entry.critical)
        sensors.append(
            Sensor(
                sensor=shown(name, NAME_LIMIT),
                celsius=round(float(entry.current), 1),
                high_celsius=high,
                critical_celsius=critical,
                state=sensor_state(entry.current, high, critical),
            )
        )
    return sorted(sensors, key=lambda one: (ORDER.index(one.state), -one.celsius))


def _told_apart(found: Mapping[str, Sequence[Any]]) -> Iterator[tuple[str, Any]]:
    """Each sensor with a name of its own: two disks' are of the same chip and label.

    They are numbered in the kernel's order, which holds from one audit to the next.
    """
    seen: dict[str, int] = {}
    for chip, entries in found.items():
        for entry in entries:
            name = f"{chip} {entry.label}".strip()
            seen[name] = seen.get(name, 0) + 1
            yield (name if seen[name] == 1 else f"{name} #{seen[name]}"), entry


def _mark(value: float | None) -> float | None:
    """A mark; 0 and below is a chip's way of having none."""
    return round(float(value), 1) if value and value > 0 else None


def sensor_state(celsius: float, high: float | None, critical: float | None) -> SensorState:
    """A temperature against its sensor's marks."""
    if critical is not None and celsius >= critical:
        return "critical"
    if high is not None and celsius >= high:
        return "high"
    return "unmarked" if high is None and critical is None else "ok"


async def read_temperature(arguments: NoArguments, access: Access) -> Temperatures:
    """How warm each sensor is."""
    look = getattr(psutil, "sensors_temperatures", None)
    if look is None:
        raise Unavailable("this system shows no temperatures to ordinary programs")
    sensors = sensors_from(await access.call("psutil.sensors_temperatures()", look))
    if not sensors:
        raise Unavailable(
            "this machine has no temperature sensors",
            "load their driver; a virtual machine has none",
        )
    return Temperatures(sensors=tuple(sensors[:KEPT]))


TOOLS = (
    Tool(
        name="temperature",
        summary="Every temperature sensor against its own high and critical marks.",
        arguments=NoArguments,
        result=Temperatures,
        reads=every_platform(read_temperature),
    ),
)
