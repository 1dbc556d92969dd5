"""The host's history: what is kept of a part, and how tools see it without blocking the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import redis

from swarm_tasks.log import logger
from swarm_tasks.measures import measures
from swarm_tasks.models.report import Measured
from swarm_tasks.store.history import History

MOST_KEPT = 200
"""Values that one part may keep; a host has some tens."""


class StoreHistory:
    """Samples that the store keeps for this host."""

    def __init__(self, history: History) -> None:
        self._history = history

    async def samples(self, metric: str, subject: str) -> list[tuple[float, float]]:
        """Pairs of Unix time in seconds and value, oldest first."""
        return await asyncio.to_thread(self._history.samples, metric, subject)


def worth_keeping(measured: Iterable[Measured]) -> list[tuple[str, str, float]]:
    """Metric, subject and value of what has a course over time, at most `MOST_KEPT`. Pure."""
    known = measures()
    found = [
        (one.metric, one.subject, float(one.value))
        for one in measured
        if one.metric in known and known[one.metric].kept and not isinstance(one.value, str)
    ]
    return found[:MOST_KEPT]


def keep(history: History, measured: Iterable[Measured]) -> None:
    """Keep the values that the rules read in one part, in one round trip.

    They are not worth a part: a store that is away has one point less, which a trend can spare.
    """
    samples = worth_keeping(measured)
    try:
        if samples:
            history.add(samples)
    except redis.RedisError as error:
        logger("worker").warning("%d values of a part were not kept: %s", len(samples), error)
