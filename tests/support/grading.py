"""What a rule makes of a tool's typed answer, by the plain levels of its metric."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import cast

from swarm_tasks.measures import measure
from swarm_tasks.models.finding import Severity
from swarm_tasks.models.policy import Policy
from workers.rules.judge import grade, limits_for
from workers.rules.rule import Rule
from workers.tools.spec import Result


def rule_called(name: str, rules: Iterable[Rule]) -> Rule:
    """The rule of that name; KeyError where there is none."""
    return {rule.name: rule for rule in rules}[name]


def graded(rule: Rule, answer: Result) -> dict[str, Severity | None]:
    """Subject -> severity, None where it is well.

    On the way it checks what every reading promises: that its pointer leads to its value in the
    answer as JSON.
    """
    metric = measure(rule.metric)
    data = json.loads(answer.model_dump_json())
    found: dict[str, Severity | None] = {}
    for reading in rule.readings(answer):
        assert at(data, reading.pointer) == reading.value
        limits = limits_for(metric, reading, Policy(), "host")
        assert limits is not None
        crossed = grade(reading.value, metric, limits, None)
        found[reading.subject] = crossed.severity if crossed else None
    return found


def at(data: object, pointer: str) -> object:
    """What stands at a JSON pointer."""
    for step in pointer.split("/")[1:]:
        if isinstance(data, list):
            data = cast("list[object]", data)[int(step)]
        else:
            data = cast("dict[str, object]", data)[step]
    return data
