"""`@file` in --hosts: names from a file of whoever asks. Only the command line reads files."""

from __future__ import annotations

from pathlib import Path

from swarm_tasks.errors import ArgumentError

HOST_FILE_LIMIT_BYTES = 1 << 20


def expand_files(words: tuple[str, ...]) -> tuple[str, ...]:
    """Replace each `@file` by the names in that file: one a line, `#` begins a comment.

    Raises:
        ArgumentError: A file cannot be read or names nobody.
    """
    names: list[str] = []
    for word in words:
        if not word.startswith("@"):
            names.append(word)
            continue
        try:
            with Path(word[1:]).open(encoding="utf-8") as stream:
                lines = stream.read(HOST_FILE_LIMIT_BYTES).splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ArgumentError(
                f"--hosts {word} cannot be read: {error}", "name a text file, one host a line"
            ) from error
        found = [line.split("#")[0].strip() for line in lines]
        listed = [name for name in found if name]
        if not listed:
            raise ArgumentError(f"--hosts {word} names no host", "write one host a line")
        names.extend(listed)
    return tuple(names)
