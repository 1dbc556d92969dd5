"""Several endpoints that offer the same model, and which of them is asked next."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from swarm_tasks.brain.circuit import Circuit
from swarm_tasks.brain.place import Place


@dataclass(slots=True, eq=False)
class Endpoint:
    """One of them.

    Args:
        url: Its base URL.
        in_flight: Requests that it has not answered yet.
        trouble: What last went wrong with it, as it is said of it: "refuses connections".
    """

    url: str
    place: Place
    circuit: Circuit
    in_flight: int = 0
    trouble: str = ""


class Endpoints:
    """All of them. The least busy is asked; where several are, they take turns."""

    def __init__(self, all_of_them: Sequence[Endpoint]) -> None:
        self.all = tuple(all_of_them)
        self._turn = 0

    def least_busy(self, without: Collection[Endpoint] = ()) -> Endpoint | None:
        """The least busy of those whose circuit lets through, or None for none.

        Args:
            without: Those that are not asked.
        """
        size = len(self.all)
        self._turn = (self._turn + 1) % size
        best: Endpoint | None = None
        for number in range(size):
            one = self.all[(self._turn + number) % size]
            if one in without or not one.circuit.lets_through:
                continue
            if best is None or one.in_flight < best.in_flight:
                best = one
        return best

    def have_another(self, endpoint: Endpoint, without: Collection[Endpoint]) -> bool:
        """Whether there is one more that could be asked after this one."""
        return len(self.all) > 1 and any(
            one is not endpoint and one not in without and one.circuit.lets_through
            for one in self.all
        )
