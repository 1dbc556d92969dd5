"""Numbers with units as people write them, and whether something that was measured is one. Pure."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from swarm_tasks.models.base import JsonScalar

_DAY = 86_400.0
UNITS: dict[str, tuple[str, tuple[float, ...]]] = {
    **dict.fromkeys(("%", "％", "percent", "per cent", "pct"), ("percent", (1.0,))),
    **dict.fromkeys(("b", "byte", "bytes"), ("bytes", (1.0,))),
    **{
        word: ("bytes", scales)
        for power, letter in enumerate("kmgtp", 1)
        # What is called GB may be either.
        for word, scales in (
            (f"{letter}b", (1000.0**power, 1024.0**power)),
            (f"{letter}ib", (1024.0**power,)),
        )
    },
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), ("seconds", (0.001,))),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), ("seconds", (1.0,))),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), ("seconds", (60.0,))),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), ("seconds", (3600.0,))),
    **dict.fromkeys(("d", "day", "days"), ("seconds", (_DAY,))),
    **dict.fromkeys(("week", "weeks"), ("seconds", (7 * _DAY,))),
    **{
        word: (noun, (1.0,))
        for noun in ("packages", "events", "restarts", "errors", "requests")
        for word in (noun, noun.removesuffix("s"))
    },
    **dict.fromkeys(("update", "updates"), ("packages", (1.0,))),
    "per core": ("ratio", (1.0,)),
}
"""What a unit measures, and how much one of it is. Where it may be either, both."""

NUMBER = re.compile(r"\d{1,3}(?:[,\u00a0\u202f]\d{3})+(?:\.\d+)?(?!\d)|\d+(?:[.,]\d+)?")
_WORDS = "|".join(sorted(map(re.escape, UNITS), key=len, reverse=True))
UNIT = re.compile(rf"[\s\u00a0\u202f-]{{0,2}}(?P<unit>{_WORDS})(?![\w%％])", re.I)
COUNTED_LATER = re.compile(
    r"(?: [a-z]+){1,2} (?P<unit>packages?|updates?|events?|restarts?|errors?|requests?)\b", re.I
)
"""A noun that is counted two words on, as in `3 missing packages`."""

JOINT = re.compile(r"(?:,? and |,? )(?=\d)")
"""What stands between the parts of a duration."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number as it is written.

    Args:
        lowest, highest: What it may have been before it was rounded, in the base of its kind.
        kind: `percent`, `bytes`, `seconds`, `ratio`, a noun that is counted; empty for none.
    """

    lowest: float
    highest: float
    kind: str


@dataclass(frozen=True)
class Measurements:
    """Numbers that may be written out, since something was measured that is one.

    Args:
        claimed: Values with the units of the metric table.
        evidence: What tools answered, as text: where else a number may stand, in whatever unit.
    """

    claimed: frozenset[tuple[float, str]] = frozenset()
    evidence: str = ""

    @classmethod
    def of(
        cls, values: Iterable[tuple[JsonScalar | None, str]], evidence: str = ""
    ) -> Measurements:
        """Measurements of these values with their units; words among them are none."""
        return cls(
            frozenset(
                _based(float(value), unit)
                for value, unit in values
                if isinstance(value, (int, float)) and not isinstance(value, bool)
            ),
            evidence,
        )

    def carry(self, written: Iterable[Quantity]) -> bool:
        """Whether one of these readings of a written number was measured."""
        readings = tuple(written)
        for one in readings:
            for value, kind in self.claimed:
                if kind == one.kind and one.lowest <= abs(value) <= one.highest:
                    return True
        return bool(self.evidence) and any(self._stands(one) for one in readings)

    def _stands(self, written: Quantity) -> bool:
        """Whether a number in the evidence is this one; a duration may be there in ms."""
        for scale in (1.0, 1000.0) if written.kind == "seconds" else (1.0,):
            place = bisect_left(self._numbers, written.lowest * scale)
            if place < len(self._numbers) and self._numbers[place] <= written.highest * scale:
                return True
        return False

    @cached_property
    def _numbers(self) -> list[float]:
        """Every number in the evidence, in order."""
        return sorted({float(one) for one in re.findall(r"\d+(?:\.\d+)?", self.evidence)})


def _based(value: float, unit: str) -> tuple[float, str]:
    """A value of the metric table in the base of its kind."""
    return (value / 1000, "seconds") if unit == "milliseconds" else (value, unit)


def quantities_at(text: str, start: int) -> tuple[tuple[Quantity, ...], int]:
    """What the number that begins at `start` may mean, and where it ends with its unit.

    Durations of several parts, such as `3 d 4 h`, are one. Nothing, and `start`, where no number
    that could be read stands there.
    """
    found = NUMBER.match(text, start)
    if found is None:
        return (), start
    value, half = _rounded(found[0])
    end = found.end()
    unit = UNIT.match(text, end)
    if unit is not None:
        kind, scales = UNITS[unit["unit"].lower()]
        if kind == "seconds":
            low, high, end = _duration(text, unit.end(), value, half, scales[0])
            return (Quantity(low, high, kind),), end
        readings = (Quantity((value - half) * one, (value + half) * one, kind) for one in scales)
        return tuple(readings), unit.end()
    if re.match(r"\w", text[end : end + 1]):
        return (), start
    later = COUNTED_LATER.match(text, end)
    # A number alone is a ratio only if it is written as one: `2.4`, but not `3`.
    kind = UNITS[later["unit"].lower()][0] if later else "ratio" if half < 0.1 else ""
    return (Quantity(value - half, value + half, kind),), end


def _duration(
    text: str, end: int, value: float, half: float, scale: float
) -> tuple[float, float, int]:
    """A duration with all smaller parts that follow, and where it ends. Durations are often
    rounded down, as this project's own are."""
    joint = JOINT.match(text, end)
    number = NUMBER.match(text, joint.end()) if joint else None
    unit = UNIT.match(text, number.end()) if number else None
    if number is not None and unit is not None:
        kind, (smaller, *_) = UNITS[unit["unit"].lower()]
        if kind == "seconds" and smaller < scale:
            rest, rest_half = _rounded(number[0])
            low, high, end = _duration(text, unit.end(), rest, rest_half, smaller)
            return value * scale + low, value * scale + high, end
    return (value - half) * scale, (value + 2 * half) * scale, end


def _rounded(number: str) -> tuple[float, float]:
    """A written number, and half a step of its last digit."""
    plain = re.sub(r"[\u00a0\u202f]", "", number)
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", plain):
        plain = plain.replace(",", "")
    plain = plain.replace(",", ".")
    decimals = len(plain.partition(".")[2])
    return float(plain), 0.5 * 10**-decimals + 1e-9
