"""Rules about network interfaces."""

from __future__ import annotations

from collections.abc import Iterable

from workers.rules.rule import Reading, Rule
from workers.tools.catalog.network import Interfaces


def errors(answer: Interfaces) -> Iterable[Reading]:
    """Errors of each interface in ten minutes, where the history reaches back."""
    for index, nic in enumerate(answer.interfaces):
        if nic.errors_10min is not None and nic.window_seconds is not None:
            yield Reading(
                subject=nic.name,
                value=nic.errors_10min,
                pointer=f"/interfaces/{index}/errors_10min",
                detail=f"measured over {nic.window_seconds / 60:.0f} min",
            )


def drops(answer: Interfaces) -> Iterable[Reading]:
    """Share of packets that each interface dropped, where the history reaches back."""
    for index, nic in enumerate(answer.interfaces):
        if nic.drops_percent is not None and nic.window_seconds is not None:
            yield Reading(
                subject=nic.name,
                value=nic.drops_percent,
                pointer=f"/interfaces/{index}/drops_percent",
                detail=f"measured over {nic.window_seconds / 60:.0f} min",
            )


RULES = (
    Rule(
        name="net-errors",
        tool="interfaces",
        metric="net.errors",
        readings=errors,
        title="Errors on a network interface",
        advice="Look at the cable, the port at the other end and the driver.",
    ),
    Rule(
        name="net-drops",
        tool="interfaces",
        metric="net.drops_percent",
        readings=drops,
        title="A network interface drops packets",
        advice="Look for a receive queue that is too short, or a CPU that cannot keep up.",
    ),
)
