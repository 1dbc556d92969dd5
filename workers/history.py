"""The host's history as tools see it: read without blocking the agents' loop."""

from __future__ import annotations

import asyncio

from swarm_tasks.store.history import History


class StoreHistory:
    """Samples that the store keeps for this host."""

    def __init__(self, history: History) -> None:
        self._history = history

    async def samples(self, metric: str, subject: str) -> list[tuple[float, float]]:
        """Pairs of Unix time in seconds and value, oldest first."""
        return await asyncio.to_thread(self._history.samples, metric, subject)
