"""Writing a file so that a reader finds all of it, or what was there before."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from pathlib import Path

from swarm_tasks.errors import OutputError

MODE = 0o644
"""What the umask takes from is what everybody's files start with: a report is to be read."""


def replace_file(path: Path, page: bytes) -> None:
    """Replace `path` in one step. A device or a pipe is written to and never replaced."""
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except FileNotFoundError:
        kind = stat.S_IFREG
    if kind == stat.S_IFDIR:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if kind != stat.S_IFREG:
        path.write_bytes(page)
        return
    target = path.resolve()
    beside = target.with_name(f".hostswarm-{secrets.token_hex(8)}.html")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(page)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


def output_error(path: Path, error: OSError) -> OutputError:
    where = path.parent
    remedies = {
        errno.ENOENT: ("there is no such directory", f"make it first: mkdir -p {where}"),
        errno.ENOTDIR: (f"{where} is not a directory", "name a file in a directory"),
        errno.EISDIR: ("it is a directory", f"name a file, such as {path / 'report.html'}"),
        errno.EACCES: ("permission denied", "name a file in a directory that you may write to"),
        errno.EPERM: ("permission denied", "name a file in a directory that you may write to"),
        errno.EROFS: ("the file system is read-only", "name a file on another file system"),
        errno.ENOSPC: ("no space is left there", "free some space or name another place"),
        errno.EDQUOT: ("your quota is used up there", "free some space or name another place"),
    }
    why, remedy = remedies.get(error.errno or 0, (error.strerror or str(error), ""))
    return OutputError(f"the report cannot be written to {path}: {why}", remedy)
