"""The scripted model server does on the wire what a script says."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPConnection, IncompleteRead, RemoteDisconnected
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from tests.support.model_script import (
    Fault,
    Nonsense,
    Role,
    Script,
    answers,
    call,
    calls,
    fails,
    faulty,
    plays,
    role,
    says,
)
from tests.support.model_server import ModelServer, Seen
from tests.support.waiting import wait_until

HELLO = [{"role": "user", "content": "How are you?"}]
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "nap", "parameters": {"type": "object", "properties": {}}},
}


@pytest.fixture(scope="module")
def running() -> Generator[ModelServer]:
    """One process for all; each test has it play its own script."""
    with ModelServer(plays(says("well"))) as server:
        yield server


@pytest.fixture
def server(running: ModelServer) -> ModelServer:
    """The server with nothing remembered."""
    running.forget()
    return running


class Client:
    """Somebody who asks over one connection."""

    def __init__(self, server: ModelServer, timeout_seconds: float = 20.0) -> None:
        self.connection = HTTPConnection(urlsplit(server.url).netloc, timeout=timeout_seconds)

    def post(self, messages: Any = HELLO, key: str = "", **more: Any) -> http.client.HTTPResponse:
        """Send a chat request and wait for the head of the reply."""
        body = {"model": "worker", "messages": messages, **more}
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self.connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        return self.connection.getresponse()

    def ask(self, messages: Any = HELLO, **more: Any) -> dict[str, Any]:
        """Send a chat request that is answered well."""
        with self.post(messages, **more) as reply:
            text = reply.read()
        assert reply.status == 200, text
        return json.loads(text)

    def refused(self, messages: Any = HELLO, **more: Any) -> tuple[int, str]:
        """Send a chat request that is not; the status and the message."""
        with self.post(messages, **more) as reply:
            return reply.status, json.loads(reply.read())["error"]["message"]


@contextmanager
def asking(server: ModelServer, timeout_seconds: float = 20.0) -> Generator[Client]:
    """A client whose connection is closed at the end."""
    client = Client(server, timeout_seconds)
    with closing(client.connection):
        yield client


def talk(client: Client, result: str, **more: Any) -> list[dict[str, Any]]:
    """A conversation to its end, in which every tool answers `result`."""
    messages: list[dict[str, Any]] = list(HELLO)
    while True:
        said = client.ask(messages, **more)["choices"][0]["message"]
        messages.append(said)
        if not said.get("tool_calls"):
            return messages
        for asked in said["tool_calls"]:
            messages.append({"role": "tool", "tool_call_id": asked["id"], "content": result})


def test_a_conversation_follows_the_turns_of_its_role(server: ModelServer) -> None:
    server.play(plays(calls(call("nap", seconds=1), call("nap", "{bad")), answers({"fine": True})))
    with asking(server) as client:
        first = client.ask()["choices"][0]
        asked = first["message"]["tool_calls"]
        mended = {**asked[1], "function": {"name": "nap", "arguments": "{}"}}
        more = [
            *HELLO,
            {**first["message"], "tool_calls": [asked[0], mended]},
            *({"role": "tool", "tool_call_id": one["id"], "content": "ok"} for one in asked),
        ]
        second = client.ask(more)["choices"][0]
        again = client.ask(more)["choices"][0]
    assert first["finish_reason"] == "tool_calls"
    assert [one["function"]["arguments"] for one in asked] == ['{"seconds":1}', "{bad"]
    assert second == again
    assert json.loads(second["message"]["content"]) == {"fine": True}
    assert [seen.turn for seen in server.requests()] == [0, 1, 1]
    assert {seen.connection for seen in server.requests()} == {server.requests()[0].connection}


def test_roles_are_told_apart_by_user_and_by_text(server: ModelServer) -> None:
    server.play(
        Script(
            roles=(
                role("alpha", "^alpha/", says("I am alpha")),
                role("disks", "(?m)^You know disks", says("I know disks")),
                role("rest", None, says("who?")),
            )
        )
    )
    with asking(server) as client:
        client.ask(user="alpha/storage")
        client.ask([{"role": "system", "content": "You know disks."}, *HELLO])
        client.ask(user="bravo/alpha/")
    assert [seen.role for seen in server.requests()] == ["alpha", "disks", "rest"]


def test_the_last_turn_is_repeated_or_all_are_looped(server: ModelServer) -> None:
    turns = (says("one"), says("two"))
    said = {"role": "assistant", "content": "x"}
    for loop, expected in ((False, ["one", "two", "two", "two"]), (True, ["one", "two"] * 2)):
        server.play(plays(*turns, loop=loop))
        with asking(server) as client:
            replies = [client.ask([*HELLO, *[said] * number]) for number in range(4)]
        assert [one["choices"][0]["message"]["content"] for one in replies] == expected


def test_turns_can_be_counted_by_tool_messages(server: ModelServer) -> None:
    server.play(plays(calls(call("nap")), says("done"), counts="tool"))
    with asking(server) as client:
        begun = client.ask([{"role": "assistant", "content": "Hello."}, *HELLO])
        assert begun["choices"][0]["finish_reason"] == "tool_calls"
        assert talk(client, "ok")[-1]["content"] == "done"


def test_answers_quote_the_tools(server: ModelServer) -> None:
    answer = {
        "whole": "{{last_tool}}",
        "size": "{{tool:-1/disks/0/size}}",
        "told": "it is {{tool:0/disks/0/size}} bytes",
        "found": "{{find:id=(\\w+)}}",
        "turn": "{{turn}}",
    }
    server.play(plays(calls(call("nap")), answers(answer)))
    result = 'id=c7 says: {"disks":[{"size":5}]}'
    with asking(server) as client:
        said = json.loads(talk(client, result)[-1]["content"])
    assert said == {
        "whole": result,
        "size": 5,
        "told": "it is 5 bytes",
        "found": "c7",
        "turn": 1,
    }


def test_a_placeholder_that_leads_nowhere_is_told(server: ModelServer) -> None:
    server.play(plays(says("{{tool:0/x}}")))
    with asking(server) as client:
        assert client.refused() == (
            599,
            "{{tool:0/x}} leads nowhere: IndexError('tuple index out of range')",
        )


def test_streamed_pieces_make_up_the_plain_reply(server: ModelServer) -> None:
    server.play(plays(calls(call("nap", seconds=1), call("nap", seconds=2), text="I will nap.")))
    with asking(server) as client:
        plain = client.ask()
        with client.post(stream=True, stream_options={"include_usage": True}) as reply:
            assert reply.getheader("content-type") == "text/event-stream"
            events = reply.read().decode().split("\n\n")
        assert client.ask() == plain | {"created": client.ask()["created"]}
    assert events[-2:] == ["data: [DONE]", ""]
    pieces = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    deltas = [piece["choices"][0]["delta"] for piece in pieces if piece["choices"]]
    message = plain["choices"][0]["message"]
    assert "".join(delta.get("content") or "" for delta in deltas) == message["content"]
    for number, asked in enumerate(message["tool_calls"]):
        told = [
            one for delta in deltas for one in delta.get("tool_calls", ()) if one["index"] == number
        ]
        arguments = "".join(one["function"]["arguments"] for one in told)
        assert (told[0]["id"], arguments) == (asked["id"], asked["function"]["arguments"])
    assert pieces[-2]["choices"][0]["finish_reason"] == "tool_calls"
    assert pieces[-1]["usage"] == plain["usage"]


def test_usage_counts_all_that_was_sent(server: ModelServer) -> None:
    server.play(plays(says("well"), cached_tokens=2))
    with asking(server) as client:
        small = client.ask()["usage"]
        longer = client.ask([{"role": "system", "content": "Be brief, and kind."}, *HELLO])["usage"]
        tools = client.ask(tools=[TOOL])["usage"]
    assert small["prompt_tokens"] + 8 < longer["prompt_tokens"]
    assert small["prompt_tokens"] + 8 < tools["prompt_tokens"]
    assert small["completion_tokens"] >= 1
    assert small["prompt_tokens_details"] == {"cached_tokens": 2}
    tally = server.tally()
    assert tally.prompt_tokens == sum(one["prompt_tokens"] for one in (small, longer, tools))
    assert (tally.requests, tally.replies, tally.at_once) == (3, 3, 1)
    assert tally.by_role == {"default": [3, tally.prompt_tokens, tally.completion_tokens]}


def test_the_models_are_listed_with_their_window(server: ModelServer) -> None:
    server.play(plays(says("x")).model_copy(update={"context_length": 4096, "key": "sesame"}))
    with asking(server) as client:
        found: list[Any] = []
        for key in ("", "sesame"):
            headers = {"authorization": f"Bearer {key}"}
            client.connection.request("GET", "/v1/models", headers=headers)
            with client.connection.getresponse() as reply:
                found.append((reply.status, json.loads(reply.read())))
    assert found[0][0] == 401
    assert found[1][0] == 200
    told = {one["id"]: one["max_model_len"] for one in found[1][1]["data"]}
    assert told == {"worker": 4096, "orchestrator": 4096}


REFUSALS: tuple[tuple[dict[str, Any], dict[str, Any], int, str], ...] = (
    ({"key": "sesame"}, {"key": "wrong"}, 401, "Incorrect API key"),
    ({"no_tools": True}, {"tools": [TOOL]}, 400, "does not support tools"),
    ({"no_schema": True}, {"response_format": {"type": "json_object"}}, 400, "response_format"),
    ({"window": 5}, {}, 400, "maximum context length is 5 tokens"),
    ({}, {"tools": []}, 400, "too short"),
    ({}, {"messages": [*HELLO, {"role": "tool", "tool_call_id": "x", "content": ""}]}, 400, "'x'"),
    ({}, {"max_tokens": 0}, 400, "max_tokens"),
    ({"match": "nobody"}, {"user": "somebody"}, 404, "somebody"),
)


@pytest.mark.parametrize(("given", "sent", "status", "says_so"), REFUSALS)
def test_refusals(
    server: ModelServer, given: dict[str, Any], sent: dict[str, Any], status: int, says_so: str
) -> None:
    server.play(plays(says("well"), **given))
    with asking(server) as client:
        found = client.refused(**sent)
    assert found[0] == status
    assert says_so in found[1]
    assert server.requests()[0].status == status


def test_an_unanswered_call_is_refused_as_openai_refuses_it(server: ModelServer) -> None:
    asked = {"id": "c1", "type": "function", "function": {"name": "nap", "arguments": "{}"}}
    said = {"role": "assistant", "content": None, "tool_calls": [asked]}
    server.play(plays(says("well")))
    with asking(server) as client:
        assert client.refused([*HELLO, said, *HELLO])[0] == 400
        asked["function"] = {"name": "nap", "arguments": "{bad"}
        answered = [*HELLO, said, {"role": "tool", "tool_call_id": "c1", "content": "no"}]
        assert "no JSON" in client.refused(answered)[1]


def test_a_fault_lasts_for_its_times(server: ModelServer) -> None:
    faults = (Fault(status=429, retry_after=0.25, times=2), Fault(status=500, body="oh", times=1))
    server.play(plays(faulty(says("well"), *faults)))
    with asking(server) as client:
        found: list[tuple[int, str | None]] = []
        text = b""
        for _ in range(4):
            with client.post() as reply:
                found.append((reply.status, reply.getheader("retry-after")))
                text = reply.read()
    assert found == [(429, "0.25"), (429, "0.25"), (500, None), (200, None)]
    assert json.loads(text)["choices"][0]["message"]["content"] == "well"
    assert [seen.status for seen in server.requests()] == [429, 429, 500, 200]


@pytest.mark.parametrize("stream", [False, True])
def test_a_cut_connection_ends_half_way(server: ModelServer, stream: bool) -> None:
    server.play(plays(fails(cut=True)))
    with asking(server) as client, client.post(stream=stream) as reply:
        assert reply.status == 200
        with pytest.raises(IncompleteRead) as cut:
            reply.read()
    assert len(cut.value.partial) > 20


def test_a_dropped_connection_says_nothing(server: ModelServer) -> None:
    server.play(plays(fails(drop=True)))
    with asking(server) as client, pytest.raises(RemoteDisconnected):
        client.post()
    assert wait_until("it is written down", lambda: [s for s in server.requests() if s.replied])


def test_a_trickle_comes_byte_by_byte(server: ModelServer) -> None:
    server.play(plays(fails(trickle=True, trickle_seconds=0.02)))
    with asking(server) as client, client.post() as reply:
        sizes = [len(reply.read1(1000)) for _ in range(4)]
    assert sizes == [1, 1, 1, 1]
    wait_until("hanging up is seen", lambda: server.requests()[0].hung_up)


@pytest.mark.parametrize("squeezed", [False, True])
def test_a_flood_is_as_long_as_it_says(server: ModelServer, squeezed: bool) -> None:
    size = 3_000_000
    server.play(plays(fails(flood_bytes=size, squeezed=squeezed)))
    with asking(server) as client, client.post() as reply:
        assert reply.getheader("content-length") is None
        body = reply.read()
    assert (len(body) < size / 100) == squeezed
    body = gzip.decompress(body) if squeezed else body
    assert len(body) == size
    assert json.loads(body)["choices"][0]["finish_reason"] == "stop"


def test_a_flood_waits_for_its_reader(server: ModelServer) -> None:
    server.play(plays(fails(flood_bytes=500_000_000)))
    with asking(server) as client, client.post() as reply:
        reply.read(100_000)
        assert psutil.Process(server.pid).memory_info().rss < 150e6
    wait_until("hanging up is seen", lambda: server.requests()[0].hung_up)


@pytest.mark.parametrize("kind", ["html", "truncated", "empty", "bytes", "list", "no_choices"])
def test_nonsense_is_no_reply(server: ModelServer, kind: Nonsense) -> None:
    server.play(plays(fails(nonsense=kind)))
    with asking(server) as client, client.post() as reply:
        body = reply.read()
        assert reply.status == 200
    try:
        held = json.loads(body)
    except ValueError:
        held = None
    assert not isinstance(held, Mapping) or not held["choices"]


def test_a_client_that_hangs_up_is_seen(server: ModelServer) -> None:
    server.play(plays(says("late", latency=60)))
    with asking(server, timeout_seconds=0.05) as client, pytest.raises(TimeoutError):
        client.post()
    seen = wait_until("hanging up is seen", lambda: [s for s in server.requests() if s.hung_up])
    assert [one.replied for one in seen] == [False]
    assert server.tally().hung_up == 1


def test_a_request_in_pieces_is_read_whole(server: ModelServer) -> None:
    server.play(plays(says("well")))
    body = json.dumps({"model": "worker", "messages": HELLO})
    with asking(server) as client:
        client.connection.request(
            "POST", "/v1/chat/completions", iter([body[:9].encode(), body[9:].encode()])
        )
        with client.connection.getresponse() as reply:
            assert json.loads(reply.read())["choices"][0]["message"]["content"] == "well"


def test_it_can_be_killed_restarted_and_frozen() -> None:
    with ModelServer(plays(says("well"))) as server:
        with asking(server) as client:
            client.ask()
        server.play(plays(says("better")))
        server.kill()
        with pytest.raises(ConnectionRefusedError), asking(server) as client:
            client.ask()
        assert len(server.requests()) == 1
        url = server.url
        server.restart()
        assert server.url == url
        with asking(server) as client:
            assert client.ask()["choices"][0]["message"]["content"] == "better"
        assert len(server.requests()) == 2
        server.freeze()
        with asking(server, timeout_seconds=0.1) as client, pytest.raises(TimeoutError):
            client.ask()
        server.thaw()
        pid = server.pid
        server.freeze()
    assert not psutil.pid_exists(pid)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(url.split(":")[2].split("/")[0])))


def test_without_a_record_it_still_counts() -> None:
    with ModelServer(Script(roles=(Role(turns=(says("well"),)),)), record=False) as server:
        with asking(server) as client:
            client.ask()
        assert server.tally().requests == 1
        with pytest.raises(RuntimeError, match="no record"):
            seen: list[Seen] = server.requests()
            assert seen
