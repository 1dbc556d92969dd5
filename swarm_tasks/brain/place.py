"""Where requests go: a URL, what is sent with each, and the proxy on the way."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from yarl import URL

AGENT = "hostswarm"


@dataclass(frozen=True, slots=True)
class Place:
    """Where requests go.

    Args:
        proxy: From HTTPS_PROXY and its like; None goes straight there.
        proxy_headers: Who this is for the proxy, where a tunnel is asked for.
    """

    url: URL
    headers: Mapping[str, str] = field(repr=False)
    proxy: URL | None = None
    proxy_headers: Mapping[str, str] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, url: str, key: str) -> Place:
        """Where a URL leads from here, with this key."""
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate",
            "Content-Type": "application/json",
            "User-Agent": AGENT,
        }
        if key:
            headers["Authorization"] = f"Bearer {key}"
        proxy, proxy_headers = _proxy(url)
        if proxy is not None and url.startswith("http:"):
            headers |= proxy_headers or {}
            proxy_headers = None
        return cls(URL(url), headers, proxy, proxy_headers)


def _proxy(url: str) -> tuple[URL | None, Mapping[str, str] | None]:
    """The proxy that the environment names for a URL, and its headers. Loopback needs none."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    named = getproxies().get(parts.scheme, "")
    if not named or host in ("localhost", "::1") or host.startswith("127.") or proxy_bypass(host):
        return None, None
    try:
        proxy = URL(named if "://" in named else f"http://{named}")
    except ValueError:
        return None, None
    if proxy.scheme not in ("http", "https") or not proxy.host:
        return None, None
    if proxy.user is None:
        return proxy, None
    coded = base64.b64encode(f"{proxy.user}:{proxy.password or ''}".encode()).decode()
    return proxy.with_user(None), {"Proxy-Authorization": f"Basic {coded}"}
