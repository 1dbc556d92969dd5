"""Asks the orchestrator's model for a plan. A job never depends on it: whatever goes wrong, the
default plan is taken, and says why."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.asking import billed, in_time
from orchestrator.briefing import SYSTEM, task_text
from orchestrator.proposal import (
    PLAN_SCHEMA,
    NoPlan,
    Planned,
    planned_by_default,
    read_plan,
)
from orchestrator.scope import Scope
from swarm_tasks.brain.model import Message, Model, ModelReply, ModelRequest
from swarm_tasks.brain.open import open_model
from swarm_tasks.brain.tokens import count
from swarm_tasks.config import Settings
from swarm_tasks.errors import ContextExceeded, HostswarmError, ModelError, ModelRefused
from swarm_tasks.log import logger
from swarm_tasks.models.charge import Allowance, Charge, Price, Tier
from swarm_tasks.models.job import BrainChoice
from swarm_tasks.models.report import Usage

PLANNING_SECONDS = 30.0
PLANNING_SHARE = 0.25
"""Of a job's time, tokens and dollars, what its plan may take: the agents need the rest."""

LAST_WORD_SECONDS = 0.1
"""A model that is slow is given up so long before planning ends: its own error names it."""

TRIES = 2
"""A plan that cannot be used goes back once, with the reasons."""

DEFAULT_WINDOW_TOKENS = 8_192
"""Where neither the settings nor the endpoint say: what nearly every model takes."""

MARGIN = 0.9
"""Tokens are counted here, and a server may count more."""

SHRINK = 0.6
"""How much of the window is used where an endpoint says only that the prompt was too long."""

LEAST_REPLY_TOKENS = 200
"""A shorter reply holds no plan for more than a host or two."""

MESSAGE_TOKENS = 4
"""What a message takes beside its text, as OpenAI's cookbook counts."""

IMAGE_TOKENS = 1_000
"""About what a screenshot takes of a window; endpoints count 700 to 1,600."""

UNBOUNDED = 1 << 30

SENT_BACK_CHARACTERS = 4_000
USER = "control/planner"


def make_plan(
    settings: Settings,
    scope: Scope,
    brain: BrainChoice,
    allowance: Allowance,
    deadline_seconds: float,
    images: Sequence[str] = (),
) -> Planned:
    """A model's plan where there is a question and a model, else the default plan.

    Takes `PLANNING_SECONDS` at most, and no more than its share of the deadline. Never raises
    for what a model or the way to it does.

    Args:
        deadline_seconds: From now.
        images: URLs of the images that belong to the question.
    """
    why = reason_for_default(settings, scope, brain)
    if why:
        return planned_by_default(scope, why)
    asking = Asking(settings, scope, allowance, tuple(images))
    seconds = min(PLANNING_SECONDS, PLANNING_SHARE * deadline_seconds)
    try:
        planned = in_time(asking.plan(seconds), seconds)
    except TimeoutError:
        return asking.in_default(f"the model gave no plan within {seconds:g} s")
    except HostswarmError as error:
        return asking.in_default(str(error))
    except Exception as error:  # noqa: BLE001 - the job goes on, and its report says what broke
        logger("control").exception("planning broke")
        return asking.in_default(f"{type(error).__name__}: {error}")
    return replace(planned, charges=tuple(asking.charges))


def reason_for_default(settings: Settings, scope: Scope, brain: BrainChoice) -> str:
    """Why there is nothing to ask a planner, in a line; empty if there is."""
    if brain is BrainChoice.RULES:
        return "the rules were asked for"
    if not settings.has_model:
        return "no model is set"
    if not scope.question.strip():
        return "no question was asked"
    if not scope.alive:
        return "no host is alive"
    if len(scope.hosts) == len(scope.specialists) == 1:
        return "there is nothing to choose"
    return ""


@dataclass(slots=True)
class Asking:
    """One plan being asked for.

    Args:
        images: Left out from the moment on that the model refuses them.
        charges: What it has taken so far, kept even if no plan comes of it.
    """

    settings: Settings
    scope: Scope
    allowance: Allowance
    images: tuple[str, ...] = ()
    charges: list[Charge] = field(default_factory=list[Charge])
    notes: list[str] = field(default_factory=list[str])

    def in_default(self, reason: str) -> Planned:
        """The default plan, with why and what it cost not to get another."""
        planned = planned_by_default(self.scope, "", degraded=reason)
        return replace(planned, charges=tuple(self.charges))

    async def plan(self, seconds: float) -> Planned:
        """Ask.

        Raises:
            TimeoutError: There was no plan in time.
            ModelError: The model could not be asked, or gives no plan that can be used.
            SettingsError: The way to the model that is set cannot be taken.
        """
        model = open_model(self.settings, Tier.ORCHESTRATOR)
        if model is None:
            raise ModelError("no model is set")
        try:
            async with asyncio.timeout(seconds) as limit:
                end = limit.when() or 0.0
                own = self.settings.context_length_of(Tier.ORCHESTRATOR)
                window = own or await model.context_length() or DEFAULT_WINDOW_TOKENS
                planned = await self._converse(model, window, end)
        finally:
            await model.close()
        plan = planned.plan
        return replace(planned, plan=plan.model_copy(update={"notes": (*self.notes, *plan.notes)}))

    async def _converse(self, model: Model, window: int, end: float) -> Planned:
        """Ask, and once more with what was wrong with the first answer."""
        more: list[Message] = []
        problem = ""
        for _ in range(TRIES):
            reply = await self._ask(model, window, end, more)
            if reply.finish == "length":
                read: Planned | NoPlan = NoPlan("it was cut off: be brief, name hosts by globs")
            else:
                read = read_plan(reply.text, self.scope)
            if isinstance(read, Planned):
                return read
            problem = read.problem
            more = [
                {"role": "assistant", "content": reply.text[:SENT_BACK_CHARACTERS] or "(nothing)"},
                {"role": "user", "content": f"That cannot be used: {problem}. Reply again."},
            ]
        raise ModelError(f"its plan cannot be used: {problem}")

    async def _ask(
        self, model: Model, window: int, end: float, more: Sequence[Message]
    ) -> ModelReply:
        """One reply, with less of the fleet or without images where the model takes no more."""
        while True:
            request = self._request(model, window, more)
            left = end - asyncio.get_running_loop().time() - LAST_WORD_SECONDS
            seconds = max(min(left, self.settings.model_timeout_seconds), 0.001)
            try:
                return await billed(model, request, seconds, self.charges.append)
            except ContextExceeded as error:
                limit = error.limit if error.limit and error.limit < window else None
                window = limit or int(window * SHRINK)
                if window < 2 * LEAST_REPLY_TOKENS:
                    raise
            except ModelRefused as error:
                if not self.images:
                    raise
                self.images = ()
                self.notes.append(f"planned without the images: {error.message}")

    def _request(self, model: Model, window: int, more: Sequence[Message]) -> ModelRequest:
        """What is asked, within the model's window and the job's allowance.

        Raises:
            ModelError: There is no room for it.
        """
        reply_tokens = min(self.settings.max_reply_tokens_of(Tier.ORCHESTRATOR), window // 4)
        taken = count(SYSTEM) + sum(count(str(one["content"])) for one in more)
        taken += MESSAGE_TOKENS * (2 + len(more)) + IMAGE_TOKENS * len(self.images)
        room = int(MARGIN * window) - reply_tokens - taken
        text = task_text(self.scope, len(self.images), room, count)
        if text is None:
            raise ModelError(f"the question does not fit the model's {window:,} tokens")
        return ModelRequest(
            messages=(
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": self._content(text)},
                *more,
            ),
            json_schema=PLAN_SCHEMA,
            max_tokens=self._allowed(model, taken + count(text), reply_tokens),
            user=USER,
        )

    def _content(self, text: str) -> str | list[dict[str, Any]]:
        if not self.images:
            return text
        images = [{"type": "image_url", "image_url": {"url": url}} for url in self.images]
        return [{"type": "text", "text": text}, *images]

    def _allowed(self, model: Model, prompt_tokens: int, reply_tokens: int) -> int:
        """How long the reply may be, so that planning keeps to its share of the allowance.

        Raises:
            ModelError: Its share is too small, or used up.
        """
        used = Usage.of(self.charges)
        tokens = used.prompt_tokens + used.completion_tokens
        stopped = self.allowance.exceeded(tokens, used.cost_usd)
        if stopped:
            raise ModelError(stopped)
        most, budget_usd = self.allowance.max_tokens, self.allowance.budget_usd
        if most is not None:
            reply_tokens = min(reply_tokens, int(PLANNING_SHARE * most) - tokens - prompt_tokens)
        price = self.settings.prices.get(model.name)
        if budget_usd is not None and price is not None:
            left_usd = PLANNING_SHARE * budget_usd - (used.cost_usd or 0.0)
            reply_tokens = min(reply_tokens, affordable(price, prompt_tokens, left_usd))
        if reply_tokens < LEAST_REPLY_TOKENS:
            raise ModelError("a plan would take more than its share of the job's budget")
        return reply_tokens


def affordable(price: Price, prompt_tokens: int, dollars: float) -> int:
    """How many tokens of a reply can be paid for beside the prompt; negative for not even that."""
    left_usd = dollars - price.of(prompt_tokens, 0, 0)
    a_million_usd = price.output_usd_per_million
    if left_usd < 0 or a_million_usd == 0:
        return -1 if left_usd < 0 else UNBOUNDED
    return int(left_usd / a_million_usd * 1e6)
