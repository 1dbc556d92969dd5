"""Which of its queues a worker takes from now: parts only while an agent has a place for one.

What is not taken stays in its queue, where any other host that may do it finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol
from weakref import WeakSet

from celery import Celery


class Listener(Protocol):
    """Whoever waits for messages, and left out the queues behind shut gates."""

    def wake(self) -> None:
        """Look again at once, if any queue was left out; called by any thread."""
        ...


def _always() -> bool:
    return True


class Gates:
    """The gates of one process; all of it may be called by any thread."""

    def __init__(self) -> None:
        self._guarded: frozenset[str] = frozenset()
        self._open: Callable[[], bool] = _always
        self._listeners: WeakSet[Listener] = WeakSet()

    def guard(self, queues: Iterable[str], is_open: Callable[[], bool]) -> None:
        """Have these queues taken from only while `is_open` says so.

        Args:
            is_open: Asked before each take; it must return at once. Whoever makes it come true
                calls `changed`.
        """
        self._open = is_open
        self._guarded = frozenset(queues)

    def shut(self) -> frozenset[str]:
        """The queues that nothing is to be taken from now."""
        return frozenset() if not self._guarded or self._open() else self._guarded

    def changed(self) -> None:
        """Tell those who wait that a gate may have opened."""
        if not self.shut():
            for listener in tuple(self._listeners):
                listener.wake()

    def listen(self, listener: Listener) -> None:
        """Have a listener told, for as long as it lives."""
        self._listeners.add(listener)


def gates_of(app: Celery) -> Gates:
    """The gates of this app; those of an app that is not ours are seen by nobody."""
    messaging: Any = app.amqp
    gates = getattr(messaging, "gates", None)
    return gates if isinstance(gates, Gates) else Gates()
