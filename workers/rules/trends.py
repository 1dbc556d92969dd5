"""What is claimed of change: never a finding by itself, and there for an agent to claim."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from swarm_tasks.models.base import JsonScalar
from workers.rules.rule import Probe, Reading, Rule
from workers.tools.catalog.trends import USUAL_HOURS, Trend

NUMBER = r"-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?"
HEAD = r"(?P<metric>[a-z]+\.[a-z_]+) of (?P<subject>.+?)"
WINDOW = r"(?:, over (?P<hours>[1-9][0-9]{0,2}) h)?"
CHANGE = re.compile(rf"{HEAD}{WINDOW}\Z", re.S)
REACHING = re.compile(rf"{HEAD} to (?P<limit>{NUMBER}){WINDOW}\Z", re.S)


def window_of(answer: Trend) -> str:
    """How far back was looked, where that is not the usual time."""
    return "" if answer.hours == USUAL_HOURS else f", over {answer.hours} h"


def per_hour(answer: Trend) -> Iterable[Reading]:
    """The slope."""
    subject = f"{answer.metric} of {answer.subject}{window_of(answer)}"
    yield Reading(subject, answer.per_hour, "/per_hour", key=answer.subject)


def since_yesterday(answer: Trend) -> Iterable[Reading]:
    """The change of a day, where something was kept a day ago."""
    if answer.since_yesterday is not None:
        subject = f"{answer.metric} of {answer.subject}{window_of(answer)}"
        yield Reading(subject, answer.since_yesterday, "/since_yesterday", key=answer.subject)


def reaches(answer: Trend) -> Iterable[Reading]:
    """When a level is reached, where it ever is."""
    if answer.reaches_in_seconds is not None and answer.limit is not None:
        subject = f"{answer.metric} of {answer.subject} to {answer.limit:.15g}{window_of(answer)}"
        yield Reading(subject, answer.reaches_in_seconds, "/reaches_in_seconds", key=answer.subject)


def looked_at_again(pattern: re.Pattern[str]) -> Probe:
    """The same trend: the tool measures its last point anew each time."""

    def probe(subject: str) -> Mapping[str, JsonScalar] | None:
        found = pattern.match(subject)
        if found is None:
            return None
        parts = found.groupdict()
        given: dict[str, JsonScalar] = {"metric": parts["metric"], "subject": parts["subject"]}
        if parts["hours"]:
            given["hours"] = int(parts["hours"])
        if parts.get("limit"):
            given["limit"] = float(parts["limit"])
        return given

    return probe


RULES = (
    Rule(
        name="trend-per-hour",
        tool="trend",
        metric="trend.per_hour",
        readings=per_hour,
        title="A value grows",
        advice="Find out what makes it grow.",
        probe=looked_at_again(CHANGE),
    ),
    Rule(
        name="trend-since-yesterday",
        tool="trend",
        metric="trend.since_yesterday",
        readings=since_yesterday,
        title="A value is not what it was yesterday",
        advice="Find out what has changed since.",
        probe=looked_at_again(CHANGE),
    ),
    Rule(
        name="trend-reaches",
        tool="trend",
        metric="trend.reaches_in_seconds",
        readings=reaches,
        title="A value is on its way to a level",
        advice="Find out what makes it move, before that time.",
        probe=looked_at_again(REACHING),
        # The tool answered, and says that the value goes another way now.
        absent_is_well=True,
    ),
)
