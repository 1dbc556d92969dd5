"""The web: real servers on loopback, with TLS and without, and rules on typed answers."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from swarm_tasks.measures import measure
from swarm_tasks.models.evidence import EvidenceStatus
from swarm_tasks.models.finding import Severity
from tests.support.certificates import write_pair
from workers.rules.judge import grade
from workers.rules.rule import Reading
from workers.rules.web import behind_url, http_answer
from workers.tools.access import this_machine
from workers.tools.catalog import web as catalog
from workers.tools.catalog.web import HttpCheck
from workers.tools.registry import Outcome, Registry

REGISTRY = Registry(catalog.TOOLS)

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def server(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncGenerator[str]:
    """A web server on loopback; yields its address."""
    runner = web.ServerRunner(web.Server(handler), handle_signals=False, shutdown_timeout=0.01)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        port = runner.addresses[0][1]
        yield f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


async def call(url: str, **arguments: Any) -> HttpCheck:
    outcome = await REGISTRY.call("http_check", {"url": url, **arguments}, this_machine())
    assert outcome.status is EvidenceStatus.OK, outcome.reason
    assert isinstance(outcome.result, HttpCheck)
    assert f"GET {url}" in outcome.source
    return outcome.result


def get(handler: Handler, path: str = "/", **arguments: Any) -> HttpCheck:
    """What the tool makes of a server."""

    async def scenario() -> HttpCheck:
        async with server(handler) as address:
            return await call(address + path, **arguments)

    return asyncio.run(scenario())


def with_status(status: int, body: bytes = b"") -> Handler:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=status, body=body)

    return handler


@pytest.mark.parametrize(
    ("status", "state", "severity"),
    [
        (200, "ok", None),
        (204, "ok", None),
        (304, "ok", None),
        (404, "client_error", Severity.WARNING),
        (500, "server_error", Severity.CRITICAL),
        (503, "server_error", Severity.CRITICAL),
    ],
)
def test_a_status_is_graded(status: int, state: str, severity: Severity | None) -> None:
    found = get(with_status(status))
    assert (found.status, found.state) == (status, state)
    (reading,) = http_answer(found)
    assert reading.subject == found.url
    crossed = grade(reading.value, measure("http.answer"), measure("http.answer"), None)
    assert (crossed.severity if crossed else None) is severity


def test_the_body_is_read_up_to_64_kib_only() -> None:
    found = get(with_status(200, b"x" * 1_000_000))
    assert (found.body_bytes, found.body_truncated) == (64 * 1024, True)
    whole = get(with_status(200, b"x" * 64 * 1024))
    assert (whole.body_bytes, whole.body_truncated) == (64 * 1024, False)


def hops(count: int, last: str = "/end") -> Handler:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        hop = int(request.rel_url.query.get("hop", "0"))
        if request.path == "/end":
            return web.Response(text="here")
        to = last if hop + 1 == count else f"/?hop={hop + 1}"
        return web.Response(status=302, headers={"Location": to})

    return handler


def test_five_redirects_are_followed_and_the_end_is_told_without_its_query() -> None:
    found = get(hops(5, "/end?session=hush"))
    assert (found.state, found.redirects) == ("ok", 5)
    assert found.final_url == found.url + "end"


@pytest.mark.parametrize(
    ("handler", "note"),
    [
        (hops(6), "more than 5 redirects"),
        (hops(1, "ftp://example.org/"), "no web address"),
        (hops(1, "file:///etc/passwd"), "no web address"),
    ],
)
def test_a_redirect_that_leads_nowhere_is_an_error(handler: Handler, note: str) -> None:
    found = get(handler)
    assert found.state == "error"
    assert note in found.note


def test_the_final_address_never_has_a_user_in_it() -> None:
    assert catalog.bare("http://me:hush@h.example:81/a?b=hush#c") == "http://h.example:81/a"


def test_a_server_that_is_slow_times_out() -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    found = get(handler, timeout_seconds=0.1)
    assert (found.state, found.status) == ("timeout", None)


def test_a_cancelled_request_lets_go_of_its_connection() -> None:
    async def scenario() -> None:
        arrived, left = asyncio.Event(), asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            arrived.set()
            await reader.read()
            left.set()
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            request = asyncio.create_task(call(f"http://127.0.0.1:{port}/"))
            async with asyncio.timeout(5):
                await arrived.wait()
                request.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await request
                await left.wait()

    asyncio.run(scenario())


def test_what_is_not_http_is_an_error() -> None:
    async def scenario() -> HttpCheck:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(b"220 mail.example ESMTP\r\n")
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
            return await call(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/")

    assert asyncio.run(scenario()).state == "error"


def test_a_closed_port_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    found = asyncio.run(call(f"http://127.0.0.1:{port}/"))
    assert (found.state, found.note) == ("refused", "Connection refused")


@pytest.mark.parametrize("name", ["a." * 130 + "invalid", "a" * 64 + ".invalid"])
def test_a_name_that_nobody_can_know_is_unresolved(name: str) -> None:
    # Too long for DNS, so that no resolver is asked.
    assert asyncio.run(call(f"http://{name}/")).state == "unresolved"


def served_with_tls(directory: Path) -> tuple[ssl.SSLContext, Path]:
    certificate, key = write_pair(directory, left=timedelta(days=30))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context, certificate


def get_with_tls(directory: Path) -> HttpCheck:
    context, _ = served_with_tls(directory)

    async def scenario() -> HttpCheck:
        async with server(with_status(204), context) as address:
            return await call(address + "/")

    return asyncio.run(scenario())


def test_a_certificate_that_this_machine_does_not_trust_is_a_tls_error(tmp_path: Path) -> None:
    found = get_with_tls(tmp_path)
    assert found.state == "tls_error"
    assert "self-signed" in found.note


def test_a_trusted_certificate_says_how_long_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # OpenSSL's own way to name another store: what this machine trusts is the test's to say.
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "localhost.pem"))
    found = get_with_tls(tmp_path)
    assert (found.state, found.status) == ("ok", 204)
    assert found.certificate_left_seconds == pytest.approx(30 * 86400, abs=60)


def test_a_port_without_tls_is_a_tls_error() -> None:
    async def scenario() -> HttpCheck:
        async with server(with_status(200)) as address:
            return await call(address.replace("http://", "https://") + "/")

    assert asyncio.run(scenario()).state == "tls_error"


def refused(url: str) -> Outcome:
    outcome = asyncio.run(REGISTRY.call("http_check", {"url": url}, this_machine()))
    assert outcome.status is EvidenceStatus.FAILED
    assert not outcome.source
    return outcome


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org",
        "ftp://example.org/",
        "file:///etc/passwd",
        "http://",
        "http:///path",
        "http://a b/",
        "http://a/\r\nX: y",
        "http://a:0/",
        "http://a:99999/",
        "http://[::1/",
        "-http://a/",
        "http://a/" + "x" * 3000,
    ],
)
def test_a_url_that_is_none_is_refused(url: str) -> None:
    assert "url" in refused(url).reason


@pytest.mark.parametrize(
    "url", ["http://me:hush@a.example/", "https://hush@a.example/", "http://me:hush/"]
)
def test_a_password_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    assert "hush" not in json.dumps(refused(url).reason)


@pytest.mark.parametrize(
    ("state", "tools"),
    [
        ("unresolved", ["dns_check"]),
        ("tls_error", ["tls_cert"]),
        ("timeout", ["tcp_check"]),
        ("server_error", []),
    ],
)
def test_the_cause_is_looked_for_one_layer_down(state: str, tools: list[str]) -> None:
    calls = behind_url(Reading(subject="https://[::1]/a", value=state, pointer="/state"))
    assert [one.tool for one in calls] == tools
    for one in calls:
        assert one.arguments in ({"name": "::1"}, {"target": "[::1]:443"})
