"""A model through litellm in this process: for machines with a provider's key and no router.

litellm is imported when it is first used: that takes seconds, and 160 MB. Known of it (1.106):

- A call with tools fails where the package `mcp` is not installed, which it does not require.
- It fetches its list of prices from the network, and reads a file `.env` of the working directory,
  unless the environment says otherwise before the import.
- Its releases 1.82.7 and 1.82.8 were malicious.
- It keeps one HTTP client for each timeout that it is given, so that is the same for all calls.
- Its own tries again know nothing of a deadline and repeat a refusal (403), so they are off.
- It calls a price that it does not know zero.
- It writes errors of its own to standard error, with parts of requests in them.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import random
import time
from collections.abc import Awaitable, Mapping
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, cast
from weakref import WeakKeyDictionary

from swarm_tasks.brain.direct_errors import Trouble, trouble_of
from swarm_tasks.brain.model import ModelReply, ModelRequest, Probe, WireCall
from swarm_tasks.config import Settings
from swarm_tasks.errors import ModelRefused, ModelUnreachable, NoToolCalling, SettingsError
from swarm_tasks.models.charge import Charge, Tier

GROUP = "asked"
"""What the first model is called within litellm's router; the others are its fallbacks."""

TRIES = 4
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 8.0
"""Between tries: up to the first, doubled each time, with full jitter."""

ALLOWED_FAILS = 3
COOLDOWN_SECONDS = 15.0
"""A model that failed more often within the cooldown is left alone for as long."""

PROBE_TOOL: Mapping[str, Any] = {
    "type": "function",
    "function": {
        "name": "ping",
        "description": "Answers pong.",
        "parameters": {"type": "object", "properties": {}},
    },
}

ENVIRONMENT = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_MODE": "PRODUCTION",
}
"""What litellm reads when it is imported; see the docstring above."""

MALICIOUS = ("1.82.7", "1.82.8")

open_here: WeakKeyDictionary[asyncio.AbstractEventLoop, set[int]] = WeakKeyDictionary()
"""Which models are in use on a loop: litellm's connections belong to a loop, not to a model."""


class DirectModel:
    """One tier's model through litellm, with the settings' fallbacks behind it.

    Raises:
        SettingsError: litellm is not installed, or in a release that must not be used.
    """

    def __init__(self, settings: Settings, tier: Tier) -> None:
        check_installed()
        self.tier = tier
        self.name = settings.model_of(tier)
        others = (name for name in settings.fallback_models if name != self.name)
        self._names = (self.name, *dict.fromkeys(others))
        self._settings = settings
        self._opening = asyncio.Lock()
        self._router: Any = None
        self._takes: frozenset[str] | None = None
        self._last: Trouble | None = None

    async def complete(self, request: ModelRequest, seconds: float) -> ModelReply:
        """Ask; see `Model.complete`."""
        started = time.monotonic()
        trouble: Trouble | None = None
        try:
            async with asyncio.timeout(seconds):
                await self._open()
                asked = self._asked(request)
                for attempt in range(TRIES):
                    try:
                        reply = await self._router.acompletion(**asked)
                    except self._failures() as error:
                        trouble = self._trouble(error, request)
                    else:
                        return self._reply(reply, time.monotonic() - started)
                    left = seconds - (time.monotonic() - started)
                    pause = pause_seconds(attempt, trouble)
                    if not trouble.passing or attempt + 1 == TRIES or pause >= left:
                        raise trouble.error
                    await asyncio.sleep(pause)
        except TimeoutError:
            if trouble is not None:
                raise trouble.error from None
        raise ModelUnreachable(f"{self.name} gave no answer within {seconds:g} s")

    async def context_length(self) -> int | None:
        """The smallest window among the models that may answer, as litellm's list has it."""
        await self._open()
        # It may ask an Ollama on the network, and waits for it.
        found = [await asyncio.to_thread(window, name) for name in self._names]
        known = [one for one in found if one]
        return min(known) if len(known) == len(found) else None

    async def probe(self, seconds: float = 20.0) -> Probe:
        """Ask for one tool call, and say what is known of the model.

        Raises:
            ModelError: It does not answer.
        """
        asked = {"role": "user", "content": "Call the tool ping."}
        request = ModelRequest(messages=(asked,), tools=(PROBE_TOOL,), max_tokens=200)
        try:
            reply = await self.complete(request, seconds)
        except NoToolCalling:
            calls = False
        else:
            calls = bool(reply.calls)
        return Probe(
            models=self._names, context_length=await self.context_length(), tool_calling=calls
        )

    async def close(self) -> None:
        """Let go of litellm's connections on this loop, unless another model still uses them."""
        if self._router is None:
            return
        self._router.discard()
        self._router = None
        here = open_here.get(asyncio.get_running_loop(), set())
        here.discard(id(self))
        if not here:
            await close_clients()

    async def _open(self) -> None:
        async with self._opening:
            if self._router is None:
                # The import takes seconds, in which other agents go on.
                router, takes = await asyncio.to_thread(self._make_router)
                here = open_here.setdefault(asyncio.get_running_loop(), set())
                if not here:
                    # A loop that is gone may have had this one's address, and it is by that
                    # address that litellm finds a client.
                    own_clients()
                here.add(id(self))
                self._router, self._takes = router, takes

    def _make_router(self) -> tuple[Any, frozenset[str] | None]:
        litellm = load_litellm()
        groups = (GROUP, *(f"fallback-{number}" for number in range(1, len(self._names))))
        try:
            takes = litellm.get_supported_openai_params(self.name)
            router = litellm.Router(
                model_list=[
                    {"model_name": group, "litellm_params": {"model": name}}
                    for group, name in zip(groups, self._names, strict=True)
                ],
                fallbacks=[{GROUP: list(groups[1:])}] if len(groups) > 1 else [],
                # One that hangs leaves the others their share of the time.
                timeout=self._settings.model_timeout_seconds / len(groups),
                num_retries=0,
                allowed_fails=ALLOWED_FAILS,
                cooldown_time=COOLDOWN_SECONDS,
            )
        except litellm.BadRequestError as error:
            raise ModelRefused(
                f"litellm knows no provider for one of {', '.join(self._names)}",
                "write HOSTSWARM_MODEL as provider/model, such as anthropic/claude-sonnet-4-5",
            ) from error
        return router, frozenset(takes) if takes else None

    def _asked(self, request: ModelRequest) -> dict[str, Any]:
        """The call, with what the provider takes. It refuses a parameter that it does not know.

        Raises:
            NoToolCalling: There are tools, and it does not take them.
        """
        asked: dict[str, Any] = {
            "model": GROUP,
            "messages": [dict(message) for message in request.messages],
            "max_tokens": request.max_tokens,
        }
        takes = self._takes
        if request.tools:
            if takes is not None and "tools" not in takes:
                raise NoToolCalling(f"{self.name} takes no tools")
            asked["tools"] = [dict(tool) for tool in request.tools]
        if request.json_schema is not None and (takes is None or "response_format" in takes):
            schema = {"name": "answer", "schema": dict(request.json_schema)}
            asked["response_format"] = {"type": "json_schema", "json_schema": schema}
        if request.user and (takes is None or "user" in takes):
            asked["user"] = request.user
        return asked

    def _failures(self) -> tuple[type[Exception], ...]:
        litellm = load_litellm()
        routing = litellm.types.router
        return (
            litellm.exceptions.openai.OpenAIError,  # the root of all that litellm maps
            litellm.BudgetExceededError,
            routing.RouterRateLimitError,
            routing.RouterRateLimitErrorBasic,
        )

    def _trouble(self, error: Exception, request: ModelRequest) -> Trouble:
        """What to make of a failure. While a model is left alone, the reason is the last one's."""
        trouble = trouble_of(error, self.name, with_tools=bool(request.tools))
        if trouble.left_alone:
            return self._last or trouble
        self._last = trouble
        return trouble

    def _reply(self, reply: Any, seconds: float) -> ModelReply:
        """What litellm's answer says.

        Raises:
            ModelUnreachable: It says nothing that is one.
        """
        hidden = cast(Mapping[str, Any], getattr(reply, "_hidden_params", {}))
        body = cast(Mapping[str, Any], reply.model_dump())
        if not body.get("choices"):
            raise ModelUnreachable(f"{self.name} answered nonsense: no choices")
        name = str(hidden.get("litellm_model_name") or self.name)
        message = body["choices"][0]["message"]
        calls = tuple(
            WireCall(call["id"], call["function"]["name"], call["function"]["arguments"])
            for call in message.get("tool_calls") or ()
        )
        return ModelReply(
            text=message.get("content") or "",
            calls=calls,
            charge=self._charge(name, body.get("usage") or {}, hidden, seconds),
            finish=body["choices"][0].get("finish_reason") or "stop",
        )

    def _charge(
        self, name: str, usage: Mapping[str, Any], hidden: Mapping[str, Any], seconds: float
    ) -> Charge:
        prompt, completion = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
        details = cast(Mapping[str, Any], usage.get("prompt_tokens_details") or {})
        cached = details.get("cached_tokens") or 0
        cost: float | None = hidden.get("response_cost") if priced(name) else None
        price = self._settings.prices.get(name)
        if cost is None and price is not None:
            cost = price.of(prompt, cached, completion)
        return Charge(
            tier=self.tier,
            model=name,
            prompt_tokens=prompt,
            cached_tokens=cached,
            completion_tokens=completion,
            cost_usd=cost,
            counted=bool(prompt),
            seconds=seconds,
        )


def check_installed() -> None:
    """See that litellm is there, without importing it.

    Raises:
        SettingsError: It is not, or it is a release that must not be used.
    """
    for package in ("litellm", "mcp"):
        if find_spec(package) is None:
            raise SettingsError(
                f"a model without a router needs the package {package}",
                "pip install 'hostswarm[litellm]', or set HOSTSWARM_ROUTER_URL",
            )
    if version("litellm") in MALICIOUS:
        raise SettingsError(
            f"litellm {version('litellm')} was a malicious release",
            "replace every key that this machine holds, then pip install 'hostswarm[litellm]'",
        )


def load_litellm() -> Any:
    """litellm, imported once and told to be quiet. Untyped: its own types do not hold here."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    litellm = cast(Any, import_module("litellm"))
    litellm.suppress_debug_info = True
    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
        logging.getLogger(name).disabled = True
    return litellm


def priced(name: str) -> bool:
    """Whether litellm's list has a price for a model; zero is one, for one that costs nothing."""
    litellm = load_litellm()
    try:
        key = litellm.get_model_info(name)["key"]
    except (ValueError, KeyError, litellm.exceptions.ModelNotMappedError):
        return False
    # A model that its router was told of is on the list as well, without a price.
    return "input_cost_per_token" in litellm.model_cost.get(key, {})


def window(name: str) -> int | None:
    """Tokens that a model takes in all, as litellm's list has it."""
    litellm = load_litellm()
    try:
        return litellm.get_model_info(name).get("max_input_tokens")
    except (ValueError, KeyError, litellm.exceptions.ModelNotMappedError):
        return None


def pause_seconds(attempt: int, trouble: Trouble) -> float:
    """How long to wait before the next try, where the other side does not say."""
    if trouble.retry_after_seconds is not None:
        return trouble.retry_after_seconds
    most = min(FIRST_PAUSE_SECONDS * 2**attempt, LONGEST_PAUSE_SECONDS)
    return random.uniform(0, most)  # noqa: S311 - spreads load, keeps no secret


async def close_clients() -> None:
    """Close litellm's HTTP clients of this loop, and the task by which it logs.

    Its own function closes those of every loop, and leaves them where the next call finds them.
    """
    for client in own_clients():
        close = getattr(client, "aclose", None) or getattr(client, "close", None)
        done = close() if close is not None else None
        if inspect.isawaitable(done):
            await cast(Awaitable[object], done)
    logs = cast(Any, import_module("litellm.litellm_core_utils.logging_worker"))
    await logs.GLOBAL_LOGGING_WORKER.stop()


def own_clients() -> list[Any]:
    """litellm's HTTP clients of this loop, which it no longer finds after this."""
    cache = load_litellm().in_memory_llm_clients_cache
    mark = f"-{id(asyncio.get_running_loop())}"
    found = {key: client for key, client in cache.cache_dict.items() if key.endswith(mark)}
    for key in found:
        cache.delete_cache(key)
    return list(found.values())
