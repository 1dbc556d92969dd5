"""What models write, read for what was asked of them. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, cast

MOST_BRACES = 200
"""How many places are tried for the beginning of an object: each may be read to the text's end."""

MOST_DEPTH = 32
"""How deep what a model writes may be nested. Nothing that is asked for is deeper than five."""


def json_object(text: str, keys: Collection[str] = ()) -> dict[str, Any] | None:
    """The JSON object in a model's words, past its thoughts and any fence; None for none.

    Of several the longest: some models write an example or an empty one before the one they mean.

    Args:
        keys: At least one of these must be in it; without any, each object is taken.
    """
    best: tuple[int, dict[str, Any]] | None = None
    for begin, end, found in _objects(text):
        if "</think>" in text[:begin] or "</think>" not in text[end:]:
            fits = not keys or not found.keys().isdisjoint(keys)
            if fits and (best is None or end - begin > best[0]):
                best = (end - begin, found)
    if best is None:
        return None
    try:
        return cast(dict[str, Any], sound(best[1]))
    except ValueError:
        return None


def _objects(text: str) -> list[tuple[int, int, dict[str, Any]]]:
    """Every JSON object that is not inside another one, with where it begins and ends."""
    # Small models write line ends into strings as they are.
    reader = json.JSONDecoder(strict=False)
    found: list[tuple[int, int, dict[str, Any]]] = []
    at = text.find("{")
    for _ in range(MOST_BRACES):
        if at < 0:
            break
        end = at + 1
        try:
            value, end = cast("tuple[object, int]", reader.raw_decode(text, at))
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            found.append((at, end, cast(dict[str, Any], value)))
        at = text.find("{", end)
    return found


def json_value(text: str) -> Any:
    """A JSON text that a model wrote, as a value that can travel.

    Raises:
        ValueError: It is none, or holds what no JSON can; the message says what.
    """
    try:
        return sound(json.loads(text))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def sound(value: object) -> object:
    """`value` as JSON that can be written down and sent on.

    Half a surrogate pair, which JSON can spell and UTF-8 cannot, becomes U+FFFD.

    Raises:
        ValueError: It is nested too deeply, or holds a number that is not finite.
    """
    if _depth(value) > MOST_DEPTH:
        raise ValueError(f"it is nested deeper than {MOST_DEPTH}")
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    cleaned = sound_text(text)
    return value if cleaned == text else json.loads(cleaned)


def sound_text(text: str) -> str:
    """`text` as UTF-8 can hold it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _depth(value: object) -> int:
    """How deep a value is nested, without calling itself: some models write only brackets."""
    deepest, level = 0, [value]
    while level and deepest <= MOST_DEPTH:
        inner: list[object] = []
        for item in level:
            if isinstance(item, dict):
                inner += cast(dict[str, object], item).values()
            elif isinstance(item, list):
                inner += cast(list[object], item)
        deepest, level = deepest + 1, inner
    return deepest
