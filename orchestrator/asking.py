"""Asks a model in time: whatever threads still wait for, and with a bill for what was cut off."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread
from typing import Any, TypeVar

from swarm_tasks.brain.model import Model, ModelReply, ModelRequest
from swarm_tasks.brain.wire import message_tokens
from swarm_tasks.errors import ModelUnreachable
from swarm_tasks.models.charge import Charge

GRACE_SECONDS = 0.5
"""What a coroutine that keeps the time itself may take beyond it, to let go of what it holds."""

NO_ANSWER = "gave no answer in"
"""How a model's error begins to tell that the call was sent and cut off, not that nobody was
there: both ways to a model say it so."""

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


async def billed(
    model: Model, request: ModelRequest, seconds: float, charge: Callable[[Charge], None]
) -> ModelReply:
    """Ask, and charge for it; for the prompt at least where the call is cut off under way.

    A provider bills what it was sent, whether or not somebody waits for the reply.

    Raises:
        ModelError: As `Model.complete` does.
    """
    began = time.monotonic()

    def cut_off() -> Charge:
        return Charge(
            tier=model.tier,
            model=model.name,
            prompt_tokens=sum(map(message_tokens, request.messages)),
            cost_usd=None,
            counted=False,
            seconds=time.monotonic() - began,
        )

    try:
        reply = await model.complete(request, seconds)
    except asyncio.CancelledError:
        charge(cut_off())
        raise
    except ModelUnreachable as error:
        if NO_ANSWER in error.message:
            charge(cut_off())
        raise
    charge(reply.charge)
    return reply
