"""What a part's agent did so far, step by step, so that another attempt goes on from there."""

from __future__ import annotations

from collections.abc import Sequence

from swarm_tasks.brain.base import Step
from swarm_tasks.store import keys, scripts
from swarm_tasks.store.bill import counts_of
from swarm_tasks.store.commands import Commands


class Steps:
    """The saved steps of parts that are under way. A part that closes drops them.

    Args:
        client: The store.
    """

    def __init__(self, client: Commands) -> None:
        self._client = client
        self._save = client.register_script(scripts.SAVE_STEPS)

    def save(self, job: str, part: str, attempt: int, steps: Sequence[Step]) -> bool:
        """Add steps to a part's, and what they cost to the job's spending.

        Returns:
            False where another attempt runs the part now, or it is closed: nobody will go on
            from these steps.
        """
        charges = tuple(step.charge for step in steps if step.charge is not None)
        answer: int = self._save(
            keys=[
                keys.PART.at(job=job, part=part),
                keys.STEPS.at(job=job, part=part),
                keys.SPENT.at(job=job),
            ],
            args=[
                attempt,
                *counts_of(charges),
                *(step.model_dump_json(exclude_defaults=True) for step in steps),
            ],
        )
        return answer == 1

    def load(self, job: str, part: str) -> tuple[Step, ...]:
        """All steps of a part, of every attempt, oldest first."""
        rows = self._client.lrange(keys.STEPS.at(job=job, part=part), 0, -1)
        return tuple(Step.model_validate_json(row) for row in rows)
