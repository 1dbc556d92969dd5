"""TLS: real handshakes on loopback, and rules on typed answers."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from swarm_tasks.measures import measure
from swarm_tasks.models.evidence import EvidenceStatus
from swarm_tasks.models.finding import Severity
from tests.support.certificates import write_pair
from workers.rules.judge import grade
from workers.rules.rule import Reading
from workers.rules.tls import endpoint_left, handshake_or_port, tls_answer
from workers.tools.access import this_machine
from workers.tools.catalog import tls
from workers.tools.catalog.tls import TlsCert
from workers.tools.registry import Registry

REGISTRY = Registry(tls.TOOLS)


async def until_closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve nothing, until the other side goes."""
    try:
        await reader.read()
    except OSError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def listening(context: ssl.SSLContext | None) -> AsyncGenerator[int]:
    """A port on loopback that speaks TLS, or not."""
    async with await asyncio.start_server(until_closed, "127.0.0.1", 0, ssl=context) as server:
        yield int(server.sockets[0].getsockname()[1])


def served(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


async def call(target: str, timeout_seconds: float = 5.0) -> TlsCert:
    outcome = await REGISTRY.call(
        "tls_cert", {"target": target, "timeout_seconds": timeout_seconds}, this_machine()
    )
    assert outcome.status is EvidenceStatus.OK, outcome.reason
    assert isinstance(outcome.result, TlsCert)
    return outcome.result


def look(context: ssl.SSLContext, host: str = "localhost") -> TlsCert:
    """What the tool makes of a port with this certificate."""

    async def scenario() -> TlsCert:
        async with listening(context) as port:
            return await call(f"{host}:{port}")

    return asyncio.run(scenario())


def severity(reading: Reading, metric: str) -> Severity | None:
    crossed = grade(reading.value, measure(metric), measure(metric), None)
    return crossed.severity if crossed else None


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        (timedelta(days=90), None),
        (timedelta(days=10), Severity.WARNING),
        (timedelta(days=3), Severity.CRITICAL),
        (timedelta(days=-1), Severity.CRITICAL),
    ],
)
def test_life_left_is_graded_and_the_subject_names_port_and_certificate(
    tmp_path: Path, left: timedelta, expected: Severity | None
) -> None:
    found = look(served(*write_pair(tmp_path, left=left)))
    assert (found.state, found.verified) == ("ok", False)
    (reading,) = endpoint_left(found)
    assert reading.subject == f"{found.target} (localhost)"
    assert reading.key == found.target
    assert reading.value == pytest.approx(left.total_seconds(), abs=60)
    assert severity(reading, "tls.left_seconds") is expected
    (answer,) = tls_answer(found)
    assert severity(answer, "tls.answer") is None


def test_a_certificate_that_is_trusted_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = write_pair(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    found = look(served(certificate, key))
    assert (found.verified, found.reason) == (True, "")
    assert found.certificate is not None
    assert found.certificate.names == ("localhost",)
    assert found.protocol.startswith("TLSv1")


def test_a_certificate_for_another_name_says_why_it_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = write_pair(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    found = look(served(certificate, key), host="127.0.0.1")
    assert found.verified is False
    assert "IP address mismatch" in found.reason
    assert found.certificate is not None


def test_an_expired_certificate_says_so(tmp_path: Path) -> None:
    found = look(served(*write_pair(tmp_path, left=timedelta(days=-1))))
    assert found.certificate is not None
    assert found.certificate.left_seconds < 0


def test_a_port_without_tls_is_an_error_and_critical() -> None:
    async def scenario() -> TlsCert:
        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 mail.example ESMTP\r\n")
            await until_closed(reader, writer)

        async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
            return await call(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")

    found = asyncio.run(scenario())
    assert (found.state, found.certificate, found.verified) == ("error", None, None)
    assert found.note
    (reading,) = tls_answer(found)
    assert severity(reading, "tls.answer") is Severity.CRITICAL
    assert not list(endpoint_left(found))


def test_a_port_that_never_shakes_hands_is_a_timeout() -> None:
    async def scenario() -> TlsCert:
        async with listening(None) as port:
            return await call(f"127.0.0.1:{port}", timeout_seconds=0.2)

    assert asyncio.run(scenario()).state == "timeout"


def test_a_closed_port_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    found = asyncio.run(call(f"127.0.0.1:{port}"))
    assert (found.state, found.target) == ("refused", f"127.0.0.1:{port}")


def test_a_name_that_nobody_can_know_is_unresolved() -> None:
    # Too long for DNS, so that no resolver is asked.
    assert asyncio.run(call(f"{'a' * 64}.invalid:443")).state == "unresolved"


def test_where_something_answers_but_no_tls_the_port_itself_is_looked_at() -> None:
    (port,) = handshake_or_port(Reading(subject="a:443", value="error", pointer="/state"))
    assert (port.tool, port.arguments) == ("tcp_check", {"target": "a:443"})
    (host,) = handshake_or_port(Reading(subject="a:443", value="timeout", pointer="/state"))
    assert (host.tool, host.arguments) == ("ping", {"host": "a"})
