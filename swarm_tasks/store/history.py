"""What a host remembers between audits: samples over time, and what stands raised."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from swarm_tasks.models.finding import Severity
from swarm_tasks.store import keys
from swarm_tasks.store.commands import Commands


class History:
    """One host's memory in the store.

    Args:
        client: The store.
        host: Whose memory.
        forget_seconds: How long raised findings are remembered.
    """

    def __init__(self, client: Commands, host: str, forget_seconds: int) -> None:
        self._client = client
        self._host = host
        self._forget = forget_seconds

    def add(self, samples: Iterable[tuple[str, str, float]], at: float | None = None) -> None:
        """Keep values (metric, subject, value) as of Unix time `at`, by default now."""
        stamp = time.time() if at is None else at
        pipe = self._client.pipeline(transaction=False)
        for metric, subject, value in samples:
            key = self._key(metric, subject)
            pipe.rpush(key, f"{stamp:.3f} {value!r}")
            pipe.ltrim(key, -keys.HISTORY_LENGTH, -1)
            pipe.expire(key, keys.HISTORY_TTL_SECONDS)
        pipe.execute()

    def samples(self, metric: str, subject: str) -> list[tuple[float, float]]:
        """All kept values of one thing: Unix time and value, oldest first."""
        rows = self._client.lrange(self._key(metric, subject), 0, -1)
        pairs = (row.split(" ", 1) for row in rows)
        return [(float(at), float(value)) for at, value in pairs]

    def raised(self) -> dict[str, Severity]:
        """What stood raised after the last audit, by fingerprint."""
        found = self._client.hgetall(keys.RAISED.at(host=self._host))
        return {mark: Severity(word) for mark, word in found.items()}

    def remember(self, raised: Mapping[str, Severity], cleared: Iterable[str]) -> None:
        """Note what an audit raised, and what it measured and found well."""
        key = keys.RAISED.at(host=self._host)
        pipe = self._client.pipeline(transaction=False)
        gone = [mark for mark in cleared if mark not in raised]
        if gone:
            pipe.hdel(key, *gone)
        if raised:
            pipe.hset(key, mapping={mark: word.value for mark, word in raised.items()})
            pipe.expire(key, self._forget)
        if gone or raised:
            pipe.execute()

    def _key(self, metric: str, subject: str) -> str:
        return keys.SAMPLES.at(host=self._host, metric=metric, subject=subject)
