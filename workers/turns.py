"""Places that a few may have at the same time, whose number may change meanwhile."""

from __future__ import annotations

import asyncio
from collections import deque


class Turns:
    """Lets `most` at a time through an `async with`; the others wait in the order they came.

    Unlike a semaphore's, the number may be lowered: who has a turn keeps it, and nobody gets one
    until fewer have.

    Args:
        most: How many may have a turn at the same time.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def allow(self, most: int) -> None:
        """Let at least one and at most so many have a turn; from any thread. Where it is more than
        before, they are given when the next one ends."""
        self._most = max(1, most)

    async def __aenter__(self) -> None:
        """Wait for a turn."""
        if not self._waiting and self._taken < self._most:
            self._taken += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was given just before
                self._end()
            elif turn in self._waiting:
                self._waiting.remove(turn)
            raise

    async def __aexit__(self, *_: object) -> None:
        """Give the turn on."""
        self._end()

    def _end(self) -> None:
        self._taken -= 1
        while self._waiting and self._taken < self._most:
            turn = self._waiting.popleft()
            if not turn.cancelled():
                self._taken += 1
                turn.set_result(None)
