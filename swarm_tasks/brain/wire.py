"""OpenAI's chat form on the wire: a request as bytes, and bytes as a reply. Pure.

Reading is strict in what a reply must have, a message, and tolerant in the rest: servers leave out
ids, usage and content, send arguments as an object, or stream though they were asked not to.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from swarm_tasks.brain.loose import (
    Nonsense,
    content_text,
    dollars,
    parsed,
    rows,
    table,
    text,
    whole,
)
from swarm_tasks.brain.model import ModelRequest, WireCall
from swarm_tasks.brain.stream import is_stream, joined
from swarm_tasks.brain.tokens import count

SCHEMA_NAME = "answer"
MESSAGE_TOKENS = 4
REPLY_START_TOKENS = 3
UNNAMED = "unnamed"
"""A tool call that names no tool is called that; a model that is told so may mend it."""

IMAGE_TOKENS = 1_000
"""About what a picture of a screen takes: 765 with GPT-4o, up to 1,600 with Claude."""


class Feature(StrEnum):
    """What some endpoints refuse and can be done without."""

    RESPONSE_FORMAT = "response_format"
    MAX_TOKENS = "max_tokens"
    USER = "user"


class Trouble(Exception):
    """An error in place of a reply, under a status that says all is well.

    Args:
        status: The one that it should have had.
    """

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


@dataclass(frozen=True, slots=True)
class Usage:
    """What the endpoint says that a call took.

    Args:
        cost_usd: None where it does not say.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What a reply holds.

    Args:
        usage: None where the endpoint did not count.
    """

    text: str
    calls: tuple[WireCall, ...]
    finish: str
    usage: Usage | None


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def encode(request: ModelRequest, model: str, without: Collection[Feature] = ()) -> bytes:
    """The body of a chat request.

    Args:
        without: What the endpoint is known to refuse.
    """
    body: dict[str, Any] = {"model": model, "messages": list(request.messages), "stream": False}
    if request.tools:
        body["tools"] = list(request.tools)
    if Feature.MAX_TOKENS not in without:
        body["max_tokens"] = request.max_tokens
    else:  # OpenAI's newer models take it only under this name
        body["max_completion_tokens"] = request.max_tokens
    if request.user and Feature.USER not in without:
        body["user"] = request.user
    if request.json_schema is not None and Feature.RESPONSE_FORMAT not in without:
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": SCHEMA_NAME, "schema": request.json_schema, "strict": True},
        }
    try:
        return to_json(body)  # four times as fast as the standard library's
    except PydanticSerializationError:
        # Half a surrogate pair, as broken file names hold it, has no place in UTF-8.
        return _ENCODER.encode(body).encode("utf-8", "replace")


def decode(body: bytes, kind: str) -> Said:
    """A reply.

    Args:
        kind: Its content type.

    Raises:
        Nonsense: It is none.
        Trouble: It is an error, though the status did not say so.
    """
    return said_in(table(joined(body) if is_stream(body, kind) else parsed(body, kind)))


def said_in(reply: Mapping[str, Any]) -> Said:
    """The same of a reply that is parsed already.

    Raises:
        Nonsense: It is none.
        Trouble: It is an error.
    """
    choices = rows(reply.get("choices"))
    choice = table(choices[0]) if choices else {}
    message = table(choice.get("message"))
    error = choice.get("error") or reply.get("error")
    if error:
        raise Trouble(_status_of(error))
    if not message:
        raise Nonsense("JSON that is no reply")
    calls = _calls(message)
    words = content_text(message.get("content"))
    if not words and not calls:
        words = text(message.get("refusal"))
    return Said(words, calls, text(choice.get("finish_reason")) or "stop", _usage(reply))


def _calls(message: Mapping[str, Any]) -> tuple[WireCall, ...]:
    asked = rows(message.get("tool_calls"))
    if not asked and isinstance(message.get("function_call"), dict):
        asked = [{"function": message["function_call"]}]  # the form before tools, until 2023
    calls: list[WireCall] = []
    seen: set[str] = set()
    for one in map(table, asked):
        function = table(one.get("function")) or one
        name = text(function.get("name")) or UNNAMED
        own = text(one.get("id"))
        if not own or own in seen:
            own = f"call_{secrets.token_hex(6)}"
        seen.add(own)
        calls.append(WireCall(own, name, _arguments(function.get("arguments"))))
    return tuple(calls)


def _arguments(given: Any) -> str:
    """Arguments as text. None at all are an empty object: so some write a call without any."""
    if isinstance(given, str):
        return given if given.strip() else "{}"
    return "{}" if given is None else _ENCODER.encode(given)


def _usage(reply: Mapping[str, Any]) -> Usage | None:
    told = table(reply.get("usage"))
    prompt, completion = whole(told.get("prompt_tokens")), whole(told.get("completion_tokens"))
    if not prompt or completion is None:
        return None
    cached = whole(table(told.get("prompt_tokens_details")).get("cached_tokens")) or 0
    return Usage(prompt, completion, min(cached, prompt), dollars(told.get("cost")))


def _status_of(error: Any) -> int:
    """The HTTP status that an error in a body stands for; a bad gateway's where it says none."""
    code = table(error).get("code")
    if isinstance(code, str) and code.isdecimal() and len(code) == 3:
        code = int(code)
    return code if isinstance(code, int) and 400 <= code <= 599 else 502


def counted_here(request: ModelRequest, said: Said) -> Usage:
    """What a call took, about, where the endpoint does not say."""
    prompt = REPLY_START_TOKENS + sum(message_tokens(one) for one in request.messages)
    if request.tools:
        prompt += count(_ENCODER.encode(list(request.tools)))
    completion = count(said.text) + sum(
        MESSAGE_TOKENS + count(call.name) + count(call.arguments) for call in said.calls
    )
    return Usage(prompt, completion)


def message_tokens(message: Mapping[str, Any]) -> int:
    """About how many tokens one message is, counted here."""
    content = message.get("content")
    total = MESSAGE_TOKENS + count(content_text(content))
    if not isinstance(content, str):
        parts = map(table, rows(content))
        total += IMAGE_TOKENS * sum(1 for part in parts if part.get("type") == "image_url")
    calls = message.get("tool_calls")
    return total + (count(_ENCODER.encode(calls)) if calls else 0)
