"""Who went on without a model, and why, in words. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.render.words import count_text, names_text, one_line
from swarm_tasks.models.report import Degraded, Report


@dataclass(frozen=True, slots=True)
class Shortfall:
    """Some who went on without a model for the same reason.

    Args:
        who: What they did in its place, in words.
        agents: `host/specialist` each; none for planning and joining.
    """

    who: str
    agents: tuple[str, ...]
    reason: str


def shortfalls(report: Report) -> tuple[Shortfall, ...]:
    """Everybody who went on without a model: planning, agents by their reason, and the joining.

    Reasons that differ in numbers alone, such as how long was waited, are one.
    """
    groups: dict[tuple[str, str], list[Degraded]] = {}
    for one in report.degraded:
        groups.setdefault((one.step, re.sub(r"\d+(?:\.\d+)?", "#", one.reason)), []).append(one)
    return tuple(_shortfall(step, same) for (step, _), same in groups.items())


def _shortfall(step: str, same: Sequence[Degraded]) -> Shortfall:
    reason = one_line(same[0].reason)
    if step == "planning":
        return Shortfall("the default plan was taken", (), reason)
    if step == "synthesis":
        return Shortfall("the summary is made from counts", (), reason)
    agents = tuple(f"{one.host}/{one.specialist}" for one in same)
    return Shortfall(f"{count_text(len(agents), 'agent')} went on by the rules", agents, reason)


def shortfall_text(shortfall: Shortfall, limit: int = 4) -> str:
    """One reason in a line: `3 agents went on by the rules (a/storage …): the router is down`."""
    where = f" ({names_text(shortfall.agents, limit)})" if shortfall.agents else ""
    return f"{shortfall.who}{where}: {shortfall.reason}"
