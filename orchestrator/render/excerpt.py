"""A tool's answer as a few lines of JSON, with what a claim points at kept and marked. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from orchestrator.render import values, words

AROUND_LINES = 6
"""Lines kept before and after the value that a claim points at, however long the answer."""

ONE_LINE_CHARACTERS = 88
"""Up to this length, a list or an object of plain values is shown on one line."""

MARKED_AT_MOST = 20
"""How many pointed-at values keep the lines around them."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an answer as JSON.

    Args:
        marked: Whether the claim's value stands here.
        gap: Whether the line is a note about what was left out.
    """

    text: str
    marked: bool = False
    gap: bool = False


def excerpt(data: object, pointers: Sequence[str], limit: int) -> tuple[Line, ...]:
    """`data` as indented JSON in about `limit` characters, with the pointed-at lines marked.

    Where it is longer, the lines around the marks are kept, then as many from the top as fit;
    each gap says how much is left out.
    """
    wanted = {pointer for pointer in pointers if pointer}
    lines = [
        (not wanted.isdisjoint(begun), _cut(text, limit // 4)) for begun, text in json_lines(data)
    ]
    if sum(len(text) for _, text in lines) <= limit:
        return tuple(Line(text, marked) for marked, text in lines)
    marks = [index for index, (marked, _) in enumerate(lines) if marked][:MARKED_AT_MOST]
    kept = {
        index
        for mark in marks
        for index in range(max(mark - AROUND_LINES, 0), min(mark + AROUND_LINES + 1, len(lines)))
    }
    room = limit - sum(len(lines[index][1]) for index in kept)
    for index, (_, text) in enumerate(lines):
        if index not in kept:
            room -= len(text)
            if room < 0:
                break
            kept.add(index)
    return tuple(_with_gaps(lines, kept))


def json_lines(
    data: Any, pointer: str = "", lead: str = "", tail: str = ""
) -> Iterator[tuple[tuple[str, ...], str]]:
    """`data` as indented JSON: lines, each with the RFC 6901 pointers of the values begun there.

    A short list or object of plain values stands on one line.
    """
    indent = "  " * pointer.count("/")
    children = {f"{pointer}/{_escaped(key)}": (key, value) for key, value in _items(data)}
    flat = not any(isinstance(value, (dict, list)) for _, value in children.values())
    text = json.dumps(data, ensure_ascii=False, default=str) if flat else ""
    if not children or (pointer and flat and len(text) <= ONE_LINE_CHARACTERS):
        yield (pointer, *children), f"{indent}{lead}{text}{tail}"
        return
    opening, closing = ("{", "}") if isinstance(data, dict) else ("[", "]")
    yield (pointer,), f"{indent}{lead}{opening}"
    for index, (place, (key, value)) in enumerate(children.items()):
        name = f"{json.dumps(key, ensure_ascii=False)}: " if opening == "{" else ""
        yield from json_lines(value, place, name, "," if index < len(children) - 1 else "")
    yield (), f"{indent}{closing}{tail}"


def _items(data: Any) -> Iterator[tuple[str, Any]]:
    """What is in a list or an object, by its step in a pointer; nothing in a plain value."""
    if isinstance(data, dict):
        for key, value in cast("dict[Any, Any]", data).items():
            yield str(key), value
    elif isinstance(data, list):
        for index, value in enumerate(cast("list[Any]", data)):
            yield str(index), value


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _with_gaps(lines: Sequence[tuple[bool, str]], kept: set[int]) -> Iterator[Line]:
    gone: list[str] = []
    for index, (marked, text) in enumerate(lines):
        if index not in kept:
            gone.append(text)
            continue
        if gone:
            yield _gap(gone)
            gone = []
        yield Line(text, marked)
    if gone:
        yield _gap(gone)


def _gap(gone: Sequence[str]) -> Line:
    size = values.bytes_text(sum(len(text.encode(errors="replace")) + 1 for text in gone))
    return Line(f"… {words.count_text(len(gone), 'line')} ({size}) left out …", gap=True)


def _cut(text: str, limit: int) -> str:
    """One line, cut where it is very long: a log in one string is one line of JSON."""
    if len(text) <= limit:
        return text
    size = values.bytes_text(len(text[limit:].encode(errors="replace")))
    return f"{text[:limit]} … {size} left out …"
