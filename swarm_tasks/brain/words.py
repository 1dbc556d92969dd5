"""What models write, read for what was asked of them. Pure."""

from __future__ import annotations

import json
from typing import Any, cast

MOST_BRACES = 200
"""How many places are tried for the beginning of an object: each may be read to the text's end."""


def json_object(text: str) -> dict[str, Any] | None:
    """The JSON object in a model's words, past its thoughts and any fence; None for none.

    Of several the longest: some models write an example or an empty one before the one they mean.
    """
    text = text.rpartition("</think>")[2]
    reader = json.JSONDecoder()
    best: dict[str, Any] | None = None
    length = 0
    at = text.find("{")
    for _ in range(MOST_BRACES):
        if at < 0:
            break
        try:
            found, end = cast("tuple[object, int]", reader.raw_decode(text, at))
        except (ValueError, RecursionError):
            end = at + 1
        else:
            if isinstance(found, dict) and end - at > length:
                best, length = cast(dict[str, Any], found), end - at
        at = text.find("{", end)
    return best
