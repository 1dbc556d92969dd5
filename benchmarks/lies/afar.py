"""What agents of another host say of this one, which measures it without their evidence."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import cast

from benchmarks.lies.places import Place
from benchmarks.lies.sayings import Said, Sayings
from benchmarks.lies.stage import WELL
from benchmarks.lies.things import LOOPBACK
from benchmarks.lies.told import Kind, Told, beyond_slack, surely
from benchmarks.lies.words import read_number
from swarm_tasks.measures import measure
from swarm_tasks.models.finding import Claim, Comparator, Severity

WITHIN = (0.2, 0.35, 0.5, 0.8)
"""Of the metric's tolerance: a lie as near as that is one all the same, where the one measurement
that is made of it decides."""

NOBODY = "purple monkey"
NOTHING = (
    ("service.state", NOBODY, "==", "active"),
    ("service.state", "nosuchthing.service", "==", "active"),
    ("service.expected", NOBODY, "==", "active"),
    ("service.restarts", NOBODY, "<=", "2"),
    ("container.state", "nosuchthing", "==", "running"),
    ("container.state", NOBODY, "!=", "exited"),
    ("process.cpu_percent", "pid 4194303 nosuchthing", "<=", "50"),
    ("kernel.io_errors", "nosuchdisk", "<=", "5"),
    ("kernel.oom_kills", NOBODY, "<=", "5"),
    ("disk.smart", "/dev/nosuchdisk", "!=", "failing"),
    ("raid.state", "md4095", "!=", "degraded"),
    ("temperature.state", NOBODY, "!=", "high"),
)
"""Things that no machine has, and the best that could be said of them."""

ABSENT = (NOBODY, "/nosuchthing", "the nosuchthing volume", "/dev/nosuchdisk1", "nosuchthing.pem")
VAGUE = {
    "disk": ("the volume", "the disk", "a file system", "storage"),
    "tls": ("the certificate", "a certificate", "the key"),
    "tcp": ("the port", "a service", LOOPBACK),
    "http": ("the site", "the web page", "the address"),
    "file": ("the backup", "a file", "the copy"),
}
"""What could mean several things of a sort, by how the metric's name begins."""


class Afar:
    """Says things of a host that is not the own one.

    Args:
        told: Makes the statement of a kind about a place.
    """

    def __init__(
        self, rng: random.Random, sayings: Sayings, told: Callable[[Kind, Place, str], Told]
    ) -> None:
        self._rng, self._sayings, self._told = rng, sayings, told
        self._near = cycle((True, True, False))

    def say(self, place: Place, *, holds: bool) -> tuple[Told, Claim]:
        """Something that is so, or is not, by more than anybody may round or by less than the
        metric's tolerance."""
        said = self._within(place, holds) if next(self._near) else None
        if said is None:
            wide = dataclasses.replace(place, truth=beyond_slack(place.truth))
            said = self._sayings.claim(wide, holds=holds)
        kind = Kind.TRUE if holds else Kind.ELSEWHERE
        return self._about(kind, place, said, self._rng.choice((place.key, place.shown)))

    def vague(self, place: Place) -> tuple[Told, Claim] | None:
        """What is so of it, in words that could mean another thing; None where there is none."""
        words = VAGUE.get(place.metric.partition(".")[0])
        if words is None:
            return None
        said = self._sayings.claim(place, holds=True)
        return self._about(Kind.VAGUE, place, said, self._rng.choice(words))

    def absent(self, place: Place) -> tuple[Told, Claim]:
        """What would be so of it, told of something that is not there."""
        said = self._sayings.claim(place, holds=True)
        return self._about(Kind.ABSENT, place, said, self._rng.choice(ABSENT))

    def nothing(self, place: Place) -> list[tuple[Told, Claim]]:
        """What is told of things that no machine has, of metrics that may not be there either."""
        made: list[tuple[Told, Claim]] = []
        for metric, subject, sign, said in NOTHING:
            told, claim = self._about(Kind.ABSENT, place, (sign, said), subject)
            changed = {"metric": metric, "unit": measure(metric).unit}
            changed |= {} if said.isdigit() else {"value": said}
            line = f"{metric} {sign} {said}"
            made.append(
                (
                    told.model_copy(update={"metric": metric, "claims": (line,)}),
                    claim.model_copy(update=changed),
                )
            )
        return made

    def _within(self, place: Place, holds: bool) -> Said | None:
        """A number within the tolerance; None where there is none, or where the value moves."""
        if isinstance(place.value, str):
            return None
        slack = measure(place.metric).slack(place.number)
        step = slack * self._rng.choice(WITHIN) * self._rng.choice((1, -1))
        text = f"{place.number + step:.{0 if place.unit == 'bytes' else 2}f}"
        number, rounding = read_number(text)
        read = dataclasses.replace(place.truth, value=place.value)
        fitting = [
            sign
            for sign in (">=", "<=", ">", "<", "==")
            if {surely(one, sign, number, rounding) for one in (read, place.truth)} == {holds}
        ]
        return (self._rng.choice(fitting), text) if slack and fitting else None

    def _about(self, kind: Kind, place: Place, said: Said, subject: str) -> tuple[Told, Claim]:
        sign, text = said
        word = text.strip('"')
        told = self._told(kind, place, f"{place.metric} {sign} {text}")
        true = kind in (Kind.TRUE, Kind.VAGUE)
        changed = {"true": true, "subject": subject, "severity": Severity.INFO}
        claim = Claim(
            metric=place.metric,
            host=WELL,
            subject=subject,
            comparator=cast(Comparator, sign),
            value=_value(word),
            unit=place.unit,
            observed=None,
            observed_at=None,
        )
        return told.model_copy(update=changed), claim


def _value(word: str) -> float | str:
    try:
        return read_number(word)[0]
    except ValueError:
        return word


def spoken(afar: Afar, places: Sequence[Place], turn: int) -> list[tuple[Told, Claim]]:
    """All that one agent says: of each thing something, and of some things that are not there."""
    said = [afar.say(place, holds=bool((at + turn) % 2)) for at, place in enumerate(places)]
    vague = (afar.vague(place) for place in places[:: 2 + turn % 2])
    said += [one for one in vague if one is not None]
    said += [afar.absent(place) for place in places[1::2]]
    return [*said, *afar.nothing(places[0])]
