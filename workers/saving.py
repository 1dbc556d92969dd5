"""Keeps agents' steps in the ledger, so that another attempt goes on from the last one.

One thread writes for all agents of a worker, so that an agent does not wait for the store between
two turns, and what several agents did at the same time is written together.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import redis

from swarm_tasks.brain.base import Step
from swarm_tasks.log import logger
from swarm_tasks.models.job import HostTask
from swarm_tasks.store.bill import Spent
from swarm_tasks.store.ledger import Ledger
from swarm_tasks.store.steps import PartSteps

BATCH = 100


class StepWriter:
    """Writes steps from one thread.

    Steps are worth less than the work they save: some that the store does not take are dropped,
    and the part would be begun anew.

    Args:
        ledger: Where they go.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._queue: queue.SimpleQueue[tuple[PartSteps, Future[Spent] | None] | None] = (
            queue.SimpleQueue()
        )
        self._thread = threading.Thread(target=self._drain, name="hostswarm-steps", daemon=True)
        self._thread.start()

    def put(self, steps: PartSteps) -> None:
        """Hand over steps; returns at once."""
        self._queue.put((steps, None))

    def put_and_ask(self, steps: PartSteps) -> Future[Spent]:
        """Hand over steps; what their job has spent, once they are written."""
        asked: Future[Spent] = Future()
        # From here on it cannot be cancelled under the thread.
        asked.set_running_or_notify_cancel()
        self._queue.put((steps, asked))
        return asked

    def close(self, timeout_seconds: float = 2.0) -> None:
        """Write what is left and end."""
        self._queue.put(None)
        self._thread.join(timeout_seconds)

    def _drain(self) -> None:
        ended = False
        while not ended and (item := self._queue.get()) is not None:
            batch = [item]
            while len(batch) < BATCH and not self._queue.empty():
                following = self._queue.get()
                if following is None:
                    ended = True
                    break
                batch.append(following)
            self._write(batch)

    def _write(self, batch: Sequence[tuple[PartSteps, Future[Spent] | None]]) -> None:
        spent: dict[str, Spent] = {}
        try:
            self._ledger.steps.save([steps for steps, _ in batch])
            spent = {
                job: self._ledger.spent(job)
                for job in {steps.job for steps, asked in batch if asked is not None}
            }
        except redis.RedisError as error:
            logger("worker").warning("steps of %d parts were not kept: %s", len(batch), error)
        for steps, asked in batch:
            if asked is not None:
                asked.set_result(spent.get(steps.job, Spent()))


@dataclass(frozen=True, slots=True)
class StepKeeper:
    """Keeps the steps of one attempt at one part.

    Args:
        writer: Who writes them.
        attempt: The claim's number: steps of an attempt that was overtaken are not kept.
    """

    writer: StepWriter
    task: HostTask
    attempt: int

    async def save(self, steps: Sequence[Step]) -> Spent:
        """Keep steps; what the whole job has spent with them, where that has a bound.

        Only for the latter does the agent wait until they are written.
        """
        task = self.task
        own = PartSteps(task.job, task.part, self.attempt, tuple(steps))
        if task.allowance.bounded:
            return await asyncio.wrap_future(self.writer.put_and_ask(own))
        self.writer.put(own)
        return Spent()
