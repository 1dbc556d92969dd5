"""Who is there: a short key per worker that lives for three signs of life."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from swarm_tasks.models.host import Beat, HostFacts, HostView
from swarm_tasks.store import keys
from swarm_tasks.store.commands import Commands


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

    def announce(self, facts: HostFacts) -> None:
        """Say what a host is; repeated now and then, since facts are forgotten in time."""
        key = keys.FACTS.at(host=facts.host)
        self._client.set(key, facts.model_dump_json(), ex=self.forget_seconds)

    def beat(self, beat: Beat) -> None:
        """A worker's sign of life, in one round trip."""
        pipe = self._client.pipeline(transaction=False)
        pipe.set(keys.BEAT.at(host=beat.host), beat.model_dump_json(), px=self._ttl_ms)
        # By the store's clock: a host whose own is wrong is the one to look at, not to lose.
        pipe.zadd(keys.HOSTS.at(), {beat.host: self._now()})
        pipe.execute()

    def leave(self, host: str, instance: str) -> None:
        """Take back a worker's sign of life when it goes of its own will."""
        key = keys.BEAT.at(host=host)
        text = self._client.get(key)
        if text is not None and Beat.model_validate_json(text).instance == instance:
            self._client.delete(key)

    def silence(self, host: str) -> None:
        """Take back a sign of life that is known to be a former life's."""
        self._client.delete(keys.BEAT.at(host=host))

    def beat_control(self, instance: str, name: str) -> None:
        """A control's sign of life."""
        now = self._now()
        pipe = self._client.pipeline(transaction=False)
        pipe.zadd(keys.CONTROLS.at(), {f"{instance} {name}": now + self.ttl_seconds})
        pipe.zremrangebyscore(keys.CONTROLS.at(), "-inf", now)
        pipe.execute()

    def leave_control(self, instance: str, name: str) -> None:
        """Take back a control's sign of life."""
        self._client.zrem(keys.CONTROLS.at(), f"{instance} {name}")

    def controls(self) -> dict[str, str]:
        """The controls that are alive: instance and name."""
        alive = self._client.zrangebyscore(keys.CONTROLS.at(), self._now(), "+inf")
        pairs = (member.partition(" ") for member in alive)
        return {instance: name for instance, _, name in pairs}

    def keep_only(self, hosts: Collection[str]) -> None:
        """Drop all other hosts: those that an earlier fleet of this store was made of."""
        known: list[str] = self._client.zrange(keys.HOSTS.at(), 0, -1)
        gone = [host for host in known if host not in hosts]
        if gone:
            self._client.zrem(keys.HOSTS.at(), *gone)

    def forget(self, host: str) -> bool:
        """Drop a host from the fleet; True if it was known."""
        pipe = self._client.pipeline(transaction=False)
        pipe.zrem(keys.HOSTS.at(), host)
        of_host = (keys.BEAT, keys.FACTS, keys.RAISED, keys.LAST_AUDIT, keys.OUTSIDE)
        pipe.delete(*(key.at(host=host) for key in of_host))
        return bool(pipe.execute()[0])

    def beats(self, hosts: list[str] | tuple[str, ...]) -> dict[str, Beat]:
        """The signs of life of these hosts; a host without one is not in the answer."""
        if not hosts:
            return {}
        texts = self._client.mget([keys.BEAT.at(host=host) for host in hosts])
        return {
            host: Beat.model_validate_json(text)
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
        oldest = self._now() - self.forget_seconds
        self._client.zremrangebyscore(keys.HOSTS.at(), "-inf", oldest)
        scores = dict(self._client.zrange(keys.HOSTS.at(), 0, -1, withscores=True))
        names = sorted({*scores, *expected})
        if not names:
            return ()
        beats = self.beats(names)
        facts = self._client.mget([keys.FACTS.at(host=name) for name in names])
        return tuple(
            HostView(
                host=name,
                facts=HostFacts.model_validate_json(text) if text else None,
                beat=beats.get(name),
                last_seen=datetime.fromtimestamp(scores[name], UTC) if name in scores else None,
            )
            for name, text in zip(names, facts, strict=True)
        )

    def _now(self) -> float:
        """Unix time on the store's clock, which all share."""
        seconds, microseconds = self._client.time()
        return seconds + microseconds / 1e6
