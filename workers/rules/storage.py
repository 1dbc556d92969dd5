"""Rules about storage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from swarm_tasks.models.base import JsonScalar
from swarm_tasks.models.evidence import ToolCall
from swarm_tasks.models.policy import Limits
from workers.rules.rule import Reading, Rule, head_of
from workers.tools.catalog.storage import (
    DiskFillEta,
    DiskUsage,
    InodeUsage,
    Mount,
    why_left_out,
)

LARGE_VOLUME_BYTES = 50_000_000_000
"""From this size on, few free bytes are a finding of their own (Netdata's 5 GB rule)."""

MAGIC_FACTOR = 0.8
NORMAL_SIZE_BYTES = 20 * 1024**3
SCALED_FROM_BYTES = 1024**4
"""Checkmk's size-scaled levels: factor 0.8 around a normal size of 20 GiB. Applied from 1 TiB
up, and never downwards, so that ordinary volumes keep the plain levels."""


def scaled(level_percent: float, total_bytes: int) -> float:
    """A level for a very large volume, after Checkmk's `magic` factor.

    The share that may stay free shrinks with size: (size / normal) ** (factor - 1).
    """
    if total_bytes < SCALED_FROM_BYTES:
        return level_percent
    relative = total_bytes / NORMAL_SIZE_BYTES
    return round(100 - (100 - level_percent) * relative ** (MAGIC_FACTOR - 1), 2)


def volume_limits(total_bytes: int) -> Limits | None:
    """Levels of `disk.used_percent` for a volume so large that the plain ones do not fit."""
    if total_bytes < SCALED_FROM_BYTES:
        return None
    return Limits(
        warning=scaled(80, total_bytes),
        critical=scaled(90, total_bytes),
        warning_clear=scaled(70, total_bytes),
        critical_clear=scaled(80, total_bytes),
    )


def name_of(volume: Mount) -> str:
    """A volume by mount point, device and type: never just "the disk"."""
    return f"{volume.mount} ({volume.device}, {volume.fstype})"


def fills_up(volume: Mount) -> bool:
    """Whether the levels fit this mount, which somebody may have asked for by its name."""
    return not why_left_out(volume)


def disk_used(answer: DiskUsage) -> Iterable[Reading]:
    """Percent used of each volume."""
    for index, volume in enumerate(answer.volumes):
        yield Reading(
            subject=name_of(volume),
            value=volume.used_percent,
            pointer=f"/volumes/{index}/used_percent",
            limits=volume_limits(volume.total_bytes),
            key=volume.mount,
            judged=fills_up(volume),
        )


def disk_free(answer: DiskUsage) -> Iterable[Reading]:
    """Bytes left on each large volume."""
    for index, volume in enumerate(answer.volumes):
        if volume.total_bytes >= LARGE_VOLUME_BYTES:
            yield Reading(
                subject=name_of(volume),
                value=volume.free_bytes,
                pointer=f"/volumes/{index}/free_bytes",
                key=volume.mount,
                judged=fills_up(volume),
            )


def inodes_used(answer: InodeUsage) -> Iterable[Reading]:
    """Percent of inodes used on each volume."""
    for index, volume in enumerate(answer.volumes):
        yield Reading(
            subject=name_of(volume),
            value=volume.used_percent,
            pointer=f"/volumes/{index}/used_percent",
            key=volume.mount,
            judged=fills_up(volume),
        )


def fill_eta(answer: DiskFillEta) -> Iterable[Reading]:
    """Seconds until the volume is full, where it grows."""
    if answer.full_in_seconds is not None:
        yield Reading(
            subject=name_of(answer),
            value=answer.full_in_seconds,
            pointer="/full_in_seconds",
            key=answer.mount,
            judged=fills_up(answer),
        )


def largest_below(reading: Reading) -> tuple[ToolCall, ...]:
    """Look for what fills the volume."""
    return (ToolCall(tool="largest_paths", arguments={"mount": reading.key}),)


def its_volume(subject: str) -> Mapping[str, JsonScalar] | None:
    """That mount alone: without it, tools leave out bind mounts and what was not asked for."""
    mount = head_of(subject)
    return {"mount": mount} if mount.startswith("/") else {}


RULES = (
    Rule(
        name="disk-used",
        tool="disk_usage",
        metric="disk.used_percent",
        readings=disk_used,
        title="Volume nearly full",
        advice="Free space or grow the volume; the largest paths are in the evidence.",
        dig=largest_below,
        probe=its_volume,
    ),
    Rule(
        name="disk-free",
        tool="disk_usage",
        metric="disk.free_bytes",
        readings=disk_free,
        title="Little space left on a large volume",
        advice="Free space or grow the volume; the largest paths are in the evidence.",
        dig=largest_below,
        probe=its_volume,
    ),
    Rule(
        name="inodes-used",
        tool="inode_usage",
        metric="disk.inodes_percent",
        readings=inodes_used,
        title="Inodes nearly used up",
        advice="Look for a directory with very many small files and remove or archive them.",
        probe=its_volume,
    ),
    Rule(
        name="disk-fill-eta",
        tool="disk_fill_eta",
        metric="disk.full_in_seconds",
        readings=fill_eta,
        title="Volume will soon be full",
        advice="Find what grows and stop it, or free space before that time.",
        dig=largest_below,
        probe=its_volume,
        # The tool answered, and says that the volume grows no more.
        absent_is_well=True,
    ),
)
