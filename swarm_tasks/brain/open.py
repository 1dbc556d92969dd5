"""The way to a model that the settings name: a router over HTTP, litellm here, or none."""

from __future__ import annotations

from swarm_tasks.brain.model import Model
from swarm_tasks.config import Settings
from swarm_tasks.models.charge import Tier

HURRIED_ROUNDS = 3


def open_model(settings: Settings, tier: Tier, *, for_agents: bool = False) -> Model | None:
    """The model of a tier, or None where the settings name none.

    It belongs to the event loop that first uses it; whoever opens it closes it. Nothing is
    asked of the network yet, and what a way needs is imported only here.

    Args:
        for_agents: Agents are to think with it, whatever its tier.

    Raises:
        SettingsError: The way that is set cannot be taken, such as litellm not being installed.
    """
    if settings.router_url:
        from swarm_tasks.brain.retry import Patience
        from swarm_tasks.brain.router import RouterModel

        # For a plan or a summary somebody waits, and there is a good answer without: a router
        # that is down is not tried for as long as an agent tries it.
        hurried = tier is Tier.ORCHESTRATOR and not for_agents
        return RouterModel(settings, tier, Patience(rounds=HURRIED_ROUNDS) if hurried else None)
    if settings.model is not None:
        from swarm_tasks.brain.direct import DirectModel

        return DirectModel(settings, tier)
    return None
