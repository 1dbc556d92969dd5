"""What holds for a model whichever way leads to it: over a router, or through litellm here."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from swarm_tasks.brain.model import Model, ModelReply, ModelRequest
from swarm_tasks.brain.open import open_model
from swarm_tasks.config import Settings
from swarm_tasks.errors import (
    ContextExceeded,
    ModelRefused,
    ModelUnreachable,
    NoToolCalling,
)
from swarm_tasks.models.charge import Price, Tier
from tests.support.model_script import Fault as Wrong
from tests.support.model_script import Turn, call, calls, fails, faulty, plays, says
from tests.support.model_server import ModelServer
from tests.support.waiting import wait_until

# litellm silences this warning of its own when it is imported; pytest puts it back.
pytestmark = pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier.*:UserWarning")

T = TypeVar("T")

KEY = "sk-contract"
TOOLS: tuple[dict[str, Any], ...] = (
    {
        "type": "function",
        "function": {
            "name": "gauge",
            "description": "Reads a gauge.",
            "parameters": {"type": "object", "properties": {"path": {"type": "string"}}},
        },
    },
)
SCHEMA: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
PATIENT_SECONDS = 30.0
PRICE = Price(input_usd_per_million=3, output_usd_per_million=15, cached_usd_per_million=0.3)


@dataclass(frozen=True)
class Way:
    """One way to a model.

    Args:
        settings: What leads there, for the base URL of a server.
        model: The name by which prices know it.
        key_setting: The variable that a refused key should be looked for in.
    """

    settings: Callable[[str], dict[str, Any]]
    model: str
    key_setting: str


ROUTER = Way(
    lambda url: {"router_url": (url,), "router_key": KEY, "model": "scripted"},
    "scripted",
    "HOSTSWARM_ROUTER_KEY",
)
LITELLM = Way(lambda _url: {"model": "openai/scripted"}, "openai/scripted", "OPENAI_API_KEY")


@pytest.fixture(scope="module")
def running() -> Generator[ModelServer]:
    """One process for all; each test has it play its own script."""
    with ModelServer(plays(says("well"))) as server:
        yield server
    gc.collect()  # what was left open warns now, and warnings are errors


@pytest.fixture(params=[ROUTER, LITELLM], ids=["router", "litellm"])
def way(request: pytest.FixtureRequest) -> Way:
    """Each way in turn."""
    return request.param


@dataclass(frozen=True)
class Bench:
    """A server, and the way to it."""

    server: ModelServer
    way: Way

    def play(self, *turns: Turn, **more: Any) -> None:
        """Have the server say these, whoever asks."""
        self.server.play(plays(*turns, key=KEY, **more))

    def settings(self, **more: Any) -> Settings:
        """Settings that lead to it."""
        return Settings(**{**self.way.settings(self.server.url), **more})

    def run(self, use: Callable[[Model], Awaitable[T]], **more: Any) -> T:
        """Use a model on a loop of its own, and close it."""

        async def whole() -> T:
            model = open_model(self.settings(**more), Tier.WORKER)
            assert model is not None
            try:
                return await use(model)
            finally:
                await model.close()

        return asyncio.run(whole())

    def ask(self, request: ModelRequest, **more: Any) -> ModelReply:
        """One request's reply."""
        return self.run(lambda model: model.complete(request, PATIENT_SECONDS), **more)


@pytest.fixture
def bench(running: ModelServer, way: Way, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The server with nothing remembered."""
    running.thaw()
    running.forget()
    monkeypatch.setenv("OPENAI_API_BASE", running.url)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return Bench(running, way)


def asks(content: Any = "How full is it?", **more: Any) -> ModelRequest:
    """A request of an agent."""
    messages = ({"role": "user", "content": content},)
    return ModelRequest(messages=messages, user="alpha/storage", **more)


def test_a_plain_answer_comes_with_what_it_took(bench: Bench) -> None:
    bench.play(says("Nine tenths."), cached_tokens=4)
    reply = bench.ask(asks())
    assert (reply.text, reply.calls, reply.finish) == ("Nine tenths.", (), "stop")
    (seen,) = bench.server.requests()
    charge = reply.charge
    assert (charge.tier, charge.calls, charge.counted) == (Tier.WORKER, 1, True)
    assert charge.prompt_tokens == seen.prompt_tokens > 0
    assert charge.completion_tokens == seen.completion_tokens > 0
    assert charge.cached_tokens == 4
    assert charge.seconds > 0
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert seen.body["max_tokens"] == 1024


def test_several_calls_at_once_come_as_the_model_wrote_them(bench: Bench) -> None:
    bench.play(calls(call("gauge", path="/a"), call("gauge", "{bad"), call("nothing_such")))
    reply = bench.ask(asks(tools=TOOLS))
    assert [one.name for one in reply.calls] == ["gauge", "gauge", "nothing_such"]
    assert json.loads(reply.calls[0].arguments) == {"path": "/a"}
    assert reply.calls[1].arguments == "{bad"
    assert len({one.id for one in reply.calls}) == 3
    assert reply.finish == "tool_calls"
    (seen,) = bench.server.requests()
    assert seen.body["tools"] == list(TOOLS)


def test_a_whole_conversation_goes_through(bench: Bench) -> None:
    bench.play(calls(call("gauge", path="/a")), says("Full."))

    async def talk(model: Model) -> str:
        messages: list[dict[str, Any]] = [{"role": "user", "content": "How full is it?"}]
        first = await model.complete(ModelRequest(messages, tools=TOOLS), PATIENT_SECONDS)
        asked = first.calls[0]
        function = {"name": asked.name, "arguments": asked.arguments}
        messages += [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": asked.id, "type": "function", "function": function}],
            },
            {"role": "tool", "tool_call_id": asked.id, "content": '{"full": true}'},
        ]
        second = await model.complete(ModelRequest(messages, tools=TOOLS), PATIENT_SECONDS)
        return second.text

    assert bench.run(talk) == "Full."
    assert [seen.turn for seen in bench.server.requests()] == [0, 1]


def test_an_image_is_passed_on_as_it_is(bench: Bench) -> None:
    bench.play(says("A graph."))
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": PIXEL}},
    ]
    bench.ask(asks(content))
    (seen,) = bench.server.requests()
    assert seen.body["messages"][0]["content"] == content


def test_a_schema_for_the_answer_reaches_the_endpoint(bench: Bench) -> None:
    bench.play(says("{}"))
    bench.ask(asks(json_schema=SCHEMA))
    (seen,) = bench.server.requests()
    assert seen.body["response_format"]["json_schema"]["schema"] == SCHEMA


def test_tokens_that_an_endpoint_does_not_count_are_counted_here(bench: Bench) -> None:
    bench.play(says("Nine tenths of it, and rising."), no_usage=True)
    charge = bench.ask(asks("How full is the volume that holds the shop's database?")).charge
    assert not charge.counted
    assert charge.prompt_tokens > 5
    assert charge.completion_tokens > 3


def test_a_schema_that_is_refused_is_left_out_from_then_on(bench: Bench) -> None:
    bench.play(says("{}"), no_schema=True)

    async def twice(model: Model) -> None:
        for _ in range(2):
            await model.complete(asks(json_schema=SCHEMA), PATIENT_SECONDS)

    bench.run(twice)
    asked = ["response_format" in seen.body for seen in bench.server.requests()]
    assert asked.count(True) <= 1
    assert asked[-2:] == [False, False]


def test_what_a_price_is_known_for_costs_and_what_none_is_known_for_is_unknown(
    bench: Bench,
) -> None:
    bench.play(says("Nine tenths."), cached_tokens=4)
    assert bench.ask(asks()).charge.cost_usd is None
    charge = bench.ask(asks(), prices={bench.way.model: PRICE}).charge
    assert charge.cost_usd == pytest.approx(
        PRICE.of(charge.prompt_tokens, 4, charge.completion_tokens)
    )


def test_a_refused_key_is_final_and_names_its_setting(bench: Bench) -> None:
    bench.server.play(plays(says("never"), key="sk-another"))
    with pytest.raises(ModelRefused) as caught:
        bench.ask(asks())
    assert bench.way.key_setting in str(caught.value)
    assert KEY not in str(caught.value)
    assert len(bench.server.requests()) == 1


def test_a_model_that_is_not_there_is_final(bench: Bench) -> None:
    bench.server.play(plays(says("never")).model_copy(update={"only_models": True}))
    with pytest.raises(ModelRefused):
        bench.ask(asks())
    assert len(bench.server.requests()) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        Wrong(status=429, retry_after=0.05, times=1),
        Wrong(status=500, times=1),
        Wrong(status=503, times=1),
        Wrong(cut=True, times=1),
        Wrong(drop=True, times=1),
    ],
    ids=["429", "500", "503", "cut", "drop"],
)
def test_what_passes_is_asked_again(bench: Bench, wrong: Wrong) -> None:
    bench.play(faulty(says("At last."), wrong))
    assert bench.ask(asks()).text == "At last."
    assert len(bench.server.requests()) == 2


def test_what_does_not_pass_in_time_is_unreachable_and_says_why(bench: Bench) -> None:
    bench.play(fails(status=429, retry_after=60))
    with pytest.raises(ModelUnreachable, match="429"):
        bench.run(lambda model: model.complete(asks(), 5.0))


def test_a_model_that_hangs_is_not_waited_for(bench: Bench) -> None:
    bench.play(says("warm"))

    async def ask(model: Model) -> None:
        # The first call may take litellm's import with it.
        await model.complete(asks(), PATIENT_SECONDS)
        bench.play(fails(hang=True))
        await model.complete(asks(), 0.3)

    with pytest.raises(ModelUnreachable):
        bench.run(ask)
    wait_until("the server sees it hang up", lambda: bench.server.requests()[-1].hung_up)


@pytest.mark.parametrize("nonsense", ["html", "truncated", "empty", "list", "no_choices"])
def test_nonsense_is_no_answer(bench: Bench, nonsense: str) -> None:
    bench.play(faulty(says("Sense."), Wrong(nonsense=nonsense, times=1)))  # pyright: ignore[reportArgumentType]
    try:
        reply = bench.ask(asks())
    except ModelUnreachable:
        return
    assert reply.text == "Sense."  # asked again, which is as well


def test_a_conversation_that_does_not_fit_says_so(bench: Bench) -> None:
    bench.play(says("never"), window=100)
    with pytest.raises(ContextExceeded) as caught:
        bench.ask(asks("word " * 200))
    assert caught.value.limit == 100
    assert len(bench.server.requests()) == 1


def test_a_model_without_tools_says_so(bench: Bench) -> None:
    bench.play(says("plain"), no_tools=True)
    with pytest.raises(NoToolCalling):
        bench.ask(asks(tools=TOOLS))
    assert bench.ask(asks()).text == "plain"


def test_a_cancelled_call_closes_its_request(bench: Bench) -> None:
    bench.play(fails(hang=True))

    async def cancel(model: Model) -> None:
        task = asyncio.ensure_future(model.complete(asks(), PATIENT_SECONDS))
        await asyncio.to_thread(wait_until, "the request is there", lambda: bench.server.requests())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(
            wait_until, "it is hung up", lambda: bench.server.requests()[0].hung_up
        )

    bench.run(cancel)


def test_many_agents_share_one_model(bench: Bench) -> None:
    bench.play(says("{{find:agent [0-9]+}}", latency=0.05))

    async def crowd(model: Model) -> list[str]:
        replies = await asyncio.gather(
            *(model.complete(asks(f"agent {n}"), PATIENT_SECONDS) for n in range(20))
        )
        return [reply.text for reply in replies]

    assert bench.run(crowd) == [f"agent {n}" for n in range(20)]


def test_one_tier_s_model_closes_without_harm_to_the_other_s(bench: Bench) -> None:
    bench.play(says("still here"))

    async def both() -> str:
        settings = bench.settings()
        one, other = (open_model(settings, tier) for tier in Tier)
        assert one is not None
        assert other is not None
        for model in (one, other):
            await model.complete(asks(), PATIENT_SECONDS)
        await one.close()
        reply = await other.complete(asks(), PATIENT_SECONDS)
        await other.close()
        return reply.text

    assert asyncio.run(both()) == "still here"


def test_a_closed_model_may_be_closed_again_and_one_that_never_asked_too(bench: Bench) -> None:
    async def close_twice() -> None:
        model = open_model(bench.settings(), Tier.WORKER)
        assert model is not None
        await model.close()
        await model.close()

    asyncio.run(close_twice())
    assert bench.server.requests() == []


def test_without_any_setting_there_is_no_model() -> None:
    assert open_model(Settings(), Tier.WORKER) is None
