"""What a worker does while the store answers and takes no writes: its disk is full, most likely.

To take a message from a queue is a write. kombu ends the worker for a refusal, and with it all that
its agents do. Here it waits, takes nothing meanwhile, and goes on when there is room again.
"""

# kombu's own classes are untyped here.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import random
import time
from queue import Empty
from typing import Any

import redis
from kombu.transport import redis as kombu_redis

from swarm_tasks.log import logger
from swarm_tasks.store.passing import passes

KOMBU: Any = kombu_redis
"""Its stubs leave most of it out."""

PAUSE_SECONDS = (0.5, 1.0)
"""How long nothing is asked of a store that refused; by chance, so that a fleet does not come back
all at once."""


class PatientChannel(KOMBU.Channel):
    """A channel that outlives a refusal."""

    _refused = False
    _ask_at = 0.0

    @property
    def holds_back(self) -> bool:
        """Whether the store has just refused, and is not to be asked for a message now."""
        return time.monotonic() < self._ask_at

    def _brpop_start(self, timeout: float | None = None) -> None:
        """Ask for the next message, unless the store has just refused to give one."""
        if not self.holds_back:
            super()._brpop_start(timeout)

    def _brpop_read(self, **options: Any) -> Any:
        """Read the next message; a refusal is none."""
        try:
            found = super()._brpop_read(**options)
        except Empty:
            self._take()
            raise
        except redis.ResponseError as error:
            self._refuse(error)
            raise Empty from None
        self._take()
        return found

    def _receive(self) -> Any:
        """Read what is told to all workers; between it a sign of life may have been refused."""
        try:
            return super()._receive()
        except redis.ResponseError as error:
            self._refuse(error)
            raise Empty from None

    def _refuse(self, error: redis.ResponseError) -> None:
        """Leave the store alone for a while.

        Raises:
            redis.ResponseError: What it said does not pass by itself.
        """
        if not passes(error):
            raise error
        if not self._refused:
            self._refused = True
            logger("transport").warning("the store takes no writes, waiting for it: %s", error)
        self._ask_at = time.monotonic() + random.uniform(*PAUSE_SECONDS)  # noqa: S311

    def _take(self) -> None:
        if self._refused:
            self._refused = False
            logger("transport").warning("the store takes writes again")
