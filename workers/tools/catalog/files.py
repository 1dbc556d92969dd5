"""Files: what takes the space, what logs say, and how old the newest of a kind is."""

from __future__ import annotations

import heapq
import os
import stat
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from swarm_tasks.errors import ToolFailed
from workers.tools.access import Access
from workers.tools.catalog.backups import TOOLS as BACKUP_TOOLS
from workers.tools.catalog.file_age import TOOLS as FILE_AGE_TOOLS
from workers.tools.catalog.logfile import TOOLS as LOG_TOOLS
from workers.tools.catalog.shown import shown
from workers.tools.spec import Arguments, Result, Tool, every_platform

BLOCK_BYTES = 512
"""The unit of st_blocks, whatever the file system's own block is (POSIX stat.h)."""

DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class SizedPath(Result):
    """A path and what is allocated for it on disk, with all that is below a directory."""

    path: str
    allocated_bytes: int


class LargestPaths(Result):
    """The directories and the files that take most space.

    Directories are those down to the asked depth, each with all that it holds on this file
    system; files are those at any depth. When the walk was cut short, sizes are at least what
    they say, and something larger may not have been seen.
    """

    mount: str
    directories: tuple[SizedPath, ...]
    files: tuple[SizedPath, ...]
    entries_seen: int
    unreadable_directories: int
    seconds: float
    cut_short: bool


class LargestArguments(Arguments):
    """Where to look, how deep to tell directories apart, how many to show, and the bounds."""

    mount: str = Field(
        default="/",
        pattern=r"^/[^\x00-\x1f\x7f]*$",
        max_length=4096,
        description="A mount point or a directory; other file systems below it are left out.",
    )
    depth: int = Field(default=2, ge=1, le=8)
    n: int = Field(default=20, ge=1, le=200)
    seconds: float = Field(default=5.0, ge=0.1, le=30.0)
    entries: int = Field(default=500_000, ge=100, le=5_000_000)


class Waiting(NamedTuple):
    """A directory that was found and not yet read.

    Args:
        inode: What it was when it was found; another one now is not read.
        counted: The directories whose size it adds to.
    """

    path: str
    inode: int
    counted: tuple[str, ...]


@dataclass(slots=True)
class Walk:
    """A walk through one file system, broad first so that a walk cut short saw every corner.

    No link is followed, and each inode counts once however many names it has.

    Args:
        device: The file system's number; what lies on another is left out.
        depth: Down to where directories are told apart.
        n: How many files to keep.
        deadline: By the monotonic clock.
        entries_left: How many more entries to look at.
    """

    device: int
    depth: int
    n: int
    deadline: float
    entries_left: int
    sizes: dict[str, int] = field(default_factory=dict[str, int])
    files: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    seen: set[int] = field(default_factory=set[int])
    waiting: deque[Waiting] = field(default_factory=deque[Waiting])
    unreadable: int = 0

    def run(self, top: str, inode: int) -> bool:
        """Walk from `top`; False where it was cut short."""
        self.sizes[top] = 0
        self.waiting.append(Waiting(top, inode, (top,)))
        while self.waiting:
            if not self._read(self.waiting.popleft()):
                return False
        return True

    def _read(self, directory: Waiting) -> bool:
        """Read one directory; False where the bounds are reached."""
        try:
            descriptor = os.open(directory.path, DIRECTORY_FLAGS)
        except OSError:
            self.unreadable += 1
            return True
        try:
            now = os.fstat(descriptor)
            if (now.st_dev, now.st_ino) != (self.device, directory.inode):
                return True  # swapped for another since it was found
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    if self.entries_left <= 0 or time.monotonic() > self.deadline:
                        return False
                    self.entries_left -= 1
                    self._count(entry, directory)
        except OSError:
            self.unreadable += 1
        finally:
            os.close(descriptor)
        return True

    def _count(self, entry: os.DirEntry[str], directory: Waiting) -> None:
        """Add one entry to every directory that it counts for."""
        try:
            now = entry.stat(follow_symlinks=False)
        except OSError:
            return
        is_directory = stat.S_ISDIR(now.st_mode)
        if now.st_dev != self.device or now.st_ino in self.seen:
            return
        if is_directory or now.st_nlink > 1:
            self.seen.add(now.st_ino)
        size, counted = now.st_blocks * BLOCK_BYTES, directory.counted
        path = os.path.join(directory.path, entry.name)  # noqa: PTH118 - half a million of them
        if is_directory:
            if len(counted) <= self.depth:
                counted = (*counted, path)
                self.sizes[path] = 0
            self.waiting.append(Waiting(path, now.st_ino, counted))
        elif len(self.files) < self.n:
            heapq.heappush(self.files, (size, path))
        else:
            heapq.heappushpop(self.files, (size, path))
        for above in counted:
            self.sizes[above] += size


def walk(arguments: LargestArguments, root: Path) -> LargestPaths:
    """Walk the file system at `arguments.mount` within its bounds. Blocking.

    Raises:
        ToolFailed: There is no directory of that name; a link is none.
    """
    began = time.monotonic()
    top = str(root / arguments.mount.lstrip("/"))
    seen = os.lstat(top)
    if not stat.S_ISDIR(seen.st_mode):
        raise ToolFailed(f"{arguments.mount} is no directory", "name a mount point or a directory")
    doing = Walk(
        device=seen.st_dev,
        depth=arguments.depth,
        n=arguments.n,
        deadline=began + arguments.seconds,
        entries_left=arguments.entries,
    )
    complete = doing.run(top, seen.st_ino)
    directories = heapq.nlargest(arguments.n, ((size, path) for path, size in doing.sizes.items()))
    return LargestPaths(
        mount=arguments.mount,
        directories=_sized(directories),
        files=_sized(sorted(doing.files, reverse=True)),
        entries_seen=arguments.entries - doing.entries_left,
        unreadable_directories=doing.unreadable,
        seconds=round(time.monotonic() - began, 3),
        cut_short=not complete,
    )


def _sized(found: list[tuple[int, str]]) -> tuple[SizedPath, ...]:
    return tuple(SizedPath(path=shown(path), allocated_bytes=size) for size, path in found)


async def read_largest_paths(arguments: LargestArguments, access: Access) -> LargestPaths:
    """What takes most space, in a thread of its own."""
    return await access.call(f"scandir({arguments.mount})", walk, arguments, access.machine.root)


TOOLS = (
    Tool(
        name="largest_paths",
        summary="The directories and files that take most space on one file system.",
        arguments=LargestArguments,
        result=LargestPaths,
        reads=every_platform(read_largest_paths),
        timeout_seconds=40.0,
    ),
    *LOG_TOOLS,
    *FILE_AGE_TOOLS,
    *BACKUP_TOOLS,
)
