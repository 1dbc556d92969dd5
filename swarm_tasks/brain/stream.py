"""A reply that was streamed, joined to what it would have been at once. Pure.

Requests ask for no stream, yet some servers send one. The form is that of server-sent events
(WHATWG HTML, 9.2), each with a piece in the form of OpenAI's `chat.completion.chunk`.
"""

from __future__ import annotations

from typing import Any

from swarm_tasks.brain.loose import Nonsense, parsed, rows, table, text, whole

CUT = "a stream without its end"


def is_stream(body: bytes, kind: str) -> bool:
    """Whether a body is a stream: so says its content type, or its first line."""
    return "event-stream" in kind or body.startswith((b"data:", b"event:", b": "))


def joined(body: bytes) -> dict[str, Any]:
    """The reply that a stream's pieces make up, in the form of a plain one.

    Raises:
        Nonsense: Its end is missing, or a piece is none.
    """
    reply: dict[str, Any] = {}
    words: list[str] = []
    calls: dict[int, dict[str, Any]] = {}
    finish, ended = "", False
    for line in body.splitlines():
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        if data == b"[DONE]":
            ended = True
            break
        piece = table(parsed(data))
        if piece.get("error"):
            return {"error": piece["error"]}
        if piece.get("usage"):
            reply["usage"] = piece["usage"]
        for choice in map(table, rows(piece.get("choices"))[:1]):
            delta = table(choice.get("delta")) or table(choice.get("message"))
            words.append(text(delta.get("content")))
            _add_calls(calls, rows(delta.get("tool_calls")))
            finish = text(choice.get("finish_reason")) or finish
    if not ended and not finish:
        raise Nonsense(CUT)
    message = {"content": "".join(words), "tool_calls": [calls[place] for place in sorted(calls)]}
    reply["choices"] = [{"message": message, "finish_reason": finish or None}]
    return reply


def _add_calls(calls: dict[int, dict[str, Any]], pieces: list[Any]) -> None:
    """Put pieces of calls to what is there of them; each says which call it belongs to."""
    for piece in map(table, pieces):
        place = whole(piece.get("index"))
        if place is None:  # some send each call whole and do not number them
            place = len(calls)
        call = calls.setdefault(place, {"id": "", "function": {"name": "", "arguments": ""}})
        call["id"] = call["id"] or text(piece.get("id"))
        function = table(piece.get("function"))
        held: dict[str, Any] = call["function"]
        held["name"] = held["name"] or text(function.get("name"))
        given = function.get("arguments")
        if isinstance(given, str) and isinstance(held["arguments"], str):
            held["arguments"] += given
        elif given is not None:
            held["arguments"] = given
