"""A request becomes bytes, and bytes of many shapes become a reply, or are told to be none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from swarm_tasks.brain.about import offered, window, window_of_deployments
from swarm_tasks.brain.loose import Nonsense, dollars
from swarm_tasks.brain.model import ModelRequest, WireCall
from swarm_tasks.brain.wire import Feature, Said, Trouble, Usage, counted_here, decode, encode

HELLO: tuple[dict[str, Any], ...] = ({"role": "user", "content": "How are you?"},)
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "nap"}}
SCHEMA: dict[str, Any] = {"type": "object", "properties": {}}


def sent(request: ModelRequest, *without: Feature) -> dict[str, Any]:
    """What stands in the body."""
    return json.loads(encode(request, "small", without))


def read(message: Any, kind: str = "application/json", **more: Any) -> Said:
    """What is made of a reply with this message."""
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return decode(json.dumps({"choices": [choice], **more}).encode(), kind)


def test_a_request_says_what_is_needed_and_no_more() -> None:
    assert sent(ModelRequest(HELLO, max_tokens=7)) == {
        "model": "small",
        "messages": [*HELLO],
        "stream": False,
        "max_tokens": 7,
    }


def test_a_request_with_all_there_is() -> None:
    request = ModelRequest(HELLO, (TOOL,), SCHEMA, 7, "alpha/storage")
    body = sent(request)
    assert (body["tools"], body["user"]) == ([TOOL], "alpha/storage")
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
    }
    plain = sent(request, *Feature)
    assert set(body) - set(plain) == {"response_format", "user", "max_tokens"}
    assert plain["max_completion_tokens"] == 7


def test_an_image_passes_through() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    content = [{"type": "text", "text": "What is this?"}, image]
    message = {"role": "user", "content": content}
    assert sent(ModelRequest((message,)))["messages"] == [message]


def test_text_is_sent_as_it_is_but_for_half_of_a_character() -> None:
    body = encode(ModelRequest(({"role": "user", "content": "größe 数 🚀 \udcff"},)), "small")
    assert "größe 数 🚀 ?".encode() in body


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("well", "well"),
        (None, ""),
        ("", ""),
        ([{"type": "text", "text": "we"}, {"type": "text", "text": "ll"}], "well"),
        ([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "well"}], "well"),
        (["we", "ll"], "well"),
        (7, ""),
    ],
)
def test_content_is_text_or_parts_or_nothing(content: Any, text: str) -> None:
    assert read({"role": "assistant", "content": content}).text == text


def test_thoughts_are_left_out_and_a_refusal_is_told() -> None:
    assert read({"content": "well", "reasoning_content": "hm", "reasoning": "hm"}).text == "well"
    assert read({"content": None, "refusal": "I cannot do that"}).text == "I cannot do that"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"path":"/"}', '{"path":"/"}'),
        ({"path": "/"}, '{"path":"/"}'),
        ("{bad", "{bad"),
        ("", "{}"),
        (None, "{}"),
        ([1], "[1]"),
    ],
)
def test_arguments_are_text_or_an_object(arguments: Any, text: str) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "nap", "arguments": arguments}}
    assert read({"content": None, "tool_calls": [call]}).calls == (WireCall("c1", "nap", text),)


def test_calls_without_ids_or_with_the_same_get_their_own() -> None:
    named = {"function": {"name": "nap"}}
    calls = [named, {**named, "id": None}, {**named, "id": "x"}, {**named, "id": "x"}]
    said = read({"tool_calls": calls})
    ids = [call.id for call in said.calls]
    assert ids[2] == "x"
    assert len(set(ids)) == 4
    assert all(ids)
    assert said.text == ""


def test_odd_calls_are_read_as_far_as_they_can_be() -> None:
    assert [call.name for call in read({"tool_calls": [{"name": "nap", "arguments": {}}]}).calls]
    old = read({"content": None, "function_call": {"name": "nap", "arguments": "{}"}})
    assert [(call.name, call.arguments) for call in old.calls] == [("nap", "{}")]
    odd = read({"tool_calls": [{"id": "c1", "function": {"arguments": "{}"}}, None]})
    assert [call.name for call in odd.calls] == ["unnamed", "unnamed"]
    assert read({"content": "well", "tool_calls": None}).calls == ()


def test_usage_is_read_with_what_a_cache_gave() -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 80},
        "cost": 0.0125,
    }
    assert read({"content": "well"}, usage=usage).usage == Usage(100, 5, 80, 0.0125)


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        {"total_tokens": 5},
        {"prompt_tokens": 0, "completion_tokens": 0},
        {"prompt_tokens": -1, "completion_tokens": 5},
        {"prompt_tokens": "7", "completion_tokens": 5},
        {"prompt_tokens": True, "completion_tokens": 5},
        {"prompt_tokens": 10**20, "completion_tokens": 5},
        [],
    ],
)
def test_usage_that_says_nothing_is_none(usage: Any) -> None:
    assert read({"content": "well"}, usage=usage).usage is None


@pytest.mark.parametrize(
    ("value", "sum_usd"),
    [
        ("0.00012", 0.00012),
        (1e-6, 1e-6),
        (0, 0.0),
        ("0.0", 0.0),
        ("None", None),
        ("", None),
        (None, None),
        (-1, None),
        (1e300, None),
        ("nan", None),
        ("inf", None),
        (True, None),
        (10**400, None),
    ],
)
def test_money_is_a_number(value: Any, sum_usd: float | None) -> None:
    assert dollars(value) == sum_usd


def test_what_the_server_does_not_count_is_counted_here() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "nap", "arguments": "{}"}}
    image = {"type": "image_url", "image_url": {"url": "data:" + 100_000 * "x"}}
    said = Said("I am well.", (WireCall("c1", "nap", "{}"),), "stop", None)
    short = counted_here(ModelRequest(HELLO), said)
    tools = counted_here(ModelRequest(HELLO, (TOOL,)), said)
    longer = counted_here(ModelRequest((*HELLO, {"role": "assistant", "tool_calls": [call]})), said)
    seen = counted_here(ModelRequest(({"role": "user", "content": [image]},)), said)
    assert 8 <= short.prompt_tokens <= 16
    assert 5 <= short.completion_tokens <= 14
    assert short.prompt_tokens + 5 < tools.prompt_tokens
    assert short.prompt_tokens + 10 < longer.prompt_tokens
    assert 1000 <= seen.prompt_tokens < 1100
    assert short.cost_usd is None


@pytest.mark.parametrize(
    ("body", "kind", "told"),
    [
        (b"", "application/json", "nothing at all"),
        (b"<html><body>hello</body></html>", "text/plain", "a page of HTML"),
        (b"\n<!DOCTYPE html>", "text/html", "a page of HTML"),
        (b"\xff\xfe\x00\x80" * 64, "application/json", "something that is no JSON"),
        (b'{"choices": [{"mess', "application/json", "something that is no JSON"),
        (b"[" * 200_000, "application/json", "something that is no JSON"),
        (b'["no"]', "application/json", "JSON that is no reply"),
        (b'{"choices": []}', "application/json", "JSON that is no reply"),
        (b'{"choices": [{"text": "x"}]}', "application/json", "JSON that is no reply"),
        (b'{"choices": {"0": 1}}', "application/json", "JSON that is no reply"),
        (b"null", "application/json", "JSON that is no reply"),
        (b'data: {"choices":[{"delta":{"content":"w"}}]}\n\n', "", "a stream without its end"),
        (b"", "text/event-stream", "a stream without its end"),
        (b"data: {bad\n\ndata: [DONE]\n\n", "text/event-stream", "something that is no JSON"),
    ],
)
def test_nonsense_is_told_by_what_it_is(body: bytes, kind: str, told: str) -> None:
    with pytest.raises(Nonsense) as error:
        decode(body, kind)
    assert str(error.value) == told


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"error": {"message": "busy", "code": 429}}, 429),
        ({"error": {"message": "busy", "code": "503"}}, 503),
        ({"error": {"message": "busy", "code": "rate_limited"}}, 502),
        ({"error": "busy"}, 502),
        ({"choices": [{"error": {"code": 502}, "message": {"content": "I am w"}}]}, 502),
    ],
)
def test_an_error_under_a_good_status_is_an_error(body: Any, status: int) -> None:
    with pytest.raises(Trouble) as error:
        decode(json.dumps(body).encode(), "application/json")
    assert error.value.status == status


def streamed(*pieces: Any) -> bytes:
    """Pieces as server-sent events."""
    lines = [f"data: {one if isinstance(one, str) else json.dumps(one)}\n\n" for one in pieces]
    return "".join([": keep on waiting\r\n\r\n", *lines]).encode()


def delta(**held: Any) -> dict[str, Any]:
    """A piece."""
    return {"choices": [{"index": 0, "delta": held}]}


def asked(**held: Any) -> dict[str, Any]:
    """A piece of a call."""
    return delta(tool_calls=[held])


def test_a_stream_that_nobody_asked_for_is_joined() -> None:
    body = streamed(
        delta(role="assistant", content="I am"),
        delta(content=" well."),
        asked(index=1, id="b", function={"name": "nap", "arguments": '{"a'}),
        asked(index=0, id="a", function={"name": "nap"}),
        asked(index=1, function={"arguments": '":1}'}),
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
        {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3}},
        "[DONE]",
    )
    said = Said(
        "I am well.",
        (WireCall("a", "nap", "{}"), WireCall("b", "nap", '{"a":1}')),
        "tool_calls",
        Usage(9, 3),
    )
    assert decode(body, "text/event-stream; charset=utf-8") == said
    assert decode(body, "application/json") == said


def test_a_stream_of_whole_calls_without_numbers_is_joined() -> None:
    body = streamed(
        asked(id="a", function={"name": "nap", "arguments": {"x": 1}}),
        asked(id="b", function={"name": "nap", "arguments": "{}"}),
        "[DONE]",
    )
    calls = decode(body, "text/event-stream").calls
    assert calls == (WireCall("a", "nap", '{"x":1}'), WireCall("b", "nap", "{}"))


def test_an_error_within_a_stream_is_an_error() -> None:
    with pytest.raises(Trouble):
        decode(streamed(delta(content="I am"), {"error": {"code": 500}}), "text/event-stream")


MODELS = {"data": [{"id": "small", "max_model_len": 4096}, {"id": "large"}, {"id": 7}, None]}


@pytest.mark.parametrize(
    ("entry", "tokens"),
    [
        ({"max_model_len": 4096}, 4096),
        ({"context_length": 131072}, 131072),
        ({"context_window": 8192}, 8192),
        ({"meta": {"n_ctx_train": 131072, "n_ctx": 8192}}, 8192),
        ({"meta": {"n_ctx_train": 131072}}, 131072),
        ({"max_model_len": None, "context_length": "many"}, None),
        ({"max_model_len": 0}, None),
        ({}, None),
    ],
)
def test_a_window_has_many_names(entry: dict[str, Any], tokens: int | None) -> None:
    assert window({"data": [{"id": "small", **entry}]}, "small") == tokens


def test_a_window_is_that_of_the_model() -> None:
    assert offered(MODELS) == ("small", "large")
    assert window(MODELS, "small") == 4096
    assert window(MODELS, "large") is None
    assert window(MODELS, "unknown") is None
    assert window({"data": [{"id": "/models/x.gguf", "context_length": 5}]}, "worker") == 5
    nothings: tuple[Any, ...] = (None, [], {"data": None}, {"data": "x"})
    for nothing in nothings:
        assert (offered(nothing), window(nothing, "small")) == ((), None)


def test_of_a_router_s_deployments_the_least_window_counts() -> None:
    info = {
        "data": [
            {"model_name": "worker", "model_info": {"max_input_tokens": 128_000}},
            {"model_name": "worker", "model_info": {"max_input_tokens": 32_000}},
            {"model_name": "worker", "model_info": {"max_input_tokens": None}},
            {"model_name": "other", "model_info": {"max_input_tokens": 8_000}},
        ]
    }
    assert window_of_deployments(info, "worker") == 32_000
    assert window_of_deployments(info, "nobody") is None
