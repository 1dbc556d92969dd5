"""The worker's own clock: a sign of life, a look for cancelled jobs, and samples for history."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import redis

from swarm_tasks.log import logger

ANNOUNCE_EVERY_SECONDS = 300.0


class Heartbeat:
    """Calls `beat` every so often from a thread of its own, however busy the agents are.

    Args:
        beat: One sign of life and what goes with it.
        announce: Says again what this host is, now and then: facts have a life, too.
        sample: Begins to sample values for the history; it must not wait for them, since a
            tool that hangs would keep the signs of life back.
        every_seconds: Between two signs of life.
        sample_seconds: Between two samples.
    """

    def __init__(
        self,
        beat: Callable[[], None],
        announce: Callable[[], None],
        sample: Callable[[], None],
        every_seconds: float,
        sample_seconds: float,
    ) -> None:
        self._beat = beat
        self._announce = announce
        self._sample = sample
        self._every = every_seconds
        self._sample_every = sample_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._turn, name="hostswarm-heart", daemon=True)

    def start(self) -> None:
        """Begin with a sign of life at once."""
        self._thread.start()

    def stop(self) -> None:
        """No more signs after this."""
        self._stop.set()
        self._thread.join(5.0)

    def _turn(self) -> None:
        announced = 0.0
        # The first sample comes after a period and a bit of chance, so that neither a short
        # audit pays for it nor a fleet that was started together samples together.
        sampled = time.monotonic() + random.uniform(0, 0.1) * self._sample_every  # noqa: S311
        while True:
            now = time.monotonic()
            try:
                if not announced or now - announced > ANNOUNCE_EVERY_SECONDS:
                    self._announce()
                    announced = now
                self._beat()
                if now - sampled > self._sample_every:
                    sampled = now
                    self._sample()
            except redis.RedisError as error:
                logger("heartbeat").warning("no sign of life was given: %s", error)
            except Exception:  # noqa: BLE001 - whatever it was, the next sign of life must be tried
                logger("heartbeat").exception("no sign of life was given")
            if self._stop.wait(self._every):
                return
