"""The thread of a worker or a control that stands ready to be the watch."""

from __future__ import annotations

import random
import threading

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from swarm_tasks.app import instance_of
from swarm_tasks.log import logger
from swarm_tasks.store.ledger import Ledger
from swarm_tasks.store.presence import Presence
from swarm_tasks.watch.watcher import Watcher

TICK_SECONDS = 0.5
"""Between two looks of the one that has the lock."""


class WatchThread:
    """Tries for the lock at each sign of life, and looks after the fleet's parts while it has it.

    Args:
        app: Whose process this is.
        ledger: Where jobs stand.
        presence: Who is there.
        every_seconds: Between two tries for the lock.
    """

    def __init__(
        self, app: Celery, ledger: Ledger, presence: Presence, every_seconds: float
    ) -> None:
        self._watcher = Watcher(app, ledger, presence, instance_of(app))
        self._every = every_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._turn, name="hostswarm-watch", daemon=True)

    def start(self) -> None:
        """Stand ready from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Leave the watch to others at once."""
        self._stop.set()
        if not self._thread.is_alive():
            return
        self._thread.join(5.0)
        try:
            self._watcher.let_go()
        except redis.RedisError as error:
            logger("watch").warning("the lock is left to run out: %s", error)

    def _turn(self) -> None:
        while True:
            held = False
            try:
                held = self._watcher.tick()
            except (redis.RedisError, OperationalError, OSError) as error:
                logger("watch").warning("the watch cannot reach the store: %s", error)
            except Exception:  # noqa: BLE001 - the watch must not end while its process lives
                logger("watch").exception("the watch stumbled")
            # Chance, so that a fleet which was started together does not try all at once.
            pause = TICK_SECONDS if held else self._every * random.uniform(0.8, 1.0)  # noqa: S311
            if self._stop.wait(pause):
                return
