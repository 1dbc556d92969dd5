"""Claims about one value that are so, or are not, in all the forms that a claim may have."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Iterator
from itertools import cycle, product
from typing import Any

from benchmarks.lies.places import Place
from benchmarks.lies.told import surely
from benchmarks.lies.words import (
    WRITTEN,
    fancy_number,
    plain_number,
    read_number,
    spaced,
    with_unit,
)
from swarm_tasks.measures import measure

COMPARATORS = (">=", "<=", ">", "<", "==", "!=")
HEALTHY = {
    "tcp.answer": ("ok",),
    "http.answer": ("ok",),
    "file.state": ("present",),
    "service.state": ("active", "activating"),
}
STRANGE = ("purple", "unknown", "degraded", "inactive")
"""Words that are no state of these metrics: nothing is in one."""

OFFSETS = {
    "percent": (0.0, 0.03, 0.4, 1.5, 8.0, 35.0),
    "seconds": (601.0, 900.0, 5_000.0, 90_000.0, 2e6),
    "bytes": (0.0, 4096.0, 3e6, 6e9, 3e10),
    "events": (0.0, 1.0, 2.0, 40.0),
    "restarts": (0.0, 1.0, 2.0, 40.0),
}
DIGITS = {"percent": (2, 1, 3), "seconds": (0, 1), "bytes": (0,), "events": (0,), "restarts": (0,)}
LARGEST = {"percent": 100.0, "bytes": 1e15, "events": 1e6, "restarts": 1e6}
"""What an honest model says at most: no volume is fuller than full."""

TRIES = 2_000

Said = tuple[str, str]
"""A comparator and a value, as they are written."""


class Sayings:
    """Draws claims.

    Args:
        fresh: Whether they are drawn anew; else they are fixed and taken in turn.
    """

    def __init__(self, rng: random.Random, *, fresh: bool) -> None:
        self._rng, self._fresh = rng, fresh
        self._steps = {
            unit: cycle([*product(COMPARATORS, (1, -1), offsets, DIGITS[unit])])
            for unit, offsets in OFFSETS.items()
        }

    def one(self, place: Place, *, holds: bool) -> Any:
        """A claim about a place, as a model writes it."""
        return self.line(place, self.claim(place, holds=holds))

    def line(self, place: Place, claim: Said, at: str | None = None, of: str = "") -> Any:
        """A claim in one of the forms that it may have."""
        sign, said = claim
        call = f"@{place.alias}" if at is None else at
        where = f"{call}{place.pointer}"
        way = self._rng.random() if self._fresh else 1.0
        if of or way < 0.15:
            return f"{place.metric} of {of or place.shown} {sign} {said} {where}"
        if way < 0.2:
            return f"localhost:{place.metric} {sign} {said} {where}"
        if way < 0.4:
            return {
                "metric": place.metric,
                "subject": self._rng.choice((place.shown, place.key)),
                "comparator": sign,
                "value": said.strip('"'),
                "unit": "" if " " in said else place.unit,
                "evidence": [{"call_id": call[1:], "pointer": place.pointer}],
            }
        if self._fresh:
            return f"{spaced(self._rng, place.metric, sign, said)} {where}"
        return f"{place.metric} {sign} {said} {where}"

    def _with_unit(self, place: Place, value: float, text: str) -> str:
        """The number as it is, or in a unit that means the same."""
        return with_unit(self._rng, value, place.unit) if self._rng.random() < 0.3 else text

    def claim(self, place: Place, *, holds: bool) -> Said:
        """A comparator and a value that are so, or are not, whichever way the value moves."""
        if isinstance(place.value, str):
            return self._word(place, holds)
        for sign, step, digits in self._drawn(place):
            value = place.number + step
            if holds and place.unit != "seconds" and not 0 <= value <= LARGEST[place.unit]:
                continue
            text = plain_number(value, digits)
            if self._fresh:
                text = fancy_number(self._rng, value, digits)
                if place.unit in WRITTEN and sign not in ("==", "!="):
                    text = self._with_unit(place, value, text)
            if sign in ("==", "!=") and "." in text and text.split("e")[0].endswith("0"):
                # Whether such a zero says how exact the number is can be read either way.
                continue
            said, rounding = read_number(text)
            read = dataclasses.replace(place.truth, value=place.value)
            found = {surely(one, sign, said, rounding) for one in (read, place.truth)}
            if found == {holds}:
                return sign, text
        raise RuntimeError(f"nothing can be said of {place.metric} {place.key}")

    def _word(self, place: Place, holds: bool) -> Said:
        known = (*HEALTHY[place.metric], *measure(place.metric).states)
        others = [one for one in known if one != place.value]
        same = self._rng.random() < 0.7
        if not holds and self._rng.random() < 0.3:
            others = list(STRANGE)
        word = str(place.value) if same == holds else self._rng.choice(others)
        quoted = f'"{word}"' if self._fresh and self._rng.random() < 0.3 else word
        return ("==" if same else "!="), quoted

    def _drawn(self, place: Place) -> Iterator[tuple[str, float, int]]:
        """Comparator, distance from the value, decimals."""
        for _ in range(TRIES):
            if not self._fresh:
                sign, side, offset, digits = next(self._steps[place.unit])
                yield sign, side * offset, digits
                continue
            low = max(OFFSETS[place.unit][0], 0.011, place.truth.margin)
            high = max(OFFSETS[place.unit][-1], 2 * low)
            offset = math.exp(self._rng.uniform(math.log(low), math.log(high)))
            yield (
                self._rng.choice(COMPARATORS),
                self._rng.choice((offset, -offset)),
                self._rng.choice(DIGITS[place.unit]),
            )

    def about(self, place: Place, other: Place) -> Said | None:
        """What is so of another place and not of this one; None where both are alike."""
        for _ in range(40):
            sign, said = self.claim(other, holds=True)
            if isinstance(place.value, str):
                if surely(place.truth, sign, said.strip('"')) is False:
                    return sign, said
                continue
            number, rounding = read_number(said)
            read = dataclasses.replace(place.truth, value=place.value)
            if {surely(one, sign, number, rounding) for one in (read, place.truth)} == {False}:
                return sign, said
        return None
