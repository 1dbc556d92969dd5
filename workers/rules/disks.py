"""Rules about disks and arrays."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from swarm_tasks.models.base import JsonScalar
from swarm_tasks.models.evidence import ToolCall
from workers.rules.rule import AGAIN_SECONDS, Reading, Rule, head_of
from workers.tools.catalog.disks import DisksIo
from workers.tools.catalog.raid import Arrays
from workers.tools.catalog.smart import SmartDisk, SmartHealth

WELL = frozenset(
    {*("active", "online", "spare", "avail", "inuse"), *("journal", "replacement", "write-mostly")}
)
"""What a member of a healthy array may be called."""

OWN_DEVICE = re.compile(r"/dev/(?:[sh]d[a-z]+|nvme\d+|disk\d+)\Z")
"""Disks that smartctl asks by their name alone; those behind a controller share one name."""


def io_busy(answer: DisksIo) -> Iterable[Reading]:
    """Share of time that each disk was busy, where the system tells."""
    for index, disk in enumerate(answer.disks):
        if disk.busy_percent is not None:
            latency = "" if disk.latency_ms is None else f"{disk.latency_ms:g} ms a request"
            yield Reading(
                subject=disk.device,
                value=disk.busy_percent,
                pointer=f"/disks/{index}/busy_percent",
                detail=latency,
            )


def io_queue(answer: DisksIo) -> Iterable[Reading]:
    """Requests under way or waiting on each disk, where the system tells."""
    for index, disk in enumerate(answer.disks):
        if disk.queue is not None:
            yield Reading(
                subject=disk.device,
                value=disk.queue,
                pointer=f"/disks/{index}/queue",
            )


def smart(answer: SmartHealth) -> Iterable[Reading]:
    """Each disk's own verdict; a disk that did not answer has none."""
    for index, disk in enumerate(answer.disks):
        if disk.health in ("ok", "warning", "failing"):
            yield Reading(
                subject=_name_of(disk),
                value=disk.health,
                pointer=f"/disks/{index}/health",
                detail="; ".join(disk.reasons),
                key=disk.device,
            )


def _name_of(disk: SmartDisk) -> str:
    """A disk by device, port, model and serial number, since that is what is on its label.

    Disks behind a controller share its device, and not all of them tell a label: the port alone
    tells each from the others.
    """
    place = f"{disk.device} [{disk.port}]" if disk.port else disk.device
    label = ", ".join(word for word in (disk.model, disk.serial) if word)
    return f"{place} ({label})" if label else place


def raid_state(answer: Arrays) -> Iterable[Reading]:
    """Each array's state."""
    for index, array in enumerate(answer.arrays):
        bad = [
            f"{member.device} {member.state}"
            for member in array.members
            if member.state not in WELL
        ]
        yield Reading(
            subject=f"{array.name} ({' '.join(filter(None, (array.kind, array.level)))})",
            value=array.state,
            pointer=f"/arrays/{index}/state",
            detail="; ".join(filter(None, (array.detail, *bad[:8]))),
            key=array.name,
        )


def by_io(reading: Reading) -> tuple[ToolCall, ...]:
    """Look for who reads and writes so much."""
    return (ToolCall(tool="top_processes", arguments={"sort": "io"}),)


def disks_below(reading: Reading) -> tuple[ToolCall, ...]:
    """Look for the disk that took the array down."""
    return (ToolCall(tool="smart_health", arguments={}),)


def that_disk(subject: str) -> Mapping[str, JsonScalar] | None:
    """That disk alone, for a shorter time."""
    return {"device": subject, "window_seconds": AGAIN_SECONDS}


def its_own_word(subject: str) -> Mapping[str, JsonScalar] | None:
    """That disk alone where its name says which it is; else all of them."""
    device = head_of(subject)
    return {"device": device} if OWN_DEVICE.match(device) else {}


RULES = (
    Rule(
        name="disk-io-busy",
        tool="disk_io",
        metric="disk.io_busy_percent",
        readings=io_busy,
        title="Disk busy all the time",
        advice="See which processes read and write; a high latency says that it is too much.",
        dig=by_io,
        probe=that_disk,
    ),
    Rule(
        name="disk-io-queue",
        tool="disk_io",
        metric="disk.io_queue",
        readings=io_queue,
        title="Requests pile up at a disk",
        advice="See which processes read and write, and whether the disk is healthy.",
        dig=by_io,
        probe=that_disk,
    ),
    Rule(
        name="disk-smart",
        tool="smart_health",
        metric="disk.smart",
        readings=smart,
        title="Disk not healthy by its own account",
        advice="Make sure of a backup and replace the disk.",
        probe=its_own_word,
    ),
    Rule(
        name="raid-state",
        tool="raid_zfs",
        metric="raid.state",
        readings=raid_state,
        title="Array or pool not whole",
        advice="Replace what failed and watch the rebuild; until then another failure loses data.",
        dig=disks_below,
    ),
)
