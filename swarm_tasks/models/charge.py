"""What thinking cost: the calls of a model, the tokens, and the money where prices are known."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from pydantic import Field

from swarm_tasks.models.base import Frozen


class Tier(StrEnum):
    """Which kind of model: the one that plans and joins, or the fast and cheap one of agents."""

    ORCHESTRATOR = "orchestrator"
    WORKER = "worker"


class Charge(Frozen):
    """One or more calls of one model.

    Args:
        model: As the endpoint names it.
        prompt_tokens: All tokens sent, those that a cache answered among them.
        cached_tokens: Of `prompt_tokens`, those that a cache answered.
        cost_usd: None where a price is unknown: that is not zero.
        counted: Whether the endpoint counted the tokens; else they were counted here.
        seconds: Wall time of the calls, one after another.
    """

    tier: Tier
    model: str
    calls: int = Field(default=1, ge=0)
    prompt_tokens: int = Field(default=0, ge=0)
    cached_tokens: int = Field(default=0, ge=0)
    completion_tokens: int = Field(default=0, ge=0)
    cost_usd: float | None = Field(default=None, ge=0)
    counted: bool = True
    seconds: float = Field(default=0.0, ge=0)

    def plus(self, other: Charge) -> Charge:
        """Both together; they are of one tier and model."""
        return Charge(
            tier=self.tier,
            model=self.model,
            calls=self.calls + other.calls,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            cost_usd=added(self.cost_usd, other.cost_usd),
            counted=self.counted and other.counted,
            seconds=self.seconds + other.seconds,
        )


def added(one: float | None, other: float | None) -> float | None:
    """Two costs together; unknown if either is."""
    return None if one is None or other is None else one + other


def summed(charges: Iterable[Charge]) -> tuple[Charge, ...]:
    """One charge per tier and model, the dearer tier first."""
    found: dict[tuple[Tier, str], Charge] = {}
    for charge in charges:
        key = (charge.tier, charge.model)
        found[key] = found[key].plus(charge) if key in found else charge
    return tuple(
        found[key] for key in sorted(found, key=lambda key: (list(Tier).index(key[0]), key))
    )


class Price(Frozen):
    """What a model's tokens cost, in dollars a million.

    Args:
        cached_usd_per_million: For prompt tokens that a cache answered; None prices them as others.
    """

    input_usd_per_million: float = Field(ge=0)
    output_usd_per_million: float = Field(ge=0)
    cached_usd_per_million: float | None = Field(default=None, ge=0)

    def of(self, prompt_tokens: int, cached_tokens: int, completion_tokens: int) -> float:
        """What these tokens cost, in dollars."""
        cached_usd = self.cached_usd_per_million
        if cached_usd is None:
            cached_usd = self.input_usd_per_million
        micro = (
            (prompt_tokens - cached_tokens) * self.input_usd_per_million
            + cached_tokens * cached_usd
            + completion_tokens * self.output_usd_per_million
        )
        return micro / 1e6


class Allowance(Frozen):
    """What all model calls of a job may cost together; None sets no bound.

    Args:
        budget_usd: Dollars. Where a price turns out to be unknown, no further call is made.
        max_tokens: Prompt and completion tokens.
    """

    budget_usd: float | None = Field(default=None, ge=0)
    max_tokens: int | None = Field(default=None, ge=0)

    def over(self, default: Allowance) -> Allowance:
        """This one, with the other's bound wherever it sets none."""
        return Allowance(
            budget_usd=default.budget_usd if self.budget_usd is None else self.budget_usd,
            max_tokens=default.max_tokens if self.max_tokens is None else self.max_tokens,
        )

    @property
    def bounded(self) -> bool:
        """Whether there is a bound at all."""
        return self.budget_usd is not None or self.max_tokens is not None

    def exceeded(self, tokens: int, cost_usd: float | None) -> str:
        """Which bound this spending has reached, in words; empty for none."""
        if self.max_tokens is not None and tokens >= self.max_tokens:
            return f"the job's {self.max_tokens:,} tokens are used up"
        if self.budget_usd is not None and cost_usd is None:
            return "the model's price is unknown, so the job's budget in dollars cannot be kept"
        if self.budget_usd is not None and cost_usd is not None and cost_usd >= self.budget_usd:
            return f"the job's budget of ${self.budget_usd:g} is used up"
        return ""
