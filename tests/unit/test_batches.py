"""One thread that writes what many hand over."""

from __future__ import annotations

import threading

from swarm_tasks.store.batches import Batches
from tests.support.waiting import wait_until


def test_a_flush_returns_once_all_before_it_is_written() -> None:
    written: list[list[int]] = []
    batches = Batches[int](written.append, "test-batches")
    try:
        for number in range(1, 4):
            batches.put(number)
        assert batches.flush(10.0)
        assert [number for batch in written for number in batch] == [1, 2, 3]
    finally:
        batches.close()


def test_what_comes_in_a_rush_is_written_together_and_in_order() -> None:
    written: list[list[int]] = []
    batches = Batches[int](written.append, "test-batches")
    try:
        for number in range(200):
            batches.put(number)
        wait_until("all is written", lambda: sum(map(len, written)) == 200, 10.0)
        assert [number for batch in written for number in batch] == list(range(200))
        assert len(written) < 20
    finally:
        batches.close()


def test_something_urgent_does_not_wait_for_the_pause() -> None:
    begun, go = threading.Event(), threading.Event()
    written: list[list[str]] = []

    def write(batch: list[str]) -> None:
        written.append(batch)
        begun.set()
        go.wait(10.0)

    batches = Batches[str](write, "test-batches", urgent=lambda item: item == "now")
    try:
        batches.put("first")
        assert begun.wait(10.0)
        batches.put("later")
        batches.put("now")
        go.set()
        wait_until("both are written", lambda: len(written) == 2, 10.0)
        assert written[1] == ["later", "now"]
    finally:
        batches.close()


def test_what_is_left_is_written_before_the_end() -> None:
    written: list[list[int]] = []
    batches = Batches[int](written.append, "test-batches")
    for number in range(5):
        batches.put(number)
    batches.close()
    assert [number for batch in written for number in batch] == [0, 1, 2, 3, 4]
