"""Whether a worker still asks for messages.

A consumer may be connected and deaf: its loop goes on, and nothing of its queues is ever read.
"""

from __future__ import annotations

import time


class Listening:
    """When this process last asked its queues for a message, or was answered."""

    def __init__(self) -> None:
        self._noted: float | None = None

    def now(self) -> float:
        """The time by its clock, which no change of the date moves."""
        return time.monotonic()

    def note(self) -> None:
        """It asks or is answered just now, or has good reason to do neither."""
        self._noted = self.now()

    @property
    def deaf_for_seconds(self) -> float:
        """For how long it did not; 0 for a process that never asked a store of ours."""
        return 0.0 if self._noted is None else self.now() - self._noted
