"""What thinking cost, in words. Pure."""

from __future__ import annotations

from swarm_tasks.models.report import Usage


def cost_text(usage: Usage) -> str:
    """What the model took. An unknown price is not nothing."""
    tokens = f"{usage.prompt_tokens:,} tokens in, {usage.completion_tokens:,} out"
    cost = "cost unknown" if usage.cost_usd is None else f"${usage.cost_usd:,.4f}"
    return f"{tokens}, {cost}"
