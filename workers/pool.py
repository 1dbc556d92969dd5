"""The Celery pool of a host's worker: a few threads, however many agents are under way.

A task that can be begun is begun in a thread, lives on the agents' loop without one, and is brought
to its end in a thread again:

    received -> waiting -> begun -> (its work goes on) -> ended -> finished, acknowledged
                   |
                   +-- dropped by a stop: its message goes back to the queue
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from celery.concurrency.base import BasePool, apply_target
from celery.worker import state

from swarm_tasks.log import logger
from workers.begun import Begun, BegunTask, failed, taken_up

THREADS = 6
"""For what blocks: claiming, closing and acknowledging. Each is a few round trips to the store, so
more threads would only wait for the interpreter's lock."""

LAST_SECONDS = 5.0
"""How long a stop waits for its threads to go, once nothing is under way."""


class Assignment:
    """One message's task on its way through the pool. Celery keeps it to end the task early.

    Args:
        pool: Whose it is.
        target: Celery's tracer, which runs the task's body and stores its outcome.
        args: The tracer's: the task's name, its id, the request, the message's body, its type and
            its encoding.
        accepted: To be called when the task begins.
        done: Takes what the tracer returns, and acknowledges the message.
    """

    def __init__(
        self,
        pool: AgentPool,
        target: Callable[..., Any],
        args: tuple[Any, ...],
        accepted: Callable[[int, float], object] | None,
        done: Callable[..., object] | None,
    ) -> None:
        self._pool = pool
        self._target = target
        self._args = args
        self._accepted = accepted
        self._done = done
        self._begun: Begun[Any] | None = None
        self._unwanted = False

    @property
    def task(self) -> Any:
        """What is to be run."""
        return self._pool.app.tasks[self._args[0]]

    def begin(self, task: BegunTask) -> Begun[Any]:
        """Begin the task. What goes wrong is told by its end, as Celery tells any error."""
        # The consumer has read the message, with the types that the app accepts, to make this.
        request: dict[str, Any] = self._args[2]
        try:
            self.accept()
            begun = task.begin(*request["args"], **request["kwargs"])
        except Exception as error:  # noqa: BLE001 - raised again by the body, for the tracer
            begun = failed(error)
        self._begun = begun
        if self._unwanted:
            begun.terminate()
        return begun

    def accept(self) -> None:
        """Tell Celery that this begins now."""
        accepted, self._accepted = self._accepted, None
        if accepted is not None:
            accepted(os.getpid(), time.monotonic())

    def finish(self) -> None:
        """Run the task's body through Celery's tracer, which never raises for a body's error."""
        try:
            self.accept()
            with taken_up(self._begun):
                apply_target(self._target, self._args, callback=self._done)
        except BaseException:  # noqa: BLE001 - a thread of the pool must live on
            logger("worker").exception("the outcome of task %s was lost", self._args[1])

    def terminate(self, signal: int | None = None) -> None:
        """End the task early, as far as it can be: a body that runs in a thread is waited for."""
        self._unwanted = True
        if self._begun is not None:
            self._begun.terminate()


class AgentPool(BasePool):
    """Runs tasks: those that can be begun without a thread of their own, any other with one.

    At most `limit` are under way at the same time; further ones wait in the order they came.
    """

    limit: int
    body_can_be_buffer = True
    # A stop waits, and what it waits for needs the main thread to be out of its signal handler.
    signal_safe = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Re-entrant: a signal handler may need it while its own thread holds it.
        lock = threading.RLock()
        self._work_there = threading.Condition(lock)
        self._idle = threading.Condition(lock)
        self._lock = lock
        self._waiting: deque[Assignment] = deque()
        self._ended: deque[Assignment] = deque()
        self._under_way: set[Assignment] = set()
        self._threads: list[threading.Thread] = []
        self._stopped = False

    def on_start(self) -> None:
        """Start the threads."""
        self._man()

    def on_apply(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        target: Callable[..., Any],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        callback: Callable[..., object] | None = None,
        accept_callback: Callable[[int, float], object] | None = None,
        **_: Any,
    ) -> Assignment:
        """Take a task; returns at once."""
        assignment = Assignment(self, target, args, accept_callback, callback)
        with self._lock:
            self._waiting.append(assignment)
            self._work_there.notify()
        return assignment

    def grow(self, n: int = 1) -> None:
        """Let `n` more be under way."""
        with self._lock:
            self.limit += n
            self._man()
            self._work_there.notify_all()

    def shrink(self, n: int = 1) -> None:
        """Let `n` fewer be under way, but one; those that are go on."""
        with self._lock:
            self.limit = max(1, self.limit - n)

    def on_stop(self) -> None:
        """Begin nothing more, wait for what is under way, and end the threads.

        A second signal may call this while the first call waits.
        """
        with self._lock:
            # Celery gives back what was not acknowledged when it closes its channel.
            self._waiting.clear()
            if state.should_terminate not in (None, False):
                for assignment in tuple(self._under_way):
                    assignment.terminate()
            self._idle.wait_for(lambda: not self._under_way)
            self._stopped = True
            self._work_there.notify_all()
        for thread in self._threads:
            thread.join(LAST_SECONDS)

    def terminate_job(self, pid: int, signal: int | None = None) -> None:
        """Nothing: all tasks share this process. Celery then asks the `Assignment` itself."""

    def _get_info(self) -> dict[str, Any]:
        with self._lock:
            return {
                **super()._get_info(),  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
                "threads": len(self._threads),
                "under-way": len(self._under_way),
                "waiting": len(self._waiting),
            }

    def _man(self) -> None:
        while len(self._threads) < min(THREADS, self.limit):
            # A daemon: whoever is told three times to end at once does not wait for the store.
            thread = threading.Thread(target=self._work, name="hostswarm-pool", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while (step := self._next()) is not None:
            step()

    def _next(self) -> Callable[[], None] | None:
        """What one of the threads is to do now: first what has ended, which frees a place."""
        with self._lock:
            while not self._stopped:
                if self._ended:
                    ended = self._ended.popleft()
                    return lambda: self._finish(ended)
                if self._waiting and len(self._under_way) < self.limit:
                    assignment = self._waiting.popleft()
                    self._under_way.add(assignment)
                    return lambda: self._begin(assignment)
                self._work_there.wait()
            return None

    def _begin(self, assignment: Assignment) -> None:
        task = assignment.task
        if not isinstance(task, BegunTask):
            # It may run for long, so it takes no thread from those that are to be closed.
            threading.Thread(target=self._finish, args=(assignment,), daemon=True).start()
            return
        future = assignment.begin(task).future
        if future.done():
            self._finish(assignment)
        else:
            future.add_done_callback(lambda _: self._take_up(assignment))

    def _take_up(self, assignment: Assignment) -> None:
        with self._lock:
            self._ended.append(assignment)
            self._work_there.notify()

    def _finish(self, assignment: Assignment) -> None:
        assignment.finish()
        with self._lock:
            self._under_way.discard(assignment)
            self._work_there.notify()
            self._idle.notify_all()
