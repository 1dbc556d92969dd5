"""One task on its way through the pool of a host's worker."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from celery.concurrency.base import apply_target
from celery.worker.request import Request

from swarm_tasks.log import logger
from workers.begun import Begun, BegunTask, failed, taken_up


class Assignment:
    """One message's task on its way through the pool. Celery keeps it to end the task early.

    Args:
        task: What is to be run.
        target: Celery's tracer, which runs the task's body and stores its outcome.
        args: The tracer's: the task's name, its id, the request, the message's body, its type and
            its encoding.
        accepted: To be called when the task begins.
        done: Takes what the tracer returns, and acknowledges the message.
    """

    def __init__(
        self,
        task: Any,
        target: Callable[..., Any],
        args: tuple[Any, ...],
        accepted: Callable[[int, float], object] | None,
        done: Callable[..., object] | None,
    ) -> None:
        self.task = task
        self._target = target
        self._args = args
        self._accepted = accepted
        self._done = done
        self._begun: Begun[Any] | None = None
        self._unwanted = False

    @property
    def id(self) -> str:
        """The task's id."""
        return self._args[1]

    def begin(self, task: BegunTask) -> Begun[Any]:
        """Begin the task. What goes wrong is told by its end, as Celery tells any error."""
        # The consumer has read the message, with the types that the app accepts, to make this.
        request: dict[str, Any] = self._args[2]
        try:
            self.accept()
            begun = task.begin(*request["args"], **request["kwargs"])
        except BaseException as error:  # noqa: BLE001 - raised again by the body, for the tracer
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
            self._trace()
        except BaseException:  # noqa: BLE001 - a thread of the pool must live on
            logger("worker").exception("the outcome of task %s was lost", self.id)
            self._let_go()

    def _trace(self) -> None:
        try:
            self.accept()
            with taken_up(self._begun):
                apply_target(self._target, self._args, callback=self._done)
        finally:
            # The tracer may have failed, with or without an error, before it came to the body.
            if self._begun is not None:
                self._begun.release()

    def _let_go(self) -> None:
        """Acknowledge the message of a task whose outcome could not be told: the store went away,
        most likely, after its part was closed. Left alone, it would keep its place for good."""
        request = getattr(self._done, "__self__", None)
        if isinstance(request, Request) and request.task.acks_late:
            try:
                request.acknowledge()
            except Exception:  # noqa: BLE001 - as above
                logger("worker").exception("task %s was not acknowledged", self.id)

    def terminate(self, signal: int | None = None) -> None:
        """End the task early, as far as it can be: a body that runs in a thread is waited for."""
        self._unwanted = True
        if self._begun is not None:
            self._begun.terminate()
