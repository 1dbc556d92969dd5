"""What a part's agent did so far, step by step, so that another attempt goes on from there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from swarm_tasks.brain.base import Step
from swarm_tasks.store import keys, scripts
from swarm_tasks.store.bill import counts_of
from swarm_tasks.store.commands import Commands


@dataclass(frozen=True, slots=True)
class PartSteps:
    """Some steps of one attempt at one part."""

    job: str
    part: str
    attempt: int
    steps: tuple[Step, ...]


class Steps:
    """The saved steps of parts that are under way. A part that closes drops them.

    Args:
        client: The store.
    """

    def __init__(self, client: Commands) -> None:
        self._client = client
        self._save = client.register_script(scripts.SAVE_STEPS)

    def save(self, several: Sequence[PartSteps]) -> list[bool]:
        """Add steps to their parts', and what they cost to their jobs' spending.

        Returns:
            For each, False where another attempt runs the part now, or it is closed: nobody will
            go on from these steps. What they cost is counted all the same.
        """
        pipe = self._client.pipeline(transaction=False)
        for one in several:
            charges = tuple(step.charge for step in one.steps if step.charge is not None)
            self._save(
                keys=[
                    keys.PART.at(job=one.job, part=one.part),
                    keys.STEPS.at(job=one.job, part=one.part),
                    keys.SPENT.at(job=one.job),
                ],
                args=[
                    one.attempt,
                    *counts_of(charges),
                    *(step.model_dump_json(exclude_defaults=True) for step in one.steps),
                ],
                client=pipe,
            )
        return [answer == 1 for answer in pipe.execute()]

    def load(self, job: str, part: str) -> tuple[Step, ...]:
        """All steps of a part, of every attempt, oldest first."""
        rows = self._client.lrange(keys.STEPS.at(job=job, part=part), 0, -1)
        return tuple(Step.model_validate_json(row) for row in rows)
