"""Storage: what is mounted, how full it is, and when it will be full."""

from __future__ import annotations

import json
import os
import plistlib
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import Field

from swarm_tasks.errors import ToolFailed, Unavailable
from workers.tools.access import Access
from workers.tools.spec import Arguments, Command, NoArguments, Result, Sample, Tool, every_platform

Kind = Literal["local", "network", "memory", "pseudo", "image"]

PSEUDO = frozenset(
    {
        *("autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devfs"),
        *("devpts", "devtmpfs", "efivarfs", "fuse.lxcfs", "fuse.portal", "fusectl", "hugetlbfs"),
        *("mqueue", "nsfs", "overlay", "proc", "pstore", "rpc_pipefs", "securityfs", "selinuxfs"),
        *("sysfs", "tracefs"),
    }
)
MEMORY = frozenset({"tmpfs", "ramfs"})
IMAGE = frozenset({"squashfs", "iso9660", "erofs", "cramfs", "udf"})
NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afpfs", "fuse.sshfs", "ceph", "glusterfs", "9p"}
)
MACOS_SYSTEM = "/System/Volumes/"
MACOS_DATA = "/System/Volumes/Data"

FINDMNT = Command(
    (
        "findmnt",
        "--json",
        "--bytes",
        "--list",
        "--nofsroot",
        "--output",
        "TARGET,SOURCE,FSTYPE,FS-OPTIONS",
    ),
    package="util-linux",
)
DISKUTIL_APFS = Command(("diskutil", "apfs", "list", "-plist"))
MOUNT_MACOS = Command(("mount",))

MOUNT_PATTERN = r"^/[^\x00]*$"


class Mount(Result):
    """One mounted file system, named by all that tells it from another.

    `kind` says what stands behind it: only `local` and `network` are volumes that fill up.
    """

    mount: str
    device: str
    fstype: str
    read_only: bool
    kind: Kind


class Mounts(Result):
    """Everything that is mounted."""

    mounts: tuple[Mount, ...]


class Volume(Mount):
    """How full one volume is. Percent is of what an ordinary user may fill, as df counts."""

    total_bytes: int
    used_bytes: int
    free_bytes: int
    used_percent: float


class DiskUsage(Result):
    """How full the volumes are, and which mounts were left out and why."""

    volumes: tuple[Volume, ...]
    left_out: dict[str, str]


class InodeVolume(Mount):
    """Inodes of one volume."""

    total: int
    used: int
    used_percent: float


class InodeUsage(Result):
    """Inodes of the volumes that count them; others (btrfs, APFS) make them as needed."""

    volumes: tuple[InodeVolume, ...]


class DiskFillEta(Mount):
    """When a volume is full if it grows on as it did.

    `full_in_seconds` is None where it does not grow; the line is a least-squares fit over
    the samples, as predict_linear of Prometheus does it.
    """

    samples: int
    span_seconds: float
    growth_bytes_per_hour: float
    free_bytes: int
    full_in_seconds: float | None


class OneMount(Arguments):
    """Which mount point; without it, all of them."""

    mount: str | None = Field(default=None, pattern=MOUNT_PATTERN, max_length=4096)


class DiskUsageArguments(OneMount):
    """Which mount point, and which file system types to leave out beside the pseudo ones."""

    exclude_fstypes: tuple[str, ...] = Field(default=(), max_length=50)


class MountArgument(Arguments):
    """The mount point."""

    mount: str = Field(default="/", pattern=MOUNT_PATTERN, max_length=4096)


def kind_of(fstype: str) -> Kind:
    """What stands behind a mount of this type."""
    if fstype in PSEUDO:
        return "pseudo"
    if fstype in MEMORY:
        return "memory"
    if fstype in IMAGE:
        return "image"
    return "network" if fstype in NETWORK else "local"


def parse_findmnt(text: str) -> tuple[Mount, ...]:
    """The mounts in `findmnt --json --list`; a mount over another hides the one below.

    Read-only is what the file system itself is. A volume that only this worker may not write,
    as under systemd's ProtectSystem, still fills up by others.
    """
    rows: list[dict[str, Any]] = json.loads(text)["filesystems"]
    mounts: dict[str, Mount] = {}
    for row in rows:
        fstype, device = str(row["fstype"]), str(row["source"])
        mounts[str(row["target"])] = Mount(
            mount=str(row["target"]),
            device=device,
            fstype=fstype,
            read_only="ro" in str(row["fs-options"]).split(","),
            kind=kind_of(fstype),
        )
    return tuple(mounts.values())


def parse_mount_macos(text: str) -> tuple[Mount, ...]:
    """The mounts in macOS `mount`: `/dev/disk3s1s1 on / (apfs, sealed, local, read-only)`."""
    mounts: list[Mount] = []
    for line in text.splitlines():
        head, _, options_text = line.rpartition(" (")
        device, on, mount = head.partition(" on ")
        if not on:
            continue
        options = [option.strip() for option in options_text.rstrip(")").split(",")]
        sealed = mount != MACOS_DATA and mount.startswith(MACOS_SYSTEM)
        kind: Kind = "image" if "sealed" in options or sealed else kind_of(options[0])
        mounts.append(
            Mount(
                mount=mount,
                device=device,
                fstype=options[0],
                read_only="read-only" in options,
                kind=kind,
            )
        )
    return tuple(mounts)


def parse_apfs_containers(text: str) -> dict[str, tuple[int, int]]:
    """Device -> (capacity, free) in bytes, from `diskutil apfs list -plist`.

    All volumes of a container share its free space, so that is what can still be used.
    """
    plist: dict[str, Any] = plistlib.loads(text.encode())
    space: dict[str, tuple[int, int]] = {}
    for container in plist["Containers"]:
        size = (int(container["CapacityCeiling"]), int(container["CapacityFree"]))
        for volume in container["Volumes"]:
            space[f"/dev/{volume['DeviceIdentifier']}"] = size
    return space


def why_left_out(mount: Mount, excluded: tuple[str, ...] = ()) -> str:
    """Why this mount is not a volume that can fill up; empty where it is one.

    Whoever asks for such a mount by its name is told how full it is all the same. It is always
    full, or never: no level fits it.
    """
    if mount.fstype in excluded:
        return "excluded by the caller"
    # A container's root is an overlay, and the only sight of the disk that it has; the overlays
    # elsewhere are a container engine's, on a disk that is listed already.
    if mount.kind == "pseudo" and (mount.fstype, mount.mount) != ("overlay", "/"):
        return "no storage behind it"
    if mount.kind == "image":
        return "a read-only image is always full"
    return "read-only" if mount.read_only else ""


def volume_from(mount: Mount, size: os.statvfs_result) -> Volume:
    """A volume from its statvfs. Percent as df: used of what an ordinary user may use."""
    total = size.f_blocks * size.f_frsize
    free = size.f_bavail * size.f_frsize
    used = total - size.f_bfree * size.f_frsize
    usable = used + free
    return Volume(
        **mount.model_dump(),
        total_bytes=total,
        used_bytes=used,
        free_bytes=free,
        used_percent=round(100 * used / usable, 2) if usable else 0.0,
    )


def apfs_volume(volume: Volume, space: Mapping[str, tuple[int, int]]) -> Volume:
    """An APFS volume with its container's numbers in place of its own."""
    if volume.device not in space:
        return volume
    total, free = space[volume.device]
    return volume.model_copy(
        update={
            "total_bytes": total,
            "free_bytes": free,
            "used_bytes": total - free,
            "used_percent": round(100 * (total - free) / total, 2) if total else 0.0,
        }
    )


def fit_growth(samples: list[tuple[float, float]]) -> float:
    """Growth in units per second: the slope of a least-squares line (ordinary linear fit)."""
    count = len(samples)
    middle = sum(at for at, _ in samples) / count
    mean = sum(value for _, value in samples) / count
    spread = sum((at - middle) ** 2 for at, _ in samples)
    if spread == 0:
        return 0.0
    return sum((at - middle) * (value - mean) for at, value in samples) / spread


async def list_mounts(access: Access) -> tuple[Mount, ...]:
    """All mounts of this machine."""
    if access.machine.platform == "darwin":
        return parse_mount_macos((await access.run(MOUNT_MACOS)).stdout)
    return parse_findmnt((await access.run(FINDMNT)).stdout)


async def read_mounts(arguments: NoArguments, access: Access) -> Mounts:
    """What is mounted."""
    return Mounts(mounts=await list_mounts(access))


async def read_disk_usage(arguments: DiskUsageArguments, access: Access) -> DiskUsage:
    """How full each volume is; one line per device, at its shortest mount point."""
    volumes: dict[tuple[str, int], Volume] = {}
    left_out: dict[str, str] = {}
    for mount in _chosen(await list_mounts(access), arguments.mount):
        reason = why_left_out(mount, arguments.exclude_fstypes)
        if reason and arguments.mount is None:
            left_out[mount.mount] = reason
            continue
        try:
            size = await access.call(f"statvfs({mount.mount})", os.statvfs, mount.mount)
        except (OSError, Unavailable) as error:
            left_out[mount.mount] = f"cannot be read: {error}"
            continue
        if size.f_blocks == 0:
            left_out[mount.mount] = "no storage behind it"
            continue
        # A bind mount shows the same storage again: it is one volume, not two.
        key = (mount.device, size.f_fsid) if mount.kind != "memory" else (mount.mount, 0)
        seen = volumes.get(key)
        if seen is None or len(mount.mount) < len(seen.mount):
            volumes[key] = volume_from(mount, size)
    found = tuple(volumes.values())
    if access.machine.platform == "darwin" and any(one.fstype == "apfs" for one in found):
        space = parse_apfs_containers((await access.run(DISKUTIL_APFS)).stdout)
        found = tuple(apfs_volume(one, space) for one in found)
    return DiskUsage(volumes=found, left_out=left_out)


async def read_inode_usage(arguments: OneMount, access: Access) -> InodeUsage:
    """Inodes per volume."""
    volumes: list[InodeVolume] = []
    seen: set[tuple[str, int]] = set()
    for mount in _chosen(await list_mounts(access), arguments.mount):
        if why_left_out(mount) and arguments.mount is None:
            continue
        try:
            size = await access.call(f"statvfs({mount.mount})", os.statvfs, mount.mount)
        except (OSError, Unavailable):
            continue
        key = (mount.device, size.f_fsid) if mount.kind != "memory" else (mount.mount, 0)
        if size.f_files == 0 or key in seen:
            continue
        seen.add(key)
        used = size.f_files - size.f_ffree
        volumes.append(
            InodeVolume(
                **mount.model_dump(),
                total=size.f_files,
                used=used,
                used_percent=round(100 * used / size.f_files, 2),
            )
        )
    return InodeUsage(volumes=tuple(volumes))


async def read_disk_fill_eta(arguments: MountArgument, access: Access) -> DiskFillEta:
    """When a volume is full, from this host's own history of samples."""
    usage = await read_disk_usage(DiskUsageArguments(mount=arguments.mount), access)
    if not usage.volumes:
        raise ToolFailed(f"{arguments.mount} could not be read")
    volume = usage.volumes[0]
    access.source.append(f"history(disk.used_bytes, {volume.mount})")
    samples = await access.machine.history.samples("disk.used_bytes", volume.mount)
    span = samples[-1][0] - samples[0][0] if samples else 0.0
    if len(samples) < 3 or span < 3600:
        raise Unavailable(
            f"{len(samples)} samples over {span / 60:.0f} min are too few to see growth",
            "it answers once an hour of samples is there",
        )
    growth = fit_growth(samples)
    return DiskFillEta(
        mount=volume.mount,
        device=volume.device,
        fstype=volume.fstype,
        read_only=volume.read_only,
        kind=volume.kind,
        samples=len(samples),
        span_seconds=round(span, 1),
        growth_bytes_per_hour=round(growth * 3600, 1),
        free_bytes=volume.free_bytes,
        full_in_seconds=round(volume.free_bytes / growth, 1) if growth > 0 else None,
    )


def used_bytes_samples(result: DiskUsage) -> Iterable[Sample]:
    """What each volume holds now, for `disk_fill_eta`."""
    for volume in result.volumes:
        yield Sample("disk.used_bytes", volume.mount, volume.used_bytes)


def _chosen(mounts: tuple[Mount, ...], wanted: str | None) -> tuple[Mount, ...]:
    """All mounts, or the one that is asked for.

    Raises:
        ToolFailed: Nothing is mounted there.
    """
    if wanted is None:
        return mounts
    found = tuple(mount for mount in mounts if mount.mount == wanted)
    if not found:
        raise ToolFailed(f"nothing is mounted at {wanted}", "see the tool `mounts`")
    return found


TOOLS = (
    Tool(
        name="mounts",
        summary="Every mounted file system with device, type and what stands behind it.",
        arguments=NoArguments,
        result=Mounts,
        reads=every_platform(read_mounts),
        needs={"linux": (FINDMNT,)},
    ),
    Tool(
        name="disk_usage",
        summary="How full each real volume is, by device, mount point and file system type.",
        arguments=DiskUsageArguments,
        result=DiskUsage,
        reads=every_platform(read_disk_usage),
        needs={"linux": (FINDMNT,)},
        samples=used_bytes_samples,
    ),
    Tool(
        name="inode_usage",
        summary="How many of each file system's inodes are used.",
        arguments=OneMount,
        result=InodeUsage,
        reads=every_platform(read_inode_usage),
        needs={"linux": (FINDMNT,)},
    ),
    Tool(
        name="disk_fill_eta",
        summary="When a volume will be full at its present growth, from this host's own samples.",
        arguments=MountArgument,
        result=DiskFillEta,
        reads=every_platform(read_disk_fill_eta),
        needs={"linux": (FINDMNT,)},
    ),
)
