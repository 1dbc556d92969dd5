"""Where the messages of parts are, and what becomes of those that a dead process held.

kombu keeps a queue of Redis in lists, a message in each element, and what was handed out in a hash
of the process that took it, until it is acknowledged.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, cast

from celery import Celery

from swarm_tasks import routing
from swarm_tasks.models.job import LANES
from swarm_tasks.store import keys
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.records import PartRecord

LANE_MARK = "\x06\x16"
"""What stands between a queue's name and a lane's number: kombu's `Channel.sep`."""

MEMORY_SECONDS = 600.0
"""For how long it is remembered that a message was in hand: far longer than two looks are apart."""

READ_THROUGH = 500
"""The longest lane that is read through for a message: two megabytes, in a few milliseconds."""

HAND_SECONDS = 2.0
"""How long a worker may have a message in hand without beginning its part: it takes those only that
it has a place for. After that the message is a memory of a store which lost its last second, or of
a worker that dropped it."""


class Messages:
    """The queues of the fleet.

    Args:
        app: Whose broker it is.
        client: The store; where it is the broker too, its queues are read as they are.
    """

    def __init__(self, app: Celery, client: Commands) -> None:
        self._app = app
        self._client = client
        self._in_store = not str(app.conf.broker_url).startswith("amqp")
        self._in_hand: dict[str, float] = {}

    def lost(self, parts: Mapping[str, PartRecord]) -> set[str]:
        """Those parts whose message is neither in its queue nor, for a moment, in its worker's
        hands.

        Of parts in a queue that is too long to be read through, none: they are looked for again
        when it is shorter. A message that is sent again for nothing does no harm.

        Args:
            parts: By their tasks' ids; those that wait.
        """
        if not self._in_store:
            return self._lost_of_amqp(parts)
        lanes = {
            member: lane_key(routing.part_queue(part.host if part.bound else ""), part.lane)
            for member, part in parts.items()
        }
        names = sorted(set(lanes.values()))
        pipe = self._client.pipeline(transaction=False)
        for name in names:
            pipe.llen(name)
        lengths = dict(zip(names, pipe.execute(), strict=True))
        short = {name for name, length in lengths.items() if length <= READ_THROUGH}
        judged = {member: part for member, part in parts.items() if lanes[member] in short}
        hosts = {part.host for part in judged.values() if part.bound}
        queued, taken = self._texts(sorted(short), sorted(hosts))
        absent = {member for member in judged if f'"{member}"' not in queued[lanes[member]]}
        in_hand = {one for one in absent if f'"{one}"' in taken.get(parts[one].host, "")}
        return absent - in_hand | self._too_long(in_hand, parts)

    def _texts(
        self, lanes: Sequence[str], hosts: Sequence[str]
    ) -> tuple[dict[str, str], dict[str, str]]:
        """What stands in these lanes, and what these hosts have in hand, in one round trip."""
        pipe = self._client.pipeline(transaction=False)
        for lane in lanes:
            pipe.lrange(lane, 0, -1)
        for host in hosts:
            pipe.hvals(keys.UNACKED.at(owner=host))
        texts = ["\n".join(some) for some in pipe.execute()]
        count = len(lanes)
        return (
            dict(zip(lanes, texts[:count], strict=True)),
            dict(zip(hosts, texts[count:], strict=True)),
        )

    def _too_long(self, in_hand: Collection[str], looked: Collection[str]) -> set[str]:
        """Which of those that are in a worker's hands have been there for too long."""
        clock = time.monotonic()
        self._in_hand = {
            member: first
            for member, first in self._in_hand.items()
            if clock - first < MEMORY_SECONDS and (member in in_hand or member not in looked)
        }
        since = {member: self._in_hand.setdefault(member, clock) for member in in_hand}
        return {member for member, first in since.items() if clock - first > HAND_SECONDS}

    def _lost_of_amqp(self, parts: Mapping[str, PartRecord]) -> set[str]:
        """The same with a broker that tells only how long a queue is, and loses nothing itself:
        what was never sent, because its sender died, waits behind an empty queue."""
        lengths: dict[str, int] = {}
        missing: set[str] = set()
        with self._app.connection_for_read() as connection:
            channel = cast(Any, connection).default_channel
            for member, part in parts.items():
                queue = routing.part_queue(part.host if part.bound else "")
                if queue not in lengths:
                    lengths[queue] = _length(channel, queue)
                if not lengths[queue]:
                    missing.add(member)
        return missing


def _length(channel: Any, queue: str) -> int:
    """How many messages wait in a queue; 0 for one that is not there."""
    try:
        return channel.queue_declare(queue=queue, passive=True).message_count
    except channel.connection.client.channel_errors:
        return 0


def lane_key(queue: str, lane: int) -> str:
    """The list of one lane of a queue."""
    return f"{queue}{LANE_MARK}{lane}" if lane else queue


def give_back(client: Commands, owner: str, queues: Collection[str] | None = None) -> int:
    """Put what a process that is gone held unacknowledged back to the front of its queues.

    Only its successor may call this, or whoever is sure that it is gone; a message that is given
    back for nothing is refused by the ledger.

    Args:
        owner: The process, as its messages are kept under.
        queues: Only messages of these; None for all.

    Returns:
        How many there were.
    """
    held = client.hgetall(keys.UNACKED.at(owner=owner))
    back = {tag: found for tag, text in held.items() if (found := _message(text, queues))}
    if not back:
        return 0
    pipe = client.pipeline(transaction=True)
    for tag, (key, message) in back.items():
        pipe.hdel(keys.UNACKED.at(owner=owner), tag)
        pipe.zrem(keys.UNACKED_INDEX.at(owner=owner), tag)
        pipe.rpush(key, message)
    pipe.execute()
    return len(back)


def forget(client: Commands, owners: Iterable[str]) -> None:
    """Drop what is left of processes that will not come again."""
    names = [key.at(owner=one) for one in owners for key in (keys.UNACKED, keys.UNACKED_INDEX)]
    if names:
        client.delete(*names)


def _message(text: str, queues: Collection[str] | None) -> tuple[str, str] | None:
    """The list that a message belongs into and the message, marked as delivered before; None for
    one of another queue, or that cannot be read."""
    try:
        message, _, queue = json.loads(text)
        lane = int(message["properties"].get("priority") or 0)
        message["headers"]["redelivered"] = True
        message["properties"]["delivery_info"]["redelivered"] = True
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    if queues is not None and queue not in queues:
        return None
    return lane_key(queue, min(max(lane, 0), LANES - 1)), json.dumps(message)
