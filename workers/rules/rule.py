"""What a rule is: it reads values out of one tool's answer, for one metric to grade."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from swarm_tasks.models.base import JsonScalar
from swarm_tasks.models.evidence import ToolCall
from swarm_tasks.models.policy import Checks, Limits

Probe = Callable[[str], Mapping[str, JsonScalar] | None]
"""From a reading's subject to the arguments of the tool that measure it again."""

FromChecks = Callable[[Checks, Mapping[str, object]], Mapping[str, object]]
"""From what the operator lists, and the arguments that a subject was first measured with, to more
arguments of the tool that measure it again."""

AGAIN_SECONDS = 0.25
"""How long to look for a second time, where a tool looks for a while: a check is to take no longer
than it must."""


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
        judged: Whether the metric's levels fit it. A reading that they do not fit, such as how
            full an image is, is there to be claimed; it is never a finding by itself.
    """

    subject: str
    value: JsonScalar
    pointer: str
    detail: str = ""
    limits: Limits | None = None
    key: str = ""
    judged: bool = True


def nothing_to_dig(reading: Reading) -> tuple[ToolCall, ...]:
    """For rules that need no second look."""
    return ()


def whole_tool(subject: str) -> Mapping[str, JsonScalar] | None:
    """For tools that show all their subjects when asked for nothing in particular."""
    return {}


def named(argument: str) -> Probe:
    """For tools that are told their subject as it is called, in `argument`."""

    def probe(subject: str) -> Mapping[str, JsonScalar] | None:
        return {argument: subject}

    return probe


def of_no_check(checks: Checks, asked: Mapping[str, object]) -> Mapping[str, object]:
    """For tools that need to know nothing of what the operator lists."""
    return {}


def all_there_is(answer: Any) -> bool:
    """For tools whose answers leave nothing out."""
    return True


def head_of(subject: str) -> str:
    """The name before the bracket at the end: `/var` of `/var (/dev/sda2, ext4)`.

    Names may hold brackets of their own; those at the end are followed back to where they open.
    Without such an end it is all of the subject.
    """
    if not subject.endswith(")"):
        return subject
    depth = 0
    for at in range(len(subject) - 1, 0, -1):
        depth += (subject[at] == ")") - (subject[at] == "(")
        if depth == 0:
            return subject[: at - 1] if subject[at - 1] == " " else subject
    return subject


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
        checks: More arguments for that, from what the operator lists, such as the log files to
            look into. What a model chose beside that does not count.
        decisive: Arguments of the tool that decide what the metric means, such as how long to
            wait for an answer: what was measured with another value is another thing.
        absent_is_well: Whether a subject that a successful answer no longer shows has recovered,
            as in a list of what failed. Where it is False, it merely cannot be seen any more.
        complete: Whether an answer shows all there is. One that is cut short, or that had not all
            it reads from, says nothing of a subject that is missing from it.
        of_choice: Whether a subject is there only because somebody named it: a URL, a port, a
            file. Nobody expects it to be well unless the operator lists it, so that what a model
            picks is no trouble of the host's.
    """

    name: str
    tool: str
    metric: str
    readings: Callable[[Any], Iterable[Reading]]
    title: str
    advice: str
    dig: Callable[[Reading], tuple[ToolCall, ...]] = nothing_to_dig
    probe: Probe = whole_tool
    checks: FromChecks = of_no_check
    decisive: tuple[str, ...] = ()
    absent_is_well: bool = False
    complete: Callable[[Any], bool] = all_there_is
    of_choice: bool = False

    def again(
        self, subject: str, checks: Checks, asked: Mapping[str, object] | None = None
    ) -> Mapping[str, object] | None:
        """All arguments with which trusted code measures `subject`; None where this tool cannot.

        Args:
            checks: What the operator lists for this host.
            asked: The arguments that the evidence was gathered with, where there is any by this
                rule's tool.
        """
        given = self.probe(subject)
        return None if given is None else {**given, **self.checks(checks, asked or {})}
