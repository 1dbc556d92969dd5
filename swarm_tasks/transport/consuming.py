"""A worker that goes on consuming: its messages outlive a lost connection, and deafness is mended.

hears -> deaf -> its consumer connects anew -> hears
                         |
                         +-- still deaf: the process ends, and its supervisor starts another
"""

from __future__ import annotations

import os
import threading
from typing import Any, cast

import redis
from celery import Celery, bootsteps
from celery.platforms import EX_FAILURE
from celery.worker import state
from celery.worker.consumer import Tasks
from kombu.asynchronous import get_event_loop
from kombu.exceptions import OperationalError

from swarm_tasks.log import logger
from swarm_tasks.transport.channel import OwnChannel
from swarm_tasks.transport.messaging import Station, station_of

CELERY: Any = bootsteps
"""Its stubs leave the states of a worker out."""

DEAF_SECONDS = 45.0
"""After so long without asking for a message, while the broker answers others, a consumer is deaf.
What mends itself is done by then: kombu drops a connection whose answer is overdue within 31 s
(1 + twice the health check's 15), and no read of a socket lasts longer than 30 s."""

LOOK_SECONDS = 1.0
"""Between two looks; a consumer asks once a second at least."""

DOUBT_SECONDS = 5.0
"""From when on the broker is asked whether it is there. While it is away, nobody is deaf."""

LATE_LOOKS = 5
"""A look that comes so many times later than it should tells that the process itself was stopped,
and says nothing of its consumer."""

END_SECONDS = 10.0
"""How long a consumer that is still deaf may take to begin its stop, before the process is ended
without it."""


class NothingHeard(ConnectionError):
    """The consumer asked for nothing, though its broker is there."""


def deaf_for_seconds(app: Celery) -> float:
    """For how long the worker of this app has not asked for messages; 0 if it never did."""
    return station_of(app).listening.deaf_for_seconds


def restart_consumer() -> None:
    """Have this process's consumer give its connection up and make another."""
    loop: Any = get_event_loop()
    if loop is None:
        return

    def give_up() -> None:
        loop.on_tick.discard(give_up)
        raise NothingHeard("nothing was asked of the queues for a while")

    # An error of what is called soon would cost the loop what else was to be called.
    loop.call_soon(lambda: loop.on_tick.add(give_up))


class Ears:
    """Looks once a second whether the consumer still asks for messages.

    Args:
        app: The worker's.
        controller: Celery's worker, which is asked whether it is stopping already.
    """

    def __init__(self, app: Celery, controller: Any) -> None:
        self._app = app
        self._controller = controller
        self._stop = threading.Event()
        self._told = False
        self._thread = threading.Thread(target=self._turn, name="hostswarm-ears", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()

    def _turn(self) -> None:
        listening = station_of(self._app).listening
        looked = listening.now()
        while not self._stop.wait(LOOK_SECONDS) and not self._leaving:
            now = listening.now()
            if now - looked > LATE_LOOKS * LOOK_SECONDS:
                listening.note()
            looked = now
            deaf = deaf_for_seconds(self._app)
            if self._told and deaf >= 2 * DEAF_SECONDS and self._broker_is_there():
                self._end(deaf)
                return
            self._look(deaf)

    @property
    def _leaving(self) -> bool:
        return self._controller.blueprint.state != CELERY.RUN

    def _look(self, deaf: float) -> None:
        if deaf < DOUBT_SECONDS:
            self._told = False
        elif not self._broker_is_there():
            station_of(self._app).listening.note()
        elif deaf >= DEAF_SECONDS and not self._told:
            self._told = True
            logger("transport").error("deaf for %.0f s: the consumer connects anew", deaf)
            restart_consumer()

    def _broker_is_there(self) -> bool:
        try:
            with self._app.connection_for_read() as connection:
                connection.connect()
        except (OSError, OperationalError, redis.RedisError):
            return False
        return True

    def _end(self, deaf: float) -> None:
        """End the process: in order if its loop still hears that, and anyway if not."""
        logger("transport").critical("deaf for %.0f s in spite of that: this process ends", deaf)
        cast(Any, state).should_stop = EX_FAILURE
        if not self._stop.wait(END_SECONDS) and not self._leaving:
            os._exit(EX_FAILURE)


class Consuming(bootsteps.StartStopStep):
    """Has a worker keep its messages while its connection comes and goes, and hear again."""

    requires = (Tasks,)

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        self._ears: Ears | None = None

    def start(self, parent: Any) -> None:
        """The worker consumes from now on; called again for each new connection."""
        self._station(parent).deliveries.keeping = True
        channel = parent.task_consumer.channel
        if isinstance(channel, OwnChannel):
            channel.consume()
        if self._ears is None:
            self._ears = Ears(parent.app, parent.controller)
            self._ears.start()

    def shutdown(self, parent: Any) -> None:
        """Nothing runs any more: what is not acknowledged is given back by the channels."""
        self._station(parent).deliveries.keeping = False
        if self._ears is not None:
            self._ears.stop()

    def _station(self, parent: Any) -> Station:
        return station_of(parent.app)


def keep_consuming(app: Celery) -> None:
    """Have the worker that runs this app go on consuming, whatever its connection goes through."""
    cast(Any, app).steps["consumer"].add(Consuming)
