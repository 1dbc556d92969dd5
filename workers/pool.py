"""The Celery pool of a host's worker: a few threads, however many agents are under way.

A task that can be begun is begun in a thread, lives on the agents' loop without one, and is brought
to its end in a thread again:

    received -> waiting -> begun -> (its work goes on) -> ended -> finished, acknowledged
                   |
                   +-- dropped by a stop: its message goes back to the queue

Agents, errands and all other tasks wait in lanes of their own: where one process plays both roles,
control's task waits for an errand of the same host, and must hold no place that this needs.

Parts are taken from their queues only while there is room for an agent. What waits here is what was
taken before the bound was lowered, or came from a broker whose queues have no gates.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from celery import Celery
from celery.concurrency.base import BasePool
from celery.worker import state

from swarm_tasks.gates import Gates, gates_of
from swarm_tasks.log import logger
from workers.assignment import Assignment
from workers.begun import BegunTask, ErrandTask

THREADS = 6
"""For what blocks: claiming, closing and acknowledging. Each is a few round trips to the store, so
more threads would only wait for the interpreter's lock."""

ERRANDS = 4
"""Errands that may be under way beside the agents. Each is a few tools, and tools have a bound of
their own on a host; further ones wait."""

OTHERS = 6
"""Any other tasks that may be under way, each with a thread of its own."""

LAST_SECONDS = 5.0
"""How long a stop waits for its threads to go, once nothing is under way."""


@dataclass(slots=True)
class Lane:
    """Tasks of one kind; those that wait go in the order they came.

    Args:
        most: How many of them may be under way at the same time.
    """

    most: Callable[[], int]
    waiting: deque[Assignment] = field(default_factory=deque[Assignment])
    under_way: set[Assignment] = field(default_factory=set[Assignment])

    def next(self) -> Assignment | None:
        """The next one that has a place, which it takes."""
        if not self.waiting or len(self.under_way) >= self.most():
            return None
        assignment = self.waiting.popleft()
        self.under_way.add(assignment)
        return assignment


class AgentPool(BasePool):
    """Runs tasks: those that can be begun without a thread of their own, any other with one.

    At most `limit` agents are under way at the same time, or fewer while no more are allowed, and a
    few errands and others beside them.
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
        self._allowed: int | None = None
        self._draining = False
        self._gates = Gates()
        self._agents = Lane(self._most_agents)
        self._errands = Lane(lambda: ERRANDS)
        self._others = Lane(lambda: OTHERS)
        # Agents last: what is done beside them is short.
        self._lanes = (self._errands, self._others, self._agents)
        self._ended: deque[Assignment] = deque()
        self._threads: list[threading.Thread] = []
        self._leaving = False
        self._stopped = False

    def on_start(self) -> None:
        """Start the threads."""
        self.app.hostswarm_pool = self
        self._gates = gates_of(self.app)
        self._man()

    @property
    def room(self) -> bool:
        """Whether a part that came now would begin at once."""
        with self._lock:
            if self._leaving or self._draining:
                return False
            return len(self._agents.under_way) + len(self._agents.waiting) < self._most_agents()

    def allow(self, n: int) -> None:
        """Let no more than `n` agents be under way, but one, nor more than there are places; those
        that are go on."""
        with self._lock:
            self._allowed = max(1, n)
            self._work_there.notify_all()
        self._gates.changed()

    def drain(self, draining: bool) -> None:
        """Take no more parts, or take them again; errands are done all the same."""
        with self._lock:
            self._draining = draining
        self._gates.changed()

    def _most_agents(self) -> int:
        return self.limit if self._allowed is None else min(self.limit, self._allowed)

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
        task = self.app.tasks[args[0]]
        assignment = Assignment(task, target, args, accept_callback, callback)
        with self._lock:
            if not self._leaving:
                self._lane(assignment).waiting.append(assignment)
                self._work_there.notify()
        return assignment

    def grow(self, n: int = 1) -> None:
        """Let `n` more agents be under way."""
        with self._lock:
            self.limit += n
            self._man()
            self._work_there.notify_all()
        self._gates.changed()

    def shrink(self, n: int = 1) -> None:
        """Let `n` fewer be under way, but one; those that are go on."""
        with self._lock:
            self.limit = max(1, self.limit - n)

    def begin_no_more(self) -> None:
        """Drop what waits, and what may still come; what is under way goes on.

        Celery gives back what was not acknowledged when it closes its channel.
        """
        with self._lock:
            self._leaving = True
            for lane in self._lanes:
                lane.waiting.clear()

    def on_stop(self) -> None:
        """Begin nothing more, wait for what is under way, and end the threads.

        A second signal may call this while the first call waits.
        """
        self.begin_no_more()
        with self._lock:
            if state.should_terminate not in (None, False):
                for lane in self._lanes:
                    for assignment in tuple(lane.under_way):
                        assignment.terminate()
            self._idle.wait_for(lambda: not any(lane.under_way for lane in self._lanes))
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
                "under-way": sum(len(lane.under_way) for lane in self._lanes),
                "waiting": sum(len(lane.waiting) for lane in self._lanes),
            }

    def _lane(self, assignment: Assignment) -> Lane:
        match assignment.task:
            case ErrandTask():
                return self._errands
            case BegunTask():
                return self._agents
            case _:
                return self._others

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
                    return partial(self._finish, ended)
                for lane in self._lanes:
                    if (assignment := lane.next()) is not None:
                        return partial(self._begin, assignment)
                self._work_there.wait()
            return None

    def _begin(self, assignment: Assignment) -> None:
        """Begin a task. One that cannot go on by itself is brought to its end here: it would keep
        its place for good, and the thread must live on."""
        try:
            goes_on = self._set_going(assignment)
        except BaseException:  # noqa: BLE001 - such as a machine that has no thread left
            logger("worker").exception("task %s was not begun as it should", assignment.id)
            goes_on = False
        if not goes_on:
            self._finish(assignment)

    def _set_going(self, assignment: Assignment) -> bool:
        """Begin a task; whether it needs no thread of the pool's until it has ended."""
        task = assignment.task
        if not isinstance(task, BegunTask):
            # It may run for long, so it takes no thread from those that are to be closed.
            threading.Thread(target=self._finish, args=(assignment,), daemon=True).start()
            return True
        future = assignment.begin(task).future
        if future.done():
            return False
        future.add_done_callback(lambda _: self._take_up(assignment))
        return True

    def _take_up(self, assignment: Assignment) -> None:
        with self._lock:
            self._ended.append(assignment)
            self._work_there.notify()

    def _finish(self, assignment: Assignment) -> None:
        assignment.finish()
        with self._lock:
            self._lane(assignment).under_way.discard(assignment)
            self._work_there.notify()
            self._idle.notify_all()
        self._gates.changed()


def pool_of(app: Celery) -> AgentPool | None:
    """The pool that runs this app's tasks, if it is ours."""
    pool = getattr(app, "hostswarm_pool", None)
    return pool if isinstance(pool, AgentPool) else None


def begin_no_more(app: Celery) -> None:
    """Have the pool that runs this app's tasks, if it is ours, begin nothing more."""
    if pool := pool_of(app):
        pool.begin_no_more()
