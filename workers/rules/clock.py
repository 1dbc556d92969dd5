"""Rules about the clock."""

from __future__ import annotations

from collections.abc import Iterable

from workers.rules.rule import Reading, Rule
from workers.tools.catalog.clock import TimeSync


def offset(answer: TimeSync) -> Iterable[Reading]:
    """How far the clock is off, where somebody measures it."""
    if answer.offset_seconds is not None:
        yield Reading(
            subject="clock",
            value=answer.offset_seconds,
            pointer="/offset_seconds",
            detail=f"from {answer.server}" if answer.server else "",
        )


def synchronised(answer: TimeSync) -> Iterable[Reading]:
    """Whether the clock follows a time source, where somebody knows."""
    if answer.synchronised != "unknown":
        yield Reading(
            subject="clock",
            value=answer.synchronised,
            pointer="/synchronised",
            detail=f"said by {answer.said_by}",
        )


RULES = (
    Rule(
        name="time-offset",
        tool="time_sync",
        metric="time.offset_seconds",
        readings=offset,
        title="Clock is off",
        advice="Check the time daemon and its servers; step the clock only when nothing minds it.",
    ),
    Rule(
        name="time-synchronised",
        tool="time_sync",
        metric="time.synchronised",
        readings=synchronised,
        title="Clock follows no time source",
        advice="Start the time daemon, and check that it reaches its servers.",
    ),
)
