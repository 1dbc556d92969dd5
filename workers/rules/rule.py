"""What a rule is: it reads values out of one tool's answer, for one metric to grade."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from swarm_tasks.models.base import JsonScalar
from swarm_tasks.models.evidence import ToolCall
from swarm_tasks.models.policy import Limits


@dataclass(frozen=True, slots=True)
class Reading:
    """One value in a tool's answer.

    Args:
        subject: What exactly was measured, such as `/var (/dev/sda2, ext4)`.
        value: In the metric's unit; a word for a metric of states.
        pointer: The RFC 6901 JSON pointer to the value in the tool's answer.
        detail: What a person wants to know beside the value, in a few words.
        limits: Levels for this subject alone, where the metric's own do not fit it.
        key: What names the subject in overrides; empty means the subject itself.
    """

    subject: str
    value: JsonScalar
    pointer: str
    detail: str = ""
    limits: Limits | None = None
    key: str = ""


def nothing_to_dig(reading: Reading) -> tuple[ToolCall, ...]:
    """For rules that need no second look."""
    return ()


def whole_tool(subject: str) -> Mapping[str, JsonScalar] | None:
    """For tools that show all their subjects when asked for nothing in particular."""
    return {}


@dataclass(frozen=True, slots=True)
class Rule:
    """How one metric is read from one tool's answer.

    Args:
        name: Unique, in kebab case; specialists name rules by it.
        metric: A name of the metric table (`swarm_tasks/measures.toml`), which grades.
        readings: Every value of that metric in the tool's typed answer, good or bad. Pure.
        title: What is wrong when a level is crossed, without a number.
        advice: What to do next, in one or two sentences.
        dig: Calls worth making once a level is crossed, to show the cause.
        probe: The tool's arguments that measure a subject of this rule again, whoever measured it
            first and however; None where this tool cannot.
        decisive: Arguments of the tool that decide what the metric means, such as since when
            events are counted: what was measured with another value is another thing.
    """

    name: str
    tool: str
    metric: str
    readings: Callable[[Any], Iterable[Reading]]
    title: str
    advice: str
    dig: Callable[[Reading], tuple[ToolCall, ...]] = nothing_to_dig
    probe: Callable[[str], Mapping[str, JsonScalar] | None] = whole_tool
    decisive: tuple[str, ...] = ()
