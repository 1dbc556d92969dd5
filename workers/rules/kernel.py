"""Rules about what the kernel reported."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import cast

from swarm_tasks.models.base import JsonScalar
from swarm_tasks.models.evidence import ToolCall
from swarm_tasks.models.policy import Checks
from workers.rules.rule import Reading, Rule
from workers.tools.catalog.kernel import LOGS, USUAL_MINUTES, KernelEvents

WINDOW = re.compile(r", in (?P<minutes>[1-9][0-9]{0,4}) min\Z")


def in_window(subject: str, answer: KernelEvents) -> str:
    """A subject that says over how long was counted, where that is not the usual time."""
    minutes = answer.since_minutes
    return subject if minutes == USUAL_MINUTES else f"{subject}, in {minutes} min"


def usual(answer: KernelEvents) -> bool:
    """Whether was counted over the time that the levels are made for: who looks far enough back
    finds something on every host."""
    return answer.since_minutes == USUAL_MINUTES


def oom_kills(answer: KernelEvents) -> Iterable[Reading]:
    """Each process that was killed for want of memory; one healthy reading where none was."""
    lately = answer.since + timedelta(minutes=answer.since_minutes - USUAL_MINUTES)
    for index, kill in enumerate(answer.oom_kills):
        where = f" in {kill.memory_cgroup}" if kill.memory_cgroup else ""
        limit = "its control group's limit" if kill.wanting == "cgroup" else "the whole host"
        name = f"{kill.process} (pid {kill.pid})"
        # One kill is one event, however far back somebody looked.
        recent = kill.at >= lately
        yield Reading(
            subject=name if recent else in_window(name, answer),
            value=kill.kills,
            pointer=f"/oom_kills/{index}/kills",
            detail=f"killed {kill.at:%H:%M:%S} UTC{where}; memory ran out for {limit}",
            key=kill.process,
            judged=recent,
        )
    if not answer.oom_kills:
        yield Reading(
            subject=in_window("processes killed", answer),
            value=answer.oom_kills_total,
            pointer="/oom_kills_total",
            judged=usual(answer),
        )


def ecc_uncorrectable(answer: KernelEvents) -> Iterable[Reading]:
    """Uncorrectable memory errors by where they happened."""
    for index, one in enumerate(answer.ecc):
        yield Reading(
            subject=in_window(f"memory ({one.where})", answer),
            value=one.uncorrectable,
            pointer=f"/ecc/{index}/uncorrectable",
            detail=one.last_line,
            key=one.where,
            judged=usual(answer),
        )
    if not answer.ecc:
        yield Reading(
            subject=in_window("memory", answer),
            value=answer.ecc_uncorrectable_total,
            pointer="/ecc_uncorrectable_total",
            judged=usual(answer),
        )


def io_errors(answer: KernelEvents) -> Iterable[Reading]:
    """Errors about each disk or file system."""
    for index, one in enumerate(answer.io_errors):
        yield Reading(
            subject=in_window(one.device, answer),
            value=one.errors,
            pointer=f"/io_errors/{index}/errors",
            detail=f"last: {one.last_line}",
            judged=usual(answer),
        )
    if not answer.io_errors:
        yield Reading(
            subject=in_window("disks", answer),
            value=answer.io_errors_total,
            pointer="/io_errors_total",
            judged=usual(answer),
        )


def all_kills(answer: KernelEvents) -> bool:
    """Whether every source could be read and every kill is listed."""
    return not answer.unread and len(answer.oom_kills) == answer.oom_kills_total


def all_ecc(answer: KernelEvents) -> bool:
    """Whether every source could be read and every memory error is listed."""
    corrected = sum(one.corrected for one in answer.ecc)
    uncorrectable = sum(one.uncorrectable for one in answer.ecc)
    totals = (answer.ecc_corrected_total, answer.ecc_uncorrectable_total)
    return not answer.unread and (corrected, uncorrectable) == totals


def all_io_errors(answer: KernelEvents) -> bool:
    """Whether every source could be read and every disk with errors is listed."""
    listed = sum(one.errors for one in answer.io_errors)
    return not answer.unread and listed == answer.io_errors_total


def by_memory(reading: Reading) -> tuple[ToolCall, ...]:
    """Look for who uses the memory now."""
    return (
        ToolCall(tool="top_processes", arguments={"sort": "memory", "n": 10}),
        ToolCall(tool="memory"),
    )


def disks_themselves(reading: Reading) -> tuple[ToolCall, ...]:
    """Ask the disks for their own verdict."""
    return (ToolCall(tool="smart_health"),)


def same_window(subject: str) -> Mapping[str, JsonScalar] | None:
    """As far back as the subject says."""
    found = WINDOW.search(subject)
    return {"since_minutes": int(found["minutes"])} if found else {}


def host_logs(checks: Checks, asked: Mapping[str, object]) -> Mapping[str, object]:
    """The log files that the evidence was read from, where the operator lists them all.

    Anybody may write into another file: then the first that are listed. The sweep reads each of
    them in a call of its own, so that those beyond the most of one call have their turn as well.
    """
    logs = asked.get("logs")
    read = (logs,) if isinstance(logs, str) else logs
    if isinstance(read, list | tuple):
        paths = tuple(cast(Iterable[object], read))
        if all(path in checks.logs for path in paths):
            return {"logs": paths}
    return {"logs": checks.logs[:LOGS]}


RULES = (
    Rule(
        name="oom-kills",
        tool="kernel_events",
        metric="kernel.oom_kills",
        readings=oom_kills,
        title="Process killed for want of memory",
        advice="Find what used the memory; give it a limit of its own, or the host more memory.",
        dig=by_memory,
        probe=same_window,
        checks=host_logs,
        decisive=("logs",),
        absent_is_well=True,
        complete=all_kills,
    ),
    Rule(
        name="ecc-uncorrectable",
        tool="kernel_events",
        metric="kernel.ecc_uncorrectable",
        readings=ecc_uncorrectable,
        title="Memory fails beyond repair",
        advice="Move work away from this host and replace the module that the message names.",
        probe=same_window,
        checks=host_logs,
        decisive=("logs",),
        absent_is_well=True,
        complete=all_ecc,
    ),
    Rule(
        name="kernel-io-errors",
        tool="kernel_events",
        metric="kernel.io_errors",
        readings=io_errors,
        title="Disk errors in the kernel's log",
        advice="Check the disk, its cable and its backups before anything is written to it.",
        dig=disks_themselves,
        probe=same_window,
        checks=host_logs,
        decisive=("logs",),
        absent_is_well=True,
        complete=all_io_errors,
    ),
)
