"""The web: whether a URL answers, how, and how fast."""

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, field_validator

from workers.tools.access import Access
from workers.tools.catalog.probes import said
from workers.tools.catalog.tls import system_trust
from workers.tools.spec import Arguments, Result, Tool, every_platform

if TYPE_CHECKING:
    import aiohttp

HttpState = Literal[
    "ok",
    "client_error",
    "server_error",
    "refused",
    "timeout",
    "unresolved",
    "tls_error",
    "error",
]

REDIRECTS = 5
BODY_LIMIT_BYTES = 64 << 10
CHUNK_BYTES = 8 << 10


class HttpCheck(Result):
    """How a URL answered.

    `final_url` is where redirects led, without query and user. `body_bytes` counts what was
    read, as it came over the wire, up to the limit of 64 KiB. `certificate_left_seconds` is
    the last server's, where it spoke TLS.
    """

    url: str
    state: HttpState
    status: int | None = None
    seconds: float
    final_url: str = ""
    redirects: int = 0
    body_bytes: int = 0
    body_truncated: bool = False
    certificate_left_seconds: float | None = None
    note: str = ""


class HttpArguments(Arguments):
    """Which URL to get, and how long to wait for all of it."""

    url: str = Field(
        max_length=2048,
        pattern=r"^https?://[!-~]+$",
        description="http or https, without user and password in it.",
    )
    timeout_seconds: float = Field(default=5.0, gt=0, le=10)

    @field_validator("url")
    @classmethod
    def _names_a_host_and_no_user(cls, url: str) -> str:
        # The message never repeats the URL: what is wrong with it may be a password.
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise ValueError("the URL's host or port is wrong") from None
        if "@" in parts.netloc:
            raise ValueError("user and password in a URL are refused")
        if not host or port == 0:
            raise ValueError("the URL names no host, or port 0")
        return url


class _Certificates:
    """What the servers of one request showed, by the name that was asked for.

    aiohttp lets go of a connection before its caller could look at it, so the handshake
    itself takes the note: `SSLContext.sslobject_class` is there for that.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self.expiry: dict[str, float] = {}
        expiry = self.expiry

        class Noting(ssl.SSLObject):
            def do_handshake(self) -> None:
                super().do_handshake()
                shown = self.getpeercert()
                if shown and "notAfter" in shown and self.server_hostname:
                    expires = ssl.cert_time_to_seconds(str(shown["notAfter"]))
                    expiry[self.server_hostname] = expires

        context.sslobject_class = Noting

    def left_seconds(self, host: str | None) -> float | None:
        expires = self.expiry.get(host or "")
        return None if expires is None else round(expires - time.time(), 1)


def state_of(status: int) -> HttpState:
    """The state that an HTTP status amounts to."""
    if status >= 500:
        return "server_error"
    return "client_error" if status >= 400 else "ok"


def bare(url: str) -> str:
    """A URL without user, query and fragment: those of a redirect may hold secrets."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def failure(error: Exception) -> tuple[HttpState, str]:
    """What an exception of the request says about the server."""
    import aiohttp

    if isinstance(error, UnicodeError):
        return "unresolved", said(error)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "unresolved", said(error.os_error)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason = getattr(error.certificate_error, "verify_message", "") or "not trusted"
        return "tls_error", f"the certificate is not valid: {reason}"[:200]
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return "tls_error", "no TLS handshake was possible"
    if isinstance(error, TimeoutError):
        return "timeout", "no complete answer in time"
    if isinstance(error, aiohttp.TooManyRedirects):
        return "error", f"more than {REDIRECTS} redirects"
    if isinstance(error, aiohttp.ClientConnectorError):
        refused = isinstance(error.os_error, ConnectionRefusedError)
        return "refused" if refused else "error", said(error.os_error)
    if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
        return "error", "it is, or redirects to, something that is no web address"
    return "error", f"the answer cannot be read ({type(error).__name__})"


async def read_http_check(arguments: HttpArguments, access: Access) -> HttpCheck:
    """Get the URL with a session of its own, which is closed however this ends."""
    import aiohttp

    context = await access.call("ssl.create_default_context()", system_trust)
    certificates = _Certificates(context)
    access.source.append(f"GET {arguments.url}")
    begun = time.monotonic()

    def answer(**fields: Any) -> HttpCheck:
        seconds = round(time.monotonic() - begun, 4)
        return HttpCheck(url=arguments.url, seconds=seconds, **fields)

    try:
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=context),
                timeout=aiohttp.ClientTimeout(total=arguments.timeout_seconds),
                headers={"User-Agent": "hostswarm"},
                auto_decompress=False,
            ) as session,
            # aiohttp gives up at the last redirect that it is allowed, not after it.
            session.get(arguments.url, max_redirects=REDIRECTS + 1) as response,
        ):
            body_bytes = await _body_bytes(response)
    except (aiohttp.ClientError, OSError, UnicodeError) as error:
        state, note = failure(error)
        return answer(state=state, note=note)
    return answer(
        state=state_of(response.status),
        status=response.status,
        final_url=bare(str(response.url)),
        redirects=len(response.history),
        body_bytes=min(body_bytes, BODY_LIMIT_BYTES),
        body_truncated=body_bytes > BODY_LIMIT_BYTES,
        certificate_left_seconds=certificates.left_seconds(response.url.host)
        if response.url.scheme == "https"
        else None,
    )


async def _body_bytes(response: aiohttp.ClientResponse) -> int:
    """How many bytes of the body came, reading on no further than one past the limit."""
    count = 0
    async for chunk in response.content.iter_chunked(CHUNK_BYTES):
        count += len(chunk)
        if count > BODY_LIMIT_BYTES:
            response.close()
            break
    return count


TOOLS = (
    Tool(
        name="http_check",
        summary="Whether a web address answers: status, time, and its certificate's life.",
        arguments=HttpArguments,
        result=HttpCheck,
        reads=every_platform(read_http_check),
    ),
)
