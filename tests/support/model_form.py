"""What OpenAI-compatible endpoints refuse in a chat request, so that tests see it refused too.

From OpenAI's reference of chat completions and its error texts. One rule is vLLM's: the arguments
of an earlier tool call must be JSON, since its templates read them as an object.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

ROLES = ("system", "developer", "user", "assistant", "tool")
FUNCTION_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}\Z")
FORMATS = ("text", "json_object", "json_schema")


class Malformed(ValueError):
    """The request is refused; the message says why and `param` where."""

    def __init__(self, message: str, param: str) -> None:
        super().__init__(message)
        self.param = param


def check_form(body: Mapping[str, Any]) -> None:
    """Refuse what an endpoint would.

    Raises:
        Malformed: Something is.
    """
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise Malformed("you must provide a model parameter", "model")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Malformed("[] is too short - 'messages'", "messages")
    _check_messages(cast(list[Any], messages))
    if "tools" in body:
        _check_tools(body["tools"])
    elif "tool_choice" in body or "parallel_tool_calls" in body:
        raise Malformed("'tool_choice' is only allowed when 'tools' are specified", "tool_choice")
    if body.get("response_format") is not None:
        _check_format(body["response_format"])
    for name in ("max_tokens", "max_completion_tokens"):
        most = body.get(name)
        if most is not None and (not isinstance(most, int) or most < 1):
            raise Malformed(f"{name} must be at least 1, not {most!r}", name)


def _check_messages(messages: Sequence[Any]) -> None:
    """Each message, and that each call is answered before anybody else speaks."""
    open_calls: set[str] = set()
    for number, message in enumerate(messages):
        where = f"messages[{number}]"
        said = table(message)
        if said.get("role") not in ROLES:
            raise Malformed(f"a message is an object with a role of {', '.join(ROLES)}", where)
        if said["role"] == "tool":
            if said.get("tool_call_id") not in open_calls:
                raise Malformed(
                    "messages with role 'tool' must be a response to a preceding message with "
                    f"'tool_calls': {said.get('tool_call_id')!r} is none, or answered already",
                    where,
                )
            open_calls.remove(said["tool_call_id"])
        elif open_calls:
            raise _unanswered(open_calls, where)
        _check_content(said, where)
        if said["role"] == "assistant":
            open_calls = _check_calls(said, where)
    if open_calls:
        raise _unanswered(open_calls, f"messages[{len(messages)}]")


def _unanswered(open_calls: set[str], where: str) -> Malformed:
    return Malformed(
        "an assistant message with 'tool_calls' must be followed by tool messages responding to "
        f"each 'tool_call_id'; these have none: {', '.join(sorted(open_calls))}",
        where,
    )


def _check_content(message: Mapping[str, Any], where: str) -> None:
    content = message.get("content")
    if isinstance(content, str):
        return
    if content is None:
        if message["role"] == "assistant" and message.get("tool_calls"):
            return
        raise Malformed("expected a string, got null", f"{where}.content")
    if not isinstance(content, list) or not content:
        raise Malformed("content is a string or a list of parts", f"{where}.content")
    for part in map(table, cast(list[Any], content)):
        kind = part.get("type")
        if kind == "text" and isinstance(part.get("text"), str):
            continue
        if kind == "image_url" and message["role"] == "user" and table(part[kind]).get("url"):
            continue
        raise Malformed(f"a part of type {kind!r} does not fit here", f"{where}.content")


def _check_calls(message: Mapping[str, Any], where: str) -> set[str]:
    """The ids of the calls that an assistant's message makes."""
    asked = message.get("tool_calls")
    if asked is None:
        return set()
    if not isinstance(asked, list) or not asked:
        raise Malformed("[] is too short - 'tool_calls'", f"{where}.tool_calls")
    ids: set[str] = set()
    for one in map(table, cast(list[Any], asked)):
        function = table(one.get("function"))
        if one.get("type") != "function" or not one.get("id") or one["id"] in ids:
            raise Malformed("a call has type 'function' and an id of its own", where)
        if not is_name(function.get("name")):
            raise Malformed(f"{function.get('name')!r} is no function's name", where)
        _check_arguments(function.get("arguments"), where)
        ids.add(one["id"])
    return ids


def _check_arguments(arguments: Any, where: str) -> None:
    if not isinstance(arguments, str):
        raise Malformed("a call's arguments are text that holds JSON", where)
    try:
        held: Any = json.loads(arguments)
    except ValueError as error:
        raise Malformed(f"a call's arguments are no JSON: {error}", where) from None
    if not isinstance(held, dict):
        raise Malformed("a call's arguments are no JSON object", where)


def _check_tools(tools: Any) -> None:
    if not isinstance(tools, list) or not tools:
        raise Malformed("[] is too short - 'tools'", "tools")
    names: set[str] = set()
    for number, tool in enumerate(map(table, cast(list[Any], tools))):
        where = f"tools[{number}].function"
        function = table(tool.get("function"))
        if tool.get("type") != "function" or not function:
            raise Malformed("a tool is an object of type 'function'", where)
        name = function.get("name")
        if not is_name(name) or name in names:
            raise Malformed(f"{name!r} is no function's name, or there twice", f"{where}.name")
        names.add(str(name))
        if table(function.get("parameters", {"type": "object"})).get("type") != "object":
            raise Malformed("schema must be a JSON Schema of 'type: \"object\"'", where)


def _check_format(form: Any) -> None:
    kind = table(form).get("type")
    if kind not in FORMATS:
        raise Malformed(f"a response_format is one of {', '.join(FORMATS)}", "response_format")
    if kind != "json_schema":
        return
    given = table(form.get("json_schema"))
    schema = table(given.get("schema"))
    if not is_name(given.get("name")) or not schema:
        raise Malformed("a json_schema has a name and a schema", "response_format.json_schema")
    if given.get("strict"):
        _check_strict(schema, "response_format.json_schema.schema")


def _check_strict(schema: Any, where: str) -> None:
    """A strict schema names every property as required and takes no others, all the way down."""
    if isinstance(schema, list):
        for one in cast(list[Any], schema):
            _check_strict(one, where)
    held = table(schema)
    if held.get("type") == "object" and "properties" in held:
        if held.get("additionalProperties") is not False:
            raise Malformed("'additionalProperties' is required to be false", where)
        if set(held.get("required", ())) != set(table(held["properties"])):
            raise Malformed("'required' must include every key in properties", where)
    for name, one in held.items():
        _check_strict(one, f"{where}.{name}")


def table(value: Any) -> dict[str, Any]:
    """An object as it is; an empty one in place of anything else."""
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def is_name(value: Any) -> bool:
    """Whether a function or a schema can be called that."""
    return isinstance(value, str) and FUNCTION_NAME.match(value) is not None
