"""Characters that act without being seen, and signs that a model could take for its own. Pure."""

from __future__ import annotations

import re

UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""Control characters, escapes, bidi overrides, zero-width characters, lone surrogates and tags.
Line ends and tabs are not here."""

TURN_SIGNS = re.compile(
    r"<(?=\|)|(?<=\|)>|<(?=/?(?:s|think|tool_call|tool_response)>|(?:start|end)_of_turn>)"
    r"|\[(?=/?(?:INST|TOOL_CALLS|TOOL_RESULTS|AVAILABLE_TOOLS)\])"
)
"""Where the marks begin or end by which chat templates part their messages (ChatML, Llama, Mistral,
Gemma, Qwen). Some servers read them in any text that they are given."""


def plain(text: str) -> str:
    """`text` without what acts unseen."""
    return text if text.isascii() and text.isprintable() else UNSEEN.sub("", text)


def plain_line(text: str, limit: int = 500) -> str:
    """`text` without what acts unseen, on one line of at most `limit` characters."""
    return " ".join(plain(text).split())[:limit]


def unmarked(text: str) -> str:
    """`text` with the marks of chat templates broken, so that data stays data."""
    return TURN_SIGNS.sub(lambda match: f"{match[0]} " if match[0] != ">" else " >", text)
