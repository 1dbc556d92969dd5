"""Measured values in words for people, each with its unit. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from orchestrator.render.words import one_line
from swarm_tasks.models.base import JsonScalar


def moment_text(moment: datetime) -> str:
    """A moment in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def number_text(value: float, digits: int = 1) -> str:
    """A number to `digits` decimals without trailing zeros; small ones to two figures."""
    if 0 < abs(value) < 1 and digits == 1:
        return f"{value:.2g}"
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def bytes_text(value: float, digits: int = 1) -> str:
    """A size in binary units: `3.1 GiB`."""
    size = float(value)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(round(size, digits)) < 1024:
            return f"{number_text(size, digits)} {unit}"
        size /= 1024
    return f"{number_text(size, digits)} PiB"


def duration_text(seconds: float, digits: int = 1) -> str:
    """A duration in its two largest units, rounded down: `14 h`, `3 d 4 h`, `200 ms`."""
    if seconds < 0:
        return f"−{duration_text(-seconds, digits)}"
    if 0 < seconds < 1 and round(seconds * 1000, digits) < 1000:
        return f"{number_text(seconds * 1000, digits)} ms"
    if round(seconds, digits) < 60:
        return f"{number_text(seconds, digits)} s"
    left, parts = round(seconds), list[str]()
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        whole, left = divmod(left, size)
        if whole:
            parts.append(f"{whole:,} {unit}")
        if parts and (len(parts) == 2 or not whole or unit == "s"):
            break
    return " ".join(parts)


def percent_text(value: float, digits: int = 1) -> str:
    """A share of 0 to 100; what is not quite all of it never reads as 100 %."""
    if value < 100 <= round(value, digits):
        return f"> {100 - 10**-digits:.{digits}f} %"
    return f"{number_text(value, digits)} %"


def milliseconds_text(value: float, digits: int = 1) -> str:
    """A duration that was measured in milliseconds."""
    return duration_text(value / 1000, digits)


IN_UNITS: Mapping[str, Callable[[float, int], str]] = {
    "percent": percent_text,
    "bytes": bytes_text,
    "seconds": duration_text,
    "milliseconds": milliseconds_text,
    "ratio": number_text,
}

COUNTED = {"requests", "events", "restarts", "errors", "packages"}


def value_text(value: JsonScalar, unit: str, digits: int = 1) -> str:
    """A claim's value with its unit, for people. A word, or a unit unknown, stays as it is."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return one_line(value).replace("_", " ") if unit == "state" else one_line(value)
    if unit in IN_UNITS:
        return IN_UNITS[unit](float(value), digits)
    if unit in COUNTED:
        noun = unit.removesuffix("s")
        return f"{number_text(value, digits)} {noun if value == 1 else unit}"
    return one_line(f"{number_text(value, digits)} {unit}")
