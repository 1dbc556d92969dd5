"""Two ways to write a conversation for a model: with native tool calls, or as JSON in prose. Pure.

Both read a reply the same way: calls, if it has any, else words.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol, cast

from swarm_tasks.brain.base import Asked, Reply, Step, ToolSheet
from swarm_tasks.brain.model import Message, ModelReply
from swarm_tasks.brain.words import json_object
from workers.briefing import lean_schema


class Form(Protocol):
    """How tools are offered, and how steps are written."""

    name: str

    def standing(self, tools: Sequence[ToolSheet]) -> str:
        """What the standing orders say of the tools."""
        ...

    def offered(self, tools: Sequence[ToolSheet]) -> list[dict[str, Any]]:
        """The tools, as the request carries them."""
        ...

    def step(self, step: Step, results: Sequence[str]) -> list[Message]:
        """One step of the model and what the host answered, each reply's text in order."""
        ...

    def calls(self, reply: ModelReply) -> tuple[Asked, ...]:
        """The calls in a reply; none where it is an answer."""
        ...


class NativeForm:
    """Tools as the chat form has them."""

    name = "native"

    def standing(self, tools: Sequence[ToolSheet]) -> str:
        """Nothing: the request carries the tools."""
        return ""

    def offered(self, tools: Sequence[ToolSheet]) -> list[dict[str, Any]]:
        """Each tool with its schema."""
        return [lean_schema(sheet) for sheet in tools]

    def step(self, step: Step, results: Sequence[str]) -> list[Message]:
        """The model's message with its calls, and one message for each result."""
        if not step.replies:
            return _sent_back(step)
        names = [reply.asked.id or f"call_{at}" for at, reply in enumerate(step.replies)]
        calls = [
            {
                "id": name,
                "type": "function",
                "function": {"name": reply.asked.tool, "arguments": _arguments(reply)},
            }
            for name, reply in zip(names, step.replies, strict=True)
        ]
        asked = {"role": "assistant", "content": step.said or None, "tool_calls": calls}
        answers = [
            {"role": "tool", "tool_call_id": name, "content": text}
            for name, text in zip(names, results, strict=True)
        ]
        return [asked, *answers]

    def calls(self, reply: ModelReply) -> tuple[Asked, ...]:
        """The native calls; where there are none, those that a small model wrote as text."""
        if reply.calls:
            return tuple(_native(call.id, call.name, call.arguments) for call in reply.calls)
        return written_calls(reply.text)


class JsonForm:
    """Tools described in the standing orders, and called by a JSON object in the reply."""

    name = "json"

    def standing(self, tools: Sequence[ToolSheet]) -> str:
        """How to call a tool, and the tools with their schemas."""
        lines = [
            'To use tools reply with this JSON only: {"calls":[{"tool":"NAME","arguments":{}}]}',
            "Tools:",
        ]
        for sheet in tools:
            schema = lean_schema(sheet)["function"]["parameters"].get("properties", {})
            told = json.dumps(schema, separators=(",", ":")) if schema else "no arguments"
            lines.append(f"- {sheet.name}: {sheet.summary} {told}")
        return "\n".join(lines)

    def offered(self, tools: Sequence[ToolSheet]) -> list[dict[str, Any]]:
        """None: this endpoint takes no tools."""
        return []

    def step(self, step: Step, results: Sequence[str]) -> list[Message]:
        """The calls as the model should have written them, and all results in one message."""
        if not step.replies:
            return _sent_back(step)
        calls = [
            {"tool": reply.asked.tool, "arguments": reply.asked.arguments} for reply in step.replies
        ]
        told = [
            f"{reply.asked.tool}: {text}" for reply, text in zip(step.replies, results, strict=True)
        ]
        return [
            {"role": "assistant", "content": json.dumps({"calls": calls}, ensure_ascii=False)},
            {"role": "user", "content": "\n".join(told)},
        ]

    def calls(self, reply: ModelReply) -> tuple[Asked, ...]:
        """The calls that the text holds."""
        return written_calls(reply.text)


def _sent_back(step: Step) -> list[Message]:
    """Words that were neither calls nor an answer, and why."""
    return [
        {"role": "assistant", "content": step.said or "(nothing)"},
        {"role": "user", "content": f"That cannot be used: {step.problem}. Reply again."},
    ]


def _arguments(reply: Reply) -> str:
    """Arguments as JSON text. What was none is not repeated: endpoints parse what they are sent."""
    return json.dumps(reply.asked.arguments, ensure_ascii=False)


def _native(name: str, tool: str, text: str) -> Asked:
    """A call as the model wrote it, or what keeps it from being one."""
    try:
        arguments: object = json.loads(text) if text.strip() else {}
    except ValueError as error:
        return Asked(tool=tool, id=name, problem=f"the arguments are no JSON: {error}")
    if not isinstance(arguments, dict):
        return Asked(tool=tool, id=name, problem="the arguments are no JSON object")
    return Asked(tool=tool, id=name, arguments=cast(dict[str, Any], arguments))


def written_calls(text: str) -> tuple[Asked, ...]:
    """Calls that stand in a text as `{"calls":[{"tool":…,"arguments":…}]}`; none for other text."""
    found = json_object(text)
    listed = found.get("calls") if found else None
    if not isinstance(listed, list):
        return ()
    calls: list[Asked] = []
    for item in cast(list[object], listed):
        entry = cast(dict[str, Any], item) if isinstance(item, dict) else {}
        tool: object = entry.get("tool") or entry.get("name")
        arguments: object = entry.get("arguments", {})
        if not isinstance(tool, str):
            calls.append(Asked(tool="", problem="a call has no `tool`"))
        elif not isinstance(arguments, dict):
            calls.append(Asked(tool=tool, problem="the arguments are no JSON object"))
        else:
            calls.append(Asked(tool=tool, arguments=cast(dict[str, Any], arguments)))
    return tuple(calls)
