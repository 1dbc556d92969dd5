"""Storage: parsers on golden files, tools on this machine, rules on typed answers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from swarm_tasks.models.evidence import EvidenceStatus
from tests.support.golden import assert_golden, inputs
from workers.rules.storage import disk_used, scaled
from workers.tools.access import Machine, this_machine
from workers.tools.catalog import storage
from workers.tools.catalog.storage import DiskFillEta, DiskUsage, Mount, Volume
from workers.tools.registry import Registry

REGISTRY = Registry(storage.TOOLS)


@pytest.mark.parametrize("source", inputs("findmnt"), ids=lambda path: path.stem)
def test_findmnt_is_parsed(source: Path) -> None:
    assert_golden(storage.parse_findmnt(source.read_text()), source)


@pytest.mark.parametrize("source", inputs("mount_macos"), ids=lambda path: path.stem)
def test_macos_mount_is_parsed(source: Path) -> None:
    assert_golden(storage.parse_mount_macos(source.read_text()), source)


@pytest.mark.parametrize("source", inputs("apfs_containers"), ids=lambda path: path.stem)
def test_apfs_containers_are_parsed(source: Path) -> None:
    assert_golden(storage.parse_apfs_containers(source.read_text()), source)


@pytest.mark.parametrize(
    ("fstype", "device", "read_only", "mount", "reason"),
    [
        ("ext4", "/dev/sda1", False, "/", ""),
        ("ext4", "/dev/sda1", True, "/", "read-only"),
        ("squashfs", "/dev/loop3", True, "/snap/core", "a read-only image is always full"),
        ("ext4", "/dev/loop3", False, "/srv/image", ""),
        ("proc", "proc", False, "/proc", "no storage behind it"),
        ("overlay", "overlay", False, "/", ""),
        ("overlay", "overlay", False, "/var/lib/docker/x", "no storage behind it"),
    ],
)
def test_only_real_volumes_can_be_full(
    fstype: str, device: str, read_only: bool, mount: str, reason: str
) -> None:
    one = Mount(
        mount=mount,
        device=device,
        fstype=fstype,
        read_only=read_only,
        kind=storage.kind_of(fstype),
    )
    assert storage.why_left_out(one, ()) == reason


def test_every_storage_tool_answers_on_this_machine() -> None:
    for tool in REGISTRY:
        outcome = asyncio.run(REGISTRY.call(tool.name, {}, this_machine()))
        if tool.name == "disk_fill_eta":
            assert outcome.status is EvidenceStatus.UNAVAILABLE
            assert "samples" in outcome.reason
        else:
            assert outcome.status is EvidenceStatus.OK, outcome.reason
            assert outcome.source


def test_usage_agrees_with_df_on_the_root_volume() -> None:
    import shutil

    outcome = asyncio.run(REGISTRY.call("disk_usage", {"mount": "/"}, this_machine()))
    assert isinstance(outcome.result, DiskUsage)
    assert outcome.result.volumes[0].total_bytes == shutil.disk_usage("/").total


def test_a_mount_that_is_not_there_is_a_failure_with_its_name() -> None:
    outcome = asyncio.run(REGISTRY.call("disk_usage", {"mount": "/nowhere"}, this_machine()))
    assert outcome.status is EvidenceStatus.FAILED
    assert "/nowhere" in outcome.reason


class GrowingHistory:
    """A volume that grew by 1 GB an hour for six hours."""

    async def samples(self, metric: str, subject: str) -> list[tuple[float, float]]:
        return [(hour * 3600.0, hour * 1e9) for hour in range(7)]


def test_fill_eta_follows_the_growth_in_the_history() -> None:
    machine = Machine(platform=this_machine().platform, history=GrowingHistory())
    outcome = asyncio.run(REGISTRY.call("disk_fill_eta", {"mount": "/"}, machine))
    assert isinstance(outcome.result, DiskFillEta)
    assert outcome.result.growth_bytes_per_hour == pytest.approx(1e9)
    assert outcome.result.full_in_seconds == pytest.approx(
        outcome.result.free_bytes / 1e9 * 3600, rel=0.01
    )


def test_a_reading_names_mount_point_device_and_type() -> None:
    volume = Volume(
        mount="/var",
        device="/dev/sda2",
        fstype="ext4",
        kind="local",
        read_only=False,
        total_bytes=100,
        used_bytes=93,
        free_bytes=7,
        used_percent=93.0,
    )
    (reading,) = disk_used(DiskUsage(volumes=(volume,), left_out={}))
    assert reading.subject == "/var (/dev/sda2, ext4)"
    assert reading.pointer == "/volumes/0/used_percent"
    assert reading.limits is None


def test_levels_of_very_large_volumes_are_scaled_and_never_lowered() -> None:
    assert scaled(90, 500 * 1024**3) == 90
    assert 94 < scaled(90, 2 * 1024**4) < 97
