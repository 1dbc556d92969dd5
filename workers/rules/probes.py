"""Rules about echo requests and ports."""

from __future__ import annotations

from collections.abc import Iterable

from swarm_tasks.models.evidence import ToolCall
from workers.rules.rule import Reading, Rule, named
from workers.tools.catalog.probes import Ping, TcpCheck


def ping_loss(answer: Ping) -> Iterable[Reading]:
    """Share of echo requests without an answer."""
    yield Reading(
        subject=answer.host,
        value=answer.loss_percent,
        pointer="/loss_percent",
        detail=answer.note or f"{answer.received} of {answer.sent} were answered",
    )


def ping_rtt(answer: Ping) -> Iterable[Reading]:
    """Mean round-trip time, where anything came back."""
    if answer.rtt_avg_ms is not None:
        yield Reading(subject=answer.host, value=answer.rtt_avg_ms, pointer="/rtt_avg_ms")


def tcp_answer(answer: TcpCheck) -> Iterable[Reading]:
    """Whether the port took a connection."""
    yield Reading(subject=answer.target, value=answer.state, pointer="/state", detail=answer.note)


def look_at_interfaces(reading: Reading) -> tuple[ToolCall, ...]:
    """Look whether this host itself has a way out."""
    return (ToolCall(tool="interfaces"),)


def behind_port(reading: Reading) -> tuple[ToolCall, ...]:
    """Look for the cause: the name, or the machine; one that refuses is there."""
    host = reading.subject.rpartition(":")[0].strip("[]")
    if reading.value == "unresolved":
        return (ToolCall(tool="dns_check", arguments={"name": host}),)
    if reading.value == "refused":
        return ()
    return (ToolCall(tool="ping", arguments={"host": host}),)


RULES = (
    Rule(
        name="ping-loss",
        tool="ping",
        metric="ping.loss_percent",
        readings=ping_loss,
        title="Echo requests go unanswered",
        advice="Find out whether the host is down, or where on the way packets are lost.",
        dig=look_at_interfaces,
        probe=named("host"),
        of_choice=True,
    ),
    Rule(
        name="ping-rtt",
        tool="ping",
        metric="ping.rtt_ms",
        readings=ping_rtt,
        title="Echo requests are answered slowly",
        advice="Look for a full or long way between the two hosts.",
        probe=named("host"),
        of_choice=True,
    ),
    Rule(
        name="tcp-answer",
        tool="tcp_check",
        metric="tcp.answer",
        readings=tcp_answer,
        title="A port takes no connection",
        advice="Find out whether its service runs, and whether a firewall stands between.",
        dig=behind_port,
        probe=named("target"),
        decisive=("timeout_seconds",),
        of_choice=True,
    ),
)
