"""Whether there is room for a job: the parts that wait are bounded, for a host and for the fleet.

What waits is counted in the ledger, whatever carries the messages. Where the fleet is calm that is
one number; else each part that waits is read by its name, which costs about 1.5 µs of control's
time. Two who ask in the same moment may both find room.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from statistics import fmean

from swarm_tasks.config import Settings
from swarm_tasks.errors import Busy, JobError
from swarm_tasks.models.event import EventKind
from swarm_tasks.models.host import HostView
from swarm_tasks.models.job import HostTask
from swarm_tasks.store.events import last_events
from swarm_tasks.store.ledger import Ledger

LEAST_SECONDS, MOST_SECONDS = 5.0, 300.0
"""How soon a producer may be asked to come back, and how late."""

SPREAD = 0.1
"""By how much of it chance moves that time, so that producers do not come back together."""

USUAL_PART_SECONDS = 5.0
"""Where no part has closed lately: what a healthy machine takes at most for an audit."""

JOBS_LOOKED_AT, EVENTS_LOOKED_AT = 5, 100
"""From where it is known how long parts take: the last events of the newest jobs."""

HOSTS_NAMED = 3


class Pressure:
    """What waits, held against what may.

    Args:
        ledger: Where the parts that wait are counted.
        views: The whole fleet.
        draw: A number from 0 to 1, by chance.
    """

    def __init__(
        self,
        ledger: Ledger,
        settings: Settings,
        views: Sequence[HostView],
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._ledger = ledger
        self._host_limit = settings.host_queue_limit
        self._fleet_limit = settings.fleet_queue_limit
        self._places = {view.host: view.beat.capacity for view in views if view.beat}
        self._draw = draw

    def see_any_room(self, hosts: Collection[str]) -> None:
        """See that a job could have one part at least, before a model is paid to plan it.

        Args:
            hosts: Those that it may ask.

        Raises:
            Busy: The fleet is full, or each of these hosts is.
        """
        waiting = self._ledger.leases.count_waiting()
        self._see_fleet(waiting, 1)
        full = self._full(waiting, dict.fromkeys(hosts, 1))
        if full and len(full) == len(hosts):
            raise self._hosts_are_busy(full, dict.fromkeys(hosts, 1))

    def see_room(self, tasks: Sequence[HostTask]) -> None:
        """See that there is room for these parts of one job.

        Raises:
            JobError: They are more than may ever wait.
            Busy: They are, together with what waits now.
        """
        own = Counter(task.host for task in tasks)
        total = own.total()
        del own[""]  # parts for any host wait in the fleet, and for no host
        self._see_size(own, total)
        waiting = self._ledger.leases.count_waiting()
        self._see_fleet(waiting, total)
        if full := self._full(waiting, own):
            raise self._hosts_are_busy(full, own)

    def _see_size(self, own: Mapping[str, int], total: int) -> None:
        """A job that would not fit into an empty fleet is told so: it need not be asked again."""
        if total > self._fleet_limit:
            raise JobError(
                f"the job has {total:,} parts, and {self._fleet_limit:,} may wait in the fleet",
                "ask fewer hosts or specialists, or raise fleet_queue_limit",
            )
        host = max(own, key=lambda name: own[name], default="")
        if host and own[host] > self._host_limit:
            raise JobError(
                f"the job has {own[host]:,} parts for {host}, and {self._host_limit:,} may wait "
                "for one host",
                "ask fewer specialists, or raise host_queue_limit",
            )

    def _see_fleet(self, waiting: int, more: int) -> None:
        excess = waiting + more - self._fleet_limit
        if excess > 0:
            seconds = self._retry_after(excess / max(sum(self._places.values()), 0.001))
            raise _busy(
                f"{waiting:,} parts wait in the fleet, and with {_more(more)} that is more than "
                f"the {self._fleet_limit:,} that may",
                seconds,
            )

    def _full(self, waiting: int, own: Mapping[str, int]) -> dict[str, int]:
        """The hosts that have no room for so many more, with what waits for each."""
        if waiting + max(own.values(), default=0) <= self._host_limit:
            return {}  # not even if all of it were for one host
        by_host = self._ledger.leases.waiting_by_host()
        return {
            host: by_host[host]
            for host in sorted(own)
            if by_host[host] + own[host] > self._host_limit
        }

    def _hosts_are_busy(self, full: Mapping[str, int], own: Mapping[str, int]) -> Busy:
        named = [
            f"{full[host]:,} parts wait for {host}, and with {_more(own[host])} that is more than "
            f"the {self._host_limit:,} that may"
            for host in list(full)[:1]
        ]
        others = list(full)[1:]
        if others:
            rest = f" and {len(others) - HOSTS_NAMED} more" if len(others) > HOSTS_NAMED else ""
            named.append(f"the same goes for {', '.join(others[:HOSTS_NAMED])}{rest}")
        longest = max(
            (waiting + own[host] - self._host_limit) / (self._places.get(host) or 0.001)
            for host, waiting in full.items()
        )
        return _busy("; ".join(named), self._retry_after(longest))

    def _retry_after(self, rounds: float) -> float:
        """When there is room again, in seconds, with some chance.

        Args:
            rounds: How many parts must be begun first, over how many run at a time.
        """
        seconds = min(max(rounds * self._part_seconds(), LEAST_SECONDS), MOST_SECONDS)
        return round(seconds * (1 - SPREAD + 2 * SPREAD * self._draw()))

    def _part_seconds(self) -> float:
        """How long a part took of late, on average."""
        newest = [job.id for job in self._ledger.jobs(JOBS_LOOKED_AT)]
        events = last_events(self._ledger.client, newest, EVENTS_LOOKED_AT)
        took = [event.seconds for event in events if event.kind is EventKind.PART_CLOSED]
        return fmean(took) if took else USUAL_PART_SECONDS


def _more(number: int) -> str:
    return "one more" if number == 1 else f"{number:,} more"


def _busy(message: str, seconds: float) -> Busy:
    return Busy(f"{message}: retry after {seconds:.0f} s", seconds)
