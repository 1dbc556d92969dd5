"""A model behind the shared router: any endpoint, or several, that speak OpenAI's chat form.

This is the hot path of agents that think, hence the layers below it, each pure but for `line.py`:

    router.py    asks, and goes on as the layers say
    line.py      pooled connections                    place.py  where they lead
    wire.py      requests and replies as bytes         stream.py  where they were streamed
    refusal.py   what an error means
    trial.py     a call's way over several endpoints   endpoints.py  which is least busy
    circuit.py   whether one is asked at all           retry.py  what is worth trying again
    about.py     what an endpoint says of itself       loose.py  JSON that may hold anything
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from swarm_tasks.brain.about import offered, window, window_of_deployments
from swarm_tasks.brain.circuit import Circuit
from swarm_tasks.brain.endpoints import Endpoint, Endpoints
from swarm_tasks.brain.line import Answer, Line
from swarm_tasks.brain.loose import Nonsense, dollars, parsed
from swarm_tasks.brain.model import ModelReply, ModelRequest, Probe
from swarm_tasks.brain.place import Place
from swarm_tasks.brain.refusal import Asked, NoSuchModel, Plainer, judged
from swarm_tasks.brain.retry import Again, Elsewhere, Patience, retry_after
from swarm_tasks.brain.trial import Trial
from swarm_tasks.brain.wire import Feature, Said, Trouble, counted_here, decode, encode
from swarm_tasks.config import Settings
from swarm_tasks.errors import ModelError, NoToolCalling
from swarm_tasks.models.charge import Charge, Tier

COST_HEADER = "x-litellm-response-cost"
ASKING_SECONDS = 3.0
"""How long an endpoint may take to tell of itself, where a person wants to know."""

WINDOW_SECONDS = 1.0
"""The same where a plan, an agent or a summary waits for it: there is a window without it."""

UNTOLD_SECONDS = 60.0
"""For how long it is not asked again if it did not."""

FAIR_SECONDS = 10.0
FAIR_SHARE = 0.4
"""A timeout counts against an endpoint if it had so many seconds, or this share of the time that
the settings give a reply: a caller in a hurry proves nothing. With two endpoints each has half."""

MOST_NAMES = 10
PROBE_SECONDS = 30.0
PROBE_TOOL: Mapping[str, Any] = {
    "type": "function",
    "function": {
        "name": "ping",
        "description": "Answers with pong.",
        "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
    },
}

_refused: dict[tuple[str, str], frozenset[Feature]] = {}
"""What was found to be refused, by URL and model. Models are opened anew for each plan and each
synthesis, so this is the process's."""

_windows: dict[tuple[str, str], tuple[int | None, float]] = {}
"""What endpoints told of their windows, likewise; where they told none, until when that holds."""


class RouterModel:
    """A tier's model behind the endpoints that the settings name.

    It belongs to the event loop that first uses it. Nothing is opened before that.
    """

    def __init__(
        self,
        settings: Settings,
        tier: Tier,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tier = tier
        self.name = settings.model_of(tier)
        self._settings = settings
        self._patience = patience = patience or Patience()
        self._clock = clock
        key = settings.router_key
        self._key = key.get_secret_value().strip() if key is not None else ""
        self._fair_seconds = min(FAIR_SECONDS, FAIR_SHARE * settings.model_timeout_seconds)
        self._line = Line(patience.connect_seconds)
        self._endpoints = Endpoints([self._endpoint(url) for url in settings.router_url])
        self._window: int | None = settings.context_length_of(tier)
        self._asking = asyncio.Lock()

    async def complete(self, request: ModelRequest, seconds: float) -> ModelReply:
        """Ask, again where that is worth it, for at most `seconds` in all.

        Raises:
            ModelUnreachable: It is down, slow, out of quota, or its circuit is open.
            ModelRefused: The request is refused for good: the key, the name, the form.
            ContextExceeded: The conversation does not fit its window.
            NoToolCalling: It takes no tools.
        """
        now = self._clock()
        trial = Trial(self._endpoints, self._patience, now, now + seconds)
        while True:
            endpoint = trial.next(now)
            if endpoint is None:
                await self._wait(trial, now)
            else:
                try:
                    return await self._ask(endpoint, request, trial, now)
                except Again as failure:
                    trial.lost(endpoint, failure, self._clock())
                except Elsewhere as refusal:
                    trial.refused(endpoint, refusal.error)
            now = self._clock()

    async def context_length(self) -> int | None:
        """Tokens that the model takes in all, as the settings or else the endpoints say.

        Of several endpoints the least counts. A failure is no error: that is None, and they are
        asked again after a minute.
        """
        async with self._asking:
            if self._window is None:
                told = await asyncio.gather(*map(self._window_known, self._endpoints.all))
                self._window = min((tokens for tokens in told if tokens), default=None)
            return self._window

    async def probe(self, seconds: float = PROBE_SECONDS) -> Probe:
        """Try a tool, and meanwhile ask for what there is to know; that may stay unknown.

        Raises:
            ModelError: As `complete` does.
        """
        request = ModelRequest(
            messages=({"role": "user", "content": "Call the tool `ping` now, and say nothing."},),
            tools=(PROBE_TOOL,),
            user="hostswarm/doctor",
        )
        tool_calling: bool | None = False
        known = asyncio.create_task(self._known(min(ASKING_SECONDS, 0.5 * seconds)))
        try:
            try:
                reply = await self.complete(request, seconds)
            except NoToolCalling:
                pass
            else:
                tool_calling = True if reply.calls else None if reply.finish == "length" else False
            models, tokens = await known
        finally:
            known.cancel()
            await asyncio.wait([known])
        return Probe(models, self._window or tokens, tool_calling)

    async def close(self) -> None:
        """Let go of all connections."""
        await self._line.close()

    def _endpoint(self, url: str) -> Endpoint:
        patience = self._patience
        circuit = Circuit(
            self._clock,
            patience.failures,
            patience.cool_down_seconds,
            patience.most_cool_down_seconds,
        )
        return Endpoint(url, Place.of(f"{url}/chat/completions", self._key), circuit)

    async def _ask(
        self, endpoint: Endpoint, request: ModelRequest, trial: Trial, now: float
    ) -> ModelReply:
        """Ask one endpoint once, and tell its circuit how that went.

        Raises:
            Again: It failed.
            Elsewhere: It refuses.
            ModelError: There is no sense in asking any other.
        """
        circuit = endpoint.circuit
        ticket = circuit.enter()
        endpoint.in_flight += 1
        until = trial.until(endpoint, now)
        well: bool | None = None
        final = False
        try:
            async with asyncio.timeout(until - now):
                said, cost_usd = await self._said(endpoint, request)
            well = True
        except TimeoutError:
            well = False if until - now >= self._fair_seconds else None
            raise Again(f"gave no answer in {until - now:.1f} s") from None
        except Again as failure:
            well = not failure.sick
            raise
        except Elsewhere as refusal:
            final = refusal.shut
            well = not final
            raise
        except ModelError:
            well = True
            raise
        finally:
            endpoint.in_flight -= 1
            if well:
                circuit.succeeded()
            elif well is None:
                circuit.left(ticket)
            else:
                circuit.failed(ticket, final)
        return self._reply(request, said, cost_usd, self._clock() - trial.began)

    async def _said(self, endpoint: Endpoint, request: ModelRequest) -> tuple[Said, float | None]:
        """What an endpoint says, and what it says that costs; without what it was found to refuse.

        Raises:
            Again, Elsewhere, ModelError: As above.
        """
        mark = (endpoint.url, self.name)
        while True:
            without = _refused.get(mark, frozenset())
            answer = await self._line.post(endpoint.place, encode(request, self.name, without))
            try:
                if 200 <= answer.status < 300:
                    return decode(answer.body, answer.kind), _cost_usd(answer.headers)
                status = answer.status
            except Nonsense as nonsense:
                raise Again(f"answers nonsense: {nonsense}") from None
            except Trouble as trouble:
                status = trouble.status
            judgement = self._judged(endpoint, request, answer, status, without)
            if not isinstance(judgement, Plainer):
                raise judgement
            _refused[mark] = without | {judgement.feature}

    def _judged(
        self,
        endpoint: Endpoint,
        request: ModelRequest,
        answer: Answer,
        status: int,
        without: frozenset[Feature],
    ) -> Again | Elsewhere | Plainer | ModelError:
        sent = {Feature.MAX_TOKENS}
        sent |= {Feature.USER} if request.user else set()
        sent |= {Feature.RESPONSE_FORMAT} if request.json_schema is not None else set()
        asked = Asked(
            endpoint.url,
            self.name,
            self.tier,
            self._key,
            bool(request.tools),
            frozenset(sent) - without,
        )
        after_seconds = retry_after(answer.headers.get("Retry-After"))
        return judged(asked, status, answer.body, answer.kind, after_seconds)

    def _reply(
        self, request: ModelRequest, said: Said, cost_usd: float | None, seconds: float
    ) -> ModelReply:
        usage = said.usage or counted_here(request, said)
        if cost_usd is None:
            cost_usd = usage.cost_usd
        if cost_usd is None and (price := self._settings.prices.get(self.name)) is not None:
            cost_usd = price.of(usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens)
        charge = Charge(
            tier=self.tier,
            model=self.name,
            prompt_tokens=usage.prompt_tokens,
            cached_tokens=usage.cached_tokens,
            completion_tokens=usage.completion_tokens,
            cost_usd=cost_usd,
            counted=said.usage is not None,
            seconds=seconds,
        )
        return ModelReply(said.text, said.calls, charge, said.finish)

    async def _wait(self, trial: Trial, now: float) -> None:
        """Wait for a call's next round.

        Raises:
            ModelError: There is none; a model's name that is wrong comes with those on offer, if
                the endpoints tell them soon.
        """
        try:
            seconds = trial.pause(now)
        except NoSuchModel as error:
            names = await self._models(min(ASKING_SECONDS, trial.end - self._clock()))
            if not names:
                raise
            shown = ", ".join(names[:MOST_NAMES]) + (", …" if len(names) > MOST_NAMES else "")
            raise NoSuchModel(error.message, f"{error.remedy}: {shown}") from None
        await asyncio.sleep(seconds)

    async def _known(self, seconds: float) -> tuple[tuple[str, ...], int | None]:
        """What the endpoints say now: the names that they offer, and the least window."""
        windows = (self._window_of(one, seconds) for one in self._endpoints.all)
        models, told = await asyncio.gather(self._models(seconds), asyncio.gather(*windows))
        return models, min((tokens for tokens in told if tokens), default=None)

    async def _models(self, seconds: float) -> tuple[str, ...]:
        """The names that the endpoints offer, of those that tell them in time."""
        told = await asyncio.gather(
            *(self._told(f"{one.url}/models", seconds) for one in self._endpoints.all)
        )
        return tuple(dict.fromkeys(name for data in told for name in offered(data)))

    async def _window_known(self, endpoint: Endpoint) -> int | None:
        """An endpoint's window; it is asked for once, or again after a while if it told none."""
        mark = (endpoint.url, self.name)
        found, until = _windows.get(mark, (None, self._clock()))
        if found is None and self._clock() >= until:
            found = await self._window_of(endpoint, WINDOW_SECONDS)
            _windows[mark] = found, self._clock() + UNTOLD_SECONDS
        return found

    async def _window_of(self, endpoint: Endpoint, seconds: float) -> int | None:
        root = endpoint.url.removesuffix("/v1")
        models, info = await asyncio.gather(
            self._told(f"{endpoint.url}/models", seconds),
            self._told(f"{root}/model/info", seconds),
        )
        return window(models, self.name) or window_of_deployments(info, self.name)

    async def _told(self, url: str, seconds: float) -> Any:
        """The JSON at a URL; None where there is none to be had in time."""
        try:
            async with asyncio.timeout(seconds):
                answer = await self._line.get(Place.of(url, self._key))
            return parsed(answer.body) if answer.status == 200 else None
        except (Again, Elsewhere, Nonsense, TimeoutError):
            return None


def _cost_usd(headers: Mapping[str, str]) -> float | None:
    """What LiteLLM Proxy says that a call cost; 0 is what it says of a model without a price."""
    return dollars(headers.get(COST_HEADER)) or None
