"""One thread that writes what many hand over, several at a time."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

BATCH = 500
PAUSE_SECONDS = 0.1
"""The least time between two writes. The first of a quiet time goes out at once; in a rush what
comes meanwhile is written together, which costs a store and a worker a fraction."""


class Mark(threading.Event):
    """Stands in the line of what is to be written, and is set once all before it is."""


class Batches(Generic[T]):
    """Hands items over to `write` from a thread of its own, in order.

    Args:
        write: Takes what has come together. What it raises would end the thread: it handles its
            own errors.
        name: The thread's.
        urgent: Whether an item is to be written without a pause.
    """

    def __init__(
        self,
        write: Callable[[list[T]], None],
        name: str,
        urgent: Callable[[T], bool] = lambda item: False,
    ) -> None:
        self._write = write
        self._urgent = urgent
        self._queue: queue.SimpleQueue[T | Mark | None] = queue.SimpleQueue()
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._drain, name=name, daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Hand over one item; returns at once."""
        self._queue.put(item)
        if self._urgent(item):
            self._hurry.set()

    def flush(self, timeout_seconds: float) -> bool:
        """Wait until all that was handed over is written; False if that takes too long."""
        mark = Mark()
        self._queue.put(mark)
        self._hurry.set()
        return mark.wait(timeout_seconds)

    def close(self, timeout_seconds: float = 2.0) -> None:
        """Write what is left and end."""
        self._queue.put(None)
        self._hurry.set()
        self._thread.join(timeout_seconds)

    def _drain(self) -> None:
        written, ended = 0.0, False
        while not ended and (item := self._queue.get()) is not None:
            # Not woken by each item: that costs more than to write it.
            self._hurry.wait(max(written + PAUSE_SECONDS - time.monotonic(), 0.0))
            self._hurry.clear()
            came: list[T | Mark] = [item]
            while len(came) < BATCH and not self._queue.empty():
                following = self._queue.get()
                if following is None:
                    ended = True
                    break
                came.append(following)
            if batch := [one for one in came if not isinstance(one, Mark)]:
                self._write(batch)
                written = time.monotonic()
            for one in came:
                if isinstance(one, Mark):
                    one.set()
