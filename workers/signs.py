"""A host's sign of life, and what goes with each: its leases renewed, its strain looked at."""

from __future__ import annotations

from collections.abc import Callable

import redis

from swarm_tasks.log import logger
from swarm_tasks.models.host import HostFacts
from swarm_tasks.store.ledger import Ledger
from swarm_tasks.store.passing import passes
from workers.facts import beat_now
from workers.governor import Governor
from workers.membership import Membership
from workers.parts import Parts
from workers.runtime import Runtime

TOOL_GROUP = "tool:"
"""How the groups of what runs beside parts begin; any other group is a job's id."""


class Signs:
    """What a host does with each beat of its heart.

    Args:
        facts: What the host is by now.
        parts: What is under way on it.
        governor: Holds it to what it bears.
        member: Its place in the fleet.
        runtime: Where its agents live.
        ledger: Says which jobs were cancelled.
    """

    def __init__(
        self,
        facts: Callable[[], HostFacts],
        parts: Parts,
        governor: Governor,
        member: Membership,
        runtime: Runtime,
        ledger: Ledger,
    ) -> None:
        self._facts = facts
        self._parts = parts
        self._governor = governor
        self._member = member
        self._runtime = runtime
        self._ledger = ledger

    def give(self) -> None:
        """Renew the leases, then sign: the watch takes it that who has signed has renewed.

        Raises:
            redis.RedisError: The store is away, and no sign was given.
        """
        _besides("leases were not renewed", self._parts.renew)
        _besides("the machine's strain is not known", self._governor.look)
        beat = beat_now(self._facts(), self._runtime.busy, self._governor.agents)
        said = {"draining": self._parts.leaving, "strain": self._governor.why}
        self._member.sign(beat.model_copy(update=said))
        # The command to cancel may have been missed; the ledger's word is not.
        jobs = [group for group in self._runtime.groups if not group.startswith(TOOL_GROUP)]
        for job in self._ledger.cancelled(jobs):
            self._runtime.cancel(job)


def _besides(failed: str, action: Callable[[], None]) -> None:
    """Do what goes with a sign of life, and must not keep it back: one part whose entry was
    tampered with is no reason to call the whole host dark."""
    try:
        action()
    except Exception as error:  # noqa: BLE001 - whatever it was, the sign of life must be tried
        away = isinstance(error, redis.RedisError) and passes(error)
        logger("heartbeat").error("%s: %s", failed, error, exc_info=None if away else error)
