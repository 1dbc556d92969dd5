"""Messages that were taken and are not acknowledged yet, across the loss of a connection.

kombu puts what a lost channel delivered back into its queue, where it is begun a second time while
the first still runs; and it cannot acknowledge over a channel that is gone: the worker ends of it.
So while tasks run here, a message outlives its channel:

    taken -> under way -> acknowledged, over whichever channel is there
                 |
                 +-- given back when the worker stops

What cannot be told to the store at all stands in its hash of messages under way until this process
is gone. It comes back then, and the ledger knows that its part is closed.
"""

# kombu's own classes are untyped here.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import importlib
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import redis
from kombu.transport import redis as kombu_redis

from swarm_tasks.log import logger
from swarm_tasks.store.passing import passes

KOMBU: Any = kombu_redis
"""Its stubs leave most of it out."""

FAILURES = (redis.RedisError, OSError)

Telling = Callable[["OwnQoS"], object]
"""What the store is still to be told of a message, through a channel's keeper of messages."""


class Deliveries:
    """What this process has taken from its queues and not acknowledged.

    Args:
        keeping: Whether tasks run here, so that a channel that closes is one that was lost.
    """

    def __init__(self) -> None:
        self.keeping = False
        self._owed: dict[str, Any] = {}
        self._late: deque[Telling] = deque()
        self._heir: OwnQoS | None = None
        self._missed: OwnQoS | None = None
        # Acknowledging is the consumer's own thread's, but for a pool that brings no event loop.
        self._lock = threading.RLock()

    def newly_lost(self) -> bool:
        """Whether this process had a channel to take messages from, and has none now; said once for
        each that is lost."""
        heir = self._heir
        if heir is None or heir is self._missed or not heir.gone:
            return False
        self._missed = heir
        return True

    def take_over(self, qos: OwnQoS) -> None:
        """Have what former channels have left go on through the one that consumes now."""
        with self._lock:
            former, self._heir = self._heir, qos
            if former is not None and former is not qos:
                self.keep(former)
            self._try(qos)

    def keep(self, qos: OwnQoS) -> None:
        """Keep what a lost channel has delivered. What was to be begun at a later time is not: the
        consumer has dropped it."""
        waiting = tuple(_state().scheduled_requests)
        dropped: set[str] = {request.message.delivery_tag for request in waiting}
        with self._lock:
            for tag, message in qos.hand_over():
                if tag in dropped:
                    self._late.append(partial(_put_back, tag=tag))
                else:
                    self._owed[tag] = message

    def settle(self, qos: OwnQoS, tag: str, tell: Telling) -> None:
        """Be done with a message, and tell the store as soon as it can be told."""
        with self._lock:
            self._owed.pop(tag, None)
            qos.forget(tag)
            self._late.append(tell)
            through = self._heir if qos.gone else qos
            if through is None or through.gone:
                return
            self._try(through)

    def catch_up(self) -> None:
        """Tell the store what it has not taken before."""
        if self._late and self._heir is not None:
            with self._lock:
                self._try(self._heir)

    def give_back(self, qos: OwnQoS) -> None:
        """Have the channel that consumed last, or another where that was lost, give back what
        former ones had delivered, too."""
        with self._lock:
            if qos is not self._heir and self._heir is not None and not self._heir.gone:
                return
            owed, self._owed = self._owed, {}
            for tag, message in owed.items():
                qos.remember(tag, message)
            self._try(qos)

    def _try(self, qos: OwnQoS) -> None:
        try:
            self._tell_store(qos)
        except FAILURES as error:
            if not (_passes(error) and self._heir is not None):
                raise
            logger("transport").warning(
                "%d messages are acknowledged later: %s", len(self._late), error
            )

    def _tell_store(self, qos: OwnQoS) -> None:
        while self._late:
            tell = self._late.popleft()
            try:
                tell(qos)
            except FAILURES as error:
                # What the store will never take must not keep back what it would.
                if _passes(error):
                    self._late.appendleft(tell)
                raise


class OwnQoS(KOMBU.QoS):
    """What one channel has delivered, as far as the channel lives."""

    @property
    def gone(self) -> bool:
        """Whether its channel leads nowhere any more. kombu leaves some of those open."""
        transport = self.channel.connection
        return self.channel.closed or transport is None or transport.client is None

    @property
    def _deliveries(self) -> Deliveries:
        return self.channel.station.deliveries

    def can_consume(self) -> bool:
        """Whether one more may be taken. A worker that is full has reason to take none."""
        can = super().can_consume()
        if not can and (_state().reserved_requests or _state().active_requests):
            self.channel.station.listening.note()
        return can

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message, now or when the store is back."""
        self._deliveries.settle(self, delivery_tag, partial(_done, tag=delivery_tag))

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Be done with a message, or put it back in front, now or when the store is back."""
        tell = _put_back if requeue else _done
        self._deliveries.settle(self, delivery_tag, partial(tell, tag=delivery_tag))

    def forget(self, tag: str) -> None:
        """Count a message no longer."""
        KOMBU.virtual.QoS.ack(self, tag)

    def remember(self, tag: str, message: Any) -> None:
        """Count a message of which the store knows."""
        KOMBU.virtual.QoS.append(self, message, tag)

    def hand_over(self) -> list[tuple[str, Any]]:
        """All messages that are not done with; this channel has to do with them no longer."""
        self._on_collect.cancel()
        self._flush()
        delivered = list(self._delivered.items())
        self._delivered.clear()
        return delivered

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """Give back what was not acknowledged, if the worker stops; else it goes on."""
        if self._deliveries.keeping:
            self._deliveries.keep(self)
            return
        self._deliveries.give_back(self)
        super().restore_unacked_once(stderr)


def _done(qos: OwnQoS, tag: str) -> None:
    qos._remove_from_indices(tag).execute()


def _put_back(qos: OwnQoS, tag: str) -> None:
    qos.restore_by_tag(tag, leftmost=True)


def _passes(error: Exception) -> bool:
    return not isinstance(error, redis.RedisError) or passes(error)


def _state() -> Any:
    """What Celery's worker knows of its tasks. Most processes that come here are none."""
    return importlib.import_module("celery.worker.state")
