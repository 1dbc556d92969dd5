"""What endpoints say about themselves: the models they offer, and the windows of those. Pure."""

from __future__ import annotations

from typing import Any

from swarm_tasks.brain.loose import rows, table, text, whole

_WINDOWS = (
    "max_model_len",  # vLLM
    "context_length",  # OpenRouter, Together
    "context_window",  # Groq
    "max_context_length",  # LM Studio, Mistral
    "n_ctx",  # llama.cpp: what it was started with, …
    "max_input_tokens",  # LiteLLM
    "n_ctx_train",  # … and what the model was made for, which may be more
)


def offered(models: Any) -> tuple[str, ...]:
    """The names in an answer to `GET /models`."""
    named = (text(table(one).get("id")) for one in rows(table(models).get("data")))
    return tuple(dict.fromkeys(name for name in named if name))


def window(models: Any, model: str) -> int | None:
    """The window in tokens that an answer to `GET /models` gives a model.

    Where one model alone is offered it is taken for any name: such servers do not heed it.
    """
    entries = [table(one) for one in rows(table(models).get("data"))]
    entry = next((one for one in entries if one.get("id") == model), None)
    if entry is None:
        entry = entries[0] if len(entries) == 1 else {}
    return _window_in(entry)


def window_of_deployments(info: Any, model: str) -> int | None:
    """The same from LiteLLM Proxy's `GET /model/info`: the least of what stands for the name."""
    entries = (table(one) for one in rows(table(info).get("data")))
    found = [_window_in(one) for one in entries if one.get("model_name") == model]
    return min((tokens for tokens in found if tokens), default=None)


def _window_in(entry: dict[str, Any]) -> int | None:
    for held in (entry, table(entry.get("meta")), table(entry.get("model_info"))):
        for name in _WINDOWS:
            tokens = whole(held.get(name))
            if tokens:
                return tokens
    return None
