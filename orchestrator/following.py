"""Following a job to its end, and looking after it where nobody else is there to do so."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator

import redis
from celery import Celery

from orchestrator.keeper import Keeper
from orchestrator.patience import Patience, forgotten
from swarm_tasks.errors import UnknownName
from swarm_tasks.log import logger
from swarm_tasks.models.event import Event, EventKind
from swarm_tasks.store.events import read_events
from swarm_tasks.store.ledger import Ledger
from swarm_tasks.store.presence import Presence
from swarm_tasks.watch.watcher import Watcher

LOOK_SECONDS = 1.0
"""How long to wait for an event before looking whether control is still there."""


def watcher_of_asker(app: Celery, ledger: Ledger, presence: Presence) -> Watcher:
    """What looks after the fleet's parts in the process of one who asks."""
    return Watcher(app, ledger, presence, f"asker {secrets.token_hex(6)}")


class Lookout:
    """A look now and then at whether a job has ended, and at what nobody else looks after.

    Args:
        job: The job's id.
        ledger: Where it stands.
        presence: Who is there.
        watcher: Does what workers and controls do, while there are none.
        keeper: Does what controls do, while there are none.
    """

    def __init__(
        self, job: str, ledger: Ledger, presence: Presence, watcher: Watcher, keeper: Keeper
    ) -> None:
        self._job = job
        self._ledger = ledger
        self._presence = presence
        self._watcher = watcher
        self._keeper = keeper
        self._looked = time.monotonic()
        self._held = False

    def ended(self) -> bool:
        """Whether the job has ended, as far as it is time to look.

        Raises:
            UnknownName: There is no such job.
            redis.RedisError: The store is away.
        """
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return False
        self._looked = time.monotonic()
        if self._ledger.record(self._job).state == "closed":
            return True
        controls = self._presence.controls()
        # Each worker and each control has a watch of its own: no asker competes with those.
        if controls or self._presence.alive():
            self.let_go()
        else:
            self._held = True  # perhaps: whoever has not got it lets nothing go
            self._watcher.tick()
        if not controls:
            self._keeper.look_after(self._job)
        return False

    def let_go(self) -> None:
        """Leave the watch to others at once, if it is held here.

        Raises:
            redis.RedisError: The store is away.
        """
        if self._held:
            self._held = False
            self._watcher.let_go()


def follow(ledger: Ledger, lookout: Lookout, job: str, away_seconds: float) -> Iterator[Event]:
    """Every event of a job from its beginning, until it is closed.

    Args:
        away_seconds: How long the store may be away in one go.

    Raises:
        UnknownName: There is no such job.
        JobError: The store came back without it.
        redis.RedisError: The store stayed away.
    """
    try:
        yield from _events(ledger, lookout, job, Patience(job, away_seconds))
    finally:
        try:
            lookout.let_go()
        except redis.RedisError as error:  # the watch is anybody's in a moment all the same
            logger("fleet").warning("the watch was not let go: %s", error)


def _events(ledger: Ledger, lookout: Lookout, job: str, patience: Patience) -> Iterator[Event]:
    last, known = "0", False
    while True:
        try:
            if not known:
                ledger.record(job)
                known = True
            for identifier, event in read_events(ledger.client, job, last, LOOK_SECONDS):
                last = identifier
                yield event
                if event.kind is EventKind.JOB_CLOSED:
                    return
            if lookout.ended():
                return
        except redis.RedisError as error:
            patience.bear(error)
        except UnknownName:
            if known:
                raise forgotten(job) from None
            raise
        else:
            patience.ease()
