"""Coroutines that are waited for no longer than was said."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator

import pytest

from orchestrator.asking import in_time
from tests.support.waiting import wait_until


@pytest.fixture
def stuck() -> Generator[threading.Event]:
    """What a thread waits for that nothing stops; after the test, it may end."""
    event = threading.Event()
    yield event
    event.set()
    wait_until("its thread ended", lambda: all(t.name != "asking" for t in threading.enumerate()))


def test_a_thread_that_does_not_end_holds_nobody_up(stuck: threading.Event) -> None:
    ended: list[bool] = []

    async def slow() -> None:
        await asyncio.to_thread(lambda: ended.append(stuck.wait(20)))

    with pytest.raises(TimeoutError):
        in_time(slow(), 0.01)
    assert not ended


def test_an_answer_does_not_wait_for_threads(stuck: threading.Event) -> None:
    ended: list[bool] = []

    async def quick() -> str:
        asyncio.get_running_loop().run_in_executor(None, lambda: ended.append(stuck.wait(20)))
        return "here"

    assert in_time(quick(), 20) == "here"
    assert not ended


def test_errors_come_as_they_are() -> None:
    async def wrong() -> None:
        raise LookupError("nowhere")

    with pytest.raises(LookupError, match="nowhere"):
        in_time(wrong(), 20)
