"""Wait for something to become true, in place of sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(what: str, probe: Callable[[], T], timeout_seconds: float = 60.0) -> T:
    """The first true answer of `probe`.

    Raises:
        AssertionError: There was none in time; `what` says what was waited for.
    """
    end = time.monotonic() + timeout_seconds
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout_seconds:g} s: {what}")
        time.sleep(0.02)
