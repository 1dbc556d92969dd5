"""Who is there: a short key per worker that lives for three signs of life."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from swarm_tasks.log import logger
from swarm_tasks.models.host import Beat, HostFacts, HostView
from swarm_tasks.store import keys, presence_scripts
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.draining import marks_of
from swarm_tasks.store.said import beat_of, facts_of
from swarm_tasks.watch.forgetting import clear_away

SWEPT_AT_ONCE = 500
"""Silent hosts that one look at the fleet forgets."""

NAMES_AT_ONCE = 100
"""Bound names that it looks at beside, a third of a millisecond."""


Said = TypeVar("Said")


@dataclass(frozen=True, slots=True)
class Standing:
    """What the store answers to a sign of life.

    Args:
        ours: Whether the name still belongs to the life that gave the sign. Else it did not count.
        drained: Whether the host is to take no parts.
    """

    ours: bool
    drained: bool


class Presence:
    """The fleet as the store sees it.

    Args:
        client: The store.
        ttl_seconds: How long one sign of life lasts.
        forget_seconds: After this a silent host is no longer listed.
    """

    def __init__(self, client: Commands, ttl_seconds: float, forget_seconds: int) -> None:
        self._client = client
        self.ttl_seconds = ttl_seconds
        self._ttl_ms = max(int(ttl_seconds * 1000), 1)
        self.forget_seconds = forget_seconds
        self._beat = client.register_script(presence_scripts.BEAT)
        self._leave = client.register_script(presence_scripts.LEAVE)
        self._forgotten = client.register_script(presence_scripts.FORGOTTEN)
        self._sweep = client.register_script(presence_scripts.SWEEP)
        self._troubles: dict[str, str] = {}

    def announce(self, facts: HostFacts) -> None:
        """Say what a host is; repeated now and then, since facts are forgotten in time."""
        key = keys.FACTS.at(host=facts.host)
        self._client.set(key, facts.model_dump_json(), ex=self.forget_seconds)

    def beat(self, beat: Beat, machine_id: str = "") -> Standing:
        """A worker's sign of life, in one round trip, by the store's clock: a host whose own is
        wrong is the one to look at, not to lose.

        Args:
            machine_id: Whose name it is; empty where nobody has claimed the name.
        """
        ours, drained = self._beat(
            keys=[
                keys.BEAT.at(host=beat.host),
                keys.HOSTS.at(),
                keys.MACHINES.at(),
                keys.DRAINED.at(),
            ],
            args=[beat.host, beat.model_dump_json(), self._ttl_ms, machine_id, beat.instance],
        )
        return Standing(ours=bool(ours), drained=bool(drained))

    def leave(self, host: str, instance: str) -> None:
        """Take back a worker's sign of life, and its hold on its name, when it goes of its own
        will."""
        self._leave(keys=[keys.BEAT.at(host=host), keys.MACHINES.at()], args=[host, instance])

    def silence(self, host: str) -> None:
        """Take back a sign of life that is known to be a former life's."""
        self._client.delete(keys.BEAT.at(host=host))

    def beat_control(self, instance: str, name: str) -> None:
        """A control's sign of life. Those whose signs have ended stay until they are buried."""
        ends = self._now() + self.ttl_seconds
        self._client.zadd(keys.CONTROLS.at(), {control_member(instance, name): ends})

    def leave_control(self, instance: str, name: str) -> None:
        """Take back a control's sign of life."""
        self._client.zrem(keys.CONTROLS.at(), control_member(instance, name))

    def ended_controls(self) -> dict[str, str]:
        """The controls that ended without a word: their instances, by the member that stands for
        them until they are buried."""
        members = self._client.zrangebyscore(keys.CONTROLS.at(), "-inf", self._now())
        return {member: member.partition(" ")[0] for member in members}

    def bury_control(self, member: str) -> None:
        """Forget a control that ended without a word."""
        self._client.zrem(keys.CONTROLS.at(), member)

    def alive(self) -> frozenset[str]:
        """The hosts that were heard of within the life of a sign, in one short read. One that has
        just left of its own will is among them; `beats` knows."""
        since = self._now() - self.ttl_seconds
        return frozenset(self._client.zrangebyscore(keys.HOSTS.at(), since, "+inf"))

    def controls(self) -> dict[str, str]:
        """The controls that are alive: instance and name."""
        alive = self._client.zrangebyscore(keys.CONTROLS.at(), self._now(), "+inf")
        pairs = (member.partition(" ") for member in alive)
        return {instance: name for instance, _, name in pairs}

    def keep_only(self, hosts: Collection[str]) -> None:
        """Drop all other hosts: those that an earlier fleet of this store was made of."""
        known: set[str] = {*self._client.zrange(keys.HOSTS.at(), 0, -1)}
        for key in (keys.MACHINES, keys.DRAINED):
            known.update(self._client.hgetall(key.at()))
        gone = sorted(known.difference(hosts))
        if gone:
            clear_away(self._client, gone)
            self._client.zrem(keys.HOSTS.at(), *gone)
            self._client.hdel(keys.MACHINES.at(), *gone)
            self._client.hdel(keys.DRAINED.at(), *gone)

    def forget(self, host: str) -> bool:
        """Drop a host from the fleet, with its hold on its name, what drains it, and its queues;
        True if it was known."""
        clear_away(self._client, (host,))
        pipe = self._client.pipeline(transaction=False)
        pipe.zrem(keys.HOSTS.at(), host)
        pipe.hdel(keys.MACHINES.at(), host)
        pipe.hdel(keys.DRAINED.at(), host)
        of_host = (keys.BEAT, keys.FACTS, keys.RAISED, keys.LAST_AUDIT, keys.OUTSIDE)
        pipe.delete(*(key.at(host=host) for key in of_host))
        return any(pipe.execute()[:3])

    def beats(self, hosts: list[str] | tuple[str, ...]) -> dict[str, Beat]:
        """The signs of life of these hosts; a host without one is not in the answer. One that
        cannot be read is a sign of life all the same."""
        if not hosts:
            return {}
        texts = self._client.mget([keys.BEAT.at(host=host) for host in hosts])
        return {
            host: self._told(host, "sign of life", *beat_of(host, text))
            for host, text in zip(hosts, texts, strict=True)
            if text is not None
        }

    def last_seen(self, hosts: list[str] | tuple[str, ...]) -> dict[str, datetime]:
        """When these hosts last gave a sign, for those that ever did."""
        if not hosts:
            return {}
        scores = self._client.zmscore(keys.HOSTS.at(), list(hosts))
        return {
            host: datetime.fromtimestamp(score, UTC)
            for host, score in zip(hosts, scores, strict=True)
            if score is not None
        }

    def fleet(self, expected: tuple[str, ...] = ()) -> tuple[HostView, ...]:
        """Every host that is known or expected, by name."""
        self._forget_the_silent()
        scores = dict(self._client.zrange(keys.HOSTS.at(), 0, -1, withscores=True))
        names = sorted({*scores, *expected})
        if not names:
            return ()
        beats = self.beats(names)
        facts = self._client.mget([keys.FACTS.at(host=name) for name in names])
        drained = marks_of(names, self._client.hmget(keys.DRAINED.at(), names))
        return tuple(
            HostView(
                host=name,
                facts=self._told(name, "facts", *facts_of(text)) if text else None,
                beat=beats.get(name),
                last_seen=datetime.fromtimestamp(scores[name], UTC) if name in scores else None,
                drained=drained.get(name),
            )
            for name, text in zip(names, facts, strict=True)
        )

    def _forget_the_silent(self) -> None:
        """Forget hosts that were silent for long, and names that nobody came to bear."""
        gone: list[str] = self._forgotten(
            keys=[keys.HOSTS.at(), keys.MACHINES.at()],
            args=[self.forget_seconds, SWEPT_AT_ONCE, NAMES_AT_ONCE],
        )
        if gone:
            # Before they are dropped: whoever dies in between leaves them to the next sweep.
            clear_away(self._client, gone)
            self._sweep(
                keys=[keys.HOSTS.at(), keys.MACHINES.at(), keys.DRAINED.at()],
                args=[self.forget_seconds, *gone],
            )

    def _told(self, host: str, what: str, said: Said, trouble: str) -> Said:
        """What a host said; that some of it cannot be read is logged once, until it changes."""
        key = f"the {what} of {host}"
        if trouble and self._troubles.get(key) != trouble:
            logger("store").warning("%s cannot be read as a whole: %.200s", key, trouble)
        if trouble:
            self._troubles[key] = trouble
        elif key in self._troubles:
            del self._troubles[key]
        return said

    def _now(self) -> float:
        """Unix time on the store's clock, which all share."""
        seconds, microseconds = self._client.time()
        return seconds + microseconds / 1e6


def control_member(instance: str, name: str) -> str:
    """What stands for a control among those that are alive."""
    return f"{instance} {name}"


def control_owner(instance: str) -> str:
    """Under which owner a control's unacknowledged messages are kept."""
    return f"control.{instance}"
