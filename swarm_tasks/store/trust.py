"""What became of models' claims, kept over jobs: who is to be believed, and for what."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from swarm_tasks.models.base import NAME_PATTERN, now_utc
from swarm_tasks.models.report import Doubt
from swarm_tasks.models.tally import Tally, by_source
from swarm_tasks.store import keys
from swarm_tasks.store.commands import Commands
from swarm_tasks.unseen import plain_line

COUNTED = tuple(name for name in Tally.model_fields if name not in ("model", "specialist"))
"""What of a tally is kept: each under a field of its own, `NAME SPECIALIST MODEL`."""

MODEL_LIMIT = 200
"""Characters of a model's name: as many as the settings take."""

MOST_SOURCES = 500
"""Models and specialists that are kept for one day; their names come from hosts."""

MOST_CLAIMS = 100
"""Claims of one part's tally that count, for each thing that may become of them: as many as a
worker reads in one answer. What a single host says must not weigh more than that."""

LEAST_CHECKED = 5
"""With fewer claims that were checked, nobody is doubted: the interval below promises too much for
the smallest samples, where one wrong claim of one would be at least 21 percent wrong."""

Z95 = 1.959963984540054
"""The quantile of the normal distribution for 95 percent between both bounds."""


@dataclass(frozen=True, slots=True)
class Increments:
    """What the end of a job adds to the trust record; the ledger adds it as it closes the job.

    Args:
        key: The day's bucket.
        pairs: A field and its number, one after the other.
        life_seconds: How long the bucket is kept from then on.
        most_fields: How many fields it may have.
    """

    key: str
    pairs: tuple[str | int, ...] = ()
    life_seconds: int = keys.TRUST_TTL_SECONDS
    most_fields: int = MOST_SOURCES * len(COUNTED)


def increments(tallies: Iterable[Tally], at: datetime | None = None) -> Increments:
    """What some claims add to the record. Only what a model said counts; rules measure.

    Args:
        tallies: As each part counted, one for each source of a part: each is bounded by itself.
        at: Whose day it is added to; None for now.
    """
    sums = Counter[str]()
    for tally in tallies:
        source = _source(tally.model, tally.specialist)
        if source is not None:
            for name in COUNTED:
                sums[f"{name} {source}"] += min(int(getattr(tally, name)), MOST_CLAIMS)
    return Increments(
        key=keys.TRUST.at(day=_day((at or now_utc()).date())),
        pairs=tuple(one for pair in sums.items() if pair[1] for one in pair),
    )


class TrustRecord:
    """What became of claims by model and specialist, in a bucket for each day. It is read here;
    the ledger adds to it (`increments`).

    Args:
        client: The store.
    """

    def __init__(self, client: Commands) -> None:
        self._client = client

    def tallies(self, days: int = keys.TRUST_DAYS) -> tuple[Tally, ...]:
        """What became of the claims of the last `days` days, today's among them, by model and
        specialist."""
        today = now_utc().date()
        pipe = self._client.pipeline(transaction=False)
        for back in range(days):
            pipe.hgetall(keys.TRUST.at(day=_day(today - timedelta(days=back))))
        return by_source(tally for bucket in pipe.execute() for tally in _read(bucket))

    def doubts(
        self,
        pairs: Iterable[tuple[str, str]] | None,
        limit_percent: float,
        days: int = keys.TRUST_DAYS,
    ) -> tuple[Doubt, ...]:
        """Which of these are doubted.

        Args:
            pairs: Models with their specialists; None for all that are known.
            limit_percent: The share of checked claims that may be wrong.
        """
        wanted = None if pairs is None else {_source(*pair) for pair in pairs}
        return tuple(
            Doubt(
                tally=tally,
                wrong_percent=wrong_percent(tally),
                limit_percent=limit_percent,
            )
            for tally in self.tallies(days)
            if wanted is None or _source(tally.model, tally.specialist) in wanted
            if is_doubted(tally, limit_percent)
        )


def wrong_percent(tally: Tally) -> float:
    """The share of checked claims that were wrong; 0 where none was checked."""
    return 100 * tally.wrong / tally.checked if tally.checked else 0.0


def wrong_at_least_percent(tally: Tally) -> float:
    """The share of wrong claims that this sample proves: the lower bound of its interval."""
    return 100 * wilson_low(tally.wrong, tally.checked)


def is_doubted(tally: Tally, limit_percent: float) -> bool:
    """Whether so many claims were wrong that it cannot be chance; never for a limit of 100."""
    return tally.checked >= LEAST_CHECKED and wrong_at_least_percent(tally) > limit_percent


def wilson_low(hits: int, of: int, z: float = Z95) -> float:
    """The lower bound of the Wilson score interval for a share, 0 to 1.

    E. B. Wilson, Probable Inference, the Law of Succession, and Statistical Inference, Journal of
    the American Statistical Association 22 (1927), 209-212. Of few trials it says little, unlike
    the share itself; see also Brown, Cai and DasGupta, Statistical Science 16 (2001), 101-133.

    Args:
        hits: How often it was so.
        of: How often it was looked at; none proves nothing.
        z: The quantile of the normal distribution; 95 percent unless told.
    """
    if of <= 0 or hits <= 0:
        return 0.0
    share = hits / of
    centre = share + z * z / (2 * of)
    spread = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return max((centre - spread) / (1 + z * z / of), 0.0)


def _source(model: str, specialist: str) -> str | None:
    """How a model and a specialist are written in a field; None for what no model's agent is."""
    name = plain_line(model, MODEL_LIMIT).strip()
    if not name or re.fullmatch(NAME_PATTERN, specialist) is None:
        return None
    return f"{specialist} {name}"


def _day(day: date) -> str:
    return day.isoformat()


def _read(bucket: dict[str, str]) -> list[Tally]:
    """A day's bucket; a field that another version may have written is left out."""
    found: list[Tally] = []
    for field, number in bucket.items():
        name, _, source = field.partition(" ")
        specialist, _, model = source.partition(" ")
        if name in COUNTED and model and re.fullmatch(r"\d{1,18}", number):
            found.append(
                Tally(model=model, specialist=specialist).model_copy(update={name: int(number)})
            )
    return found
