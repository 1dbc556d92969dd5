"""The stream of what happens in a job: written by hosts, read by whoever watches."""

from __future__ import annotations

from collections.abc import Iterator

import redis

from swarm_tasks.log import logger
from swarm_tasks.models.event import Event
from swarm_tasks.store import keys
from swarm_tasks.store.batches import BATCH, Batches
from swarm_tasks.store.commands import Commands

STREAM_LENGTH = 20_000
"""The newest events of a job that are kept; older ones are only progress."""


class EventWriter:
    """Writes events from one thread, so that an agent never waits for the network to tell.

    Progress is worth less than work: an event that the store does not take is dropped.

    Args:
        client: The store.
        ttl_seconds: How long a job's stream lives after its last event.
    """

    def __init__(self, client: Commands, ttl_seconds: int) -> None:
        self._client = client
        self._ttl = ttl_seconds
        self._batches = Batches(self._write, "hostswarm-events")

    def emit(self, job: str, event: Event) -> None:
        """Hand over one event; returns at once."""
        self._batches.put((job, event))

    def close(self, timeout_seconds: float = 2.0) -> None:
        """Write what is left and end."""
        self._batches.close(timeout_seconds)

    def _write(self, batch: list[tuple[str, Event]]) -> None:
        pipe = self._client.pipeline(transaction=False)
        for job, event in batch:
            add_event(pipe, job, event)
        for job in {job for job, _ in batch}:
            pipe.expire(keys.EVENTS.at(job=job), self._ttl)
        try:
            pipe.execute()
        except redis.RedisError as error:
            logger("events").warning("%d progress events were not told: %s", len(batch), error)


def add_event(client: Commands, job: str, event: Event) -> None:
    """Append one event; the stream's time to live is the caller's business."""
    client.xadd(
        keys.EVENTS.at(job=job),
        {"event": event.model_dump_json(exclude_defaults=True)},
        maxlen=STREAM_LENGTH,
        approximate=True,
    )


def read_events(
    client: Commands, job: str, after: str = "0", block_seconds: float = 1.0
) -> Iterator[tuple[str, Event]]:
    """The events after an id, waiting up to `block_seconds` for the first; may be none.

    Yields:
        The event's id, to go on from, and the event.
    """
    answer = client.xread(
        {keys.EVENTS.at(job=job): after}, count=BATCH, block=int(block_seconds * 1000)
    )
    for _, entries in answer or ():
        for identifier, fields in entries:
            yield identifier, Event.model_validate_json(fields["event"])
