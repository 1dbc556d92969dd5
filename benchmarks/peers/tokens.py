# pyright: basic, reportMissingImports=false
# Its packages are in the virtual environment of swarms.
"""Counts prompts with OpenAI's public tokenizer: requests as JSON lines in, a sum a line out.

The ranks of `cl100k_base` come with litellm, so that nothing is downloaded for them.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import tiktoken

MESSAGE_TOKENS = 4
REPLY_START_TOKENS = 3


def counter() -> Callable[[str], int]:
    """Counts a text's tokens."""
    found = find_spec("litellm")
    if found is None or found.origin is None:
        raise RuntimeError("litellm is not installed here")
    ranks = Path(found.origin).parent / "litellm_core_utils" / "tokenizers"
    os.environ["TIKTOKEN_CACHE_DIR"] = str(ranks)
    encoding = tiktoken.get_encoding("cl100k_base")
    return lru_cache(maxsize=None)(lambda text: len(encoding.encode(text, disallowed_special=())))


def prompt_tokens(body: dict[str, Any], count: Callable[[str], int]) -> int:
    """What a request holds, counted as the scripted server counts it."""
    total = REPLY_START_TOKENS
    for message in body["messages"]:
        content = message.get("content") or ""
        text = content if isinstance(content, str) else "\n".join(p["text"] for p in content)
        total += MESSAGE_TOKENS + count(text)
        for call in message.get("tool_calls") or ():
            total += count(call["function"]["name"]) + count(call["function"]["arguments"])
    tools = body.get("tools")
    return total + (count(json.dumps(tools, separators=(",", ":"))) if tools else 0)


def main() -> None:
    """One line of requests, as a JSON list, to one line with their sum."""
    count = counter()
    for line in sys.stdin:
        sys.stdout.write(f"{sum(prompt_tokens(body, count) for body in json.loads(line))}\n")


if __name__ == "__main__":
    main()
