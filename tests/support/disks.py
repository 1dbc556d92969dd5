"""A small disk of its own, which a test can fill and free."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

CHUNK_BYTES = 1 << 16


@contextmanager
def small_disk(path: Path, megabytes: int = 8) -> Generator[Path | None]:
    """A disk of so many megabytes here; None where nothing can be mounted."""
    path.mkdir()
    mount = ("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(path))
    may = sys.platform == "linux" and os.geteuid() == 0
    if not may or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        yield None
        return
    try:
        yield path
    finally:
        subprocess.run(("umount", "--lazy", str(path)), check=True)


@contextmanager
def filled(disk: Path) -> Generator[None]:
    """While this lasts, nothing more fits on the disk."""
    filler = disk / "filler"
    try:
        with filler.open("wb", buffering=0) as file:
            _fill(file.fileno())
        yield
    finally:
        filler.unlink()


def _fill(file: int) -> None:
    chunk = b"x" * CHUNK_BYTES
    while True:
        try:
            os.write(file, chunk)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                return
            raise
