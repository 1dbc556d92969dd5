"""A result backend for processes that send work and never wait for its result.

Celery subscribes a sender to the result of every part of a chord, one channel each, though here
nobody listens: what became of a part stands in the ledger.
"""

from __future__ import annotations

# The stubs of Celery leave its result consumer out.
from celery.backends.redis import (
    RedisBackend,
    ResultConsumer,  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]
    SentinelBackend,
)

BACKEND = "swarm_tasks.silent:SilentBackend"
"""How Celery finds it: this, a plus sign, and the store's URL."""

SENTINEL_BACKEND = "swarm_tasks.silent:SilentSentinelBackend"
"""The same for a store that Sentinels know."""


class SilentConsumer(ResultConsumer):  # pyright: ignore[reportUntypedBaseClass]
    """Listens to nothing."""

    def start(self, initial_task_id: str, **kwargs: object) -> None:
        """Do not subscribe."""

    def consume_from(self, task_id: str) -> None:
        """Do not subscribe."""

    def cancel_for(self, task_id: str) -> None:
        """There is nothing to take back."""


class SilentBackend(RedisBackend):
    """Stores results and counts chords as ever, and listens to nothing."""

    ResultConsumer = SilentConsumer


class SilentSentinelBackend(SentinelBackend):
    """The same for a store that Sentinels know."""

    ResultConsumer = SilentConsumer
