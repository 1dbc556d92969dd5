"""Backups: when the last one was made, by the traces that backup tools leave."""

from __future__ import annotations

import plistlib
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from swarm_tasks.errors import ToolFailed, Unavailable
from swarm_tasks.models.base import Moment
from workers.tools.access import Access
from workers.tools.catalog.file_age import newest_match
from workers.tools.catalog.shown import shown
from workers.tools.spec import Command, NoArguments, Result, Tool

TMUTIL_LATEST = Command(("tmutil", "latestbackup"))
TMUTIL_DESTINATIONS = Command(("tmutil", "destinationinfo", "-X"))
TMUTIL_STAMP = re.compile(r"(\d{4}-\d{2}-\d{2}-\d{6})(?:\.backup)?/?$")

REMEDY = "list your backup files under checks.files"


@dataclass(frozen=True, slots=True)
class Trace:
    """What a backup tool leaves where it runs.

    Args:
        globs: Whose newest match was touched by the last backup.
        exclude: Names that do not count.
    """

    tool: str
    globs: tuple[str, ...]
    exclude: re.Pattern[str] | None = None


TRACES = (
    Trace(
        "restic",
        ("/root/.cache/restic/*/snapshots/*/*", "/var/cache/restic/*/snapshots/*/*"),
    ),
    Trace("borg", ("/root/.config/borg/security/*/manifest-timestamp",)),
    Trace("rsnapshot", ("/var/cache/rsnapshot/*.0",)),
    Trace(
        "timeshift",
        (
            "/timeshift/snapshots/*/info.json",
            "/run/timeshift/*/backup/timeshift/snapshots/*/info.json",
        ),
    ),
    Trace("duplicity", ("/root/.cache/duplicity/*/*.manifest*",)),
    Trace(
        # Debian copies its package and account databases here every day: no backup of anything.
        "/var/backups",
        ("/var/backups/*",),
        re.compile(r"(dpkg|apt\.extended_states|alternatives\.tar|aptitude\.pkgstates|.*\.bak$)"),
    ),
)


class Backup(Result):
    """The newest backup of one tool. `path` is what shows it."""

    tool: str
    path: str
    made: Moment
    age_seconds: float


class Destination(Result):
    """Where Time Machine backs up to. `mount` is None while the volume is not there."""

    name: str
    kind: str
    mount: str | None


class Backups(Result):
    """The newest backup of every tool that left a trace, the youngest first.

    It says that a tool ran, not that what it wrote can be restored.
    """

    backups: tuple[Backup, ...]
    destinations: tuple[Destination, ...] = ()


def parse_latest_backup(text: str, now: float) -> Backup:
    """The path that `tmutil latestbackup` prints; its last part is the local time.

    Raises:
        ValueError: There is no time in it.
    """
    path = text.strip().splitlines()[-1] if text.strip() else ""
    found = TMUTIL_STAMP.search(path)
    if found is None:
        raise ValueError(f"no time in {path!r}")
    made = datetime.strptime(found[1], "%Y-%m-%d-%H%M%S").astimezone()
    return Backup(
        tool="Time Machine",
        path=shown(path),
        made=made.astimezone(UTC),
        age_seconds=round(now - made.timestamp(), 1),
    )


def parse_destinations(text: str) -> tuple[Destination, ...]:
    """The destinations in `tmutil destinationinfo -X`.

    Their URLs are left out: they may hold a user's name and password.
    """
    if "<plist" not in text:  # "tmutil: No destinations configured."
        return ()
    listed: list[dict[str, Any]] = plistlib.loads(text.encode()).get("Destinations", [])
    return tuple(
        Destination(
            name=shown(str(one.get("Name", ""))),
            kind=str(one.get("Kind", "")),
            mount=shown(str(one["MountPoint"])) if "MountPoint" in one else None,
        )
        for one in listed
    )


async def read_backups_linux(arguments: NoArguments, access: Access) -> Backups:
    """Look for the traces of well-known tools.

    Raises:
        Unavailable: There is none.
    """
    found: list[Backup] = []
    denied = 0
    for trace in TRACES:
        for glob in trace.globs:
            newest = await access.call(
                f"glob({glob})", newest_match, glob, access.machine.root, trace.exclude
            )
            denied += newest.denied
            if newest.newest and newest.modified and newest.age_seconds is not None:
                found.append(
                    Backup(
                        tool=trace.tool,
                        path=newest.newest,
                        made=newest.modified,
                        age_seconds=newest.age_seconds,
                    )
                )
    if not found:
        remedy = f"run the worker as root, or {REMEDY}" if denied else REMEDY
        raise Unavailable("no backup tool left a trace that can be seen here", remedy)
    return Backups(backups=tuple(sorted(found, key=lambda one: one.age_seconds)))


async def read_backups_macos(arguments: NoArguments, access: Access) -> Backups:
    """Ask Time Machine.

    Raises:
        Unavailable: It was never set up, or its last backup cannot be seen now.
    """
    destinations = parse_destinations((await access.run(TMUTIL_DESTINATIONS)).stdout)
    if not destinations:
        raise Unavailable("Time Machine has no destination", f"set one up, or {REMEDY}")
    try:
        latest = parse_latest_backup((await access.run(TMUTIL_LATEST)).stdout, time.time())
    except ToolFailed as error:
        raise Unavailable(
            f"Time Machine does not tell its last backup: {error.message}",
            "give the worker Full Disk Access and connect the backup volume",
        ) from error
    return Backups(backups=(latest,), destinations=destinations)


TOOLS = (
    Tool(
        name="backups",
        summary="When the last backup was made, by the traces of well-known backup tools.",
        arguments=NoArguments,
        result=Backups,
        reads={"linux": read_backups_linux, "darwin": read_backups_macos},
        needs={"darwin": (TMUTIL_LATEST,)},
    ),
)
