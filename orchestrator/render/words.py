"""Text from hosts and models, made fit to be shown: nothing in it acts unseen. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from swarm_tasks.unseen import UNSEEN


def clean(text: str) -> str:
    r"""`text` with every character that acts unseen written out, as `\x1b` or `\u202e`.

    Nothing is dropped: what a host tried to hide is itself worth seeing.
    """
    return UNSEEN.sub(lambda match: ascii(match[0])[1:-1], text)


def one_line(text: str) -> str:
    """`text`, clean and on one line, with its white space folded."""
    return " ".join(clean(text).split())


def shorten(text: str, limit: int) -> str:
    """`text` in at most `limit` characters; the middle goes, for both ends tell names apart."""
    if len(text) <= limit:
        return text
    tail = (limit - 1) // 2
    return f"{text[: limit - 1 - tail]}…{text[len(text) - tail :]}"


def count_text(count: int, noun: str) -> str:
    """A count with its noun: `1 host`, `1,204 events`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def names_text(names: Sequence[str], limit: int = 5) -> str:
    """The first `limit` names, and how many more there are."""
    shown = ", ".join(names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown


def cut_words(text: str, limit: int) -> str:
    """`text` in at most `limit` characters, cut after a sentence or, failing that, a word."""
    if len(text) <= limit:
        return text
    kept = text[: limit - 2]
    ends = [found.end() for found in re.finditer(r"[.!?](?=\s)", kept)]
    if ends and ends[-1] > limit // 2:
        return f"{kept[: ends[-1]]} …"
    return f"{kept.rpartition(' ')[0] or kept} …"
