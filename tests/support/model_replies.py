"""From a chat request and a script to the reply on the wire. Pure: no network here.

Tokens are counted over all text that the request holds: 4 a message, 3 for the reply's start, the
content, the names and arguments of calls, the tools' schemas as compact JSON, and 85 an image. That
is about how OpenAI's cookbook counts; a text's own tokens are those of `COUNT`.
"""

from __future__ import annotations

import importlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, cast

from tests.support.model_form import Malformed, check_form, table
from tests.support.model_script import Role, Script, ScriptedCall, Turn

MESSAGE_TOKENS = 4
REPLY_START_TOKENS = 3
IMAGE_TOKENS = 85

PLACEHOLDER = re.compile(
    r"\{\{(?:(?P<turn>turn)|(?P<last>last_tool)"
    r"|tool:(?P<place>-?\d+)(?P<pointer>/[^}]*)?|find:(?P<find>.+?))\}\}"
)

COUNT = "tests.support.model_replies:pieces_of"
"""What counts the tokens of a text if nothing else is asked for."""

PIECES = re.compile(r"\w{1,6}|[^\w\s]")

Count = Callable[[str], int]


def counter(spec: str) -> Count:
    """The counter of a text's tokens that `MODULE:FUNCTION` names, with a memory."""
    module, _, name = spec.partition(":")
    count: Count = getattr(importlib.import_module(module), name)
    return lru_cache(maxsize=1 << 14)(count)


def pieces_of(text: str) -> int:
    """Words in pieces of six letters at most, and marks: near what tokenizers make of prose."""
    return len(PIECES.findall(text))


class Misled(Exception):
    """A placeholder leads nowhere."""


class Conversation:
    """A chat request, read once.

    Args:
        body: The request's JSON.
    """

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.body = body
        self.messages: Sequence[Mapping[str, Any]] = body.get("messages") or ()
        self.user = str(body.get("user") or "")
        self.turn = sum(1 for one in self.messages if one.get("role") == "assistant")

    @property
    def subject(self) -> str:
        """What a role's pattern is searched in."""
        told = ("system", "developer", "user")
        texts = (text_of(one) for one in self.messages if one.get("role") in told)
        return "\n".join((self.user, *texts))

    @cached_property
    def tool_texts(self) -> tuple[str, ...]:
        """The tool messages, oldest first."""
        return tuple(text_of(one) for one in self.messages if one.get("role") == "tool")

    def prompt_tokens(self, count: Count) -> int:
        """What the request holds, in tokens."""
        total = REPLY_START_TOKENS
        for message in self.messages:
            total += MESSAGE_TOKENS + count(text_of(message)) + IMAGE_TOKENS * _images(message)
            for asked in message.get("tool_calls") or ():
                function = asked["function"]
                total += count(function["name"]) + count(function["arguments"])
        tools = self.body.get("tools")
        return total + count(_compact(tools)) if tools else total

    def value(self, found: re.Match[str]) -> Any:
        """What a placeholder stands for.

        Raises:
            Misled: It leads nowhere.
        """
        if found["turn"]:
            return self.turn
        try:
            if found["find"]:
                return self._last_match(found["find"])
            text = self.tool_texts[-1 if found["last"] else int(found["place"])]
            return text if not found["pointer"] else _at(_json_in(text), found["pointer"])
        except (LookupError, ValueError) as error:
            raise Misled(f"{found[0]} leads nowhere: {error!r}") from error

    def _last_match(self, pattern: str) -> str:
        texts = [text_of(one) for one in self.messages if one.get("role") in ("user", "tool")]
        *_, last = re.finditer(pattern, "\n".join(texts), re.MULTILINE)
        return str(last[1] if last.re.groups else last[0])


def text_of(message: Mapping[str, Any]) -> str:
    """A message's text, of whatever form its content is."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content or () if part.get("type") == "text")


def _images(message: Mapping[str, Any]) -> int:
    content = message.get("content")
    if not content or isinstance(content, str):
        return 0
    return sum(1 for part in content if part.get("type") == "image_url")


def _compact(data: Any) -> str:
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False)


def _json_in(text: str) -> Any:
    """The first JSON object or list that begins in a text."""
    reader = json.JSONDecoder()
    for found in re.finditer(r"[{\[]", text):
        try:
            return reader.raw_decode(text, found.start())[0]
        except ValueError:
            continue
    raise ValueError("there is no JSON in it")


def _at(data: Any, pointer: str) -> Any:
    """What stands at an RFC 6901 pointer."""
    here = data
    for word in pointer[1:].split("/"):
        name = word.replace("~1", "/").replace("~0", "~")
        here = cast(list[Any], here)[int(name)] if isinstance(here, list) else here[name]
    return here


def filled(data: Any, talk: Conversation) -> Any:
    """`data` with each placeholder filled in.

    Raises:
        Misled: One leads nowhere.
    """
    if isinstance(data, str):
        whole = PLACEHOLDER.fullmatch(data)
        if whole:
            return talk.value(whole)
        return PLACEHOLDER.sub(lambda found: str(talk.value(found)), data)
    if isinstance(data, Mapping):
        return {filled(key, talk): filled(value, talk) for key, value in data.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(data, (list, tuple)):
        return [filled(one, talk) for one in data]  # pyright: ignore[reportUnknownVariableType]
    return data


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
    return WireReply(status, (_compact({"error": held}).encode(),))


def model_list(script: Script) -> WireReply:
    """The answer to `GET /v1/models`."""
    length = {} if script.context_length is None else {"max_model_len": script.context_length}
    data = [
        {"id": name, "object": "model", "created": 0, "owned_by": "scripted", **length}
        for name in script.models
    ]
    return WireReply(200, (_compact({"object": "list", "data": data}).encode(),))


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
        pieces = (_compact(whole | ({} if told is None else {"usage": told})).encode(),)
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
        text = _compact(text)
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
            "arguments": given if isinstance(given, str) else _compact(given),
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
    return f"data: {_compact(event)}\n\n".encode()
