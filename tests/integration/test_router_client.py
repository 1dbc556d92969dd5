"""A model behind a router: over real HTTP, with everything that can go wrong on the way.

Waits are made tiny; the client is the real one, and so are the servers.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from pydantic import SecretStr

from swarm_tasks.brain.line import most_connections
from swarm_tasks.brain.model import Model, ModelReply, ModelRequest
from swarm_tasks.brain.retry import Patience
from swarm_tasks.brain.router import RouterModel
from swarm_tasks.config import Settings
from swarm_tasks.errors import (
    ContextExceeded,
    ModelError,
    ModelRefused,
    ModelUnreachable,
    NoToolCalling,
)
from swarm_tasks.models.charge import Price, Tier
from tests.support.certificates import write_pair
from tests.support.model_script import (
    Fault,
    Nonsense,
    Role,
    Script,
    Turn,
    call,
    calls,
    fails,
    faulty,
    plays,
    says,
)
from tests.support.model_server import ModelServer
from tests.support.waiting import wait_until

T = TypeVar("T")

HELLO = ModelRequest(({"role": "user", "content": "How are you?"},), user="alpha/storage")
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "nap", "parameters": {"type": "object", "properties": {}}},
}
IMAGE = "data:image/png;base64,iVBORw0KGgo="
LOOPBACK = "127.0.0.1"
KEY = "sk-canary-0123456789"
BRIEF = Patience(
    base_seconds=0.02, most_seconds=0.1, cool_down_seconds=0.1, most_cool_down_seconds=0.2
)


@pytest.fixture(scope="module")
def running() -> Generator[ModelServer]:
    """One process for all; each test has it play its own script."""
    with ModelServer(plays(says("well"))) as server:
        yield server


@pytest.fixture
def server(running: ModelServer, monkeypatch: pytest.MonkeyPatch) -> ModelServer:
    """The server with nothing remembered, on either side."""
    running.forget()
    forget_windows(monkeypatch)
    return running


def forget_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have endpoints asked for their windows anew."""
    monkeypatch.setattr("swarm_tasks.brain.router._windows", {})


@asynccontextmanager
async def opened(
    *urls: str, tier: Tier = Tier.WORKER, patience: Patience = BRIEF, **settings: Any
) -> AsyncGenerator[RouterModel]:
    """A model behind these endpoints."""
    model = RouterModel(Settings(router_url=urls, **settings), tier, patience)
    try:
        yield model
    finally:
        await model.close()


def ask(
    *urls: str, request: ModelRequest = HELLO, seconds: float = 10.0, **more: Any
) -> ModelReply:
    """Ask once."""

    async def once() -> ModelReply:
        async with opened(*urls, **more) as model:
            return await model.complete(request, seconds)

    return asyncio.run(once())


def statuses(server: ModelServer) -> list[int]:
    """What the requests were answered with."""
    return [seen.status for seen in server.requests()]


def test_it_is_a_model() -> None:
    model: Model = RouterModel(
        Settings(router_url=("http://r/v1",), model="small"), Tier.ORCHESTRATOR
    )
    assert (model.name, model.tier) == ("small", Tier.ORCHESTRATOR)


def test_a_reply_comes_with_its_calls_and_its_charge(server: ModelServer) -> None:
    server.play(
        plays(
            calls(call("nap", seconds=1), call("nap", "{bad"), text="I will nap."),
            cached_tokens=2,
            headers={"x-litellm-response-cost": "0.00125"},
        )
    )
    reply = ask(
        server.url, request=ModelRequest(HELLO.messages, (TOOL,), user="a/b"), model="worker"
    )
    assert [(one.name, one.arguments) for one in reply.calls] == [
        ("nap", '{"seconds":1}'),
        ("nap", "{bad"),
    ]
    assert (reply.text, reply.finish) == ("I will nap.", "tool_calls")
    (seen,) = server.requests()
    charge = reply.charge
    assert (charge.tier, charge.model, charge.calls) == (Tier.WORKER, "worker", 1)
    assert (charge.prompt_tokens, charge.completion_tokens, charge.cached_tokens) == (
        seen.prompt_tokens,
        seen.completion_tokens,
        2,
    )
    assert (charge.counted, charge.cost_usd) == (True, 0.00125)
    assert charge.seconds > 0
    assert seen.body["user"] == "a/b"
    assert "authorization" not in seen.headers


@pytest.mark.parametrize(
    ("headers", "prices", "known"),
    [
        ({}, {}, False),
        ({"x-litellm-response-cost": "None"}, {}, False),
        ({"x-litellm-response-cost": "0.0"}, {}, False),
        ({"x-litellm-response-cost": "0.0"}, {"worker": (1e6, 2e6)}, True),
        ({}, {"worker": (1e6, 2e6)}, True),
        ({}, {"other": (1e6, 2e6)}, False),
    ],
)
def test_a_cost_is_what_the_prices_say_or_unknown_but_never_nothing(
    server: ModelServer, headers: dict[str, str], prices: dict[str, Any], known: bool
) -> None:
    server.play(plays(says("well"), headers=headers))
    told = {
        name: Price(input_usd_per_million=one, output_usd_per_million=two)
        for name, (one, two) in prices.items()
    }
    charge = ask(server.url, prices=told).charge
    expected = charge.prompt_tokens + 2.0 * charge.completion_tokens
    assert charge.cost_usd == (pytest.approx(expected) if known else None)  # pyright: ignore[reportUnknownMemberType]


def test_tokens_that_the_server_does_not_count_are_counted_here(server: ModelServer) -> None:
    server.play(plays(says("I am well."), no_usage=True))
    charge = ask(server.url).charge
    assert not charge.counted
    assert charge.prompt_tokens > 0
    assert charge.completion_tokens > 0


def test_an_image_and_the_key_reach_the_server(server: ModelServer) -> None:
    server.play(plays(says("a cat"), key=KEY))
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": IMAGE}},
    ]
    request = ModelRequest(({"role": "user", "content": content},))
    assert ask(server.url, request=request, router_key=SecretStr(KEY)).text == "a cat"
    (seen,) = server.requests()
    assert seen.body["messages"][0]["content"] == content
    assert seen.headers["authorization"] == f"Bearer {KEY}"


def test_a_request_of_megabytes_is_sent(server: ModelServer) -> None:
    server.play(plays(says("well")))
    request = ModelRequest(({"role": "user", "content": "x" * 3_000_000},))
    assert ask(server.url, request=request).text == "well"
    assert len(server.requests()[0].body["messages"][0]["content"]) == 3_000_000


FAULTS: tuple[tuple[Fault, ...], ...] = (
    (Fault(status=429, retry_after=0.02, times=2),),
    (Fault(status=429, times=3),),
    (Fault(status=503, retry_after="Thu, 01 Jan 1970 00:00:00 GMT", times=1),),
    (Fault(status=500, times=1), Fault(status=502, times=1), Fault(status=408, times=1)),
    (Fault(cut=True, times=2),),
    (Fault(drop=True, times=2),),
    (Fault(nonsense="html", times=1), Fault(nonsense="truncated", times=1)),
    (Fault(nonsense="empty", times=1), Fault(nonsense="bytes", times=1)),
    (Fault(nonsense="list", times=1), Fault(nonsense="no_choices", times=1)),
    (Fault(flood_bytes=50_000_000, times=1),),
    (Fault(flood_bytes=50_000_000, squeezed=True, times=1),),
)


@pytest.mark.parametrize("faults", FAULTS)
def test_what_passes_is_tried_again(server: ModelServer, faults: tuple[Fault, ...]) -> None:
    server.play(plays(faulty(says("well"), *faults)))
    assert ask(server.url).text == "well"
    assert len(server.requests()) == 1 + sum(fault.times or 0 for fault in faults)


def test_waiting_that_is_asked_for_is_honoured(server: ModelServer) -> None:
    server.play(plays(faulty(says("well"), Fault(status=429, retry_after=0.3, times=1))))
    began = time.monotonic()
    assert ask(server.url).text == "well"
    assert time.monotonic() - began >= 0.3


def test_waiting_longer_than_there_is_time_is_refused_at_once(server: ModelServer) -> None:
    server.play(plays(fails(status=429, retry_after=120)))
    with pytest.raises(ModelUnreachable, match="asks to wait 120 s, more than the"):
        ask(server.url)
    assert statuses(server) == [429]


def test_a_quota_that_is_used_up_is_not_tried_again(server: ModelServer) -> None:
    body = '{"error": {"message": "no money", "code": "insufficient_quota"}}'
    server.play(plays(fails(status=429, body=body)))

    async def twice() -> None:
        async with opened(server.url, patience=Patience()) as model:
            with pytest.raises(ModelUnreachable, match="out of quota"):
                await model.complete(HELLO, 10)
            with pytest.raises(ModelUnreachable, match=r"out of quota .* tried again in"):
                await model.complete(HELLO, 10)

    asyncio.run(twice())
    assert statuses(server) == [429]


@pytest.mark.parametrize("kind", ["html", "bytes", "no_choices"])
def test_nonsense_that_stays_is_told_as_such(server: ModelServer, kind: Nonsense) -> None:
    server.play(plays(fails(nonsense=kind)))
    with pytest.raises(ModelUnreachable, match=r"answers nonsense: .* \(tried 6 times"):
        ask(server.url)


@pytest.mark.parametrize("squeezed", [False, True])
def test_a_flood_costs_no_memory(server: ModelServer, squeezed: bool) -> None:
    server.play(plays(fails(flood_bytes=200_000_000, squeezed=squeezed)))
    tracemalloc.start()
    try:
        with pytest.raises(ModelUnreachable, match="more than 8 MB"):
            ask(server.url, patience=Patience(rounds=1))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 40_000_000
    wait_until("the server is hung up on", lambda: server.requests()[0].hung_up)


@pytest.mark.parametrize(
    "turn",
    [fails(trickle=True, trickle_seconds=0.05), fails(hang=True), says("late", latency=60)],
)
def test_no_reply_is_waited_for_past_the_end(server: ModelServer, turn: Turn) -> None:
    server.play(plays(turn))
    began = time.monotonic()
    with pytest.raises(ModelUnreachable, match=r"gave no answer in 0\.4 s"):
        ask(server.url, seconds=0.4)
    assert time.monotonic() - began < 5
    wait_until("the server is hung up on", lambda: server.requests()[0].hung_up)


def test_who_is_cancelled_closes_the_request_on_the_wire(server: ModelServer) -> None:
    server.play(plays(says("late", latency=60)))

    async def cancelled() -> None:
        async with opened(server.url) as model:
            task = asyncio.create_task(model.complete(HELLO, 60))
            await until("it is asked", lambda: len(server.requests()) == 1)
            assert not server.requests()[0].hung_up
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await until("hanging up is seen", lambda: server.requests()[0].hung_up)
            server.play(plays(says("well")))
            assert (await model.complete(HELLO, 10)).text == "well"

    asyncio.run(cancelled())


async def until(what: str, probe: Callable[[], T]) -> T:
    """Wait as `wait_until`, while the loop goes on."""
    return await asyncio.to_thread(wait_until, what, probe)


def test_a_stream_that_nobody_asked_for_is_read() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    pieces = (
        b'data: {"choices":[{"delta":{"content":"we"}}]}\n\n',
        b'data: {"choices":[{"delta":{"content":"ll"},"finish_reason":"stop"}]}\n\n',
        b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2}}\n\n',
        b"data: [DONE]\n\n",
    )
    with raw_server(head + b"".join(pieces)) as url:
        reply = ask(url)
    assert (reply.text, reply.charge.prompt_tokens) == ("well", 9)


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "answers nonsense: this is no HTTP"),
        (b"", "breaks off the connection"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", "breaks off the connection"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}",
            "breaks off the connection",
        ),
    ],
)
def test_a_server_that_is_none_is_told_as_such(sent: bytes, told: str) -> None:
    with raw_server(sent) as url, pytest.raises(ModelUnreachable, match=told):
        ask(url, patience=Patience(rounds=1))


def test_a_certificate_that_is_not_trusted_is_told_as_such(tmp_path: Path) -> None:
    async def work() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*write_pair(tmp_path))
        server = await asyncio.start_server(
            lambda _, writer: writer.close(), LOOPBACK, 0, ssl=context
        )
        async with server, opened(url_of(server.sockets[0], "https")) as model:
            with pytest.raises(ModelRefused, match=r"not trusted: self-signed .* SSL_CERT_FILE"):
                await model.complete(HELLO, 10)

    asyncio.run(work())


def test_a_url_with_tls_where_there_is_none_is_told_as_such() -> None:
    reply = b"HTTP/1.1 400 Bad Request\r\n\r\n"
    with raw_server(reply) as url, pytest.raises(ModelRefused, match="speaks no TLS"):
        ask(url.replace("http:", "https:"))


def url_of(listener: Any, scheme: str = "http") -> str:
    """The base URL of who listens."""
    return f"{scheme}://{LOOPBACK}:{listener.getsockname()[1]}/v1"


@contextmanager
def raw_server(reply: bytes) -> Generator[str]:
    """A server that sends these bytes to whoever asks and hangs up; its base URL."""
    with closing(socket.create_server((LOOPBACK, 0))) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65_536)
                    connection.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        yield url_of(listener)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize("key", [None, KEY])
def test_a_key_that_is_refused_is_told_by_its_setting(server: ModelServer, key: str | None) -> None:
    server.play(plays(says("well"), key="another"))
    more: dict[str, Any] = {} if key is None else {"router_key": SecretStr(key)}
    with pytest.raises(ModelRefused) as told:
        ask(server.url, **more)
    assert "HOSTSWARM_ROUTER_KEY" in str(told.value)
    assert server.url in str(told.value)
    assert "canary" not in str(told.value)
    assert statuses(server) == [401]


@pytest.mark.parametrize(
    ("tier", "setting"),
    [(Tier.WORKER, "HOSTSWARM_MODEL"), (Tier.ORCHESTRATOR, "HOSTSWARM_ORCHESTRATOR_MODEL")],
)
def test_a_wrong_model_is_told_with_those_on_offer(
    server: ModelServer, tier: Tier, setting: str
) -> None:
    script = plays(says("well")).model_copy(update={"only_models": True})
    server.play(script)
    with pytest.raises(ModelRefused) as told:
        ask(server.url, tier=tier, model="gpt-none")
    assert "has no model 'gpt-none'" in told.value.message
    assert told.value.remedy == f"set {setting} to one that it has: worker, orchestrator"
    assert statuses(server) == [404]


def test_a_url_without_an_endpoint_is_told_as_such(server: ModelServer) -> None:
    with pytest.raises(ModelRefused, match="is no OpenAI-compatible endpoint"):
        ask(server.url.removesuffix("/v1") + "/api")


def test_a_conversation_that_is_too_long_is_told_with_the_limit(server: ModelServer) -> None:
    server.play(plays(says("well"), window=5))
    with pytest.raises(ContextExceeded) as told:
        ask(server.url)
    assert told.value.limit == 5
    assert statuses(server) == [400]


def test_a_model_without_tools_is_told_as_such(server: ModelServer) -> None:
    server.play(plays(says("well"), no_tools=True))
    with pytest.raises(NoToolCalling):
        ask(server.url, request=ModelRequest(HELLO.messages, (TOOL,)))
    assert statuses(server) == [400]


def test_a_schema_that_is_refused_is_left_out_from_then_on(server: ModelServer) -> None:
    server.play(plays(says("well"), no_schema=True))
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {},
        "required": [],
        "additionalProperties": False,
    }
    request = ModelRequest(HELLO.messages, json_schema=schema)
    for _ in range(2):
        assert ask(server.url, request=request, model="without-schemas").text == "well"
    assert statuses(server) == [400, 200, 200]
    server.play(plays(says("well")))
    assert ask(server.url, request=request, model="with-schemas").text == "well"
    assert server.requests()[-1].body["response_format"]["json_schema"]["schema"] == schema


def test_other_refusals_are_final(server: ModelServer) -> None:
    server.play(plays(fails(status=400, body='{"error": {"message": "no such temperature"}}')))
    with pytest.raises(ModelRefused, match=r"refuses the request \(400\): no such temperature"):
        ask(server.url)
    assert len(server.requests()) == 1


@pytest.fixture
def other() -> Generator[ModelServer]:
    """A second server."""
    with ModelServer(plays(says("well"))) as server:
        yield server


async def gathered(
    model: RouterModel, times: int, request: ModelRequest = HELLO
) -> list[ModelReply]:
    """So many replies at once."""
    return await asyncio.gather(*(model.complete(request, 20) for _ in range(times)))


def test_a_server_that_is_killed_mid_way_loses_nothing(
    server: ModelServer, other: ModelServer
) -> None:
    server.play(plays(says("well", latency=0.3)))
    other.play(plays(says("well", latency=0.3)))

    async def work() -> list[ModelReply]:
        async with opened(server.url, other.url) as model:
            replies = asyncio.create_task(gathered(model, 40))
            await until("both are asked", lambda: server.requests() and other.requests())
            other.kill()
            return [*await replies, *await gathered(model, 20)]

    replies = asyncio.run(work())
    assert Counter(reply.text for reply in replies) == {"well": 60}


def test_a_server_that_is_frozen_is_gone_round(server: ModelServer, other: ModelServer) -> None:
    server.play(plays(says("well")))
    other.freeze()

    async def work() -> list[ModelReply]:
        async with opened(server.url, other.url) as model:
            return [await model.complete(HELLO, 0.6) for _ in range(2)]

    assert [reply.text for reply in asyncio.run(work())] == ["well"] * 2


def test_the_least_busy_of_two_is_asked(server: ModelServer, other: ModelServer) -> None:
    server.play(plays(says("slow", latency=60)))
    other.play(plays(says("quick")))

    async def work() -> None:
        async with opened(server.url, other.url) as model:
            slow = [asyncio.create_task(model.complete(HELLO, 60)) for _ in range(8)]
            await until("one waits", lambda: len(server.requests()) >= 1)
            before = len(server.requests())
            for _ in range(20):
                assert (await model.complete(HELLO, 20)).text == "quick"
            assert len(server.requests()) == before
            for task in slow:
                task.cancel()
            await asyncio.gather(*slow, return_exceptions=True)

    asyncio.run(work())


def test_a_circuit_opens_fails_fast_and_closes_by_itself(server: ModelServer) -> None:
    server.play(plays(fails(status=500)))

    async def work() -> None:
        patience = Patience(
            rounds=5, base_seconds=0.01, cool_down_seconds=0.6, most_cool_down_seconds=0.6
        )
        async with opened(server.url, patience=patience) as model:
            with pytest.raises(ModelUnreachable, match="status 500"):
                await model.complete(HELLO, 20)
            asked = len(server.requests())
            with pytest.raises(ModelUnreachable, match=r"status 500.*, and is tried again in"):
                await model.complete(HELLO, 20)
            assert len(server.requests()) == asked == 5
            server.play(plays(says("well")))
            await answered(model)
            assert {reply.text for reply in await gathered(model, 10)} == {"well"}

    asyncio.run(work())


async def answered(model: RouterModel) -> None:
    """Ask until there is an answer."""
    loop = asyncio.get_running_loop()

    def ask_once() -> bool:
        future = asyncio.run_coroutine_threadsafe(model.complete(HELLO, 20), loop)
        return not isinstance(future.exception(), ModelUnreachable)

    await until("there is an answer", ask_once)


def test_a_probe_that_is_cancelled_makes_room_for_another(server: ModelServer) -> None:
    server.play(plays(Turn(text="", faults=(Fault(status=500, times=5), Fault(hang=True)))))

    async def work() -> None:
        async with opened(server.url) as model:
            probe = asyncio.create_task(model.complete(HELLO, 60))
            await until("it is probed", lambda: len(server.requests()) == 6)
            probe.cancel()
            await asyncio.gather(probe, return_exceptions=True)
            server.play(plays(says("well")))
            assert (await model.complete(HELLO, 10)).text == "well"

    asyncio.run(work())


def test_calls_that_are_under_way_outlive_a_restart(server: ModelServer) -> None:
    with ModelServer(plays(says("well", latency=0.3))) as one:

        async def work() -> list[ModelReply]:
            patience = Patience(1000, 0.1, 0.5, cool_down_seconds=0.1, most_cool_down_seconds=0.5)
            async with opened(one.url, patience=patience) as model:
                replies = asyncio.create_task(gathered(model, 30))
                await until("they are asked", lambda: len(one.requests()) == 30)
                one.kill()
                await asyncio.to_thread(one.restart)
                return await replies

        assert [reply.text for reply in asyncio.run(work())] == ["well"] * 30


def test_two_hundred_at_once_share_kept_connections(server: ModelServer) -> None:
    server.play(plays(says("well", latency=0.2)))

    async def work() -> list[ModelReply]:
        async with opened(server.url) as model:
            return [*await gathered(model, 200), *await gathered(model, 200)]

    assert len(asyncio.run(work())) == 400
    tally = server.tally()
    assert (tally.replies, tally.at_once) == (400, 200)
    assert 200 <= tally.connections <= 210  # the test's own are among them
    assert most_connections() >= 200


def test_the_window_is_asked_for_once(server: ModelServer) -> None:
    server.play(plays(says("well")).model_copy(update={"context_length": 4096}))

    async def work() -> list[int | None]:
        async with opened(server.url) as model:
            first = await asyncio.gather(*(model.context_length() for _ in range(5)))
            server.play(plays(says("well")).model_copy(update={"context_length": 5}))
            async with opened(server.url) as another:
                last = await another.context_length()
            return [*first, await model.context_length(), last]

    assert asyncio.run(work()) == [4096] * 7


def test_who_tells_nothing_of_itself_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_windows(monkeypatch)
    lists: list[str] = []
    answers = {
        "no": (404, b'{"error": {"message": "model worker not found"}}'),
        "yes": (200, b'{"choices": [{"message": {"content": "pong"}}]}'),
    }

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, path, _ = head.split(maxsplit=2)
        if method == "POST":
            status, body = answers[path.split("/")[1]]
            reply = f"HTTP/1.1 {status} Well\r\ncontent-length: {len(body)}\r\n\r\n"
            writer.write(reply.encode() + body)
        else:
            lists.append(path)
        await reader.read()  # what is left, until who asked hangs up
        writer.close()

    async def work() -> None:
        server = await asyncio.start_server(serve, LOOPBACK, 0)
        base = url_of(server.sockets[0]).removesuffix("/v1")
        async with server, opened(f"{base}/no") as model, opened(f"{base}/yes") as good:
            began = time.monotonic()
            assert await model.context_length() is None
            with pytest.raises(ModelRefused, match="has no model"):
                await model.complete(HELLO, 0.3)
            async with opened(f"{base}/no") as another:
                assert await another.context_length() is None
            assert time.monotonic() - began < 4  # one list after the other takes nine
            assert lists.count("/no/model/info") == 1
            async with asyncio.timeout(2):
                assert (await good.probe(2)).models == ()

    asyncio.run(work())


def test_a_window_that_is_set_is_not_asked_for() -> None:
    async def work() -> int | None:
        async with opened("http://127.0.0.1:9/v1", context_length=9000) as model:
            return await model.context_length()

    assert asyncio.run(work()) == 9000


def test_of_two_servers_the_least_window_counts_and_none_is_no_error(
    server: ModelServer, other: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(server: ModelServer, tokens: int | None) -> None:
        forget_windows(monkeypatch)
        server.play(plays(says("well")).model_copy(update={"context_length": tokens}))

    async def work() -> int | None:
        async with opened(server.url, other.url) as model:
            return await model.context_length()

    told(server, 4096)
    told(other, 2048)
    assert asyncio.run(work()) == 2048
    told(other, None)
    assert asyncio.run(work()) == 4096
    told(server, None)
    assert asyncio.run(work()) is None
    other.kill()
    assert asyncio.run(work()) is None


@pytest.mark.parametrize(
    ("script", "tool_calling"),
    [
        (plays(calls(call("ping"))), True),
        (plays(says("pong")), False),
        (plays(says("pong"), no_tools=True), False),
        (plays(Turn(text="I th", finish="length")), None),
    ],
)
def test_a_probe_tells_what_there_is(
    server: ModelServer, script: Script, tool_calling: bool | None
) -> None:
    server.play(script)

    async def work() -> Any:
        async with opened(server.url) as model:
            return await model.probe()

    probe = asyncio.run(work())
    assert probe.models == ("worker", "orchestrator")
    assert (probe.context_length, probe.tool_calling) == (32_768, tool_calling)


def test_a_probe_fails_as_a_call_does(server: ModelServer) -> None:
    server.play(Script(roles=(Role(turns=(says("well"),)),), key="another"))

    async def work() -> None:
        async with opened(server.url) as model:
            with pytest.raises(ModelError, match="HOSTSWARM_ROUTER_KEY"):
                await model.probe()

    asyncio.run(work())


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server.play(plays(says("well")))
    assert ask(server.url).text == "well"


def test_a_proxy_of_the_environment_is_asked_for_others(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.play(plays(says("well")))
    proxy = server.url.removesuffix("/v1").replace("http://", "http://me:pass%20word@")
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert ask("http://router.example/v1").text == "well"
    (seen,) = server.requests()
    assert seen.headers["host"] == "router.example"
    assert seen.headers["proxy-authorization"] == "Basic bWU6cGFzcyB3b3Jk"
