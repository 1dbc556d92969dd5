"""One asyncio loop for all of a worker's agents, in a thread of its own.

Celery's threads only wait; the agents live here as coroutines, so that a deadline, a cancel and a
stop reach them at once and take their subprocesses along.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

CLOSE_SECONDS = 5.0


class Runtime:
    """The loop and what runs on it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._running: dict[str, set[asyncio.Task[Any]]] = {}
        # Re-entrant: a signal handler may need it while its own thread holds it.
        self._lock = threading.RLock()
        self._closed = False
        self._thread = threading.Thread(target=self._turn, name="hostswarm-agents", daemon=True)
        self._thread.start()

    def run(self, group: str, work: Coroutine[Any, Any, T]) -> T | None:
        """Run a coroutine to its end from any other thread.

        Args:
            group: What it belongs to, such as a job's id: `cancel(group)` stops all of it.

        Returns:
            Its result, or None if it was cancelled; in any case not before it has ended.
        """
        return self.start(group, work).result()

    def start(self, group: str, work: Coroutine[Any, Any, T]) -> Future[T | None]:
        """Begin a coroutine and do not wait for it. After `refuse` it is not begun."""
        return asyncio.run_coroutine_threadsafe(self._supervise(group, work), self._loop)

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that have something running."""
        with self._lock:
            return tuple(self._running)

    @property
    def busy(self) -> int:
        """How many coroutines run."""
        with self._lock:
            return sum(len(tasks) for tasks in self._running.values())

    def cancel(self, group: str) -> int:
        """Cancel all of a group; how many that was."""
        with self._lock:
            tasks = tuple(self._running.get(group, ()))
        for task in tasks:
            self._loop.call_soon_threadsafe(task.cancel)
        return len(tasks)

    def refuse(self) -> None:
        """Cancel whatever runs, and begin nothing more."""
        with self._lock:
            self._closed = True
            groups = tuple(self._running)
        for group in groups:
            self.cancel(group)

    def close(self, last: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        """Refuse more, let what runs clean up, and end the loop.

        Args:
            last: What to run once all else has ended, such as the closing of connections.
        """
        self.refuse()
        try:
            asyncio.run_coroutine_threadsafe(_settle(), self._loop).result(CLOSE_SECONDS)
            if last is not None:
                asyncio.run_coroutine_threadsafe(last(), self._loop).result(CLOSE_SECONDS)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(CLOSE_SECONDS)

    async def _supervise(self, group: str, work: Coroutine[Any, Any, T]) -> T | None:
        task = asyncio.ensure_future(work)
        with self._lock:
            if self._closed:
                task.cancel()
            self._running.setdefault(group, set()).add(task)
        try:
            return await task
        except asyncio.CancelledError:
            return None
        finally:
            with self._lock:
                self._running[group].discard(task)
                if not self._running[group]:
                    del self._running[group]

    def _turn(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()


async def _settle() -> None:
    """Wait until every other task of this loop has ended."""
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    if others:
        await asyncio.wait(others, timeout=CLOSE_SECONDS - 1.0)
