"""Two ways to write a conversation for a model: with native tool calls, or as JSON in prose. Pure.

Both read a reply the same way: calls, if it has any, else words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Protocol, cast

from swarm_tasks.brain.base import Asked, Step, ToolSheet
from swarm_tasks.brain.model import Message, ModelReply
from swarm_tasks.brain.words import json_object, json_value
from swarm_tasks.unseen import plain_line, unmarked
from workers.briefing import lean_schema

UNSAFE = re.compile("[^A-Za-z0-9_-]")
"""What endpoints refuse in the name of a function, which a model may have made up."""

CALL_KEYS = ("calls", "tool", "name")


class Form(Protocol):
    """How tools are offered, and how steps are written."""

    name: str

    def standing(self, tools: Sequence[ToolSheet]) -> str:
        """What the standing orders say of the tools."""
        ...

    def offered(self, tools: Sequence[ToolSheet]) -> list[dict[str, Any]]:
        """The tools, as the request carries them."""
        ...

    def step(self, step: Step, results: Sequence[str], used: set[str]) -> list[Message]:
        """One step of the model and what the host answered.

        Args:
            results: Each reply's text, in order.
            used: The ids of calls in the conversation so far; this step's are added.
        """
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

    def step(self, step: Step, results: Sequence[str], used: set[str]) -> list[Message]:
        """The model's message with its calls, and one message for each result."""
        if not step.replies:
            return _sent_back(step)
        names = [_call_id(reply.asked.id, used) for reply in step.replies]
        calls = [
            {
                "id": name,
                "type": "function",
                "function": {
                    "name": UNSAFE.sub("_", reply.asked.tool)[:64] or "unnamed",
                    # What was no JSON is not repeated: endpoints parse what they are sent.
                    "arguments": json.dumps(reply.asked.arguments, ensure_ascii=False),
                },
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

    def step(self, step: Step, results: Sequence[str], used: set[str]) -> list[Message]:
        """The calls as the model should have written them, and all results in one message."""
        if not step.replies:
            return _sent_back(step)
        calls = [
            {"tool": reply.asked.tool, "arguments": reply.asked.arguments} for reply in step.replies
        ]
        told = [
            f"<result>{UNSAFE.sub('_', reply.asked.tool)}: {text}</result>"
            for reply, text in zip(step.replies, results, strict=True)
        ]
        return [
            {"role": "assistant", "content": json.dumps({"calls": calls}, ensure_ascii=False)},
            {"role": "user", "content": "\n".join(told)},
        ]

    def calls(self, reply: ModelReply) -> tuple[Asked, ...]:
        """The calls that the text holds."""
        return written_calls(reply.text)


def _call_id(name: str, used: set[str]) -> str:
    """The model's own id for a call, or one that no other call of the conversation has.

    Nine letters or digits: the form that Mistral's models ask for, and all others take.
    """
    if not name or name in used:
        name = f"call{len(used):05d}"
    used.add(name)
    return name


def _sent_back(step: Step) -> list[Message]:
    """Words that were neither calls nor an answer, and why; nothing for a step that was cut off
    before any tool had answered."""
    if not step.problem:
        return []
    return [
        {"role": "assistant", "content": step.said or "(nothing)"},
        {"role": "user", "content": f"That cannot be used: {unmarked(step.problem)}. Reply again."},
    ]


def _native(name: str, tool: str, text: str) -> Asked:
    """A call as the model wrote it, or what keeps it from being one."""
    tool = plain_line(tool, 100)
    try:
        arguments: object = json_value(text) if text.strip() else {}
    except ValueError as error:
        return Asked(tool=tool, id=name, problem=f"the arguments are no JSON: {error}")
    if not isinstance(arguments, dict):
        return Asked(tool=tool, id=name, problem="the arguments are no JSON object")
    return Asked(tool=tool, id=name, arguments=cast(dict[str, Any], arguments))


def written_calls(text: str) -> tuple[Asked, ...]:
    """Calls that stand in a text as `{"calls":[{"tool":…,"arguments":…}]}`, or one such call by
    itself; none for other text."""
    found = json_object(text, CALL_KEYS)
    if found is None:
        return ()
    listed = found.get("calls", [found] if "arguments" in found else [])
    return tuple(map(_written, cast(list[object], listed))) if isinstance(listed, list) else ()


def _written(item: object) -> Asked:
    """One call that was written as an object."""
    entry = cast(dict[str, Any], item) if isinstance(item, dict) else {}
    tool: object = entry.get("tool") or entry.get("name")
    arguments: object = entry.get("arguments", {})
    if not isinstance(tool, str):
        return Asked(tool="", problem="a call has no `tool`")
    if not isinstance(arguments, dict):
        return Asked(tool=plain_line(tool, 100), problem="the arguments are no JSON object")
    return Asked(tool=plain_line(tool, 100), arguments=cast(dict[str, Any], arguments))
