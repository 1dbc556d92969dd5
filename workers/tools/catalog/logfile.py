"""Read the end of a log file, and nothing but a log file.

The path comes from a model that may be hostile, and the directories belong to services that may
be as well. So no link is followed below the root: each directory is opened from the one above it,
what was opened is checked, and that same descriptor is read.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from pydantic import Field

from swarm_tasks.errors import ToolFailed
from swarm_tasks.models.base import Moment
from workers.tools.access import Access
from workers.tools.spec import Arguments, Result, Tool, every_platform

LINES_LIMIT = 10_000
TAIL_LIMIT_BYTES = 1 << 20
BLOCK_BYTES = 1 << 16
LINE_LIMIT = 8192

DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""Non-blocking, so that a FIFO without a writer does not hold the opener for ever."""

COMPRESSED = (".gz", ".xz", ".bz2", ".zst", ".lz4", ".Z", ".zip")
SECRET = re.compile(
    r"^(g?shadow-?|environ|id_(rsa|dsa|ecdsa|ed25519)(_sk)?|.*\.(key|pem|p12|pfx|jks|keytab|kdbx))$",
    re.I,
)
"""Names of key material, which is no log even where an operator allows a wide root."""

ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
"""Control characters but tab and line feed, zero-width characters and those that turn the
direction of writing: what makes a line look like something else than it is."""

BINARY_SHARE = 0.1
"""A text log may hold a run of NUL bytes after a crash; wtmp and btmp are mostly that."""


class LogTail(Result):
    """The last lines of a log file, oldest first.

    `more` says that there are earlier lines in the file than those shown.
    """

    path: str
    size_bytes: int
    modified: Moment
    lines: tuple[str, ...]
    more: bool


class LogArguments(Arguments):
    """Which file, and how many of its last lines."""

    path: str = Field(
        pattern=r"^/[^\x00-\x1f\x7f]+$",
        max_length=4096,
        description="Absolute, below a log directory.",
    )
    lines: int = Field(default=200, ge=1, le=LINES_LIMIT)


def parts_below(path: str, roots: Sequence[Path]) -> tuple[Path, tuple[str, ...]]:
    """The root that `path` lies below, and the way from there; nothing is looked up.

    Raises:
        ToolFailed: It lies below none, or a part of it is `..`.
    """
    wanted = PurePosixPath(path)
    for root in roots:
        if wanted.is_relative_to(root) and ".." not in wanted.parts:
            parts = wanted.relative_to(root).parts
            if parts:
                return root, parts
    allowed = ", ".join(str(root) for root in roots) or "none"
    raise ToolFailed(f"{path} is not below a log directory", f"log directories are: {allowed}")


@contextmanager
def opened_below(root: Path, parts: Sequence[str]) -> Generator[int, None, None]:
    """A descriptor of the regular file `parts` below `root`. No link is followed on the way.

    Raises:
        ToolFailed: A part is a link, or what is there is no ordinary file of one name.
        OSError: It is not there, or may not be opened.
    """
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            descriptor = _exchanged(descriptor, part, DIRECTORY_FLAGS)
        # Looked at before it is opened as well: opening a device can already act on it.
        _refuse_odd(os.stat(parts[-1], dir_fd=descriptor, follow_symlinks=False), parts[-1])
        descriptor = _exchanged(descriptor, parts[-1], FILE_FLAGS)
        _refuse_odd(os.fstat(descriptor), parts[-1])
        yield descriptor
    finally:
        os.close(descriptor)


def _exchanged(directory: int, name: str, flags: int) -> int:
    """A descriptor of `name` in place of the one of its directory, which is closed."""
    try:
        descriptor = os.open(name, flags, dir_fd=directory)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise ToolFailed(
                f"{name} is a link or no directory", "links are not followed"
            ) from None
        raise
    os.close(directory)
    return descriptor


def _refuse_odd(seen: os.stat_result, name: str) -> None:
    if stat.S_ISLNK(seen.st_mode):
        raise ToolFailed(f"{name} is a link", "links are not followed; name the file itself")
    if not stat.S_ISREG(seen.st_mode):
        raise ToolFailed(f"{name} is no regular file", "name a log file")
    if seen.st_nlink > 1:
        # Another name of a file elsewhere: an ordinary user can put one where a log should be.
        raise ToolFailed(f"{name} has {seen.st_nlink} names", "files with hard links are not read")


def read_tail(descriptor: int, size_bytes: int, lines: int) -> tuple[bytes, bool]:
    """The last `lines` lines of an open file, and whether there is anything before them.

    It is read from its end in blocks, at most `TAIL_LIMIT_BYTES`; a line that this cuts in two
    is left out.
    """
    start, tail = size_bytes, b""
    while start > 0 and len(tail) < TAIL_LIMIT_BYTES and tail.count(b"\n") <= lines:
        step = min(BLOCK_BYTES, start)
        start -= step
        tail = os.pread(descriptor, step, start) + tail
    kept = tail.removesuffix(b"\n").split(b"\n")
    if start > 0 and len(kept) > 1:
        kept = kept[1:]
    return b"\n".join(kept[-lines:]), start > 0 or len(kept) > lines


def clean(text: str) -> str:
    """`text` without escape sequences and unseen characters; only tab and line feed stay."""
    return UNSEEN.sub("", ESCAPES.sub("", text))


def tail_of(path: str, lines: int, roots: Sequence[Path], machine_root: Path) -> LogTail:
    """The end of the log file at `path`. Blocking.

    Raises:
        ToolFailed: It is not a log file that may be read.
        OSError: It is not there, or may not be opened.
    """
    root, parts = parts_below(path, roots)
    if parts[-1].endswith(COMPRESSED):
        raise ToolFailed(f"{parts[-1]} is compressed", "name a log that is not yet rotated away")
    if any(SECRET.match(part) for part in parts):
        raise ToolFailed(f"{path} may hold key material", "such files are never read")
    with opened_below(machine_root / str(root).lstrip("/"), parts) as descriptor:
        seen = os.fstat(descriptor)
        raw, more = read_tail(descriptor, seen.st_size, lines)
    if raw.count(0) > BINARY_SHARE * len(raw):
        raise ToolFailed(f"{parts[-1]} is no text", "use the program that writes it")
    text = clean(raw.decode(errors="replace"))
    return LogTail(
        path=path,
        size_bytes=seen.st_size,
        modified=datetime.fromtimestamp(seen.st_mtime, tz=UTC),
        lines=tuple(line[:LINE_LIMIT] for line in text.split("\n")) if text else (),
        more=more,
    )


async def read_log(arguments: LogArguments, access: Access) -> LogTail:
    """The end of a log file below one of the machine's log directories."""
    machine = access.machine
    return await access.call(
        f"open({arguments.path})",
        tail_of,
        arguments.path,
        arguments.lines,
        machine.log_roots,
        machine.root,
    )


TOOLS = (
    Tool(
        name="read_log",
        summary="The last lines of a log file below the allowed log directories.",
        arguments=LogArguments,
        result=LogTail,
        reads=every_platform(read_log),
    ),
)
