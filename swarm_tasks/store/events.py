"""The stream of what happens in a job: written by hosts, read by whoever watches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import redis

from swarm_tasks.log import logger
from swarm_tasks.models.event import Event, EventKind
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

    def flush(self, timeout_seconds: float = 1.0) -> None:
        """Have all that was handed over written before this returns, as far as there is time: what
        comes behind the end of a job is told to nobody."""
        self._batches.flush(timeout_seconds)

    def close(self, timeout_seconds: float = 2.0) -> None:
        """Write what is left and end."""
        self._batches.close(timeout_seconds)

    def _write(self, batch: list[tuple[str, Event]]) -> None:
        pipe = self._client.pipeline(transaction=False)
        for job, event in worth_telling(batch):
            add_event(pipe, job, event)
        for job in {job for job, _ in batch}:
            pipe.expire(keys.EVENTS.at(job=job), self._ttl)
        try:
            pipe.execute()
        except redis.RedisError as error:
            logger("events").warning("%d progress events were not told: %s", len(batch), error)


def worth_telling(batch: Sequence[tuple[str, Event]]) -> list[tuple[str, Event]]:
    """The same events but for the starts of tools that have ended since: nobody could see them
    run, and their ends say all of it."""
    ended: Counter[tuple[str, str, str]] = Counter()
    told: list[tuple[str, Event]] = []
    for job, event in reversed(batch):
        call = (job, event.part, event.tool)
        if event.kind is EventKind.TOOL_STARTED and ended[call]:
            ended[call] -= 1
            continue
        if event.kind is EventKind.TOOL_ENDED:
            ended[call] += 1
        told.append((job, event))
    return told[::-1]


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


def last_events(client: Commands, jobs: Sequence[str], limit: int) -> list[Event]:
    """The last events of some jobs, as many of each."""
    pipe = client.pipeline(transaction=False)
    for job in jobs:
        pipe.xrevrange(keys.EVENTS.at(job=job), count=limit)
    return [
        Event.model_validate_json(fields["event"])
        for entries in pipe.execute()
        for _, fields in entries
    ]
