"""Reading JSON that others wrote and that may hold anything. Pure."""

from __future__ import annotations

import json
import math
from typing import Any, cast

MOST = 10**9
"""No count of tokens and no sum of money is larger; what adds them up has 64 bits for it."""


class Nonsense(Exception):
    """What came is not what was asked for; the message names it: "a page of HTML"."""


def parsed(body: bytes, kind: str = "") -> Any:
    """The JSON of a body.

    Args:
        kind: Its content type.

    Raises:
        Nonsense: It holds none.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        pass
    if not body.strip():
        raise Nonsense("nothing at all")
    if is_page(body, kind):
        raise Nonsense("a page of HTML")
    raise Nonsense("something that is no JSON")


def is_page(body: bytes, kind: str) -> bool:
    """Whether a body is HTML."""
    return "html" in kind or body[:200].lstrip().lower().startswith((b"<!doctype", b"<html"))


def table(value: Any) -> dict[str, Any]:
    """An object as it is; an empty one in place of anything else."""
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def rows(value: Any) -> list[Any]:
    """A list as it is; an empty one in place of anything else."""
    return cast(list[Any], value) if isinstance(value, list) else []


def text(value: Any) -> str:
    """A string as it is; an empty one in place of anything else."""
    return value if isinstance(value, str) else ""


def whole(value: Any) -> int | None:
    """A count, or None where it is none."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= MOST else None


def dollars(value: Any) -> float | None:
    """A sum of money as a number or as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        sum_usd = float(value)
    except (ValueError, OverflowError):
        return None
    return sum_usd if math.isfinite(sum_usd) and 0 <= sum_usd <= MOST else None


def content_text(content: Any) -> str:
    """The text of a message's content, which is a string, a list of parts, or null."""
    if isinstance(content, str):
        return content
    if not isinstance(content, (list, tuple)):
        return ""
    parts = cast("list[Any] | tuple[Any, ...]", content)
    return "".join(text(part) or text(table(part).get("text")) for part in parts)
