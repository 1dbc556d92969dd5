"""The model of a host's worker: opened when first needed, shared by all its agents."""

from __future__ import annotations

from collections.abc import Sequence

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


class Thinker:
    """Gives brains with a model to a worker's agents. Lives on the worker's loop.

    Args:
        settings: This host's.
        host_system: How this host describes its system.
    """

    def __init__(self, settings: Settings, host_system: str) -> None:
        self._settings = settings
        self._host_system = host_system
        self._model: Model | None = None
        self._habits: Habits | None = None
        self._told = False

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

    async def brain(
        self, rules: RulesBrain, review: Review, images: Sequence[str]
    ) -> ModelBrain | None:
        """A brain for one agent, or None where no model is set.

        Raises:
            SettingsError: The way to the model that is set cannot be taken.
        """
        if self._model is None:
            self._model = open_model(self._settings, Tier.WORKER)
        if self._model is None:
            return None
        habits = await self._known(self._model)
        return ModelBrain(
            model=self._model,
            habits=habits,
            rules=rules,
            review=review,
            host_system=self._host_system,
            seconds=self._settings.model_timeout_seconds,
            steps=self._settings.agent_steps,
            images=images,
        )

    async def _known(self, model: Model) -> Habits:
        """What is known of the model. As long as nobody has told its window, it is asked again."""
        settings = self._settings
        if self._habits is None or not self._told:
            window = settings.context_length_of(model.tier) or await model.context_length()
            self._told = window is not None
            if self._habits is None:
                self._habits = Habits(
                    window_tokens=window or DEFAULT_WINDOW_TOKENS,
                    max_reply_tokens=settings.max_reply_tokens_of(model.tier),
                    json_calls=settings.tool_calling == "json",
                    may_change=settings.tool_calling == "auto",
                )
            elif window is not None:
                self._habits.window_tokens = window
        return self._habits

    async def close(self) -> None:
        """Let go of the model's connections."""
        if self._model is not None:
            await self._model.close()
            self._model = None
