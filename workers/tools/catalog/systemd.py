"""What the programs of systemd print alike. Pure."""

from __future__ import annotations

from datetime import UTC, datetime


def properties(text: str) -> dict[str, str]:
    """Name and value of each line `Name=value`, as `systemctl show` prints them."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals:
            found[name] = value
    return found


def systemd_time(text: str) -> datetime | None:
    """A time as systemd prints it, `Sat 2026-11-21 07:46:59 UTC`; None for none.

    The zone is a mere abbreviation: UTC, or else this machine's own.
    """
    parts = text.split()
    if len(parts) < 3:
        return None
    local = datetime.strptime(f"{parts[1]} {parts[2]}", "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007
    if parts[3:] == ["UTC"]:
        return local.replace(tzinfo=UTC)
    return local.astimezone()
