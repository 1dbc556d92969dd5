"""How many messages a worker takes: parts while there is room, and a few of others at any time."""

from __future__ import annotations

from typing import Any

from celery import bootsteps
from celery.worker.consumer import Tasks

from swarm_tasks import routing
from swarm_tasks.app import settings_of
from swarm_tasks.gates import gates_of
from workers.pool import AgentPool

BESIDE = 16
"""Messages that are taken beyond one for each agent, so that errands and control's tasks come here
while every agent is at work. More than `ERRANDS` and `OTHERS` of the pool together, as a broker
that has no gates sends parts among them."""


class RoomBeside(bootsteps.StartStopStep):
    """Has a worker with our pool take parts while there is room, and `BESIDE` messages more than it
    has places for agents.

    Celery counts a message for each place, and again after each loss of its connection; what it
    comes to is left to it, and only what the connection is told is more.
    """

    requires = (Tasks,)

    def start(self, parent: Any) -> None:
        """Guard the queues of parts, and change how the consumer that has just been made tells its
        count."""
        pool = parent.pool
        if not isinstance(pool, AgentPool):
            return
        parts = (routing.host_queue(settings_of(parent.app).host), routing.SHARED)
        gates_of(parent.app).guard(parts, lambda: pool.room)
        tell = parent.qos.callback

        def tell_more(prefetch_count: int) -> object:
            # None of them has no bound.
            return tell(prefetch_count=prefetch_count and prefetch_count + BESIDE)

        parent.qos.callback = tell_more
