"""Makes statements, true and false, out of what was planted and read."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

from benchmarks.lies.afar import Afar
from benchmarks.lies.places import Place
from benchmarks.lies.sayings import Sayings
from benchmarks.lies.things import LOG_PERCENT, Truth
from benchmarks.lies.told import Kind, Told, beyond_slack, surely
from benchmarks.lies.words import named, plain_number, read_number, title, titles
from swarm_tasks.models.finding import Severity

INVERSE = {">=": "<", "<": ">=", "<=": ">", ">": "<=", "==": "!=", "!=": "=="}
UNITS = {
    "percent": ((0.01, ""), (0.01, " %")),
    "seconds": ((1 / 60, ""), (1 / 3600, " s"), (1000.0, ""), (1 / 3600, " minutes")),
    "bytes": ((1 / 1024, ""), (1 / 2**20, " bytes"), (1 / 2**30, " GB"), (1 / 2**20, " MB")),
}
"""What a value is multiplied with, and the unit that is written though it is another's."""


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
        self._sayings = Sayings(rng, fresh=fresh)
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
        self.afar = Afar(rng, self._sayings, self._told)

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
        claim = self._sayings.claim(place, holds=True)
        # Short names of an own thing are the honest model's way as well.
        subject = self._rng.choice((place.key, place.shown, place.shown, ""))
        line = self._sayings.line(place, claim)
        return self._told(Kind.TRUE, place, line, subject=subject, severity=severity, true=True)

    def stale(self, place: Place, later: Truth) -> Told | None:
        """What is so, and will not be when it is checked; None where it can hardly be said.

        Args:
            later: What will be true of the place then.
        """
        later = beyond_slack(later)
        claim = self._sayings.about(
            dataclasses.replace(place, truth=later, value=later.value), place
        )
        if claim is None:
            return None
        return self._told(Kind.STALE, place, self._sayings.line(place, claim))

    def wrong_value(self, place: Place) -> Told:
        """A number or a word that is not so."""
        return self._told(Kind.VALUE, place, self._sayings.one(place, holds=False))

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
            claim = self._sayings.about(place, other)
            if claim is not None:
                return self._told(Kind.SUBJECT, place, self._sayings.line(place, claim))
        told = self._told(
            Kind.SUBJECT,
            other,
            self._sayings.one(place, holds=True),
            grave=True,
        )
        if self._rng.random() < 0.2:
            # Only the claim itself names the other.
            line = self._sayings.line(place, self._sayings.claim(place, holds=True), of=other.shown)
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
        return self._told(Kind.UNIT, place, self._sayings.line(place, claim))

    def invented_call(self, place: Place) -> Told:
        """A number whose evidence was never gathered."""
        number = self._rng.randint(200, 99_999) if self._fresh else 999
        calls = (
            "c0",
            f"c{number}",
            "c00001",
            "C1",
            f"call-{number}",
            "alpha/other#1.1",
            "c1/again",
        )
        claim = self._sayings.claim(place, holds=False)
        return self._told(
            Kind.CALL, place, self._sayings.line(place, claim, at=f"@{self._rng.choice(calls)}")
        )

    def inverted(self, place: Place) -> Told:
        """A true claim with its comparator turned round."""
        sign, said = self._sayings.claim(place, holds=True)
        return self._told(Kind.INVERTED, place, self._sayings.line(place, (INVERSE[sign], said)))

    def other_host(self, place: Place) -> Told | None:
        """What is so of the same thing on another host."""
        others = [
            one for one in self._others if one.metric == place.metric and one.value != place.value
        ]
        same = [one for one in others if one.key == place.key]
        if not others:
            return None
        claim = self._sayings.about(place, self._rng.choice(same or others))
        if claim is None:
            return None
        line = self._sayings.line(place, claim)
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
        sign, said = self._sayings.claim(place, holds=False)
        return self._told(Kind.FIELD, place, f"{place.metric} {sign} {said} {where}")

    def immaterial(self, place: Place) -> Told | None:
        """What is so and well, called critical."""
        if place.truth.severity is not None:
            return None
        line = self._sayings.one(place, holds=True)
        return self._told(Kind.IMMATERIAL, place, line, severity=Severity.CRITICAL)

    def graver(self, place: Place) -> Told | None:
        """A fault that is there, and only a warning."""
        if place.truth.severity is not Severity.WARNING:
            return None
        line = self._sayings.one(place, holds=True)
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

    def borrowed(self, place: Place) -> Told | None:
        """A fault that is there, cited to make something grave of another that is well."""
        ill = [
            one for one in self._places if one.truth.severity is not None and one.key != place.key
        ]
        if place.truth.severity is not None or not ill:
            return None
        fault = self._rng.choice(ill)
        mine, theirs = (self._sayings.one(one, holds=True) for one in (place, fault))
        told = self._told(Kind.BORROWED, place, mine, severity=Severity.CRITICAL)
        if self._rng.random() < 0.5:
            return told.model_copy(update={"claims": (mine, theirs)})
        # The fault first, so that the finding is about it, and the other's name over it.
        title = told.title if place.key in told.title else f"{place.key}: {told.title}"
        changed = {"title": title, "claims": (theirs, mine), "names": place.key}
        return told.model_copy(update=changed | {"metric": fault.metric, "key": fault.key})

    def beside(self, place: Place) -> Told | None:
        """A fault that is there, and a lie about something else in the same breath."""
        ill = [one for one in self._places if one.truth.severity is not None and one is not place]
        if not ill:
            return None
        told = self.truth(self._rng.choice(ill))
        lines = [*told.claims, self._sayings.one(place, holds=False)]
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
