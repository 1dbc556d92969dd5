"""Every metric that a claim can be about, read from `measures.toml` beside this file."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import Field

from swarm_tasks.models.finding import Severity
from swarm_tasks.models.policy import Limits

Unit = Literal[
    "percent",
    "bytes",
    "seconds",
    "milliseconds",
    "ratio",
    "requests",
    "events",
    "restarts",
    "errors",
    "packages",
    "units",
    "state",
]
"""`units` are those of another metric, whose change is told."""


class Measure(Limits):
    """One metric: what it means, its unit, and the levels that raise a finding.

    Args:
        comparator: How a value stands to a level that it crosses.
        states: For a metric that is a word: the severity of each bad word.
        well: The other words that its tools say, none of which is a fault.
        tolerance: By how much, in `unit`, two measurements of the same thing may differ: it moves
            by itself, and tools round.
        tolerance_percent: The same as a share of the claimed value; the larger of the two counts.
        judged: Whether the rules look at it at all. One that they do not is never a finding by
            itself, nor compared between hosts: it is there for what an agent wants to claim.
        source: Whose levels these are.
    """

    name: str
    meaning: str
    unit: Unit
    comparator: Literal[">=", "<=", "=="]
    states: dict[str, Severity] = Field(default_factory=dict[str, Severity])
    well: tuple[str, ...] = ()
    tolerance: float = Field(default=0.0, ge=0)
    tolerance_percent: float = Field(default=0.0, ge=0, le=100)
    judged: bool = True
    source: str

    @property
    def kept(self) -> bool:
        """Whether its values are kept from one audit to the next, so that it has a trend.

        Words have none, and of an event such as a kill the subject is the event itself.
        """
        return self.judged and not self.states and self.unit != "events"

    def slack(self, value: float) -> float:
        """By how much a second measurement may miss `value`, in the metric's unit."""
        return max(self.tolerance, abs(value) * self.tolerance_percent / 100)


@cache
def measures() -> dict[str, Measure]:
    """The whole table, by name."""
    text = files("swarm_tasks").joinpath("measures.toml").read_text(encoding="utf-8")
    return {name: Measure(name=name, **row) for name, row in tomllib.loads(text).items()}


def measure(name: str) -> Measure:
    """The metric called `name`; KeyError where there is none."""
    return measures()[name]
