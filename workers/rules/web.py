"""Rules about web addresses."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from swarm_tasks.models.evidence import ToolCall
from workers.rules.rule import Reading, Rule, named
from workers.tools.catalog.probes import endpoint_name
from workers.tools.catalog.web import HttpCheck


def http_answer(answer: HttpCheck) -> Iterable[Reading]:
    """How the URL answered."""
    status = f"status {answer.status}" if answer.status is not None else answer.note
    yield Reading(subject=answer.url, value=answer.state, pointer="/state", detail=status)


def behind_url(reading: Reading) -> tuple[ToolCall, ...]:
    """Look for the cause one layer down: the name, the certificate or the port."""
    parts = urlsplit(reading.subject)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    target = {"target": endpoint_name(host, port)}
    if reading.value == "unresolved":
        return (ToolCall(tool="dns_check", arguments={"name": host}),)
    if reading.value == "tls_error":
        return (ToolCall(tool="tls_cert", arguments=target),)
    if reading.value == "timeout":
        return (ToolCall(tool="tcp_check", arguments=target),)
    return ()


RULES = (
    Rule(
        name="http-answer",
        tool="http_check",
        metric="http.answer",
        readings=http_answer,
        title="A web address does not answer as it should",
        advice="Look at the service behind it and at its logs.",
        dig=behind_url,
        probe=named("url"),
        decisive=("timeout_seconds",),
        of_choice=True,
    ),
)
