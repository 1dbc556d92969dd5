"""One call's way from endpoint to endpoint until one answers or its time is up. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from swarm_tasks.brain.endpoints import Endpoint, Endpoints
from swarm_tasks.brain.retry import LATE_SHARE, Again, Patience
from swarm_tasks.errors import ModelError, ModelUnreachable

REMEDY = "see that it is up and well, and that HOSTSWARM_ROUTER_URL names it"
LIMIT_REMEDY = "raise that limit, or run fewer agents at once"


@dataclass(slots=True)
class Trial:
    """What became of a call so far.

    It goes in rounds, in each of which every endpoint is asked once, at once. Between rounds it
    waits. A call that finds every circuit open when it begins is not begun; one that is under way
    waits for them as it waits after a round.

    Args:
        began, end: On the clock that the circuits use.
        failed: Endpoints that failed in this round.
        given_up: Endpoints that refuse for good.
    """

    endpoints: Endpoints
    patience: Patience
    began: float
    end: float
    draw: Callable[[], float] = random.random
    failed: dict[Endpoint, Again] = field(default_factory=dict[Endpoint, Again])
    given_up: dict[Endpoint, ModelError] = field(default_factory=dict[Endpoint, ModelError])
    _not_before: dict[Endpoint, float] = field(default_factory=dict[Endpoint, float])
    _tries: int = 0
    _rounds: int = 0
    _sick_rounds: int = 0

    def next(self, now: float) -> Endpoint | None:
        """The endpoint to be asked now, or None: then there is a pause to be made."""
        return self.endpoints.least_busy(self._skipped(now), now)

    def until(self, endpoint: Endpoint, now: float) -> float:
        """When asking this endpoint ends: half-way, where another is left for the other half."""
        if self.endpoints.have_another(endpoint, self._skipped(now), now):
            return now + 0.5 * (self.end - now)
        return self.end

    def lost(self, endpoint: Endpoint, failure: Again, now: float) -> None:
        """An endpoint failed, and may do better."""
        self._tries += 1
        self.failed[endpoint] = failure
        endpoint.trouble = failure.reason
        if failure.after_seconds:
            self._not_before[endpoint] = now + failure.after_seconds
            endpoint.rest(failure.after_seconds, now)

    def refused(self, endpoint: Endpoint, error: ModelError) -> None:
        """An endpoint refused, and would again."""
        self._tries += 1
        self.given_up[endpoint] = error
        endpoint.trouble = error.message.removeprefix(f"{endpoint.url} ")

    def pause(self, now: float) -> float:
        """Seconds to wait before the next round, which begins with that.

        Raises:
            ModelError: There is no sense in it: all refuse, or the call's patience or time is up.
        """
        left = [one for one in self.endpoints.all if one not in self.given_up]
        if not left:
            raise next(iter(self.given_up.values()))
        free_in = min(self._free_in(one, now) for one in left)
        if not self._tries and free_in > 0:
            words = f"{self._troubles()}, and is tried again in {max(1.0, free_in):.0f} s"
            raise ModelUnreachable(words, REMEDY)
        self._rounds += 1
        # A probe that is under way ends this round too: nobody waits on it for ever.
        self._sick_rounds += not self.failed or any(one.sick for one in self.failed.values())
        if self._sick_rounds >= self.patience.rounds:
            raise self._unreachable(now)
        asked = any(one in self._not_before for one in self.failed)
        delay = self.patience.delay(self._rounds, self.draw)
        if asked and free_in > 0:
            # At least ours: else one that asks for a millisecond is asked a thousand times. Yet
            # no more than half of what is left, since it is alive.
            told = free_in * (1 + LATE_SHARE * self.draw())
            seconds = max(told, min(delay, 0.5 * (self.end - now)))
        else:
            seconds = max(free_in, delay)
        if now + seconds >= self.end:
            raise self._unreachable(now, free_in if asked else 0.0)
        self.failed.clear()
        return seconds

    def _skipped(self, now: float) -> set[Endpoint]:
        if not self._tries:
            return _NONE
        resting = (one for one, when in self._not_before.items() if when > now)
        return {*self.failed, *self.given_up, *resting}

    def _free_in(self, endpoint: Endpoint, now: float) -> float:
        return max(endpoint.circuit.wait_seconds, self._not_before.get(endpoint, now) - now)

    def _troubles(self) -> str:
        """What is wrong with each, in words."""
        return "; ".join(f"{one.url} {one.trouble or 'fails'}" for one in self.endpoints.all)

    def _unreachable(self, now: float, asked_seconds: float = 0.0) -> ModelUnreachable:
        left = max(0.0, self.end - now)
        if asked_seconds > max(left, 1.0):
            words = (
                f"{self._troubles()}, and asks to wait {asked_seconds:.0f} s, more than the "
                f"{left:.1f} s that are left"
            )
            return ModelUnreachable(words, LIMIT_REMEDY)
        times = "once" if self._tries == 1 else f"{self._tries} times"
        words = f"{self._troubles()} (tried {times} in {now - self.began:.1f} s)"
        return ModelUnreachable(words, REMEDY)


_NONE: set[Endpoint] = set()
