"""What a claimed value is in its metric's own unit. Pure.

A unit that means one thing is converted exactly, so that who writes `2 GiB` of a metric in bytes
is understood, and who writes GB for GiB is caught by the number. Nothing is guessed: `gb` and `Gb`
may be bits, `m` may be minutes or months.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from decimal import Decimal
from fractions import Fraction

from swarm_tasks.measures import Measure
from swarm_tasks.models.base import JsonScalar
from swarm_tasks.models.finding import MOST
from workers.comparing import ROUND_FROM, precision_of

NUMBER = re.compile(
    r"[-+]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,110})(?:\.[0-9]{1,30})?(?:[eE][-+]?[0-9]{1,3})?"
)
WORD = re.compile(r"[A-Za-z][\w .-]{0,79}")

_BYTES = {
    **dict.fromkeys(("B", "byte", "bytes"), 1),
    **{f"{prefix}B": 1000**power for power, prefix in enumerate("kMGTP", 1)},
    **{f"{prefix}iB": 1024**power for power, prefix in enumerate("KMGTP", 1)},
    "KB": 1000,
    "kiB": 1024,
}
_SECONDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3_600),
    **dict.fromkeys(("d", "day", "days"), 86_400),
    **dict.fromkeys(("week", "weeks"), 604_800),
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), Fraction(1, 1000)),
    **dict.fromkeys(("us", "µs", "microsecond", "microseconds"), Fraction(1, 1_000_000)),
}
_SHARES = {
    **dict.fromkeys(("%", "percent", "pct"), Fraction(1, 100)),
    "ratio": Fraction(1),
}
_COUNTS = ("requests", "events", "restarts", "errors", "packages")

CONVERTED: dict[str, tuple[dict[str, Fraction], Fraction]] = {
    "bytes": ({name: Fraction(factor) for name, factor in _BYTES.items()}, Fraction(1)),
    "seconds": ({name: Fraction(factor) for name, factor in _SECONDS.items()}, Fraction(1)),
    "milliseconds": (
        {name: Fraction(factor) for name, factor in _SECONDS.items()},
        Fraction(1, 1000),
    ),
    "percent": (_SHARES, Fraction(1, 100)),
    "ratio": (_SHARES, Fraction(1)),
    **{
        count: ({count: Fraction(1), count.removesuffix("s"): Fraction(1)}, Fraction(1))
        for count in _COUNTS
    },
}
"""Of each unit of the metric table: the units that can be converted to it, as multiples of a common
one, and itself as a multiple of that."""

NEVER_NEGATIVE = frozenset({"bytes", *_COUNTS})
OF_ONE_CORE = frozenset({"process.cpu_percent"})
"""Shares of one core: on several, they come to more than all."""

CHANGES = re.compile(r"change|growth|grow|trend|delta")
"""What a metric of change is called: it may be negative, and more than all there is."""


def state_of(
    metric: Measure, said: str, unit: str, comparator: str, seen: Collection[str] = ()
) -> str:
    """A claimed state.

    Args:
        seen: Words that were gathered, beside those that the metric's table knows.

    Raises:
        ValueError: It is none; the message says why.
    """
    if unit not in ("", "state"):
        raise ValueError(f"{metric.name} is a state, not in {unit}")
    if not WORD.fullmatch(said):
        raise ValueError(f"{said[:40]!r} is no state: {metric.name} is a word")
    if comparator not in ("==", "!="):
        raise ValueError(f"{metric.name} is a state, which is == or != and never {comparator}")
    if said not in metric.states and said not in metric.well and said not in seen:
        words = ", ".join(dict.fromkeys((*metric.states, *metric.well, *sorted(seen))))
        raise ValueError(f"{said[:40]!r} is no state that {metric.name} can be: it is {words}")
    return said


def number_of(metric: Measure, said: str, unit: str) -> JsonScalar:
    """A claimed number in the metric's unit.

    Raises:
        ValueError: It is none, its unit is none or of another quantity, or it is beyond what can
            be; the message says which.
    """
    if not NUMBER.fullmatch(said):
        raise ValueError(f"{said[:40]!r} is no {metric.unit}")
    number = Decimal(said.replace(",", ""))
    factor = factor_of(metric, unit)
    if not math.isfinite(float(number)):
        raise ValueError(f"{said[:40]!r} is no {metric.unit}: nothing measures so much")
    # Written decimals say how exact a number is, so 12.0 does not become 12.
    exact = factor == 1 and "." in said and "e" not in said.casefold()
    found = Fraction(number) * factor
    # An int is meant to half a unit. What is written more precisely than that becomes a float.
    fine = abs(found) < ROUND_FROM and _meant_within(metric, number, factor) < Fraction(1, 2)
    whole = found.denominator == 1 and not (exact or fine) and abs(found) < 2**53
    value = int(found) if whole else float(found)
    _within_reason(metric, value, said)
    return value


def precision_in(metric: Measure, said: str, unit: str) -> float:
    """By how much what a claimed number stands for may differ from it, in the metric's unit.

    That is half a unit of the last digit that is written: `0 ms` is within half a millisecond,
    however little of that the number 0 shows. A zero is within the metric's tolerance at most.

    Raises:
        ValueError: It is no number, or its unit cannot be converted.
    """
    within = precision_of(number_of(metric, said, unit))
    number, factor = Decimal(said.replace(",", "")), factor_of(metric, unit)
    if abs(Fraction(number) * factor) >= ROUND_FROM:
        return within
    # A little more than half, as there: not every decimal is one in binary.
    return min(within, float(_meant_within(metric, number, factor)) * (1 + 1e-6))


def _meant_within(metric: Measure, number: Decimal, factor: Fraction) -> Fraction:
    """Half a unit of a number's last digit; of a zero no more than the metric's tolerance."""
    exponent = number.as_tuple().exponent
    half = Fraction(10) ** (exponent if isinstance(exponent, int) else 0) * abs(factor) / 2
    if number or metric.unit in NEVER_NEGATIVE:
        return half
    return min(half, Fraction(metric.slack(0)))


def factor_of(metric: Measure, unit: str) -> Fraction:
    """What a claimed number is multiplied by.

    Raises:
        ValueError: The unit cannot be converted to the metric's.
    """
    if unit in ("", metric.unit):
        return Fraction(1)
    known, own = CONVERTED.get(metric.unit, ({}, Fraction(1)))
    factor = known.get(unit)
    if factor is None and len(unit) > 3:
        factor = known.get(unit.casefold())
    if factor is not None:
        return factor / own
    if metric.unit == "bytes" and re.fullmatch("[kmgtp]i?b", unit.casefold()):
        right = f"{unit[0].upper()}{'i' if len(unit) > 2 else ''}B"
        raise ValueError(f"{unit} may be bits: write {right} for bytes")
    raise ValueError(f"{metric.name} is in {metric.unit}, not in {unit}")


def _within_reason(metric: Measure, number: float, said: str) -> None:
    if abs(number) > MOST:
        raise ValueError(f"{said[:40]!r} is no {metric.unit}: nothing measures so much")
    if CHANGES.search(metric.name):
        return
    most = MOST if metric.name in OF_ONE_CORE else 100
    if metric.unit == "percent" and not 0 <= number <= most:
        raise ValueError(f"{said[:40]!r} is no percent of anything: {metric.name} is from 0 to 100")
    if metric.unit in NEVER_NEGATIVE and number < 0:
        raise ValueError(f"{said[:40]!r} is no {metric.unit}: {metric.name} is never negative")
