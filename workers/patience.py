"""Tries again what needs a store that is away."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

import redis

from swarm_tasks.log import logger
from swarm_tasks.store.passing import passes

PATIENCE_SECONDS = 60.0
"""How long a part that is done waits for a store that is away."""

T = TypeVar("T")


def patiently(action: Callable[[], T], since: float) -> T:
    """Do what needs the store, and again while it is away: work that is done must not be lost
    because the store is being restarted.

    It holds its thread, one of a few. While those wait for the store, whatever else ends waits in
    line behind them, and nothing of it is lost: each has its own time, and at least one try.

    Args:
        since: From when on it is patient, on the monotonic clock.

    Raises:
        redis.RedisError: It stayed away for longer than `PATIENCE_SECONDS`.
    """
    end = since + PATIENCE_SECONDS
    while True:
        try:
            return action()
        except redis.RedisError as error:
            if not passes(error) or time.monotonic() > end:
                raise
            logger("worker").warning("the store is away, trying again: %s", error)
            # Chance, so that a fleet does not come back all at once.
            time.sleep(random.uniform(0.1, 1.0))  # noqa: S311
