"""One asyncio loop for all of a worker's agents, in a thread of its own.

Celery's threads only wait; the agents live here as coroutines, so that a deadline, a cancel and a
stop reach them at once and take their subprocesses along.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

T = TypeVar("T")


class Runtime:
    """The loop and what runs on it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._running: dict[str, set[Future[Any]]] = {}
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._turn, name="hostswarm-agents", daemon=True)
        self._thread.start()

    def run(self, group: str, work: Coroutine[Any, Any, T]) -> T | None:
        """Run a coroutine to its end from any other thread; None if it was cancelled.

        Args:
            group: What it belongs to, such as a job's id: `cancel(group)` stops all of it.
        """
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        with self._lock:
            self._running.setdefault(group, set()).add(future)
        try:
            return future.result()
        except CancelledError:
            return None
        finally:
            with self._lock:
                self._running[group].discard(future)
                if not self._running[group]:
                    del self._running[group]

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that have something running."""
        with self._lock:
            return tuple(self._running)

    @property
    def busy(self) -> int:
        """How many coroutines run."""
        with self._lock:
            return sum(len(futures) for futures in self._running.values())

    def cancel(self, group: str) -> int:
        """Cancel all of a group; how many that was."""
        with self._lock:
            futures = tuple(self._running.get(group, ()))
        return sum(future.cancel() for future in futures)

    def close(self) -> None:
        """Cancel whatever runs, let it clean up, and end the loop."""
        for group in self.groups:
            self.cancel(group)
        asyncio.run_coroutine_threadsafe(_settle(), self._loop).result(5.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5.0)

    def _turn(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()


async def _settle() -> None:
    """Wait until every other task of this loop has ended."""
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    if others:
        await asyncio.wait(others, timeout=4.0)
