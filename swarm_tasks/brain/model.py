"""A model as the brains see it: one request in OpenAI's chat form, one reply. No network here.

Two ways lead to one: `router.py` over HTTP, `direct.py` through litellm in this process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from swarm_tasks.models.charge import Charge, Tier

Message = Mapping[str, Any]
"""One message in the chat form: `role`, `content`, `tool_calls`, `tool_call_id`."""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What a model is asked.

    Args:
        messages: The conversation, oldest first.
        tools: Functions that it may call, in the chat form.
        json_schema: What its answer must fit, where the endpoint can be told so; None for none.
        max_tokens: The longest reply.
        user: Who asks, as `host/specialist`: routers account by it.
    """

    messages: Sequence[Message]
    tools: Sequence[Mapping[str, Any]] = ()
    json_schema: Mapping[str, Any] | None = None
    max_tokens: int = 1024
    user: str = ""


@dataclass(frozen=True, slots=True)
class WireCall:
    """A tool call as the model wrote it; `arguments` is text that should be JSON."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ModelReply:
    """What a model said.

    Args:
        finish: The endpoint's word for why it ended: `stop`, `tool_calls`, `length`, …
    """

    text: str
    calls: tuple[WireCall, ...]
    charge: Charge
    finish: str = "stop"


@dataclass(frozen=True, slots=True)
class Probe:
    """What an endpoint says about itself.

    Args:
        models: The names it offers; empty where it does not say.
        context_length: Tokens that the model takes in all; None where it does not say.
        tool_calling: Whether the model calls tools when asked to; None where it was not tried.
    """

    models: tuple[str, ...] = field(default=())
    context_length: int | None = None
    tool_calling: bool | None = None


class Model(Protocol):
    """A model that can be asked. One is shared by all agents of a process and of one loop."""

    tier: Tier
    name: str

    async def complete(self, request: ModelRequest, seconds: float) -> ModelReply:
        """Ask, again where that is worth it, for at most `seconds` in all.

        Raises:
            ModelUnreachable: It is down, slow, out of quota, or its circuit is open.
            ModelRefused: The request is refused for good: the key, the name, the form.
            ContextExceeded: The conversation does not fit its window.
            NoToolCalling: It takes no tools.
        """
        ...

    async def context_length(self) -> int | None:
        """Tokens that the model takes in all, as the endpoint says; None where it does not."""
        ...

    async def close(self) -> None:
        """Let go of all connections."""
        ...
