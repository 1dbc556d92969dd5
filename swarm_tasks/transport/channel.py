"""Channels to the store, with what kombu's lack.

kombu makes a client of the store anew for each command, which costs more than the command. It takes
from all queues or from none, and what is under way does not outlive its channel.
"""

# kombu's own classes are untyped here.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import redis
from kombu.asynchronous import get_event_loop
from kombu.transport import redis as kombu_redis

from swarm_tasks.log import logger
from swarm_tasks.transport.deliveries import OwnQoS
from swarm_tasks.transport.lanes import lane_order
from swarm_tasks.transport.refusals import PatientChannel
from swarm_tasks.transport.station import Station

KOMBU: Any = kombu_redis
"""Its stubs leave most of it out."""

WAKE_AGAIN_SECONDS = (0.001, 0.005, 0.025, 0.1)
"""When a wait that was to be broken off had not reached the server yet. Later the wait ends by
itself: it lasts a second."""


class OwnChannel(PatientChannel):
    """A channel that keeps its client, leaves out queues behind shut gates, and looks into all
    lanes."""

    QoS = OwnQoS

    station: Station
    _kept: Any = None
    _wait_id: int | None = None
    """What the server calls the connection that waits, to break its wait off."""
    _wait_socket: Any = None
    _waits = 0
    _takes = 0
    _left_out = False

    def __init__(self, connection: Any, **kwargs: Any) -> None:
        self.station = getattr(connection.client, "station", None) or Station()
        super().__init__(connection, **kwargs)

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Generator[Any]:
        """The client that was given, or the channel's own, which threads may share."""
        if client is None:
            # The channel drops its connections when it loses the store, and makes others.
            if self._kept is None or self._kept.connection_pool is not self.pool:
                self._kept = self._create_client()
            client = self._kept
        yield client

    def consume(self) -> None:
        """Have what former channels of this process delivered go on through this one, and hear of
        gates that open."""
        self.station.deliveries.take_over(self.qos)
        self.station.gates.listen(self)

    def wake(self) -> None:
        """Break off a wait that leaves queues out; called by whichever thread opens a gate."""
        if not self._left_out:
            return
        self._left_out = False
        wait, name, client = self._waits, self._wait_id, self._kept
        if not self._in_poll:
            _nudge_loop()
        elif name is not None and client is not None:
            try:
                self._break_off(wait, name, client)
            except (redis.RedisError, OSError) as error:
                logger("transport").debug("a wait was not broken off: %s", error)

    def _break_off(self, wait: int, name: int, client: Any) -> None:
        for seconds in WAKE_AGAIN_SECONDS:
            if client.client_unblock(name):
                return
            # Either it has been answered just now, or it is still on its way to the server.
            time.sleep(seconds)
            if not self._in_poll or self._waits != wait:
                return

    def _brpop_start(self, timeout: float | None = None) -> None:
        """Ask for the next message of the queues that may be taken from."""
        self.station.listening.note()
        if self.holds_back:
            return
        self.station.deliveries.catch_up()
        # From here on whoever opens a gate knows that this wait may have left out its queues.
        self._waits += 1
        self._left_out = True
        gates = self.station.gates
        shut = gates.shut()
        cycle: list[str] = self._queue_cycle.consume(len(self.active_queues))
        queues = [queue for queue in cycle if queue not in shut]
        self._left_out = len(queues) < len(cycle)
        if queues:
            self._ask(queues, self.brpop_timeout if timeout is None else timeout)
        if self._left_out and not gates.shut():
            # It opened meanwhile, and nobody else breaks this wait off.
            threading.Thread(target=self.wake, daemon=True).start()

    def _ask(self, queues: list[str], timeout: float) -> None:
        connection = self.client.connection
        if self._left_out and self._wait_socket is not connection._sock:
            self._learn_name(connection)
        lanes = lane_order(self._takes, self.priority_steps)
        keys = [self._q_for_pri(queue, lane) for lane in lanes for queue in queues]
        command: list[Any] = ["BRPOP", *keys, timeout or 0]
        if self.global_keyprefix:
            command = self.client._prefix_args(command)
        self._in_poll = connection
        self._brpop_sent_at = time.monotonic()
        connection.send_command(*command)

    def _learn_name(self, connection: Any) -> None:
        """Ask the server what it calls the connection that waits."""
        self._wait_socket, self._wait_id = connection._sock, None
        try:
            connection.send_command("CLIENT", "ID")
            self._wait_id = int(connection.read_response())
        except redis.ResponseError as error:
            logger("transport").warning("free places are found within a second only: %s", error)
        except self.connection_errors:
            # As kombu does where it reads: the next turn connects again.
            connection.disconnect()
            raise

    def _brpop_read(self, **options: Any) -> Any:
        """Read the answer and have the message delivered."""
        self._left_out = False
        self.station.listening.note()
        taken = super()._brpop_read(**options)
        self._takes += 1
        return taken

    def close(self) -> None:
        """Close it, though the store is away: kombu leaves it half open then, and its messages with
        it."""
        try:
            super().close()
        except self.connection_errors:
            self._drop()
            raise

    def _drop(self) -> None:
        transport = self.connection
        self.closed = True
        if self._qos is not None and self.station.deliveries.keeping:
            self.station.deliveries.keep(self._qos)
        if transport is None:
            return
        transport.cycle.discard(self)
        self._disconnect_pools()
        self._close_clients()
        transport.close_channel(self)


class OwnSentinelChannel(OwnChannel, KOMBU.SentinelChannel):
    """The same to the store that a Sentinel names."""


class OwnTransport(KOMBU.Transport):
    """Redis with channels of ours."""

    Channel = OwnChannel


class OwnSentinelTransport(KOMBU.SentinelTransport):
    """The same where a Sentinel says which server it is."""

    Channel = OwnSentinelChannel


def _nudge_loop() -> None:
    """Have the event loop look at its channels again, where none of them waits."""
    loop: Any = get_event_loop()
    if loop is not None:
        loop.call_soon(lambda: None)
