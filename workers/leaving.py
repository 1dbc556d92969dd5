"""How a worker that is told to stop brings its agents to an end."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Grace:
    """The time in which agents may still come to their end once the worker was told to stop.

    Args:
        seconds: How long that is.
        end: Ends whatever is under way by then.
    """

    def __init__(self, seconds: float, end: Callable[[], None]) -> None:
        self._seconds = seconds
        self._end = end
        self._timer: threading.Timer | None = None

    def begin(self) -> None:
        """Begin it, or cut it short where it has begun. Returns at once, as handlers must."""
        if self._timer is None and self._seconds > 0:
            self._timer = threading.Timer(self._seconds, self._end)
            self._timer.daemon = True  # whoever has nothing under way does not wait for it
            self._timer.start()
        else:
            self._end()
