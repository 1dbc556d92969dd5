"""TLS: the certificate that a port shows, how long it holds, and whether it is trusted."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from workers.tools.access import Access
from workers.tools.catalog.certificates import Certificate, load
from workers.tools.catalog.probes import ConnectState, EndpointArguments, endpoint_name, reach
from workers.tools.spec import Result, Tool, every_platform

REASON_LENGTH = 200

BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where systems keep their trusted certificates, for a Python that was built elsewhere and does
not know (Debian, Fedora, openSUSE, macOS and Alpine)."""


class TlsCert(Result):
    """What a TLS port shows.

    `verified` is whether this machine trusts the certificate for that name, and None where
    there is none to judge; `reason` says why it does not.
    """

    target: str
    host: str
    port: int
    state: ConnectState
    address: str
    note: str
    protocol: str
    certificate: Certificate | None
    verified: bool | None
    reason: str


class TlsArguments(EndpointArguments):
    """Which port to look at, and how long to wait."""

    timeout_seconds: float = Field(default=5.0, gt=0, le=10)


def system_trust() -> ssl.SSLContext:
    """A client's context with this machine's own trusted certificates."""
    context = ssl.create_default_context()
    known = ssl.get_default_verify_paths()
    if not known.cafile and not known.capath:
        for bundle in BUNDLES:
            if Path(bundle).is_file():
                context.load_verify_locations(bundle)
                break
    return context


@dataclass(frozen=True, slots=True)
class _Shown:
    """What a handshake brought to light."""

    der: bytes
    protocol: str
    verified: bool
    reason: str


async def _look(address: str, host: str, port: int, trust: ssl.SSLContext) -> _Shown:
    """The certificate of a port, and whether it is trusted.

    A handshake that verifies says both at once. Where that fails the certificate is fetched a
    second time without verifying, because it is wanted all the more.
    """
    try:
        return await _handshake(address, host, port, trust, verified=True, reason="")
    except ssl.SSLCertVerificationError as error:
        blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        blind.check_hostname = False
        blind.verify_mode = ssl.CERT_NONE
        reason = str(error.verify_message)[:REASON_LENGTH]
        return await _handshake(address, host, port, blind, verified=False, reason=reason)


async def _handshake(
    address: str, host: str, port: int, context: ssl.SSLContext, *, verified: bool, reason: str
) -> _Shown:
    _, writer = await asyncio.open_connection(
        address, port, ssl=context, server_hostname=host.partition("%")[0]
    )
    try:
        shown: ssl.SSLObject = writer.get_extra_info("ssl_object")
        der = shown.getpeercert(binary_form=True)
        if der is None:
            raise ConnectionError("it showed no certificate")
        return _Shown(der, shown.version() or "", verified, reason)
    finally:
        # No goodbye: a server that does not answer one would cost the whole timeout.
        writer.transport.abort()


async def read_tls_cert(arguments: TlsArguments, access: Access) -> TlsCert:
    """Shake hands with the port, and look at the certificate that it shows."""
    host, port = arguments.endpoint()
    trust = await access.call("ssl.create_default_context()", system_trust)

    async def look(address: str) -> _Shown:
        return await _look(address, host, port, trust)

    reached = await reach(host, port, arguments.timeout_seconds, access, look)
    shown = reached.value
    return TlsCert(
        target=endpoint_name(host, port),
        host=host,
        port=port,
        state=reached.state,
        address=reached.address,
        note=reached.note,
        protocol=shown.protocol if shown else "",
        certificate=load(shown.der) if shown else None,
        verified=shown.verified if shown else None,
        reason=shown.reason if shown else "",
    )


TOOLS = (
    Tool(
        name="tls_cert",
        summary="The certificate of a TLS port: how long it holds, and whether it is trusted.",
        arguments=TlsArguments,
        result=TlsCert,
        reads=every_platform(read_tls_cert),
    ),
)
