"""Rules about containers."""

from __future__ import annotations

from collections.abc import Iterable

from swarm_tasks.models.evidence import ToolCall
from workers.rules.rule import Reading, Rule
from workers.tools.catalog.containers import Containers


def container_states(answer: Containers) -> Iterable[Reading]:
    """The state of each container."""
    for index, one in enumerate(answer.containers):
        name = one.name or one.id
        yield Reading(
            subject=f"{name} ({one.image})" if one.image else name,
            value=one.state,
            pointer=f"/containers/{index}/state",
            detail=one.status,
            key=name,
        )


def all_listed(answer: Containers) -> bool:
    """Whether every container is listed."""
    return len(answer.containers) == answer.total


def its_log(reading: Reading) -> tuple[ToolCall, ...]:
    """Read what the container wrote."""
    return (ToolCall(tool="container_logs", arguments={"id": reading.key, "lines": 100}),)


RULES = (
    Rule(
        name="container-state",
        tool="containers",
        metric="container.state",
        readings=container_states,
        title="Container not well",
        advice="Read its log for the cause; remove it if it is not needed any more.",
        dig=its_log,
        # A container that was removed does no harm any more.
        absent_is_well=True,
        complete=all_listed,
    ),
)
