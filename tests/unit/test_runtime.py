"""The loop that agents share, and the threads that blocking reads get."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from contextlib import suppress

import pytest

from swarm_tasks.errors import HostswarmError, Unavailable
from tests.support.waiting import wait_until
from workers.blocking import AT_ONCE, in_thread
from workers.runtime import Runtime


@pytest.fixture
def runtime() -> Generator[Runtime]:
    running = Runtime()
    yield running
    running.close()


def in_background(runtime: Runtime, work: object) -> tuple[threading.Thread, list[object]]:
    """Run a coroutine from a thread, as a Celery body does; its answer arrives in the list."""
    answers: list[object] = []

    def body() -> None:
        assert asyncio.iscoroutine(work)
        answers.append(runtime.run("job", work))

    thread = threading.Thread(target=body)
    thread.start()
    return thread, answers


def test_what_is_cancelled_has_ended_when_run_returns(runtime: Runtime) -> None:
    told: list[str] = []

    async def work() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.to_thread(told.append, "cleaned up")
        return "never"

    thread, answers = in_background(runtime, work())
    wait_until("it runs", lambda: runtime.busy)
    assert runtime.cancel("job") == 1
    thread.join(10)
    assert answers == [None]
    assert told == ["cleaned up"]


def test_after_refuse_nothing_is_begun(runtime: Runtime) -> None:
    begun: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0)
        begun.append("begun")

    runtime.refuse()
    assert runtime.run("job", work()) is None
    assert begun == []


def test_an_error_reaches_whoever_waits(runtime: Runtime) -> None:
    async def work() -> None:
        raise LookupError("broken")

    with pytest.raises(LookupError, match="broken"):
        runtime.run("job", work())


@pytest.mark.parametrize("end", [SystemExit(3), KeyboardInterrupt()])
@pytest.mark.parametrize("inner", [False, True], ids=["itself", "in a task of its own"])
def test_work_that_would_end_the_process_ends_only_itself(
    runtime: Runtime, end: BaseException, inner: bool
) -> None:
    async def exits() -> None:
        await asyncio.sleep(0)
        raise end

    async def outer() -> None:
        await (asyncio.ensure_future(exits()) if inner else exits())

    async def calm() -> str:
        await asyncio.sleep(0.05)
        return "calm"

    beside = runtime.start("other", calm())
    with pytest.raises(HostswarmError, match="asked for the end of the whole process"):
        runtime.start("job", outer()).result(10)
    assert beside.result(10) == "calm"
    assert runtime.start("job", calm()).result(10) == "calm"


def test_nobody_waits_for_a_loop_that_has_ended() -> None:
    runtime = Runtime()

    async def ends_the_loop() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(runtime._halt)  # pyright: ignore[reportPrivateUsage]
        await asyncio.Event().wait()

    with pytest.raises(HostswarmError, match="has ended"):
        runtime.start("job", ends_the_loop()).result(10)
    with pytest.raises(HostswarmError, match="has ended"):
        runtime.run("job", asyncio.sleep(0))
    assert runtime.cancel("job") == 0
    runtime.close()


def test_reads_that_hang_hold_up_nobody_until_there_are_too_many() -> None:
    release = threading.Event()

    async def story() -> None:
        hung = [asyncio.ensure_future(in_thread(release.wait)) for _ in range(AT_ONCE - 1)]
        await asyncio.sleep(0)
        assert await in_thread(lambda: "quick") == "quick"
        hung.append(asyncio.ensure_future(in_thread(release.wait)))
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="still hang"):
            await in_thread(lambda: "too many")
        release.set()
        await asyncio.gather(*hung)
        assert await in_thread(lambda: "again") == "again"

    asyncio.run(story())


def test_a_caller_that_is_cancelled_does_not_wait_for_its_thread() -> None:
    release = threading.Event()

    async def story() -> None:
        waiting = asyncio.ensure_future(in_thread(release.wait))
        await asyncio.sleep(0)
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        assert waiting.cancelled()

    asyncio.run(story())
    release.set()
