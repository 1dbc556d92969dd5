"""What of a tool's answer is shown to a model, and how it reads the rest. Pure.

An answer stays whole in the evidence. A model is shown its head and tail, and pages through the
middle by a tool of the loop's own, which asks nothing of the host.
"""

from __future__ import annotations

import json
import re
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from swarm_tasks.brain.base import Asked, Reply, ToolSheet, Transcript
from swarm_tasks.models.evidence import Evidence, EvidenceStatus
from swarm_tasks.unseen import plain, plain_line, unmarked

PAGE_TOOL = "read_evidence"
PAGE_CHARACTERS = 6_000
HEAD_SHARE = 0.7
"""The head of an answer says more than its tail, but a log's newest lines are its last."""


ALIAS = re.compile("c[1-9][0-9]{0,5}")
"""What evidence is called towards a model."""


class Page(BaseModel):
    """Which piece of which evidence."""

    model_config = ConfigDict(extra="forbid")

    call: str = Field(pattern=f"^{ALIAS.pattern}$")
    pointer: str = Field(default="", max_length=500)
    offset: int = Field(default=0, ge=0)


PAGE_SHEET = ToolSheet(
    name=PAGE_TOOL,
    summary="Reads on in an earlier result: its text from `offset`, or the value at `pointer`.",
    parameters={
        "type": "object",
        "properties": {
            "call": {"type": "string"},
            "pointer": {"type": "string"},
            "offset": {"type": "integer"},
        },
        "required": ["call"],
    },
)


def alias_of(transcript: Transcript, call_id: str) -> str:
    """The short name by which a model cites evidence: `c1` for the first, and so on."""
    for number, item in enumerate(transcript.evidence, 1):
        if item.call_id == call_id:
            return f"c{number}"
    return ""


def cited(transcript: Transcript, alias: str) -> Evidence | None:
    """The evidence behind a short name, or None where none was gathered under it."""
    if not ALIAS.fullmatch(alias):
        return None
    number = int(alias[1:])
    return transcript.evidence[number - 1] if 0 < number <= len(transcript.evidence) else None


def text_of(evidence: Evidence) -> str:
    """A tool's answer as a model reads it: its data as JSON, or why there is none."""
    if evidence.status is not EvidenceStatus.OK:
        return unmarked(plain_line(f"{evidence.status.value}: {evidence.reason}"))
    return shown_text(evidence.data)


def shown_text(data: object) -> str:
    """Data of a host as JSON that a model may be shown: nothing in it acts unseen or passes for a
    message of its own."""
    return unmarked(plain(json.dumps(data, ensure_ascii=False, separators=(",", ":"))))


def shortened(text: str, characters: int, alias: str) -> str:
    """Head and tail of a text, with a note of what is missing between them."""
    if len(text) <= characters:
        return text
    head = int(characters * HEAD_SHARE)
    tail = characters - head
    note = (
        f'[{len(text) - characters} of {len(text)} characters left out: {PAGE_TOOL}("{alias}", '
        f"offset={head}) reads on]"
    )
    return f"{text[:head]}\n{note}\n{text[len(text) - tail :]}"


def page_of(transcript: Transcript, asked: Asked) -> Reply:
    """One page of older evidence, or why there is none."""
    try:
        page = Page.model_validate(asked.arguments)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        return Reply(asked=asked, problem=f"{PAGE_TOOL}: {place}: {first['msg']}")
    evidence = cited(transcript, page.call)
    if evidence is None:
        return Reply(asked=asked, problem=f"{PAGE_TOOL}: there is no result {page.call}")
    text = text_of(evidence)
    if page.pointer:
        try:
            text = shown_text(resolve(evidence.data, page.pointer))
        except LookupError as error:
            return Reply(asked=asked, problem=f"{PAGE_TOOL}: {error}")
    piece = text[page.offset : page.offset + PAGE_CHARACTERS]
    left = len(text) - page.offset - len(piece)
    note = f"[{left} characters more]" if left > 0 else "[end]"
    return Reply(asked=asked, page=f"{piece}\n{note}")


def resolve(data: Any, pointer: str) -> Any:
    """The value at an RFC 6901 JSON pointer.

    Raises:
        LookupError: It leads nowhere; the message says where it ends.
    """
    if pointer and not pointer.startswith("/"):
        raise LookupError(f"the pointer {pointer!r} does not begin with /")
    for word in pointer.split("/")[1:]:
        key = word.replace("~1", "/").replace("~0", "~")
        inside: dict[str, Any] = {}
        if isinstance(data, dict):
            inside = cast(dict[str, Any], data)
        elif isinstance(data, list):
            inside = {str(at): item for at, item in enumerate(cast(list[Any], data))}
        if key not in inside:
            raise LookupError(f"the pointer {pointer!r} leads nowhere at {key!r}")
        data = inside[key]
    return data
