"""One asyncio loop for all of a worker's agents, in a thread of its own.

Celery's threads begin and finish their parts; the agents live here as coroutines, so that a
deadline, a cancel and a stop reach them at once and take their subprocesses along.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from swarm_tasks.errors import HostswarmError
from swarm_tasks.log import logger
from workers.begun import ordinary

T = TypeVar("T")

CLOSE_SECONDS = 5.0


class Runtime:
    """The loop and what runs on it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._running: dict[str, dict[Future[Any], asyncio.Task[Any]]] = {}
        self._open: set[Future[Any]] = set()
        # Re-entrant: a signal handler may need it while its own thread holds it.
        self._lock = threading.RLock()
        self._closed = False
        self._halted = False
        self._over = False
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
        """Begin a coroutine and do not wait for it. After `refuse` it is not begun.

        Its error is the future's. One that would end the process, such as a tool's `sys.exit`, is
        turned into an ordinary one; so is the end of the loop itself.
        """
        future: Future[T | None] = Future()
        # From here on only the coroutine's own end is the future's.
        future.set_running_or_notify_cancel()
        with self._lock:
            if not self._over:
                self._open.add(future)
                self._loop.call_soon_threadsafe(self._begin, group, work, future)
                return future
        work.close()
        future.set_exception(_loop_ended())
        return future

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
            tasks = tuple(self._running.get(group, {}).values())
        for task in tasks:
            self._soon(task.cancel)
        return len(tasks)

    def end(self, group: str, future: Future[Any]) -> None:
        """Cancel one of a group, by what `start` returned; returns at once."""
        self._soon(self._end, group, future)

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
        if self._over:
            return
        try:
            asyncio.run_coroutine_threadsafe(_settle(), self._loop).result(CLOSE_SECONDS)
            if last is not None:
                asyncio.run_coroutine_threadsafe(last(), self._loop).result(CLOSE_SECONDS)
        finally:
            self._soon(self._halt)
            self._thread.join(CLOSE_SECONDS)

    def _soon(self, action: Callable[..., object], *args: object) -> None:
        """Have something done on the loop, if that still runs."""
        with self._lock:
            if not self._over:
                self._loop.call_soon_threadsafe(action, *args)

    def _begin(self, group: str, work: Coroutine[Any, Any, Any], future: Future[Any]) -> None:
        task = self._loop.create_task(_contained(work))
        with self._lock:
            if self._closed:
                task.cancel()
            self._running.setdefault(group, {})[future] = task
        task.add_done_callback(partial(self._done, group, future))
        # Where the task was cancelled before its first step, nothing has begun the work.
        task.add_done_callback(lambda _: work.close())

    def _end(self, group: str, future: Future[Any]) -> None:
        task = self._running.get(group, {}).get(future)
        if task is not None:
            task.cancel()

    def _done(self, group: str, future: Future[Any], task: asyncio.Task[Any]) -> None:
        with self._lock:
            del self._running[group][future]
            if not self._running[group]:
                del self._running[group]
            self._open.discard(future)
        if task.cancelled():
            future.set_result(None)
        elif (error := task.exception()) is not None:
            future.set_exception(error)
        else:
            future.set_result(task.result())

    def _turn(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            while not self._halted:
                self._go_on()
        finally:
            self._fail_the_rest()
            self._loop.close()

    def _go_on(self) -> None:
        """Run the loop until it is halted, or something in it asks for the end of the process.

        That is nothing of it to ask for, and the loop can be run again: asyncio has given the same
        to whoever waits for the task that it came from.
        """
        try:
            self._loop.run_forever()
        except (SystemExit, KeyboardInterrupt):
            logger("worker").exception("something among the agents asked for the process's end")

    def _halt(self) -> None:
        self._halted = True
        self._loop.stop()

    def _fail_the_rest(self) -> None:
        """Nobody is to wait for what this loop will not end any more."""
        with self._lock:
            self._over = True
            left = tuple(self._open)
            self._open.clear()
            self._running.clear()
        for future in left:
            future.set_exception(_loop_ended())


async def _contained(work: Coroutine[Any, Any, T]) -> T:
    """The same work, whose errors end nothing but itself."""
    try:
        return await work
    except (SystemExit, KeyboardInterrupt) as error:
        raise ordinary(error) from error


def _loop_ended() -> HostswarmError:
    return HostswarmError(
        "the loop of this host's agents has ended", "restart its worker; its log says why"
    )


async def _settle() -> None:
    """Wait until every other task of this loop has ended."""
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    if others:
        await asyncio.wait(others, timeout=CLOSE_SECONDS - 1.0)
