"""Runs a coroutine in time, whatever the threads that it started still wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread
from typing import Any, TypeVar

GRACE_SECONDS = 0.5
"""What a coroutine that keeps the time itself may take beyond it, to let go of what it holds."""

T = TypeVar("T")


def in_time(coroutine: Coroutine[Any, Any, T], seconds: float) -> T:
    """What a coroutine returns or raises, or a `TimeoutError` soon after `seconds`.

    `asyncio.run` waits at its end for all threads of its loop, such as one that looks up a name,
    and nothing stops those. Here a thread of its own does that waiting, and ends by itself.

    Raises:
        TimeoutError: It took longer.
    """
    found: Future[T] = Future()
    running: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = Future()

    async def deliver() -> None:
        task = asyncio.ensure_future(coroutine)
        running.set_result((asyncio.get_running_loop(), task))
        await asyncio.wait((task,))
        if task.cancelled():
            found.set_exception(TimeoutError())
        elif error := task.exception():
            found.set_exception(error)
        else:
            found.set_result(task.result())

    Thread(target=lambda: asyncio.run(deliver()), name="asking", daemon=True).start()
    try:
        return found.result(seconds + GRACE_SECONDS)
    finally:
        if not found.done() and running.done():
            loop, task = running.result()
            with suppress(RuntimeError):  # the loop has just been closed
                loop.call_soon_threadsafe(task.cancel)
