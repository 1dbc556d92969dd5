"""Rules about processes and open files."""

from __future__ import annotations

from collections.abc import Iterable

from swarm_tasks.models.evidence import ToolCall
from workers.rules.rule import Reading, Rule
from workers.tools.catalog.capacity import FdUsage, Pids


def pids_used(answer: Pids) -> Iterable[Reading]:
    """Process ids in use."""
    detail = f"{answer.used} of {answer.limit}"
    if answer.zombie_parents:
        worst = answer.zombie_parents[0]
        detail += f", {answer.zombies} zombies, most of them left by {worst.name} ({worst.pid})"
    yield Reading(
        subject="process ids",
        value=answer.used_percent,
        pointer="/used_percent",
        detail=detail,
    )


def fds_used(answer: FdUsage) -> Iterable[Reading]:
    """File handles in use."""
    yield Reading(
        subject="file handles",
        value=answer.used_percent,
        pointer="/used_percent",
        detail=f"{answer.used} of {answer.limit}",
    )


def by_cpu(reading: Reading) -> tuple[ToolCall, ...]:
    """Look for what runs in such numbers."""
    return (ToolCall(tool="top_processes", arguments={"sort": "cpu", "n": 30}),)


RULES = (
    Rule(
        name="pids-used",
        tool="pids",
        metric="processes.pids_percent",
        readings=pids_used,
        title="Process ids nearly used up",
        advice="Find what starts so many processes or threads; then raise kernel.pid_max if meant.",
        dig=by_cpu,
    ),
    Rule(
        name="fds-used",
        tool="fd_usage",
        metric="fds.used_percent",
        readings=fds_used,
        title="File handles nearly used up",
        advice="Find the process that does not close its files; raise fs.file-max only after that.",
    ),
)
