"""What litellm's errors mean to us. Pure: they are told apart by their names, not by import."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any, cast

from swarm_tasks.brain.refusal import Asked, Plainer, judged, shown
from swarm_tasks.brain.retry import Again, Elsewhere, retry_after
from swarm_tasks.errors import ContextExceeded, ModelError, ModelRefused, NoToolCalling

CONNECTION_STATUS = 500
"""What an error without a status is taken for: the connection, or litellm itself."""

NO_KEY = re.compile(r"missing credentials|api_key.{0,60}must be set|no api key", re.I)
WRAPPING = re.compile(r"^(?:(?:litellm\.)?\w*(?:Error|Exception)(?::| -)\s*)+")

LEAST_KEY = 8
"""A shorter value of such a variable is no key, but a word such as `EMPTY` or `none`."""

KEYS = {
    "bedrock": "AWS_ACCESS_KEY_ID",
    "vertex_ai": "GOOGLE_APPLICATION_CREDENTIALS",
    "together_ai": "TOGETHERAI_API_KEY",
    "huggingface": "HF_TOKEN",
}
"""Variables that are not called after their provider."""


class LeftAlone(Again):
    """Nobody was asked: the model failed too often just before."""


def meaning(error: Exception, asked: Asked) -> Again | Plainer | ModelError:
    """What a failure means, as something to raise.

    Args:
        asked: What was asked; its URL is the model's name, which is all that is known here.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    words = _without_keys(said(error))
    told = cast("int | None", getattr(error, "status_code", None))
    status = told or CONNECTION_STATUS
    if names & {"RouterRateLimitError", "RouterRateLimitErrorBasic"}:
        return LeftAlone("failed so often that it is left alone for a while", sick=False)
    if asked.tools and "UnsupportedParamsError" in names and "tool" in words:
        return NoToolCalling(f"{asked.url} takes no tools", "set HOSTSWARM_TOOL_CALLING=json")
    if status in (401, 403) or NO_KEY.search(words):
        return _key_refused(asked, cast("str | None", getattr(error, "llm_provider", None)))
    body = json.dumps({"error": {"message": words}}).encode()
    found = judged(asked, status, body, after_seconds=_after_seconds(error))
    if "ContextWindowExceededError" in names and not isinstance(found, ContextExceeded):
        return ContextExceeded(f"the conversation does not fit {asked.url}")
    if not isinstance(found, Elsewhere):
        return found
    if status in (404, 405) and type(found.error) is ModelRefused:
        text = f"{asked.url} is not known to its provider ({status}): {shown(words, '')}"
        return ModelRefused(text, f"check {asked.model_setting}")
    return found.error


def said(error: Exception) -> str:
    """The provider's own words: the first line, without what litellm puts before it."""
    lines = str(getattr(error, "message", None) or error).strip().splitlines()
    return WRAPPING.sub("", lines[0] if lines else "").strip() or type(error).__name__


def key_variable(name: str, provider: str | None = None) -> str:
    """The variable that holds the key of a model's provider."""
    provider = provider or name.partition("/")[0]
    return KEYS.get(provider) or f"{re.sub(r'[^A-Za-z0-9]', '_', provider).upper()}_API_KEY"


def _key_refused(asked: Asked, provider: str | None) -> ModelRefused:
    """Without the provider's words: they may hold the key."""
    variable = key_variable(asked.model, provider)
    if os.environ.get(variable):
        return ModelRefused(
            f"the provider of {asked.url} refuses the key that {variable} holds",
            f"set {variable} to one that may use this model",
        )
    return ModelRefused(f"{asked.url} needs a key and {variable} is not set", f"set {variable}")


def _without_keys(words: str) -> str:
    """A provider's words without the keys that the environment holds, whatever they look like."""
    held = {
        value.strip()
        for name, value in os.environ.items()
        if name.endswith("_API_KEY") or name in KEYS.values()
    }
    # The longest first: one may be the beginning of another.
    for value in sorted(held, key=len, reverse=True):
        if len(value) >= LEAST_KEY:
            words = words.replace(value, "***")
    return words


def _after_seconds(error: Exception) -> float | None:
    """What the reply's `Retry-After` asks for."""
    headers: Any = getattr(error, "litellm_response_headers", None)
    if headers is None:
        headers = getattr(getattr(error, "response", None), "headers", None)
    if not isinstance(headers, Mapping):
        return None
    return retry_after(cast("Mapping[str, str]", headers).get("retry-after"))
