"""The pooled connections to endpoints: one request, one answer, or why there was none.

What aiohttp offers and is not used here: `trust_env=True` sends every call through two threads,
which cost 0.3 ms of CPU beside the 0.09 of the call itself, so the proxy is looked up once; there
are no cookies, no redirects, and none of its timers: the caller holds one for all it does.
"""

from __future__ import annotations

import base64
import io
import resource
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from swarm_tasks.brain.retry import Again, Elsewhere
from swarm_tasks.errors import ModelRefused

MOST_BYTES = 8 << 20
"""The longest reply that is read; one of 128,000 tokens has about half a megabyte."""

MOST_REFUSAL_BYTES = 64 << 10
KEEP_ALIVE_SECONDS = 30.0
SPARE_FILES = 256
"""Files that a process needs for all else than connections."""

LEAST_CONNECTIONS = 100
MOST_BODY_BYTES = 1 << 20
"""aiohttp wants longer bodies as a file, which it sends in pieces."""

AGENT = "hostswarm"


@dataclass(frozen=True, slots=True)
class Place:
    """Where requests go.

    Args:
        proxy: From HTTPS_PROXY and its like; None goes straight there.
        proxy_headers: Who this is for the proxy, where a tunnel is asked for.
    """

    url: URL
    headers: Mapping[str, str]
    proxy: URL | None = None
    proxy_headers: Mapping[str, str] | None = None

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


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint answered.

    Args:
        headers: Looked up in any case of letters.
        kind: The content type.
    """

    status: int
    headers: Mapping[str, str]
    kind: str
    body: bytes


class Line:
    """Connections, opened when first used and kept.

    Args:
        connect_seconds: How long one may take to be opened.
    """

    def __init__(self, connect_seconds: float) -> None:
        self._connect_seconds = connect_seconds
        self._session: aiohttp.ClientSession | None = None

    async def post(self, place: Place, body: bytes) -> Answer:
        """Send a body and read the answer. Cancelling it closes the connection.

        Raises:
            Again: There was no answer.
            Elsewhere: There is none to be had from this endpoint.
        """
        return await self._ask("POST", place, body)

    async def get(self, place: Place) -> Answer:
        """The same for what is there already."""
        return await self._ask("GET", place, None)

    async def close(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _ask(self, method: str, place: Place, body: bytes | None) -> Answer:
        session = self._session or self._opened()
        data = io.BytesIO(body) if body and len(body) > MOST_BODY_BYTES else body
        try:
            response = await session.request(
                method,
                place.url,
                data=data,
                headers=place.headers,
                allow_redirects=False,
                proxy=place.proxy,
                proxy_headers=place.proxy_headers,
            )
            try:
                content = await _read(response)
            except BaseException:
                response.close()
                raise
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _lost(error, place.url) from error
        kind = response.headers.get("Content-Type", "")
        return Answer(response.status, response.headers, kind, content)

    def _opened(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=most_connections(), keepalive_timeout=KEEP_ALIVE_SECONDS
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._connect_seconds),
        )
        return self._session


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The body of an answer.

    Raises:
        Again: It is too long.
    """
    content = response.content
    first = await content.readany()
    if not first or content.at_eof():
        return first
    blocks, size = [first], len(first)
    most = MOST_BYTES if response.status == 200 else MOST_REFUSAL_BYTES
    while block := await content.readany():
        blocks.append(block)
        size += len(block)
        if size > most:
            if response.status != 200:
                response.close()
                break
            raise Again(f"answers nonsense: more than {MOST_BYTES >> 20} MB")
    return b"".join(blocks)


def most_connections() -> int:
    """How many connections a process may hold: what its limit of open files leaves for them."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return 0
    return max(LEAST_CONNECTIONS, files - SPARE_FILES)


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


def _lost(error: Exception, url: URL) -> Again | Elsewhere:
    """Why there was no answer."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        why = getattr(error.certificate_error, "verify_message", "") or error.certificate_error
        return Elsewhere(
            ModelRefused(
                f"the certificate of {url.origin()} is not trusted: {why}",
                "name the authority that signed it in SSL_CERT_FILE",
            )
        )
    if isinstance(error, aiohttp.ClientSSLError):
        return Elsewhere(
            ModelRefused(
                f"{url.origin()} speaks no TLS that is understood here: {_reason(error)}",
                "see whether HOSTSWARM_ROUTER_URL should begin with http:// in place of https://",
            )
        )
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Again(f"cannot be found: there is no address of {url.host}")
    if isinstance(error, aiohttp.ClientConnectorError):
        refused = isinstance(error.os_error, ConnectionRefusedError)
        return Again("refuses connections" if refused else f"cannot be reached: {_reason(error)}")
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return Again("cannot be reached: it took too long to connect")
    if isinstance(error, (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError)):
        return Again("breaks off the connection")
    return Again("answers nonsense: this is no HTTP")


def _reason(error: aiohttp.ClientConnectorError) -> str:
    """The system's words for it, without aiohttp's about them."""
    cause = error.os_error
    return str(getattr(cause, "reason", "") or cause.strerror or cause)
