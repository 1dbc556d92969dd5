"""Arrays as the kernel and the programs tell of them: md, ZFS, btrfs, AppleRAID. Pure."""

from __future__ import annotations

import plistlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from workers.tools.catalog.shown import shown
from workers.tools.spec import Result

MEMBERS_LIMIT = 200
DETAIL_LIMIT = 300

State = Literal["ok", "degraded", "faulted", "failed", "offline", "unavail", "errors"]
Kind = Literal["md", "zfs", "btrfs", "appleraid"]

MD_OTHER = re.compile(r"Personalities|read_ahead|unused devices")
MD_COUNT = re.compile(r"\[(\d+)/(\d+)\] \[([U_]+)\]")
MD_MEMBER = re.compile(r"^([^\[\]]+)\[\d+\](?:\(([A-Z])\))?")
MD_FLAGS = {"F": "faulty", "S": "spare", "J": "journal", "R": "replacement", "W": "write-mostly"}
MD_PROGRESS = re.compile(
    r"(?:recovery|resync|reshape|check|repair)\s*=\s*(?:\d+\.\d+%|PENDING|DELAYED|REMOTE)"
)

ZFS_FIELD = re.compile(r"^ *([a-z]+): ?(.*)$")
ZFS_GROUP_DEPTH = len("\t  ")
DATA_ERRORS = re.compile(r"\d+ data errors|Permanent errors")
ZFS_STATES: Mapping[str, State] = {
    "ONLINE": "ok",
    "DEGRADED": "degraded",
    "FAULTED": "faulted",
    "SUSPENDED": "faulted",
    "UNAVAIL": "unavail",
    "OFFLINE": "offline",
    "REMOVED": "offline",
}

BTRFS_HEAD = re.compile(r"^Label: (?:none|'(.*)')\s+uuid: (\S+)$")
BTRFS_DEVICE = re.compile(r"^\s+devid\s+(\d+) .*\bpath\s+(.+)$")
BTRFS_COUNTER = re.compile(r"^\[(.+)\]\.(\w+)\s+(\d+)$", re.M)

APPLE_STATES: Mapping[str, State] = {
    "Online": "ok",
    "Degraded": "degraded",
    "Failed": "failed",
    "Offline": "offline",
}


class Member(Result):
    """A disk of an array. Errors are None where this kind of array does not count them."""

    device: str
    state: str
    read_errors: int | None = None
    write_errors: int | None = None
    checksum_errors: int | None = None


class Array(Result):
    """An array or pool.

    `state` is one word for all kinds; `detail` is what the system itself says, such as how far
    a rebuild is.
    """

    name: str
    kind: Kind
    level: str
    state: State
    detail: str
    members: tuple[Member, ...]


class BtrfsVolume(Result):
    """A mounted btrfs: its label or else its UUID, and its devices by id; missing ones are ""."""

    name: str
    devices: dict[int, str]


def parse_mdstat(text: str) -> tuple[Array, ...]:
    """The arrays in /proc/mdstat: stanzas that begin with `md0 : `, with empty lines between."""
    kept = "\n".join(line for line in text.splitlines() if not MD_OTHER.match(line))
    heads = [stanza.strip("\n").partition("\n") for stanza in re.split(r"\n\s*\n", kept)]
    return tuple(_md_array(head, body) for head, _, body in heads if " : " in head)


def _md_array(head: str, body: str) -> Array:
    """One array: `md0 : active raid1 sdb1[1](F) sda1[0]`, below it its blocks and progress."""
    name, _, rest = head.partition(" : ")
    activity, *words = rest.split()
    members = tuple(
        Member(device=found[1], state=MD_FLAGS.get(found[2] or "", "active"))
        for word in words[:MEMBERS_LIMIT]
        if (found := MD_MEMBER.match(word))
    )
    level = " ".join(word for word in words if "[" not in word and not word.startswith("("))
    counts, progress = MD_COUNT.search(body), MD_PROGRESS.search(body)
    # The firmware formats (IMSM, DDF) show a container that is never active itself.
    container = activity == "inactive" and "super external:" in body
    said = (activity, counts[0] if counts else "", progress[0] if progress else "")
    return Array(
        name=name.strip(),
        kind="md",
        level="container" if container else level,
        state="ok" if container else _md_state(activity, counts, members),
        detail=" ".join(word for word in said if word),
        members=members,
    )


def _md_state(activity: str, counts: re.Match[str] | None, members: tuple[Member, ...]) -> State:
    """An md array's state.

    `[2/1] [U_]` is how many slots there are, how many are up, and which. Just after a failure
    the first pair lags behind the second. A faulty member of an array whose slots are all up
    was replaced by a spare.
    """
    if activity == "inactive":
        return "offline"
    faulty = any(member.state == "faulty" for member in members)
    if activity == "broken" or (counts is None and faulty):
        return "failed"
    if counts is not None:
        up = min(int(counts[2]), counts[3].count("U"))
        if up < int(counts[1]):
            return "degraded" if up else "failed"
    return "errors" if faulty else "ok"


def parse_zpool_status(text: str) -> tuple[Array, ...]:
    """The pools in `zpool status -p`; `no pools available` is none."""
    return tuple(_zfs_pool(part) for part in re.split(r"^\s*pool: ", text, flags=re.M)[1:])


def _zfs_pool(text: str) -> Array:
    name, _, rest = text.partition("\n")
    fields = _zfs_fields(rest)
    # Below the heading stand the pool itself and then its devices; a lone word is a heading, too.
    rows = [row for row in fields.get("config", "").splitlines() if len(row.split()) > 1][2:]
    members = tuple(_zfs_disks(rows))[:MEMBERS_LIMIT]
    state = ZFS_STATES.get(fields["state"], "errors")
    damaged = DATA_ERRORS.match(fields.get("errors", "")) is not None or any(
        one.read_errors or one.write_errors or one.checksum_errors for one in members
    )
    said = fields.get("status") or fields.get("scan", "")
    return Array(
        name=name.strip(),
        kind="zfs",
        level=_zfs_level(rows),
        state="errors" if state == "ok" and damaged else state,
        detail=" ".join(said.split())[:DETAIL_LIMIT],
        members=members,
    )


def _zfs_fields(text: str) -> dict[str, str]:
    """Field -> its lines. What goes on below a field, tables as well, begins with a tab."""
    fields: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if found := ZFS_FIELD.match(line):
            lines = fields.setdefault(found[1], [])
            line = found[2]
        lines.append(line)
    return {name: "\n".join(kept).strip("\n") for name, kept in fields.items()}


def _zfs_disks(rows: list[str]) -> Iterator[Member]:
    """The disks: rows `sda ONLINE 0 0 0` with none deeper below them."""
    for row, below in zip(rows, [*rows[1:], ""], strict=True):
        if _depth(below) > _depth(row):
            continue
        device, state, *counts = row.split()
        read, write, checksum = (
            *(int(word) if word.isdigit() else None for word in counts[:3]),
            *(None,) * (3 - len(counts[:3])),
        )
        yield Member(
            device=device,
            state=state.lower(),
            read_errors=read,
            write_errors=write,
            checksum_errors=checksum,
        )


def _zfs_level(rows: list[str]) -> str:
    """How the pool's disks are put together: `mirror`, `raidz2`; a plain one is a `stripe`."""
    groups = [
        row.split()[0].rpartition("-")[0]
        for row, below in zip(rows, [*rows[1:], ""], strict=True)
        if _depth(below) > _depth(row) == ZFS_GROUP_DEPTH
    ]
    return ", ".join(dict.fromkeys(groups)) or "stripe"


def _depth(row: str) -> int:
    return len(row) - len(row.lstrip())


def parse_btrfs_show(text: str) -> tuple[BtrfsVolume, ...]:
    """The volumes in `btrfs filesystem show --mounted --raw`."""
    found: list[tuple[str, dict[int, str]]] = []
    for line in text.splitlines():
        if head := BTRFS_HEAD.match(line):
            found.append((head[1] or head[2], {}))
        elif found and (device := BTRFS_DEVICE.match(line)):
            path = device[2].strip()
            found[-1][1][int(device[1])] = "" if path in ("MISSING", "<missing disk>") else path
        elif found and line.strip() == "*** Some devices missing":
            found[-1][1].setdefault(0, "")  # btrfs-progs before 5.18 do not say which
    return tuple(BtrfsVolume(name=name, devices=devices) for name, devices in found)


def parse_btrfs_stats(text: str) -> dict[str, dict[str, int]]:
    """Device -> counter -> errors, from `btrfs device stats`; a missing one is `devid:2`."""
    stats: dict[str, dict[str, int]] = {}
    for device, counter, value in BTRFS_COUNTER.findall(text):
        stats.setdefault(device, {})[counter] = int(value)
    return stats


def btrfs_array(volume: BtrfsVolume, stats: Mapping[str, Mapping[str, int]]) -> Array:
    """A btrfs as an array. Its counters grow until somebody sets them back."""
    members: list[Member] = []
    for number, path in sorted(volume.devices.items())[:MEMBERS_LIMIT]:
        errors = stats.get(path or f"devid:{number}", {})
        members.append(
            Member(
                device=shown(path or f"devid:{number}"),
                state="online" if path else "missing",
                read_errors=errors.get("read_io_errs"),
                write_errors=_sum(errors, "write_io_errs", "flush_io_errs"),
                checksum_errors=_sum(errors, "corruption_errs", "generation_errs"),
            )
        )
    missing = [member.device for member in members if member.state == "missing"]
    damaged = any(value for errors in stats.values() for value in errors.values())
    return Array(
        name=shown(volume.name),
        kind="btrfs",
        level="",
        state="degraded" if missing else "errors" if damaged else "ok",
        detail=f"missing: {', '.join(missing)}" if missing else "",
        members=tuple(members),
    )


def _sum(errors: Mapping[str, int], *names: str) -> int | None:
    return sum(errors[name] for name in names if name in errors) if errors else None


def parse_apple_raid(text: str) -> tuple[Array, ...]:
    """The sets in `diskutil appleRAID list -plist`."""
    sets: list[dict[str, Any]] = plistlib.loads(text.encode())["AppleRAIDSets"]
    return tuple(
        Array(
            name=shown(str(one["Name"])),
            kind="appleraid",
            level=str(one.get("Level", "")).lower(),
            state=APPLE_STATES.get(str(one["Status"]), "errors"),
            detail=f"{one['Status']}, {one.get('BSD Name', 'no device')}",
            members=tuple(
                Member(
                    device=str(member.get("BSD Name", member.get("AppleRAIDMemberUUID", ""))),
                    state=str(member["MemberStatus"]).lower(),
                )
                for member in one.get("Members", [])[:MEMBERS_LIMIT]
            ),
        )
        for one in sets
    )
