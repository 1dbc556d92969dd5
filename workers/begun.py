"""Work that is begun in one thread and brought to its end in another, and holds none in between.

An agent waits for a model most of its life. A thread that waited with it would cost more memory
than the agent does; so a task of that kind begins its work, and only when that has ended is a
thread asked for again.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

from celery import Task
from celery.exceptions import Ignore

from swarm_tasks.errors import HostswarmError

T = TypeVar("T")


def _nothing() -> None:
    """Work that cannot be told to end is waited for."""


def _over() -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(None)
    return future


@dataclass(frozen=True, slots=True)
class Begun(Generic[T]):
    """Work under way.

    Args:
        finish: What comes after it and may block, such as closing a part; its answer is the
            task's. Called once, when `future` is done.
        future: Done when the work has ended.
        terminate: Tells the work to end early; returns at once, and `future` is done soon after.
        release: Lets go of what it still holds. Called last, also where `finish` never was; it
            never raises.
    """

    finish: Callable[[], T]
    future: Future[Any] = field(default_factory=_over)
    terminate: Callable[[], None] = _nothing
    release: Callable[[], None] = _nothing


def at_hand(answer: T) -> Begun[T]:
    """Work that needs no waiting: its answer is there."""
    return Begun(lambda: answer)


def dropped() -> Begun[Any]:
    """Work that is another's: its message is done with, and counts for nothing.

    Only where somebody else is sure to close the part: Celery's chord waits for it.
    """

    def finish() -> Any:
        raise Ignore

    return Begun(finish)


def failed(error: BaseException) -> Begun[Any]:
    """Work that could not be begun."""
    told = ordinary(error)

    def finish() -> Any:
        raise told

    return Begun(finish)


def ordinary(error: BaseException) -> Exception:
    """The same error as one that ends no thread and no loop, but only the work that it came from.

    Tools may be an operator's own, and a program that was made into a tool may well call sys.exit.
    """
    if isinstance(error, Exception):
        return error
    told = HostswarmError(
        f"it asked for the end of the whole process: {error!r}",
        "look among the tools of HOSTSWARM_TOOL_MODULES for one that calls sys.exit()",
    )
    told.__cause__ = error
    return told


_taken_up: ContextVar[Begun[Any] | None] = ContextVar("hostswarm_taken_up", default=None)


@contextmanager
def taken_up(begun: Begun[Any] | None) -> Generator[None]:
    """While this lasts, the task that this thread runs is the one that began this work."""
    token = _taken_up.set(begun)
    try:
        yield
    finally:
        _taken_up.reset(token)


class BegunTask(Task):  # pyright: ignore[reportMissingTypeArgument]
    """A task whose function begins work and returns it as `Begun`.

    Our pool begins it, and runs the task when the work has ended. Under any other pool of Celery
    the task begins it and waits.
    """

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The answer of the work; it has ended, or is waited for."""
        begun = _taken_up.get() or self.begin(*args, **kwargs)
        begun.future.exception()  # waits, and leaves it to `finish` to tell what went wrong
        return begun.finish()

    def begin(self, *args: Any, **kwargs: Any) -> Begun[Any]:
        """Begin the work; whatever keeps it from that is told when it is finished."""
        try:
            return cast(Any, self).run(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - raised where the task's errors are heard
            return failed(error)


class ErrandTask(BegunTask):  # pyright: ignore[reportMissingTypeArgument]
    """Begun work that is short and that somebody waits for: it takes no agent's place."""

    abstract = True
