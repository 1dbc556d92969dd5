"""RAID and pools: whether an array lost a disk, by every means that this machine has."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from pydantic import Field

from swarm_tasks.errors import ToolError, ToolFailed, Unavailable
from workers.tools.access import Access
from workers.tools.catalog.arrays import (
    Array,
    Kind,
    btrfs_array,
    parse_apple_raid,
    parse_btrfs_show,
    parse_btrfs_stats,
    parse_mdstat,
    parse_zpool_status,
)
from workers.tools.catalog.storage import list_mounts
from workers.tools.spec import Arguments, Command, Result, Tool

MDSTAT = "/proc/mdstat"
ZPOOL_STATUS = Command(
    # The plain form, which every OpenZFS has: --json came with 2.3. With -p numbers are exact.
    ("zpool", "status", "-p"),
    ok=None,
    package="zfsutils-linux",
)
ZFS_NOT_LOADED = re.compile(r"modules (?:are not|cannot be) (?:auto-)?loaded|/dev/zfs", re.I)
BTRFS_SHOW = Command(
    ("btrfs", "filesystem", "show", "--mounted", "--raw"),
    ok=(0, 1),  # 1 where no btrfs is mounted
    package="btrfs-progs",
)
BTRFS_STATS = Command(("btrfs", "device", "stats", "--", "{mount}"), package="btrfs-progs")
DISKUTIL_RAID = Command(("diskutil", "appleRAID", "list", "-plist"))

ARRAYS_LIMIT = 200

Look = Callable[[Access], Awaitable[tuple[Array, ...]]]


class Arrays(Result):
    """All arrays; which kinds were looked for, and what stood in the way of the others."""

    arrays: tuple[Array, ...]
    looked_for: tuple[Kind, ...]
    left_out: dict[str, str]


class OneArray(Arguments):
    """Which array."""

    pool: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.: /-]*$",
        max_length=128,
        description="Such as md0 or tank; without it, every one.",
    )


async def look_for_md(access: Access) -> tuple[Array, ...]:
    """Arrays of the kernel's own RAID."""
    return parse_mdstat(await access.read(MDSTAT))


async def look_for_zfs(access: Access) -> tuple[Array, ...]:
    """ZFS pools.

    Raises:
        Unavailable: The program is there, the kernel module is not.
        ToolFailed: zpool said something else than a status.
    """
    done = await access.run(ZPOOL_STATUS)
    said = (done.stderr.strip() or done.stdout.strip()).partition("\n")[0]
    if ZFS_NOT_LOADED.search(done.stderr):
        raise Unavailable("the ZFS kernel module is not loaded", "modprobe zfs")
    if done.code and "pool:" not in done.stdout:
        raise ToolFailed(f"zpool: {said} (exit code {done.code})")
    return parse_zpool_status(done.stdout)


async def look_for_btrfs(access: Access) -> tuple[Array, ...]:
    """Mounted btrfs volumes with the error counters of their devices."""
    volumes = parse_btrfs_show((await access.run(BTRFS_SHOW)).stdout)
    if not volumes:
        return ()
    # findmnt shows a subvolume as `/dev/sda2[/@home]`.
    mounted = {
        mount.device.partition("[")[0]: mount.mount
        for mount in await list_mounts(access)
        if mount.fstype == "btrfs"
    }
    arrays: list[Array] = []
    for volume in volumes:
        mount = next((mounted[path] for path in volume.devices.values() if path in mounted), None)
        text = (await access.run(BTRFS_STATS, mount=mount)).stdout if mount else ""
        arrays.append(btrfs_array(volume, parse_btrfs_stats(text)))
    return tuple(arrays)


async def look_for_appleraid(access: Access) -> tuple[Array, ...]:
    """Sets of macOS's own RAID."""
    return parse_apple_raid((await access.run(DISKUTIL_RAID)).stdout)


LINUX: dict[Kind, Look] = {"md": look_for_md, "zfs": look_for_zfs, "btrfs": look_for_btrfs}
MACOS: dict[Kind, Look] = {"appleraid": look_for_appleraid, "zfs": look_for_zfs}


async def read_raid_zfs(arguments: OneArray, access: Access) -> Arrays:
    """Every array by every means. Where one means fails, the others still answer.

    Raises:
        Unavailable: There is no means at all.
        ToolFailed: The array that is asked for is not there.
    """
    found: list[Array] = []
    looked_for: list[Kind] = []
    left_out: dict[str, str] = {}
    for kind, look in (MACOS if access.machine.platform == "darwin" else LINUX).items():
        try:
            found.extend(await look(access))
            looked_for.append(kind)
        except ToolError as error:
            left_out[kind] = error.message
    if not looked_for:
        raise Unavailable(
            f"nothing here can tell of arrays ({'; '.join(left_out.values())})",
            "it answers where there is /proc/mdstat, zpool or btrfs",
        )
    if arguments.pool is not None:
        found = [array for array in found if array.name == arguments.pool]
        if not found:
            raise ToolFailed(f"there is no array {arguments.pool}", "call it without a pool")
    return Arrays(
        arrays=tuple(found[:ARRAYS_LIMIT]), looked_for=tuple(looked_for), left_out=left_out
    )


TOOLS = (
    Tool(
        name="raid_zfs",
        summary="State of every RAID array and pool (md, ZFS, btrfs, AppleRAID) and its disks.",
        arguments=OneArray,
        result=Arrays,
        reads={"linux": read_raid_zfs, "darwin": read_raid_zfs},
        timeout_seconds=30.0,
    ),
)
