"""Rules about resolvers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from swarm_tasks.models.base import JsonScalar
from swarm_tasks.models.evidence import ToolCall
from workers.rules.rule import Reading, Rule
from workers.tools.catalog.dns import NO_RESOLVER, DnsCheck, ServerAnswer, default_type

ASKING = " asking for "
"""What stands between a resolver and its question in a subject."""


def dns_answers(answer: DnsCheck) -> Iterable[Reading]:
    """Each resolver's answer."""
    # The type is part of the subject only where it is not the plain one for such a name.
    plain = answer.type == default_type(answer.name)
    asked = answer.name if plain else f"{answer.name} {answer.type}"
    for index, server in enumerate(answer.servers):
        yield Reading(
            subject=f"{server.server}{ASKING}{asked}",
            value=server.state,
            pointer=f"/servers/{index}/state",
            detail=_detail(server),
            key=server.address,
        )


def _detail(server: ServerAnswer) -> str:
    behind = f"behind it: {', '.join(server.upstreams)}" if server.upstreams else ""
    return "; ".join(part for part in (server.note, behind) if part)


def ping_resolver(reading: Reading) -> tuple[ToolCall, ...]:
    """Look whether the machine behind the resolver's address is there at all."""
    return (ToolCall(tool="ping", arguments={"host": reading.key}),) if reading.key else ()


def that_resolver(subject: str) -> Mapping[str, JsonScalar] | None:
    """The same question to the same resolver."""
    server, asking, asked = subject.partition(ASKING)
    if not asking:
        return None
    name, _, kind = asked.partition(" ")
    given: dict[str, JsonScalar] = {"name": name}
    if server != NO_RESOLVER:
        given["server"] = server
    if kind:
        given["type"] = kind
    return given


RULES = (
    Rule(
        name="dns-answer",
        tool="dns_check",
        metric="dns.answer",
        readings=dns_answers,
        title="A resolver does not answer as it should",
        advice="Mend the resolver, or take it out of the host's configuration.",
        dig=ping_resolver,
        probe=that_resolver,
        # Whoever names a type has a refusal count as one, where else any reply will do.
        decisive=("type",),
        of_choice=True,
    ),
)
