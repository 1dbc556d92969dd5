"""Whom LiteLLM Proxy lets in: its hook `custom_auth`, called in the proxy's own process.

Without a database, LiteLLM itself knows one key, which may do everything, and answers any other
with 400. Here a host's key may ask models and nothing else, and a wrong key is a 401.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from orchestrator.router.keys import Keys, digest_of

FOR_HOSTS = frozenset({"/v1/chat/completions", "/chat/completions", "/v1/models", "/models"})
"""What a host may ask for."""

SHARED_KEY = "HOSTSWARM_ROUTER_KEY"
KEYS_FILE = "ROUTER_KEYS_FILE"
MASTER_KEY = "LITELLM_MASTER_KEY"
KEYLESS = "ROUTER_KEYLESS"
"""Set to `true` where everybody who can connect is let in: `hostswarm router` does so on the
loopback address, where no key is set."""

ANYONE = "anyone"


class Url(Protocol):
    """The part of a request's URL that is looked at."""

    path: str


class Request(Protocol):
    """What of a request is looked at."""

    @property
    def url(self) -> Url:
        """Where it goes."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Looked up in any case of letters."""
        ...


async def admit(request: Request, api_key: str) -> object:
    """Who asks, as LiteLLM wants to know it. LiteLLM calls this for each request.

    Raises:
        ProxyException: LiteLLM's own: 401 for a key that nobody holds, 403 for a path that is
            not for hosts, or for a web page where no key is needed.
    """
    # Not a dependency of hostswarm: it is there where the proxy runs.
    types = cast(Any, import_module("litellm.proxy._types"))
    key = (api_key or "").removeprefix("Bearer ").strip()
    if is_master(key):
        role = types.LitellmUserRoles.PROXY_ADMIN
        return types.UserAPIKeyAuth(api_key=digest_of(key), user_id="admin", user_role=role)
    keyless = os.environ.get(KEYLESS) == "true"
    if keyless and "origin" in request.headers:
        # Any page that a person here looks at can reach this address; browsers say that it asks.
        raise types.ProxyException("web pages may not ask without a key", "auth_error", None, 403)
    holder = keys().holder(key) or (ANYONE if keyless else None)
    if holder is None:
        raise types.ProxyException("this key is not known", "auth_error", "api_key", 401)
    if request.url.path.rstrip("/") not in FOR_HOSTS:
        raise types.ProxyException("hosts may ask models only", "auth_error", None, 403)
    role = types.LitellmUserRoles.INTERNAL_USER
    return types.UserAPIKeyAuth(api_key=digest_of(key), user_id=holder, user_role=role)


def is_master(key: str) -> bool:
    """Whether this key may do everything."""
    master = os.environ.get(MASTER_KEY)
    return bool(master) and Keys(master or "").holder(key) is not None


@cache
def keys() -> Keys:
    """The keys of this process's environment."""
    path = os.environ.get(KEYS_FILE)
    return Keys(os.environ.get(SHARED_KEY, ""), Path(path) if path else None)
