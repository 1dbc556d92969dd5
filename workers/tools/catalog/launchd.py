"""The jobs of macOS' launchd, as `launchctl list` prints them. Pure."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass

from workers.tools.spec import Command

LAUNCHCTL_LIST = Command(("launchctl", "list"))

VENDOR = "com.apple."
"""What the labels of the system's own jobs begin with."""

ON_REQUEST = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
"""Signals by which a job is asked to end; that it did is no failure."""

ROW = re.compile(r"^(?P<pid>-|\d+)\t(?P<status>-|-?\d+)\t(?P<label>.+)$")


@dataclass(frozen=True, slots=True)
class Job:
    """One job.

    Args:
        pid: None while it does not run.
        status: How it last ended: an exit code, or the negative number of a signal.
    """

    label: str
    pid: int | None
    status: int

    @property
    def failed(self) -> bool:
        """It does not run, and ended badly when it last did."""
        return self.pid is None and self.status != 0 and -self.status not in ON_REQUEST

    @property
    def vendor(self) -> bool:
        """It is one of the system's own, which end with a code or a signal every day."""
        return self.label.startswith(VENDOR)


def parse_launchctl(text: str) -> list[Job]:
    """The jobs in `launchctl list`: pid or `-`, last status, label."""
    return [
        Job(
            label=found["label"],
            pid=None if found["pid"] == "-" else int(found["pid"]),
            status=0 if found["status"] == "-" else int(found["status"]),
        )
        for line in text.splitlines()
        if (found := ROW.match(line))
    ]


def signal_name(number: int) -> str:
    """`SIGKILL` for 9."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
