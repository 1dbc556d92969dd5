"""Keeps agents' steps in the ledger, so that another attempt goes on from the last one.

One thread writes for all agents of a worker, so that an agent does not wait for the store between
two turns, and what several agents did at the same time is written together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future

import redis

from swarm_tasks.brain.base import Step
from swarm_tasks.log import logger
from swarm_tasks.models.job import HostTask
from swarm_tasks.store.batches import Batches
from swarm_tasks.store.bill import Spent
from swarm_tasks.store.ledger import Ledger
from swarm_tasks.store.steps import PartSteps


class Asked(Future[Spent | None]):
    """What a job has spent, once all that was handed over before is written; None where the store
    does not say."""

    def __init__(self, job: str) -> None:
        super().__init__()
        self.job = job
        # From here on it cannot be cancelled under the thread.
        self.set_running_or_notify_cancel()


class StepWriter:
    """Writes steps from one thread.

    Steps are worth less than the work they save: some that the store does not take are dropped,
    and the part would be begun anew.

    Args:
        ledger: Where they go.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._batches = Batches[PartSteps | Asked](
            self._write, "hostswarm-steps", urgent=lambda item: isinstance(item, Asked)
        )

    def put(self, steps: PartSteps) -> None:
        """Hand over steps; returns at once."""
        self._batches.put(steps)

    def ask(self, job: str) -> Asked:
        """What a job has spent, with all that was handed over before."""
        asked = Asked(job)
        self._batches.put(asked)
        return asked

    def close(self, timeout_seconds: float = 2.0) -> None:
        """Write what is left and end."""
        self._batches.close(timeout_seconds)

    def _write(self, batch: Sequence[PartSteps | Asked]) -> None:
        steps = [item for item in batch if isinstance(item, PartSteps)]
        asked = [item for item in batch if isinstance(item, Asked)]
        spent: dict[str, Spent] = {}
        try:
            if steps:
                self._ledger.steps.save(steps)
            spent = {job: self._ledger.spent(job) for job in {one.job for one in asked}}
        except redis.RedisError as error:
            logger("worker").warning("steps of %d parts were not kept: %s", len(steps), error)
        finally:
            for one in asked:
                one.set_result(spent.get(one.job))


class StepKeeper:
    """Keeps the steps of one attempt at one part.

    Args:
        writer: Who writes them.
        task: The part.
        attempt: The claim's number: steps of an attempt that was overtaken are not kept.
        position: How many steps earlier attempts have left.
    """

    def __init__(self, writer: StepWriter, task: HostTask, attempt: int, position: int = 0) -> None:
        self._writer = writer
        self._task = task
        self._attempt = attempt
        self._position = position

    def put(self, steps: Sequence[Step]) -> None:
        """Hand over steps to be kept; returns at once."""
        task = self._task
        try:
            own = PartSteps.of(task.job, task.part, self._attempt, self._position, steps)
        except ValueError as error:
            logger("worker").warning("steps of %s cannot be kept: %s", task.part, error)
            return
        self._position += len(steps)
        self._writer.put(own)

    async def spent(self) -> Spent | None:
        """What the whole job has spent by now, with these steps; None where it cannot be told."""
        return await asyncio.wrap_future(self._writer.ask(self._task.job))
