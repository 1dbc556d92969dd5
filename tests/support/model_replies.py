"""From a chat request and a script to the reply on the wire. Pure: no network here."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.model_form import Malformed, check_form, table
from tests.support.model_script import Role, Script, ScriptedCall, Turn
from tests.support.model_talk import Conversation, Count, Misled, compact, filled


@dataclass(frozen=True, slots=True)
class WireReply:
    """What is sent.

    Args:
        pieces: The body; several are sent as chunks, without the length being told.
        latency: Seconds until the first byte.
    """

    status: int
    pieces: Sequence[bytes]
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    kind: str = "application/json"
    latency: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def chunked(self) -> bool:
        """Whether the body's length is not told."""
        return len(self.pieces) != 1


def error(
    status: int, message: str, code: str | None = None, param: str | None = None
) -> WireReply:
    """A refusal in OpenAI's form."""
    kind = "invalid_request_error" if status < 429 else "server_error"
    held = {"message": message, "type": kind, "param": param, "code": code}
    return WireReply(status, (compact({"error": held}).encode(),))


def model_list(script: Script) -> WireReply:
    """The answer to `GET /v1/models`."""
    length = {} if script.context_length is None else {"max_model_len": script.context_length}
    data = [
        {"id": name, "object": "model", "created": 0, "owned_by": "scripted", **length}
        for name in script.models
    ]
    return WireReply(200, (compact({"object": "list", "data": data}).encode(),))


def role_for(script: Script, talk: Conversation) -> Role | None:
    """The first role that a request fits."""
    subject: str | None = None
    for one in script.roles:
        if one.match is None:
            return one
        subject = talk.subject if subject is None else subject
        if re.search(one.match, subject):
            return one
    return None


def refusal(script: Script, role: Role | None, talk: Conversation, key: str) -> WireReply | None:
    """Why a request is refused whatever its turn, if it is."""
    for wanted in (script.key, role.key if role else None):
        if wanted is not None and key != wanted:
            return error(401, "Incorrect API key provided.", "invalid_api_key")
    model = talk.body.get("model")
    if script.only_models and model not in script.models:
        return error(404, f"The model `{model}` does not exist.", "model_not_found", "model")
    if role is None:
        return error(404, f"no role of the script matches the request of {talk.user!r}")
    if script.strict:
        try:
            check_form(talk.body)
        except Malformed as problem:
            return error(400, str(problem), None, problem.param)
    if role.no_tools and talk.body.get("tools"):
        return error(400, f"{model} does not support tools", None, "tools")
    if role.no_schema and talk.body.get("response_format"):
        return error(
            400, "'response_format' is not supported with this model", None, "response_format"
        )
    return None


def reply_to(role: Role, turn: Turn, talk: Conversation, count: Count) -> WireReply:
    """The reply that a turn gives to a request, or why its prompt is refused."""
    prompt = talk.prompt_tokens(count)
    if role.window is not None and prompt > role.window:
        return error(
            400,
            f"This model's maximum context length is {role.window} tokens. However, your messages "
            f"resulted in {prompt} tokens. Please reduce the length of the messages.",
            "context_length_exceeded",
            "messages",
        )
    try:
        message = _message(turn, talk)
    except Misled as problem:
        return error(599, str(problem))
    completion = count(message["content"] or "")
    for asked in message.get("tool_calls", ()):
        completion += count(asked["function"]["name"]) + count(asked["function"]["arguments"])
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    if role.cached_tokens is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": role.cached_tokens}  # pyright: ignore[reportArgumentType]
    finish = turn.finish or ("tool_calls" if turn.calls else "stop")
    head = {
        "id": f"chatcmpl-{talk.turn}",
        "created": int(time.time()),
        "model": talk.body.get("model"),
    }
    streamed = bool(talk.body.get("stream"))
    told = None if role.no_usage else usage
    if streamed:
        asked_for = table(talk.body.get("stream_options")).get("include_usage")
        pieces = tuple(_events(head, message, finish, told if asked_for else None))
    else:
        choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
        whole = {**head, "object": "chat.completion", "choices": [choice]}
        pieces = (compact(whole | ({} if told is None else {"usage": told})).encode(),)
    return WireReply(
        200,
        pieces,
        role.headers,
        "text/event-stream" if streamed else "application/json",
        role.latency + turn.latency,
        prompt,
        completion,
    )


def _message(turn: Turn, talk: Conversation) -> dict[str, Any]:
    text = turn.text if turn.answer is None else filled(turn.answer, talk)
    if isinstance(text, str):
        text = str(filled(text, talk))
    elif text is not None:
        text = compact(text)
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if turn.calls:
        message["tool_calls"] = [
            _wire_call(one, number, talk) for number, one in enumerate(turn.calls)
        ]
    return message


def _wire_call(call: ScriptedCall, number: int, talk: Conversation) -> dict[str, Any]:
    given = call.arguments if isinstance(call.arguments, str) else filled(call.arguments, talk)
    return {
        "id": call.id or f"call_{talk.turn}_{number}",
        "type": "function",
        "function": {
            "name": call.name,
            "arguments": given if isinstance(given, str) else compact(given),
        },
    }


def _events(
    head: Mapping[str, Any],
    message: Mapping[str, Any],
    finish: str,
    usage: Mapping[str, Any] | None,
) -> Iterator[bytes]:
    """A reply as server-sent events: text and arguments in two pieces each."""
    for delta in _deltas(message):
        yield _event(head, [{"index": 0, "delta": delta, "finish_reason": None}])
    yield _event(head, [{"index": 0, "delta": {}, "finish_reason": finish}])
    if usage is not None:
        yield _event(head, [], usage=usage)
    yield b"data: [DONE]\n\n"


def _deltas(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": "" if message["content"] else None}
    for piece in _halves(message["content"] or ""):
        yield {"content": piece}
    for number, asked in enumerate(message.get("tool_calls", ())):
        function = asked["function"]
        start = {**asked, "index": number, "function": {**function, "arguments": ""}}
        yield {"tool_calls": [start]}
        for piece in _halves(function["arguments"]):
            yield {"tool_calls": [{"index": number, "function": {"arguments": piece}}]}


def _halves(text: str) -> Iterator[str]:
    middle = len(text) // 2
    yield from (piece for piece in (text[:middle], text[middle:]) if piece)


def _event(head: Mapping[str, Any], choices: list[Any], **more: Any) -> bytes:
    event = {**head, "object": "chat.completion.chunk", "choices": choices, **more}
    return f"data: {compact(event)}\n\n".encode()
