"""What a worker is to its fleet: its name, its signs of life, and whether it is to take parts."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from celery import Celery, bootsteps

from swarm_tasks.log import logger
from swarm_tasks.models.host import Beat
from swarm_tasks.store.draining import Draining
from swarm_tasks.store.presence import Presence, Standing
from workers.naming import OwnName


def end_process() -> None:
    """End this worker as its supervisor would, which then starts it again: at its start it says
    who has its name."""
    os.kill(os.getpid(), signal.SIGTERM)


def drain(app: Celery, on: bool) -> None:
    """Have the pool of this app's worker take no parts, or take them again. Only ours can."""
    act: Any = getattr(getattr(app, "hostswarm_pool", None), "drain", None)
    if act is not None:
        act(on)


class DrainedFromTheStart(bootsteps.StartStopStep):
    """Lets a worker that starts on a drained host take no part at all: it stands between the pool
    and the consumer."""

    requires = ("celery.worker.components:Pool",)

    def start(self, parent: Any) -> None:
        """The pool is there, and no message has been taken."""
        parent.app.hostswarm_host.pool_stands()


class Membership:
    """A worker's place in the fleet, from its start to its end.

    Args:
        presence: Where signs of life go.
        draining: Who takes no parts.
        name: Its hold on its name.
        machine_id: Its machine's.
        drain: Lets it take no parts, or take parts again.
        lost: What to do once its name is another's: two workers that speak for one host are worse
            than none.
    """

    def __init__(
        self,
        presence: Presence,
        draining: Draining,
        name: OwnName,
        machine_id: str,
        drain: Callable[[bool], None],
        lost: Callable[[], None] = end_process,
    ) -> None:
        self._presence = presence
        self._draining = draining
        self._name = name
        self._machine_id = machine_id
        self._drain = drain
        self._lost = lost
        self._drained = False
        self._over = False

    def join(self, host: str) -> None:
        """Take the name, and learn whether the host was drained in an earlier life.

        Raises:
            SettingsError: Another worker has it.
        """
        self._name.claim()
        self._drained = host in self._draining.drained()

    def begin(self) -> None:
        """Do as was learnt, before the first message is taken."""
        if self._drained:
            self._drain(True)

    def sign(self, beat: Beat) -> None:
        """Give a sign of life, and do as the store answers to it.

        Raises:
            redis.RedisError: The store is away.
        """
        if self._over:
            return
        standing = self._give(beat)
        if not standing.ours:
            if self._name.claim_again():
                standing = self._give(beat)
            else:
                self._over = True
                logger("worker").critical(
                    "another worker is called %s by now: this one ends", beat.host
                )
                self._lost()
                return
        if standing.drained != self._drained:
            self._drained = standing.drained
            word = "takes no more parts" if self._drained else "takes parts again"
            logger("worker").info("%s %s", beat.host, word)
            self._drain(self._drained)
            self._give(beat)  # whoever waits for it knows at once

    def leave(self, host: str, instance: str) -> None:
        """Be gone at once, rather than by silence.

        Raises:
            redis.RedisError: The store is away.
        """
        self._presence.leave(host, instance)

    def _give(self, beat: Beat) -> Standing:
        draining = beat.draining or self._drained
        return self._presence.beat(beat.model_copy(update={"draining": draining}), self._machine_id)
