"""The pooled connections to endpoints: one request, one answer, or why there was none.

What aiohttp offers and is not used here: `trust_env=True` sends every call through two threads,
which cost 0.3 ms of CPU beside the 0.09 of the call itself, and `place.py` looks the proxy up once;
there are no cookies, no redirects, and none of its timers: the caller holds one for all it does.
"""

from __future__ import annotations

import io
import resource
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from yarl import URL

from swarm_tasks.brain.place import Place
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
