"""What single processes use: never a finding by itself, and there for an agent to claim."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from swarm_tasks.models.base import JsonScalar
from workers.rules.rule import AGAIN_SECONDS, Reading, Rule
from workers.tools.catalog.processes import MOST_SHOWN, ProcessDetail, TopProcesses

PID = re.compile(r"\Apid ([1-9][0-9]{0,6})\b")


def subject_of(pid: int, name: str, started: datetime) -> str:
    """A process so that no later one under the same id is taken for it."""
    since = started.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"pid {pid} {name}, since {since}"


def cpu_of_each(answer: TopProcesses) -> Iterable[Reading]:
    """The share of one core that each process shown takes."""
    for at, one in enumerate(answer.processes):
        if one.cpu_percent is not None:
            subject = subject_of(one.pid, one.name, one.started)
            yield Reading(subject, one.cpu_percent, f"/processes/{at}/cpu_percent", key=one.name)


def memory_of_each(answer: TopProcesses) -> Iterable[Reading]:
    """The resident memory of each process shown."""
    for at, one in enumerate(answer.processes):
        if one.rss_bytes is not None:
            subject = subject_of(one.pid, one.name, one.started)
            yield Reading(subject, one.rss_bytes, f"/processes/{at}/rss_bytes", key=one.name)


def memory_of_one(answer: ProcessDetail) -> Iterable[Reading]:
    """The resident memory of the process that was looked at."""
    if answer.rss_bytes is not None:
        subject = subject_of(answer.pid, answer.name, answer.started)
        yield Reading(subject, answer.rss_bytes, "/rss_bytes", key=answer.name)


def of_that_pid(subject: str) -> Mapping[str, JsonScalar] | None:
    """The one process by its id."""
    found = PID.match(subject)
    return {"pid": int(found[1])} if found else None


def busiest(subject: str) -> Mapping[str, JsonScalar] | None:
    """All that are busy: a process that is no longer among them is calm."""
    return {"sort": "cpu", "n": MOST_SHOWN, "window_seconds": AGAIN_SECONDS}


def all_busy(answer: TopProcesses) -> bool:
    """Whether all that took any processor time are listed: a full list may leave some out."""
    return len(answer.processes) < MOST_SHOWN


RULES = (
    Rule(
        name="process-cpu",
        tool="top_processes",
        metric="process.cpu_percent",
        readings=cpu_of_each,
        title="A process takes much of a core",
        advice="Find out what it works at.",
        probe=busiest,
        absent_is_well=True,
        complete=all_busy,
    ),
    Rule(
        name="process-memory",
        tool="process",
        metric="process.memory_bytes",
        readings=memory_of_one,
        title="A process takes much memory",
        advice="Find out what it keeps.",
        probe=of_that_pid,
    ),
    Rule(
        name="processes-memory",
        tool="top_processes",
        metric="process.memory_bytes",
        readings=memory_of_each,
        title="A process takes much memory",
        advice="Find out what it keeps.",
        # Another tool looks at one process: it need not be among the largest any more.
        probe=lambda subject: None,
    ),
)
