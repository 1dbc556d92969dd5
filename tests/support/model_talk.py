"""What a chat request holds, for the scripted model server: its words, its turn, its tokens.

Tokens are counted over all text that the request holds: 4 a message, 3 for the reply's start, the
content, the names and arguments of calls, the tools' schemas as compact JSON, and 85 an image. That
is about how OpenAI's cookbook counts; a text's own tokens are those of `COUNT`.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any, cast

MESSAGE_TOKENS = 4
REPLY_START_TOKENS = 3
IMAGE_TOKENS = 85

PLACEHOLDER = re.compile(
    r"\{\{(?:(?P<turn>turn)|(?P<last>last_tool)"
    r"|tool:(?P<place>-?\d+)(?P<pointer>/[^}]*)?|find:(?P<find>.+?))\}\}"
)

COUNT = "swarm_tasks.brain.tokens:count"
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
        self.turn = self.count_turn("assistant")

    def count_turn(self, role: str) -> int:
        """How many messages there are of a role."""
        return sum(1 for one in self.messages if one.get("role") == role)

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
        return total + count(compact(tools)) if tools else total

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


def compact(data: Any) -> str:
    """Data as JSON without white space."""
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
