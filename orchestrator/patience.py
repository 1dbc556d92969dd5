"""Gets whoever follows a job over a store that is away for a while."""

from __future__ import annotations

import random
import time

import redis

from swarm_tasks.errors import JobError
from swarm_tasks.log import logger
from swarm_tasks.store.passing import passes

AWAY_SECONDS = 60.0
"""How long the store may be away in one go: a restart, a failover, a file of some gigabytes."""

PAUSE_SECONDS = (0.2, 1.0)
"""Between two tries; by chance, so that not all who follow come back at once."""


class Patience:
    """What one who follows a job bears of the store.

    Args:
        job: The job's id.
        seconds: How long the store may be away in one go.
    """

    def __init__(self, job: str, seconds: float = AWAY_SECONDS) -> None:
        self._job = job
        self._seconds = seconds
        self._since: float | None = None

    def bear(self, error: redis.RedisError) -> None:
        """Wait a moment before the next try.

        Raises:
            redis.RedisError: The error itself: it does not pass, or this has taken too long.
        """
        now = time.monotonic()
        if self._since is None:
            self._since = now
            if passes(error):
                logger("fleet").warning(
                    "job %s: the store is away, waiting up to %.0f s for it: %s",
                    *(self._job, self._seconds, error),
                )
        if not passes(error) or now - self._since > self._seconds:
            raise error
        time.sleep(random.uniform(*PAUSE_SECONDS))  # noqa: S311

    def ease(self) -> None:
        """It answers."""
        if self._since is not None:
            self._since = None
            logger("fleet").warning("job %s: the store is back", self._job)


def forgotten(job: str) -> JobError:
    """What is said of a job that was there, and is no more."""
    return JobError(
        f"job {job} is gone: the store was restarted without the last of what it had been told",
        "ask again",
    )
