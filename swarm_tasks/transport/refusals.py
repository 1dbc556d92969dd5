"""What a worker does while the store answers and takes no writes: its disk is full, most likely.

Taking a message from a queue is a write. kombu ends the worker for a refusal, and all that its
agents do with it. Here it waits, takes nothing more, and goes on when there is room again.
"""

from __future__ import annotations

import random
import time
from collections import deque
from queue import Empty
from typing import Any, cast

import redis
from kombu.transport import virtual
from kombu.transport.redis import Channel, QoS

from swarm_tasks.log import logger
from swarm_tasks.store.passing import passes

PAUSE_SECONDS = (0.5, 1.0)
"""How long nothing is asked of a store that refused; by chance, so that a fleet does not come back
all at once."""


class PatientQoS(QoS):
    """Counts messages, and owes the store what it did not take."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._owed: deque[str] = deque()

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message. Its place is free at once, whatever the store says."""
        try:
            super().ack(delivery_tag)
        except redis.ResponseError as error:
            if not passes(error):
                raise
            self._owed.append(delivery_tag)
            virtual.QoS.ack(self, delivery_tag)

    def settle(self) -> None:
        """Take the messages whose acknowledgement the store refused off its list.

        Raises:
            redis.RedisError: It refuses still.
        """
        while self._owed:
            cast(Any, self)._remove_from_indices(self._owed[0]).execute()
            self._owed.popleft()


class PatientChannel(Channel):
    """A channel that outlives a refusal."""

    QoS = PatientQoS

    _refused = False
    _ask_at = 0.0

    def _brpop_start(self, timeout: float | None = None) -> None:
        """Ask for the next message, unless the store has just refused to give one."""
        if time.monotonic() < self._ask_at:
            return
        try:
            cast(PatientQoS, self.qos).settle()
        except redis.ResponseError as error:
            self._refuse(error)
        else:
            cast(Any, super())._brpop_start(timeout)

    def _brpop_read(self, **options: Any) -> Any:
        """Read the next message; a refusal is none."""
        try:
            found = cast(Any, super())._brpop_read(**options)
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
            return cast(Any, super())._receive()
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
            logger("worker").warning("the store takes no writes, waiting until it does: %s", error)
        self._ask_at = time.monotonic() + random.uniform(*PAUSE_SECONDS)  # noqa: S311

    def _take(self) -> None:
        if self._refused:
            self._refused = False
            logger("worker").warning("the store takes writes again")
