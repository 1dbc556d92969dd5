"""Rules about certificates."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from swarm_tasks.models.base import JsonScalar
from swarm_tasks.models.evidence import ToolCall
from workers.rules.probes import behind_port
from workers.rules.rule import Reading, Rule, head_of, named
from workers.tools.catalog.certificates import CertFiles, Certificate
from workers.tools.catalog.tls import TlsCert

LONGEST_CHAIN = 8
"""A file with more certificates than this is a bundle of authorities, of which some are always
old, and no chain."""


MAGIC = re.compile(r"[*?\[]")


def expires(certificate: Certificate) -> str:
    """The day of its end, for a person."""
    word = "expired" if certificate.left_seconds < 0 else "expires"
    return f"{word} {certificate.not_after:%Y-%m-%d %H:%M} UTC"


def files_left(answer: CertFiles) -> Iterable[Reading]:
    """Life left of each file's first certificate, and of a chain's weakest link."""
    for index, file in enumerate(answer.files):
        yield Reading(
            subject=f"{file.path} ({file.certificate.common_name})",
            value=file.certificate.left_seconds,
            pointer=f"/files/{index}/certificate/left_seconds",
            detail=expires(file.certificate),
            key=file.path,
        )
        if file.earliest is not None and file.count <= LONGEST_CHAIN:
            yield Reading(
                subject=f"{file.path} ({file.earliest.common_name}, in its chain)",
                value=file.earliest.left_seconds,
                pointer=f"/files/{index}/earliest/left_seconds",
                detail=expires(file.earliest),
                key=file.path,
            )


def endpoint_left(answer: TlsCert) -> Iterable[Reading]:
    """Life left of the certificate that a port shows."""
    if answer.certificate is not None:
        yield Reading(
            subject=f"{answer.target} ({answer.certificate.common_name})",
            value=answer.certificate.left_seconds,
            pointer="/certificate/left_seconds",
            detail=expires(answer.certificate),
            key=answer.target,
        )


def tls_answer(answer: TlsCert) -> Iterable[Reading]:
    """Whether the port answers a TLS handshake."""
    yield Reading(subject=answer.target, value=answer.state, pointer="/state", detail=answer.note)


def handshake_or_port(reading: Reading) -> tuple[ToolCall, ...]:
    """Look for the cause; where something answers, but no TLS, the port itself."""
    if reading.value == "error":
        return (ToolCall(tool="tcp_check", arguments={"target": reading.subject}),)
    return behind_port(reading)


def that_file(subject: str) -> Mapping[str, JsonScalar] | None:
    """The file itself: what is a wildcard elsewhere is part of its name."""
    path = head_of(subject)
    return {"glob": MAGIC.sub(r"[\g<0>]", path)} if path.startswith("/") else None


def that_port(subject: str) -> Mapping[str, JsonScalar] | None:
    """The port; None for the subject of another tool."""
    target = head_of(subject)
    return None if target.startswith("/") else {"target": target}


RULES = (
    Rule(
        name="tls-file-expiry",
        tool="cert_files",
        metric="tls.left_seconds",
        readings=files_left,
        title="A certificate file runs out",
        advice="Renew the certificate, and have the services that use it read it anew.",
        probe=that_file,
        of_choice=True,
    ),
    Rule(
        name="tls-port-expiry",
        tool="tls_cert",
        metric="tls.left_seconds",
        readings=endpoint_left,
        title="A port's certificate runs out",
        advice="Renew the certificate, and have the service read it anew.",
        probe=that_port,
        decisive=("timeout_seconds",),
        of_choice=True,
    ),
    Rule(
        name="tls-answer",
        tool="tls_cert",
        metric="tls.answer",
        readings=tls_answer,
        title="A port answers no TLS handshake",
        advice="Find out whether its service runs, and whether it speaks TLS on that port.",
        dig=handshake_or_port,
        probe=named("target"),
        decisive=("timeout_seconds",),
        of_choice=True,
    ),
)
