"""A model through litellm in this process: for machines with a provider's key and no router.

What is known to go wrong with litellm, and where that is met, is said in `litellm_here.py`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any, cast

from swarm_tasks.brain.direct_errors import LeftAlone, meaning
from swarm_tasks.brain.litellm_here import (
    check_installed,
    failures,
    leave_clients,
    load_litellm,
    priced,
    use_clients,
    window,
)
from swarm_tasks.brain.loose import Nonsense, table
from swarm_tasks.brain.model import ModelReply, ModelRequest, Probe
from swarm_tasks.brain.refusal import Asked, Plainer
from swarm_tasks.brain.retry import Again, Patience
from swarm_tasks.brain.wire import Feature, Said, Trouble, counted_here, encode, said_in
from swarm_tasks.config import Settings
from swarm_tasks.errors import (
    ModelError,
    ModelRefused,
    ModelUnreachable,
    NoToolCalling,
)
from swarm_tasks.models.charge import Charge, Tier

REMEDY = "see that its provider is up and well, or set HOSTSWARM_FALLBACK_MODELS"

GROUP = "asked"
"""What the first model is called within litellm's router; the others are its fallbacks."""

PATIENCE = Patience(rounds=4, failures=3)
COOLDOWN_SECONDS = 15.0
"""A model that failed more than `failures` times within it is left alone for as long."""

PROBE_SECONDS = 30.0
PROBE_REQUEST = ModelRequest(
    messages=({"role": "user", "content": "Call the tool `ping` now, and say nothing."},),
    tools=(
        {
            "type": "function",
            "function": {
                "name": "ping",
                "description": "Answers with pong.",
                "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
            },
        },
    ),
)


class DirectModel:
    """One tier's model through litellm, with the settings' fallbacks behind it.

    It belongs to the event loop that first uses it. Nothing is opened before that.

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
        self._without: frozenset[Feature] = frozenset()
        self._last: Exception | None = None

    async def complete(self, request: ModelRequest, seconds: float) -> ModelReply:
        """Ask, again where that is worth it, for at most `seconds` in all.

        Raises:
            ModelUnreachable: It is down, slow, out of quota, or failed too often just before.
            ModelRefused: The request is refused for good: the key, the name, the form.
            ContextExceeded: The conversation does not fit its window.
            NoToolCalling: It takes no tools.
        """
        began = time.monotonic()
        failure: Again | None = None
        tries = 0
        try:
            async with asyncio.timeout(seconds):
                await self._open()
                while True:
                    try:
                        return await self._ask(request, began)
                    except Plainer as plainer:
                        self._without |= {plainer.feature}
                        continue
                    except Again as again:
                        failure = again
                    tries += 1
                    pause = failure.after_seconds
                    pause = PATIENCE.delay(tries) if pause is None else pause
                    if tries == PATIENCE.rounds or time.monotonic() + pause >= began + seconds:
                        break
                    await asyncio.sleep(pause)
        except TimeoutError:
            pass
        spent = time.monotonic() - began
        if failure is None:
            raise ModelUnreachable(f"{self.name} gave no answer in {spent:.1f} s", REMEDY)
        times = "once" if tries == 1 else f"{tries} times"
        text = f"{self.name} {failure.reason} (tried {times} in {spent:.1f} s)"
        raise ModelUnreachable(text, REMEDY)

    async def context_length(self) -> int | None:
        """Tokens that the model takes in all, as the settings or else litellm's list says.

        Of several models that may answer the least counts, and an unknown one makes it unknown.
        """
        own = self._settings.context_length_of(self.tier)
        if own is not None:
            return own
        await self._open()
        # It may ask an Ollama on the network, and waits for it.
        found = [await asyncio.to_thread(window, name) for name in self._names]
        known = [one for one in found if one]
        return min(known) if len(known) == len(found) else None

    async def probe(self, seconds: float = PROBE_SECONDS) -> Probe:
        """Try a tool, and say what is known of the model.

        Raises:
            ModelError: As `complete` does.
        """
        tool_calling: bool | None = False
        try:
            reply = await self.complete(PROBE_REQUEST, seconds)
        except NoToolCalling:
            pass
        else:
            tool_calling = True if reply.calls else None if reply.finish == "length" else False
        return Probe(self._names, await self.context_length(), tool_calling)

    async def close(self) -> None:
        """Let go of litellm's connections on this loop, unless another model still uses them."""
        if self._router is None:
            return
        self._router.discard()
        self._router = None
        await leave_clients(self)

    async def _open(self) -> None:
        async with self._opening:
            if self._router is None:
                # The import takes seconds, in which other agents go on.
                router, takes = await asyncio.to_thread(self._make_router)
                use_clients(self)
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
                allowed_fails=PATIENCE.failures,
                cooldown_time=COOLDOWN_SECONDS,
            )
        except litellm.BadRequestError as error:
            raise ModelRefused(
                f"litellm knows no provider for one of {', '.join(self._names)}",
                "write it as provider/model, such as anthropic/claude-sonnet-4-5",
            ) from error
        return router, frozenset(takes) if takes else None

    async def _ask(self, request: ModelRequest, began: float) -> ModelReply:
        """Ask once.

        Raises:
            Again: It failed and may do better.
            Plainer: It may take the request without something.
            ModelError: It refuses.
        """
        body = self._body(request)
        try:
            reply = await self._router.acompletion(**body)
        except failures() as error:
            raise self._meaning(error, body) from None
        try:
            said = said_in(table(reply.model_dump()))
        except Nonsense as nonsense:
            raise Again(f"answers nonsense: {nonsense}") from None
        except Trouble as trouble:
            raise Again(f"fails with status {trouble.status}") from None
        hidden = cast(Mapping[str, Any], getattr(reply, "_hidden_params", {}))
        return self._reply(request, said, hidden, time.monotonic() - began)

    def _body(self, request: ModelRequest) -> dict[str, Any]:
        """The call, with what the provider takes. litellm refuses a parameter that it does not.

        Raises:
            NoToolCalling: There are tools, and it does not take them.
        """
        whole: dict[str, Any] = json.loads(encode(request, GROUP, self._without))
        del whole["stream"]
        takes = self._takes
        if takes is not None:
            if "tools" in whole and "tools" not in takes:
                remedy = "set HOSTSWARM_TOOL_CALLING=json, or another model"
                raise NoToolCalling(f"{self.name} takes no tools", remedy)
            for feature in ("user", "response_format"):
                if feature not in takes:
                    whole.pop(feature, None)
        return whole

    def _meaning(self, error: Exception, body: Mapping[str, Any]) -> Exception:
        """What a failure means; while the model is left alone, what the last one meant."""
        features = frozenset(one for one in (Feature.USER, Feature.RESPONSE_FORMAT) if one in body)
        asked = Asked(self.name, self.name, self.tier, "", "tools" in body, features)
        found = meaning(error, asked)
        if isinstance(found, LeftAlone):
            last = self._last
            # Its own copy: an error that is raised again and again keeps every place of it.
            return type(last)(last.message, last.remedy) if isinstance(last, ModelError) else found
        self._last = found
        return found

    def _reply(
        self, request: ModelRequest, said: Said, hidden: Mapping[str, Any], seconds: float
    ) -> ModelReply:
        usage = said.usage or counted_here(request, said)
        name = str(hidden.get("litellm_model_name") or self.name)
        price = self._settings.prices.get(name)
        if price is not None:  # the operator's word before that of a list
            cost_usd = price.of(usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens)
        else:
            cost_usd = cast("float | None", hidden.get("response_cost")) if priced(name) else None
        charge = Charge(
            tier=self.tier,
            model=name,
            prompt_tokens=usage.prompt_tokens,
            cached_tokens=usage.cached_tokens,
            completion_tokens=usage.completion_tokens,
            cost_usd=cost_usd,
            counted=said.usage is not None,
            seconds=seconds,
        )
        return ModelReply(said.text, said.calls, charge, said.finish)
