"""What all model calls of a job have cost so far: what its allowance is held against."""

from __future__ import annotations

from dataclasses import dataclass

from swarm_tasks.models.charge import Charge
from swarm_tasks.store import keys, scripts
from swarm_tasks.store.commands import Commands


@dataclass(frozen=True, slots=True)
class Spent:
    """What a job's model calls took until now.

    Args:
        tokens: Prompt and completion tokens.
        cost_usd: None where the price of any call is unknown.
    """

    tokens: int = 0
    cost_usd: float | None = 0.0
    calls: int = 0


class Bill:
    """The spending of jobs, in the store.

    Args:
        client: The store.
    """

    def __init__(self, client: Commands) -> None:
        self._client = client
        self._charge = client.register_script(scripts.CHARGE)

    def spent(self, job: str) -> Spent:
        """What a job has cost so far; nothing where it made no call."""
        fields = ("tokens", "calls", "cost_usd", "unpriced")
        tokens, calls, cost_usd, unpriced = self._client.hmget(keys.SPENT.at(job=job), fields)
        return Spent(
            tokens=int(tokens or 0),
            calls=int(calls or 0),
            cost_usd=None if unpriced else float(cost_usd or 0.0),
        )

    def charge(self, job: str, charge: Charge) -> None:
        """Count calls that belong to the job as a whole, such as planning, and keep them for its
        report. A job whose life has ended is charged nothing."""
        self._charge(
            keys=[keys.JOB.at(job=job), keys.SPENT.at(job=job), keys.CHARGES.at(job=job)],
            args=[*counts_of((charge,)), charge.model_dump_json(exclude_defaults=True)],
        )

    def of_job(self, job: str) -> tuple[Charge, ...]:
        """What the job as a whole took, in order; its parts' charges stand in their reports."""
        rows = self._client.lrange(keys.CHARGES.at(job=job), 0, -1)
        return tuple(Charge.model_validate_json(row) for row in rows)


def counts_of(charges: tuple[Charge, ...]) -> tuple[int, int, str]:
    """Tokens, calls and dollars of some charges, as the scripts take them."""
    dollars = [charge.cost_usd for charge in charges]
    known = [one for one in dollars if one is not None]
    return (
        sum(charge.prompt_tokens + charge.completion_tokens for charge in charges),
        sum(charge.calls for charge in charges),
        repr(sum(known)) if len(known) == len(dollars) else "",
    )
