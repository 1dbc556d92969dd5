"""Blocking calls in threads of their own, so that one that hangs holds up nobody else.

A read of a dead network mount never returns, and no thread can be ended from outside. In a shared
pool a few of those would take every place; here each costs one daemon thread, up to a bound, and
none of them keeps the process from ending.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

from swarm_tasks.errors import Unavailable

P = ParamSpec("P")
T = TypeVar("T")

AT_ONCE = 64
"""How many may run at the same time before further ones are refused."""

_places = threading.BoundedSemaphore(AT_ONCE)


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `function` in a daemon thread of its own and wait for its answer.

    A caller that is cancelled stops waiting; the thread goes on until the call returns.

    Raises:
        Unavailable: So many earlier calls still hang that no more are begun.
    """
    if not _places.acquire(blocking=False):
        raise Unavailable(
            f"{AT_ONCE} earlier reads of this machine still hang",
            "look for a dead network mount, and restart the worker",
        )
    answer: Future[T] = Future()
    answer.set_running_or_notify_cancel()  # from here on it cannot be cancelled under the thread

    def work() -> None:
        try:
            answer.set_result(function(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits, not swallowed
            answer.set_exception(error)
        finally:
            _places.release()

    threading.Thread(target=work, name="hostswarm-read", daemon=True).start()
    return await asyncio.wrap_future(answer)
