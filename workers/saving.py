"""Keeps an agent's steps in the ledger, so that another attempt goes on from the last one."""

from __future__ import annotations

from collections.abc import Sequence

import redis

from swarm_tasks.brain.base import Step
from swarm_tasks.log import logger
from swarm_tasks.models.job import HostTask
from swarm_tasks.store.bill import Spent
from swarm_tasks.store.ledger import Ledger
from workers.blocking import in_thread


class StepKeeper:
    """Keeps the steps of one attempt at one part.

    Args:
        ledger: Where they go.
        task: Whose they are.
        attempt: The claim's number: steps of an attempt that was overtaken are not kept.
    """

    def __init__(self, ledger: Ledger, task: HostTask, attempt: int) -> None:
        self._ledger = ledger
        self._task = task
        self._attempt = attempt
        self._spent = Spent()

    async def save(self, steps: Sequence[Step]) -> Spent:
        """Keep steps; what the whole job has spent by then, where it has a bound.

        A store that is away costs the steps, not the agent: the part would be begun anew.
        """
        try:
            await in_thread(self._save, steps)
        except redis.RedisError as error:
            logger("worker").warning("steps of %s were not kept: %s", self._task.part, error)
        return self._spent

    def _save(self, steps: Sequence[Step]) -> None:
        task = self._task
        if not self._ledger.steps.save(task.job, task.part, self._attempt, steps):
            logger("worker").info("part %s is run by another attempt by now", task.part)
        if task.allowance.bounded:
            self._spent = self._ledger.spent(task.job)
