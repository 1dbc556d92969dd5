"""The keys that a router takes: one for all, or one per host that can be revoked."""

from __future__ import annotations

import hashlib
import hmac
import re
from pathlib import Path

from swarm_tasks.errors import SettingsError

LINE = re.compile(r"(?P<holder>[A-Za-z0-9][A-Za-z0-9._-]*)\s+(?P<digest>[0-9a-f]{64})")

FLEET = "fleet"
"""Who holds the key that all hosts share."""


class Keys:
    """Whose key is whose. Only digests are kept.

    Args:
        shared: The key that all hosts may use; empty for none.
        path: A file of lines `NAME SHA256`, the digest of that host's key in hexadecimal. It is
            read again when it changes, so a line that is taken out is a key that is revoked.

    Raises:
        SettingsError: The file cannot be read, or a line of it is none.
    """

    def __init__(self, shared: str = "", path: Path | None = None) -> None:
        self._shared = {digest_of(shared): FLEET} if shared else {}
        self._path = path
        self._mark: tuple[int, ...] = ()
        self._listed: dict[str, str] = {}
        self._read_again()

    def holder(self, key: str) -> str | None:
        """Who holds this key; None where nobody does.

        A file that has become unreadable admits nobody: which keys it revokes is not known.
        """
        try:
            self._read_again()
        except SettingsError:
            self._listed, self._mark = {}, ()
        known = {**self._listed, **self._shared}
        given = digest_of(key)
        # All are compared, each in constant time: how long it takes tells nothing.
        found = [known[one] for one in known if hmac.compare_digest(one, given)]
        return found[0] if found else None

    def _read_again(self) -> None:
        if self._path is None:
            return
        try:
            state = self._path.stat()
            mark = (state.st_mtime_ns, state.st_size, state.st_ino)
            if mark != self._mark:
                self._listed = parse_keys(self._path.read_text(encoding="utf-8"))
                self._mark = mark
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"the router's keys {self._path} cannot be read: {error}", "check ROUTER_KEYS_FILE"
            ) from None


def parse_keys(text: str) -> dict[str, str]:
    """Holders by the digest of their key.

    Raises:
        SettingsError: A line is none.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.partition("#")[0].strip()
        if not line:
            continue
        match = LINE.fullmatch(line)
        if match is None:
            raise SettingsError(
                f"line {number} of the router's keys is no key", "write NAME and a SHA-256 digest"
            )
        found[match["digest"]] = match["holder"]
    return found


def digest_of(key: str) -> str:
    """SHA-256 in hexadecimal. Keys are random and long, so nothing slower is needed."""
    return hashlib.sha256(key.encode()).hexdigest()
