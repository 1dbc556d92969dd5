"""The models of a host's worker: opened when first needed, shared by all its agents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from swarm_tasks.brain.model import Model
from swarm_tasks.brain.open import open_model
from swarm_tasks.config import Settings
from swarm_tasks.models.charge import Tier
from swarm_tasks.models.job import BrainChoice, HostTask
from workers.model_brain import Habits, ModelBrain
from workers.rules.brain import Review, RulesBrain

DEFAULT_WINDOW_TOKENS = 8_192
"""Where neither the settings nor the endpoint say: what nearly every model takes."""

NO_MODEL = "no model is set on this host: set HOSTSWARM_ROUTER_URL or HOSTSWARM_MODEL"


@dataclass(slots=True)
class _Known:
    """A model that is open, and what is known of it.

    Args:
        habits: None until it was first used.
        told: Whether somebody told its window.
    """

    model: Model
    habits: Habits | None = None
    told: bool = False


class Thinker:
    """Gives brains with a model to a worker's agents. Lives on the worker's loop.

    Args:
        settings: This host's.
        host_system: How this host describes its system.
    """

    def __init__(self, settings: Settings, host_system: str) -> None:
        self._settings = settings
        self._host_system = host_system
        self._open: dict[Tier, _Known] = {}

    @property
    def steps(self) -> int:
        """Turns that one of its brains has."""
        return self._settings.agent_steps

    @property
    def tokens(self) -> int | None:
        """Tokens that one of its brains may take."""
        return self._settings.agent_tokens

    def wanted(self, task: HostTask) -> bool:
        """Whether a task asks for a model that this host could have, or must have."""
        if task.brain is BrainChoice.AUTO:
            return self._settings.has_model
        return task.brain is BrainChoice.LLM

    def tier(self, wanted: Tier) -> Tier:
        """The tier that an agent gets: the worker's where this host has no other model."""
        settings = self._settings
        same = settings.model_of(wanted) == settings.model_of(Tier.WORKER)
        return Tier.WORKER if same else wanted

    async def brain(
        self,
        rules: RulesBrain,
        review: Review,
        images: Sequence[str],
        tier: Tier = Tier.WORKER,
    ) -> ModelBrain | None:
        """A brain for one agent, or None where no model is set.

        Args:
            tier: Whose model is to think, where this host has one of its own for it.

        Raises:
            SettingsError: The way to the model that is set cannot be taken.
        """
        tier = self.tier(tier)
        if tier not in self._open:
            model = open_model(self._settings, tier, for_agents=True)
            if model is None:
                return None
            self._open[tier] = _Known(model)
        known = self._open[tier]
        return ModelBrain(
            model=known.model,
            habits=await self._habits(known),
            rules=rules,
            review=review,
            host_system=self._host_system,
            seconds=self._settings.model_timeout_seconds,
            steps=self._settings.agent_steps,
            images=images,
        )

    async def _habits(self, known: _Known) -> Habits:
        """What is known of a model. As long as nobody has told its window, it is asked again."""
        settings, model = self._settings, known.model
        if known.habits is None or not known.told:
            window = settings.context_length_of(model.tier) or await model.context_length()
            known.told = window is not None
            if known.habits is None:
                known.habits = Habits(
                    window_tokens=window or DEFAULT_WINDOW_TOKENS,
                    max_reply_tokens=settings.max_reply_tokens_of(model.tier),
                    json_calls=settings.tool_calling == "json",
                    may_change=settings.tool_calling == "auto",
                )
            elif window is not None:
                known.habits.window_tokens = window
        return known.habits

    async def close(self) -> None:
        """Let go of the models' connections."""
        while self._open:
            _, known = self._open.popitem()
            await known.model.close()
