"""What a part's agent did so far, step by step, so that another attempt goes on from there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from swarm_tasks.brain.base import Step
from swarm_tasks.log import logger
from swarm_tasks.store import keys, scripts
from swarm_tasks.store.bill import counts_of
from swarm_tasks.store.commands import Commands


@dataclass(frozen=True, slots=True)
class PartSteps:
    """Some steps of one attempt at one part, ready to be written.

    Args:
        position: How many steps of the part come before.
        counts: Tokens, calls and dollars that they took, as the scripts take them.
        rows: Each step as JSON.
    """

    job: str
    part: str
    attempt: int
    position: int
    counts: tuple[int, int, str]
    rows: tuple[str, ...]

    @classmethod
    def of(
        cls, job: str, part: str, attempt: int, position: int, steps: Sequence[Step]
    ) -> PartSteps:
        """These steps.

        Raises:
            ValueError: One of them holds what JSON cannot.
        """
        charges = tuple(step.charge for step in steps if step.charge is not None)
        rows = tuple(step.model_dump_json(exclude_defaults=True) for step in steps)
        return cls(job, part, attempt, position, counts_of(charges), rows)


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
            For each, False where nobody will go on from these steps: another attempt runs the
            part now, it is closed, or earlier steps were lost. What they cost counts all the same.
        """
        pipe = self._client.pipeline(transaction=False)
        for one in several:
            self._save(
                keys=[
                    keys.PART.at(job=one.job, part=one.part),
                    keys.STEPS.at(job=one.job, part=one.part),
                    keys.SPENT.at(job=one.job),
                ],
                args=[one.attempt, one.position, *one.counts, *one.rows],
                client=pipe,
            )
        return [answer == 1 for answer in pipe.execute()]

    def load(self, job: str, part: str) -> tuple[Step, ...]:
        """All steps of a part, of every attempt, oldest first.

        Steps that cannot be read, as another version may have written them, are dropped: the
        part is begun anew.
        """
        key = keys.STEPS.at(job=job, part=part)
        rows = self._client.lrange(key, 0, -1)
        try:
            return tuple(Step.model_validate_json(row) for row in rows)
        except ValidationError as error:
            logger("ledger").warning("the steps of %s cannot be read: %s", part, error)
            self._client.delete(key)
            return ()
