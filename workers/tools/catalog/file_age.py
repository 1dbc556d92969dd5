"""Find files by a pattern, without getting lost, and say how old the newest is."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from fnmatch import translate
from pathlib import Path
from typing import Literal

from pydantic import Field

from swarm_tasks.errors import Unavailable
from swarm_tasks.models.base import Moment
from workers.tools.access import Access
from workers.tools.catalog.shown import shown
from workers.tools.spec import Arguments, Result, Tool, every_platform

ENTRIES_LIMIT = 10_000
GLOB_PATTERN = r"^/[^\x00-\x1f\x7f]+$"
MAGIC = re.compile(r"[*?\[]")


class FileAge(Result):
    """The newest of the files that match, and how many there are.

    Nothing that matches is an answer: `state` is `missing` and `newest` None then. `cut_short`
    says that there were more entries than are looked at, so that a newer one may have been
    missed, and `denied` on how many paths the worker may not look.
    """

    glob: str
    state: Literal["present", "missing"]
    count: int
    newest: str | None
    modified: Moment | None
    age_seconds: float | None
    size_bytes: int | None
    cut_short: bool
    denied: int


class GlobArguments(Arguments):
    """Which files."""

    glob: str = Field(
        pattern=GLOB_PATTERN,
        max_length=1024,
        description="Absolute, with * ? [] within a name, such as /backup/*.tar.gz; no **.",
    )


class Looked:
    """How many directory entries may still be looked at.

    Attributes:
        left: How many more.
        cut_short: Whether there were more than that.
        denied: How many directories and files may not be looked at.
    """

    def __init__(self, limit: int = ENTRIES_LIMIT) -> None:
        self.left = limit
        self.cut_short = False
        self.denied = 0

    def entries(self, directory: Path) -> Iterator[str]:
        """Names in `directory` while they last; none where it may not be read."""
        try:
            with os.scandir(directory) as scan:
                for entry in scan:
                    if self.left <= 0:
                        self.cut_short = True
                        return
                    self.left -= 1
                    yield entry.name
        except PermissionError:
            self.denied += 1
        except OSError:
            return


def matches(base: Path, parts: Sequence[str], looked: Looked) -> Iterator[Path]:
    """Paths below `base` that match `parts`, a pattern for each step.

    As in a shell, a pattern matches a hidden name only if it begins with a dot itself, and a
    step without a wildcard is taken as it is.
    """
    if not parts:
        yield base
        return
    first, *rest = parts
    if not MAGIC.search(first):
        yield from matches(base / first, rest, looked)
        return
    fits = re.compile(translate(first)).match
    for name in looked.entries(base):
        if fits(name) and (first.startswith(".") or not name.startswith(".")):
            yield from matches(base / name, rest, looked)


def newest_match(glob: str, root: Path, exclude: re.Pattern[str] | None = None) -> FileAge:
    """The newest file or directory that matches `glob` below `root`. Blocking.

    A link at the end is followed: `latest` is a usual name of a backup. Names that `exclude`
    matches do not count.
    """
    looked = Looked()
    count, newest = 0, (0.0, 0, "")
    for path in matches(root, [part for part in glob.split("/") if part], looked):
        if exclude is not None and exclude.match(path.name):
            continue
        try:
            seen = path.stat()
        except OSError as error:
            looked.denied += isinstance(error, PermissionError)
            continue
        if stat.S_ISREG(seen.st_mode) or stat.S_ISDIR(seen.st_mode):
            count += 1
            newest = max(newest, (seen.st_mtime, seen.st_size, str(path)))
    at, size_bytes, name = newest
    return FileAge(
        glob=glob,
        state="present" if count else "missing",
        count=count,
        newest=shown(name) if count else None,
        modified=datetime.fromtimestamp(at, tz=UTC) if count else None,
        age_seconds=round(time.time() - at, 1) if count else None,
        size_bytes=size_bytes if count else None,
        cut_short=looked.cut_short,
        denied=looked.denied,
    )


async def read_file_age(arguments: GlobArguments, access: Access) -> FileAge:
    """The newest match of a pattern.

    Raises:
        Unavailable: There is none to be seen, and something may not be looked at.
    """
    note = f"glob({arguments.glob})"
    found = await access.call(note, newest_match, arguments.glob, access.machine.root)
    if not found.count and found.denied:
        raise Unavailable(f"{note}: permission denied", "run the worker as root")
    return found


TOOLS = (
    Tool(
        name="file_age",
        summary="The newest file that matches a pattern: its age and size, and how many match.",
        arguments=GlobArguments,
        result=FileAge,
        reads=every_platform(read_file_age),
    ),
)
