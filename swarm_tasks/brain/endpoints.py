"""Several endpoints that offer the same model, and which of them is asked next."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from swarm_tasks.brain.circuit import Circuit
from swarm_tasks.brain.place import Place

MOST_REST_SECONDS = 60.0
"""An endpoint that asks for a longer rest is tried again after this: its limit may be raised."""


@dataclass(slots=True, eq=False)
class Endpoint:
    """One of them.

    Args:
        url: Its base URL.
        in_flight: Requests that it has not answered yet.
        trouble: What last went wrong with it, as it is said of it: "refuses connections".
        not_before: Until then it asks to be left alone, by the clock of who asked it. It answers
            at once that it does, and so would seem the least busy to all others.
    """

    url: str
    place: Place
    circuit: Circuit
    in_flight: int = 0
    trouble: str = ""
    not_before: float = 0.0

    def rest(self, seconds: float, now: float) -> None:
        """It asks to be left alone for so long."""
        self.not_before = max(self.not_before, now + min(seconds, MOST_REST_SECONDS))


class Endpoints:
    """All of them. The least busy is asked; where several are, they take turns."""

    def __init__(self, all_of_them: Sequence[Endpoint]) -> None:
        self.all = tuple(all_of_them)
        self._turn = 0

    def least_busy(self, without: Collection[Endpoint] = (), now: float = 0.0) -> Endpoint | None:
        """The least busy of those whose circuit lets through, or None for none.

        One that asks to be left alone is taken only where there is no other.

        Args:
            without: Those that are not asked.
        """
        size = len(self.all)
        self._turn = (self._turn + 1) % size
        best: Endpoint | None = None
        least = (True, 0)
        for number in range(size):
            one = self.all[(self._turn + number) % size]
            if one in without or not one.circuit.lets_through:
                continue
            rank = (one.not_before > now, one.in_flight)
            if best is None or rank < least:
                best, least = one, rank
        return best

    def have_another(
        self, endpoint: Endpoint, without: Collection[Endpoint], now: float = 0.0
    ) -> bool:
        """Whether there is one more that could be asked after this one."""
        return len(self.all) > 1 and any(
            one is not endpoint
            and one not in without
            and one.not_before <= now
            and one.circuit.lets_through
            for one in self.all
        )
