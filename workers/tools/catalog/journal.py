"""Ask the systemd journal, and tell an empty answer from one that it may not give."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

from swarm_tasks.errors import ToolFailed, Unavailable
from workers.tools.access import Access
from workers.tools.spec import Command

NO_FILES = "no journal files were found"
NOT_ALLOWED = ("insufficient permissions", "not seeing messages from other users and the system")

ANSWERS = (0, 1)
"""journalctl ends with 1 when it found nothing, and also when it failed: then it says why."""


async def ask_journal(command: Command, access: Access, **operands: str | int) -> str:
    """What `journalctl` printed. No entries are an empty text.

    Raises:
        Unavailable: There is no journal here, or this worker sees only its own user's.
    """
    done = await access.run(command, **operands)
    said = done.stderr.lower()
    if NO_FILES in said:
        raise Unavailable("journalctl: no journal files were found", "nothing writes a journal")
    if any(phrase in said for phrase in NOT_ALLOWED):
        # It still exits with 0 and prints nothing: that is not "no entries".
        raise Unavailable(
            "journalctl: not allowed to see the system's messages",
            "run the worker as root, or put its user into the group systemd-journal",
        )
    if done.code and said.strip() and not done.truncated:
        raise ToolFailed(f"journalctl: {done.stderr.splitlines()[0][:200]}")
    return "" if done.stdout.startswith("-- No entries --") else done.stdout


def journal_entries(text: str) -> Iterator[dict[str, Any]]:
    """The entries of `journalctl -o json`, one object a line. What is cut off is left out."""
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(entry, dict):
            yield cast("dict[str, Any]", entry)


def text_of(field: object) -> str:
    """A field's text. The journal gives bytes that are no printable UTF-8 as a list of numbers,
    and a field that is too long or not there as null."""
    if isinstance(field, str):
        return field
    if isinstance(field, list):
        return bytes(cast("list[int]", field)).decode(errors="replace")
    return ""
