"""A circuit breaker: whether an endpoint is asked at all. Pure; the clock is given.

          5 failures in a row, or one that is final
    CLOSED ---------------------------------------> OPEN
      ^                                             |  ^
      | any success                   cool-down over|  | the probe fails: twice the cool-down
      |                                             v  |
      +------------------------------------------ HALF_OPEN, where one request, the probe, goes in

A refused connection is a failure like others: it costs a millisecond, so nothing is gained by
opening sooner, and a server that is being restarted refuses for some seconds.

After Nygard, "Release It!", chapter 5; the jitter is that of the AWS Architecture Blog,
"Exponential Backoff and Jitter" (equal jitter, so that a cool-down is never near zero).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from enum import StrEnum


class State(StrEnum):
    """Where a circuit is."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Circuit:
    """What is known of one endpoint's health.

    Whoever asks calls `enter` and gives its ticket back with how it ended. What began before the
    circuit last changed does not count against it: a hundred requests that are lost with one
    server open it once. A success always counts.

    Args:
        clock: Seconds that only grow.
        failures: How many in a row open it.
        cool_down_seconds: The first cool-down; each failed probe doubles it …
        most_seconds: … up to this.
        draw: A random number from 0 to 1.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        failures: int = 5,
        cool_down_seconds: float = 1.0,
        most_seconds: float = 30.0,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock
        self._most_failures = failures
        self._first_seconds = cool_down_seconds
        self._most_seconds = most_seconds
        self._draw = draw
        self._failures = 0
        self._openings = 0
        self._until: float | None = None
        self._probing = False
        self._era = 0

    @property
    def state(self) -> State:
        """Where it is now."""
        if self._until is None:
            return State.CLOSED
        return State.OPEN if self._clock() < self._until else State.HALF_OPEN

    @property
    def lets_through(self) -> bool:
        """Whether a request may go in now."""
        if self._until is None:
            return True
        return not self._probing and self._clock() >= self._until

    @property
    def wait_seconds(self) -> float:
        """Seconds until a request may go in; 0 also while the probe is under way."""
        return 0.0 if self._until is None else max(0.0, self._until - self._clock())

    def enter(self) -> int:
        """Begin a request, for which `lets_through` holds; its ticket."""
        if self._until is not None:
            self._probing = True
        return self._era

    def succeeded(self) -> None:
        """A request was answered: the endpoint is well, whatever was before."""
        self._failures = 0
        if self._until is not None:
            self._until = None
            self._probing = False
            self._openings = 0
            self._era += 1

    def failed(self, ticket: int, final: bool = False) -> None:
        """A request failed.

        Args:
            final: It is known that others would fail too, so that one is enough.
        """
        if ticket != self._era:
            return
        self._failures += 1
        if self._until is not None or final or self._failures >= self._most_failures:
            self._open()

    def left(self, ticket: int) -> None:
        """A request was given up before its end, which says nothing; a probe may follow."""
        if ticket == self._era:
            self._probing = False

    def _open(self) -> None:
        # Past the tenth doubling the power itself would only grow.
        seconds = min(self._most_seconds, self._first_seconds * 2 ** min(self._openings, 10))
        self._until = self._clock() + seconds * (0.5 + 0.5 * self._draw())
        self._openings += 1
        self._probing = False
        self._failures = 0
        self._era += 1
