"""Make a name that somebody else chose fit to be shown."""

from __future__ import annotations

SHOWN_LIMIT = 4096
"""PATH_MAX of Linux."""


def shown(name: str, limit: int = SHOWN_LIMIT) -> str:
    """`name` on one line of printable characters, at most `limit` of them.

    A process or a file may be called by any bytes: such as are no UTF-8 (which Python carries
    as lone surrogates that no JSON may hold), line breaks and escapes become `?`.
    """
    return "".join(char if char.isprintable() else "?" for char in name[:limit])
