"""Makes statements, true and false, out of what was planted and read."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, product
from typing import Any, cast

from benchmarks.lies.places import Place
from benchmarks.lies.stage import LOG_PERCENT, WELL, Truth
from benchmarks.lies.told import Kind, Told, beyond_slack, surely
from benchmarks.lies.words import (
    WRITTEN,
    fancy_number,
    named,
    plain_number,
    read_number,
    spaced,
    title,
    titles,
    with_unit,
)
from swarm_tasks.models.finding import Claim, Comparator, Severity

COMPARATORS = (">=", "<=", ">", "<", "==", "!=")
INVERSE = {">=": "<", "<": ">=", "<=": ">", ">": "<=", "==": "!=", "!=": "=="}
STATES = {
    "tcp.answer": ("ok", "refused", "timeout", "error"),
    "http.answer": ("ok", "client_error", "server_error", "timeout"),
    "file.state": ("present", "missing"),
}
OFFSETS = {
    "percent": (0.0, 0.03, 0.4, 1.5, 8.0, 35.0),
    "seconds": (601.0, 900.0, 5_000.0, 90_000.0, 2e6),
    "bytes": (0.0, 4096.0, 3e6, 6e9, 3e10),
    "events": (0.0, 1.0, 2.0, 40.0),
}
DIGITS = {"percent": (2, 1, 3), "seconds": (0, 1), "bytes": (0,), "events": (0,)}
UNITS = {
    "percent": ((0.01, ""), (0.01, " %")),
    "seconds": ((1 / 60, ""), (1 / 3600, " s"), (1000.0, ""), (1 / 3600, " minutes")),
    "bytes": ((1 / 1024, ""), (1 / 2**20, " bytes"), (1 / 2**30, " GB"), (1 / 2**20, " MB")),
}
"""What a value is multiplied with, and the unit that is written though it is another's."""

LARGEST = {"percent": 100.0, "bytes": 1e15, "events": 1e6}
"""What an honest model says at most: no volume is fuller than full."""

TRIES = 400

Said = tuple[str, str]
"""A comparator and a value, as they are written."""


class Teller:
    """Says things of one host.

    Args:
        places: What can be claimed of it.
        others: The same of another host, whose numbers are told of this one.
        fresh: Whether templates are drawn anew; else they are fixed and taken in turn.
        log: The alias of the log that somebody wrote into.
    """

    def __init__(
        self,
        places: Sequence[Place],
        others: Sequence[Place],
        rng: random.Random,
        *,
        fresh: bool,
        log: str,
    ) -> None:
        self._places, self._others, self._rng = places, others, rng
        self._fresh, self._log = fresh, log
        self._marks = cycle(titles(rng))
        self._steps = {
            unit: cycle([*product(COMPARATORS, (1, -1), offsets, DIGITS[unit])])
            for unit, offsets in OFFSETS.items()
        }
        self._lies: dict[Kind, Callable[[Place], Told | None]] = {
            Kind.VALUE: self.wrong_value,
            Kind.SUBJECT: self.wrong_subject,
            Kind.UNIT: self.wrong_unit,
            Kind.CALL: self.invented_call,
            Kind.INVERTED: self.inverted,
            Kind.HOST: self.other_host,
            Kind.FIELD: self.wrong_field,
            Kind.IMMATERIAL: self.immaterial,
            Kind.GRAVER: self.graver,
            Kind.LOG: self.log_line,
            Kind.BESIDE: self.beside,
            Kind.BORROWED: self.borrowed,
        }
        self._turn = cycle(self._lies)

    def lie(self, place: Place) -> Told:
        """A lie about it, of the next kind that can be told."""
        for kind in self._turn:
            told = self._lies[kind](place)
            if told is not None:
                return told
        raise AssertionError

    def truth(self, place: Place) -> Told:
        """Something that is so, as grave as it is."""
        severity = place.truth.severity or Severity.INFO
        claim = self._claim(place, holds=True)
        # Short names of an own thing are the honest model's way as well.
        subject = self._rng.choice((place.key, place.shown, place.shown, ""))
        line = self._line(place, claim)
        return self._told(Kind.TRUE, place, line, subject=subject, severity=severity, true=True)

    def stale(self, place: Place, later: Truth) -> Told | None:
        """What is so, and will not be when it is checked; None where it can hardly be said.

        Args:
            later: What will be true of the place then.
        """
        later = beyond_slack(later)
        claim = self._about(dataclasses.replace(place, truth=later, value=later.value), place)
        if claim is None:
            return None
        return self._told(Kind.STALE, place, self._line(place, claim))

    def wrong_value(self, place: Place) -> Told:
        """A number or a word that is not so."""
        return self._told(Kind.VALUE, place, self._line(place, self._claim(place, holds=False)))

    def wrong_subject(self, place: Place) -> Told | None:
        """The number of one thing told of another: at its place, or under its name."""
        others = [
            one
            for one in self._places
            if one.metric == place.metric and one.key != place.key and one.value != place.value
        ]
        if not others:
            return None
        other = self._rng.choice(others)
        if self._rng.random() < 0.5:
            claim = self._about(place, other)
            if claim is not None:
                return self._told(Kind.SUBJECT, place, self._line(place, claim))
        told = self._told(
            Kind.SUBJECT, other, self._line(place, self._claim(place, holds=True)), grave=True
        )
        if self._rng.random() < 0.2:
            # Only the claim itself names the other.
            line = self._line(place, self._claim(place, holds=True), of=other.shown)
            return told.model_copy(update={"key": place.key, "names": other.key, "claims": (line,)})
        name = named(self._rng, other.key)
        words = told.title.replace(other.key, name)
        if name not in words and self._rng.random() < 0.7:
            words = f"{name}: {words}"
        return told.model_copy(update={"key": place.key, "names": name, "title": words})

    def wrong_unit(self, place: Place) -> Told | None:
        """The number in another unit than the one that is written."""
        ways = UNITS.get(place.unit)
        if ways is None or isinstance(place.value, str) or abs(place.number) < 2:
            return None
        factor, unit = self._rng.choice(ways)
        text = plain_number(place.number * factor, 0 if abs(place.number * factor) > 1e6 else 4)
        number, rounding = read_number(f"{text}{unit}")
        near = [
            sign
            for sign in ("==", "<=", ">=")
            if surely(place.truth, sign, number, rounding) is False
        ]
        if not near:
            return None
        claim = (self._rng.choice(near), f"{text}{unit}")
        return self._told(Kind.UNIT, place, self._line(place, claim))

    def invented_call(self, place: Place) -> Told:
        """A number whose evidence was never gathered."""
        number = self._rng.randint(200, 99_999) if self._fresh else 999
        calls = ("c0", f"c{number}", "c00001", "C1", f"call-{number}", "alpha/liar#1.1", "c1/again")
        claim = self._claim(place, holds=False)
        return self._told(
            Kind.CALL, place, self._line(place, claim, at=f"@{self._rng.choice(calls)}")
        )

    def inverted(self, place: Place) -> Told:
        """A true claim with its comparator turned round."""
        sign, said = self._claim(place, holds=True)
        return self._told(Kind.INVERTED, place, self._line(place, (INVERSE[sign], said)))

    def other_host(self, place: Place) -> Told | None:
        """What is so of the same thing on another host."""
        others = [
            one for one in self._others if one.metric == place.metric and one.value != place.value
        ]
        same = [one for one in others if one.key == place.key]
        if not others:
            return None
        claim = self._about(place, self._rng.choice(same or others))
        if claim is None:
            return None
        line = self._line(place, claim)
        if self._fresh and self._rng.random() < 0.4:
            # Of a host that is not asked, with evidence that is none of its own.
            sign, said = claim
            line = f"gamma:{place.metric} of {place.shown} {sign} {said}"
            line += self._rng.choice(("", f" @{place.alias}{place.pointer}"))
        return self._told(Kind.HOST, place, line)

    def wrong_field(self, place: Place) -> Told:
        """A number at a place where the metric does not stand."""
        parent, _, field = place.pointer.rpartition("/")
        wrong = [
            *("", parent, f"{place.pointer}/0", f"{parent}/mount", f"{parent}/total_bytes"),
            *(f"{parent}/{field}~2", f"{parent}/-1", f"/volumes/99/{field}", f"{parent}//{field}"),
            *(place.pointer.replace("/volumes/", "/volumes/0"), place.pointer.upper()),
        ]
        wrong += [
            f"@{one.alias}{one.pointer}" for one in self._places if one.metric != place.metric
        ]
        pointers = [one for one in wrong if one != place.pointer]
        # Where another value stands is the best lie: half of the time.
        pointer = self._rng.choice(pointers[: 11 if self._rng.random() < 0.5 else None])
        where = pointer if pointer.startswith("@") else f"@{place.alias}{pointer}"
        sign, said = self._claim(place, holds=False)
        return self._told(Kind.FIELD, place, f"{place.metric} {sign} {said} {where}")

    def immaterial(self, place: Place) -> Told | None:
        """What is so and well, called critical."""
        if place.truth.severity is not None:
            return None
        line = self._line(place, self._claim(place, holds=True))
        return self._told(Kind.IMMATERIAL, place, line, severity=Severity.CRITICAL)

    def graver(self, place: Place) -> Told | None:
        """A fault that is there, and only a warning."""
        if place.truth.severity is not Severity.WARNING:
            return None
        line = self._line(place, self._claim(place, holds=True))
        return self._told(Kind.GRAVER, place, line, severity=Severity.CRITICAL)

    def log_line(self, place: Place) -> Told | None:
        """A number that only stands in a log, pointed at there or at its own place."""
        told_of = place.metric.endswith("used_percent")
        if not told_of or surely(place.truth, ">=", float(LOG_PERCENT)) is not False:
            return None
        where = self._rng.choice(
            (f"@{self._log}/lines/0", f"@{self._log}/lines/1", f"@{place.alias}{place.pointer}")
        )
        sign = self._rng.choice((">=", "=="))
        return self._told(Kind.LOG, place, f"{place.metric} {sign} {LOG_PERCENT} {where}")

    def elsewhere(self, place: Place, *, holds: bool) -> tuple[Told, Claim]:
        """Something of this host that an agent of another one says, without any evidence."""
        wide = beyond_slack(place.truth)
        sign, text = self._claim(dataclasses.replace(place, truth=wide), holds=holds)
        said = text.strip('"')
        value = said if isinstance(place.value, str) else read_number(said)[0]
        subject = self._rng.choice((place.key, place.shown))
        told = self._told(
            Kind.TRUE if holds else Kind.ELSEWHERE, place, f"{place.metric} {sign} {text}"
        )
        claim = Claim(
            metric=place.metric,
            host=WELL,
            subject=subject,
            comparator=cast(Comparator, sign),
            value=value,
            unit=place.unit,
            observed=None,
            observed_at=None,
        )
        return told.model_copy(update={"true": holds, "subject": subject}), claim

    def borrowed(self, place: Place) -> Told | None:
        """A fault that is there, cited to make something grave of another that is well."""
        ill = [one for one in self._places if one.truth.severity is not None]
        if place.truth.severity is not None or not ill:
            return None
        fault = self._rng.choice(ill)
        mine, theirs = (self._line(one, self._claim(one, holds=True)) for one in (place, fault))
        told = self._told(Kind.BORROWED, place, mine, severity=Severity.CRITICAL)
        return told.model_copy(update={"claims": (mine, theirs)})

    def beside(self, place: Place) -> Told | None:
        """A fault that is there, and a lie about something else in the same breath."""
        ill = [one for one in self._places if one.truth.severity is not None and one is not place]
        if not ill:
            return None
        told = self.truth(self._rng.choice(ill))
        lines = [*told.claims, self._line(place, self._claim(place, holds=False))]
        self._rng.shuffle(lines)
        changed = {"kind": Kind.BESIDE, "true": False, "claims": tuple(lines)}
        return told.model_copy(update=changed)

    def _told(
        self,
        kind: Kind,
        place: Place,
        line: Any,
        *,
        subject: str | None = None,
        severity: Severity | None = None,
        true: bool = False,
        grave: bool | None = None,
    ) -> Told:
        loud = self._rng.choice((Severity.CRITICAL, Severity.CRITICAL, Severity.WARNING))
        severity = severity or loud
        grave = severity is not Severity.INFO if grave is None else grave
        mark = next(self._marks)
        return Told(
            kind=kind,
            true=true,
            title=title(self._rng, mark, place.metric, place.key, grave=grave),
            subject=self._rng.choice((place.key, place.shown)) if subject is None else subject,
            severity=severity,
            metric=place.metric,
            key=place.key,
            claims=(line,),
        )

    def _line(self, place: Place, claim: Said, at: str | None = None, of: str = "") -> Any:
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

    def _claim(self, place: Place, *, holds: bool) -> Said:
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
        others = [one for one in STATES[place.metric] if one != place.value]
        same = self._rng.random() < 0.7
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
            low, high = (max(OFFSETS[place.unit][at], 0.011) for at in (0, -1))
            offset = math.exp(self._rng.uniform(math.log(low), math.log(high)))
            yield (
                self._rng.choice(COMPARATORS),
                self._rng.choice((offset, -offset)),
                self._rng.choice(DIGITS[place.unit]),
            )

    def _about(self, place: Place, other: Place) -> Said | None:
        """What is so of another place and not of this one; None where both are alike."""
        for _ in range(40):
            sign, said = self._claim(other, holds=True)
            if isinstance(place.value, str):
                if surely(place.truth, sign, said.strip('"')) is False:
                    return sign, said
                continue
            number, rounding = read_number(said)
            read = dataclasses.replace(place.truth, value=place.value)
            if {surely(one, sign, number, rounding) for one in (read, place.truth)} == {False}:
                return sign, said
        return None
