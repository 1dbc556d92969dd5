"""litellm itself, as far as this process lets it: imported late, quiet, and closed properly.

Only this file imports it, when it is first used: that takes seconds, and 160 MB. Known of 1.106:

- A call with tools fails where the package `mcp` is not installed, which it does not require.
- It fetches its list of prices from the network, and reads a file `.env` of the working directory,
  unless the environment says otherwise before the import.
- Its releases 1.82.7 and 1.82.8 were malicious.
- It keeps one HTTP client for each timeout that it is given, so that is the same for all calls.
- Its own tries again know nothing of a deadline and repeat a refusal (403), so they are off.
- It calls a price that it does not know zero.
- It writes errors of its own to standard error, with parts of requests in them.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
from collections.abc import Awaitable
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, cast
from weakref import WeakKeyDictionary

from swarm_tasks.errors import SettingsError

ENVIRONMENT = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_MODE": "PRODUCTION",
}
"""What litellm reads when it is imported; see the docstring above."""

MALICIOUS = ("1.82.7", "1.82.8")

_users: WeakKeyDictionary[asyncio.AbstractEventLoop, set[int]] = WeakKeyDictionary()
"""Which models are in use on a loop: litellm's connections belong to a loop, not to a model."""


def check_installed() -> None:
    """See that litellm is there, without importing it.

    Raises:
        SettingsError: It is not, or it is a release that must not be used.
    """
    for package in ("litellm", "mcp"):
        if find_spec(package) is None:
            raise SettingsError(
                f"a model without a router needs the package {package}",
                "pip install 'hostswarm[litellm]', or set HOSTSWARM_ROUTER_URL",
            )
    if version("litellm") in MALICIOUS:
        raise SettingsError(
            f"litellm {version('litellm')} was a malicious release",
            "replace every key that this machine holds, then pip install 'hostswarm[litellm]'",
        )


def load_litellm() -> Any:
    """litellm, imported once and told to be quiet. Untyped: its own types do not hold here."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    litellm = cast(Any, import_module("litellm"))
    litellm.suppress_debug_info = True
    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
        logging.getLogger(name).disabled = True
    return litellm


def failures() -> tuple[type[Exception], ...]:
    """What litellm's router raises."""
    litellm = load_litellm()
    routing = litellm.types.router
    return (
        litellm.exceptions.openai.OpenAIError,  # the root of all errors that it maps
        litellm.BudgetExceededError,
        routing.RouterRateLimitError,
        routing.RouterRateLimitErrorBasic,
    )


def priced(name: str) -> bool:
    """Whether litellm's list has a price for a model; zero is one, for one that costs nothing."""
    litellm = load_litellm()
    try:
        key = litellm.get_model_info(name)["key"]
    except (ValueError, KeyError, litellm.exceptions.ModelNotMappedError):
        return False
    # A model that its router was told of is on the list as well, without a price.
    return "input_cost_per_token" in litellm.model_cost.get(key, {})


def window(name: str) -> int | None:
    """Tokens that a model takes in all, as litellm's list has it."""
    litellm = load_litellm()
    try:
        return litellm.get_model_info(name).get("max_input_tokens")
    except (ValueError, KeyError, litellm.exceptions.ModelNotMappedError):
        return None


def use_clients(user: object) -> None:
    """Say that somebody uses litellm on this loop."""
    here = _users.setdefault(asyncio.get_running_loop(), set())
    if not here:
        # A loop that is gone may have had this one's address, and it is by that address that
        # litellm finds a client.
        own_clients()
    here.add(id(user))


async def leave_clients(user: object) -> None:
    """Say that somebody is done, and if it was the last on this loop, close litellm's HTTP clients
    and the task by which it logs.

    Its own function closes the clients of every loop, and leaves them where the next call finds
    them.
    """
    here = _users.get(asyncio.get_running_loop(), set())
    here.discard(id(user))
    if here:
        return
    for client in own_clients():
        close = getattr(client, "aclose", None) or getattr(client, "close", None)
        done = close() if close is not None else None
        if inspect.isawaitable(done):
            await cast(Awaitable[object], done)
    logs = cast(Any, import_module("litellm.litellm_core_utils.logging_worker"))
    await logs.GLOBAL_LOGGING_WORKER.stop()


def own_clients() -> list[Any]:
    """litellm's HTTP clients of this loop, which it no longer finds after this."""
    cache = load_litellm().in_memory_llm_clients_cache
    mark = f"-{id(asyncio.get_running_loop())}"
    found = {key: client for key, client in cache.cache_dict.items() if key.endswith(mark)}
    for key in found:
        cache.delete_cache(key)
    return list(found.values())
