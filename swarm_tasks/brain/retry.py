"""What is worth trying again, and when. Pure.

Worth it are 408, 429, 5xx (but for 501) and whatever is lost on the way; other 4xx are not: the
same request is refused again. Delays have full jitter, so that agents who failed together do not
come back together; see the AWS Architecture Blog, "Exponential Backoff and Jitter".
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from swarm_tasks.errors import ModelError

LATE_SHARE = 0.1
"""How much longer than it was told to a call waits at most, for the same reason as jitter."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long and how often endpoints are tried.

    Args:
        rounds: How often a call tries all endpoints that fail. Waiting that an endpoint asks for
            is not counted: it is alive.
        base_seconds: The most that is waited after the first round; each doubles it …
        most_seconds: … up to this.
        connect_seconds: How long a connection may take.
        failures: In a row, these open an endpoint's circuit …
        cool_down_seconds: … for so long at first, …
        most_cool_down_seconds: … and at most for so long.
    """

    rounds: int = 6
    base_seconds: float = 0.5
    most_seconds: float = 8.0
    connect_seconds: float = 5.0
    failures: int = 5
    cool_down_seconds: float = 1.0
    most_cool_down_seconds: float = 30.0

    def delay(self, round_number: int, draw: Callable[[], float] = random.random) -> float:
        """Seconds to wait after a round, from 1."""
        most = min(self.most_seconds, self.base_seconds * 2 ** min(round_number - 1, 16))
        return most * draw()


class Again(Exception):
    """A request failed and another might not.

    Args:
        reason: What happened, as it is said of the endpoint: "refuses connections".
        sick: Whether that speaks against the endpoint's health.
        after_seconds: How long it asks to be left alone.
    """

    def __init__(self, reason: str, sick: bool = True, after_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sick = sick
        self.after_seconds = after_seconds


class Elsewhere(Exception):
    """This endpoint refuses for good; another one may not.

    Args:
        error: What is said if none does otherwise.
        shut: Whether it would refuse any other request as well, as one out of quota does.
    """

    def __init__(self, error: ModelError, shut: bool = False) -> None:
        super().__init__(str(error))
        self.error = error
        self.shut = shut


def is_worth_it(status: int) -> bool:
    """Whether a request that ended with this HTTP status may be sent again."""
    return status in (408, 429) or (status >= 500 and status != 501)


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """The seconds that a `Retry-After` header asks for (RFC 9110, 10.2.3); None for none.

    It is a number of seconds or a date; fractions, which some routers send, are taken too.
    """
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            when = parsedate_to_datetime(value)
        except ValueError:
            return None
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        seconds = (when - (now or datetime.now(UTC))).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None
