"""What litellm's errors mean to us. Pure: they are told apart by their names, not by import."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from swarm_tasks.errors import (
    ContextExceeded,
    ModelError,
    ModelRefused,
    ModelUnreachable,
    NoToolCalling,
)

PASSING = frozenset({408, 409, 425, 429})
"""Statuses below 500 that may be another the next time."""

LONGEST = 300
"""Characters of a provider's own words that are shown."""

NO_TOOLS = re.compile(
    r"(?:does not|doesn't|not) support (?:\w+ )?(?:tool|function)|tool choice requires", re.I
)
WINDOW = re.compile(r"context (?:length|window)\D{0,20}?(\d[\d,]{2,})", re.I)
NO_KEY = re.compile(r"missing credentials|api_key.{0,60}must be set|no api key", re.I)
WRAPPING = re.compile(r"^(?:(?:litellm\.)?\w*(?:Error|Exception)(?::| -)\s*)+")

KEYS = {
    "bedrock": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "vertex_ai": "GOOGLE_APPLICATION_CREDENTIALS",
    "together_ai": "TOGETHERAI_API_KEY",
    "huggingface": "HF_TOKEN",
}
"""Variables that are not called after their provider."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A failure, in our words.

    Args:
        error: What to raise.
        passing: Whether it may be gone the next time.
        left_alone: Whether nobody was asked, because of failures before.
        retry_after_seconds: How long the other side wants to be left in peace.
    """

    error: ModelError
    passing: bool = False
    left_alone: bool = False
    retry_after_seconds: float | None = None


def trouble_of(error: Exception, name: str, *, with_tools: bool) -> Trouble:
    """What a failure means.

    Args:
        name: The model that was asked for.
        with_tools: Whether it was offered tools.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    words = said(error)
    status = cast("int | None", getattr(error, "status_code", None))
    if names & {"RouterRateLimitError", "RouterRateLimitErrorBasic"}:
        text = f"{name} failed so often that it is left alone for a while"
        return Trouble(ModelUnreachable(text), passing=True, left_alone=True)
    if "ContextWindowExceededError" in names:
        match = WINDOW.search(words)
        limit = int(match[1].replace(",", "")) if match else None
        return Trouble(ContextExceeded(f"the conversation does not fit {name}", limit=limit))
    if with_tools and (NO_TOOLS.search(words) or _unsupported_tools(names, words)):
        return Trouble(NoToolCalling(f"{name} takes no tools: {words}"))
    if status in (401, 403) or NO_KEY.search(words):
        # The provider's words may hold the key.
        provider = cast("str | None", getattr(error, "llm_provider", None))
        variable = key_variable(name, provider)
        unset = "" if os.environ.get(variable.split()[0]) else ", which is not set"
        return Trouble(
            ModelRefused(f"{name} refuses the key in {variable}{unset}", f"check {variable}")
        )
    if status is not None and 400 <= status < 500 and status not in PASSING:
        if status == 402:  # no money left: another model may have some, another try has not
            return Trouble(ModelUnreachable(f"{name} is out of quota: {words}"))
        remedy = "check HOSTSWARM_MODEL and HOSTSWARM_ORCHESTRATOR_MODEL" if status == 404 else ""
        return Trouble(ModelRefused(f"{name} refuses the request ({status}): {words}", remedy))
    told = f" ({status})" if status else ""
    return Trouble(
        ModelUnreachable(f"{name} cannot be asked{told}: {words}"),
        passing=True,
        retry_after_seconds=retry_after_seconds(error) if status in (429, 503) else None,
    )


def said(error: Exception) -> str:
    """The provider's own words: the first line, without what litellm puts before it."""
    lines = str(getattr(error, "message", None) or error).strip().splitlines()
    text = WRAPPING.sub("", lines[0] if lines else "").strip() or type(error).__name__
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def key_variable(name: str, provider: str | None = None) -> str:
    """The variable that holds the key of a model's provider."""
    provider = provider or name.partition("/")[0]
    if provider in KEYS:
        return KEYS[provider]
    return f"{re.sub(r'[^A-Za-z0-9]', '_', provider).upper()}_API_KEY"


def retry_after_seconds(error: Exception) -> float | None:
    """What the reply's `Retry-After` asks for in seconds; a date is not looked at."""
    found: Any = getattr(error, "litellm_response_headers", None)
    if found is None:
        found = getattr(getattr(error, "response", None), "headers", None)
    if not isinstance(found, Mapping):
        return None
    try:
        seconds = float(cast("Mapping[str, str]", found).get("retry-after", ""))
    except ValueError:
        return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _unsupported_tools(names: set[str], words: str) -> bool:
    """Whether litellm itself knows that the provider takes no tools."""
    return "UnsupportedParamsError" in names and "tool" in words
