"""Leases on parts: who runs what, until when, and what nobody runs. On the store's clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from swarm_tasks.models.base import now_utc
from swarm_tasks.models.event import Event, EventKind
from swarm_tasks.store import keys, lease_scripts
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.events import STREAM_LENGTH

LONGEST_LEASE_SECONDS = 600.0
"""No lease is longer: three signs of life, of which two are at most a minute apart."""

MOST_FALLS = 10
"""A part whose worker was lost this often takes its workers down, most likely."""

MOST_ATTEMPTS = 100
"""However often workers are stopped in order in the middle of a part, it is not begun for ever."""

LOOK_SECONDS = 3.0
"""How long a part that was sent may wait before somebody looks whether its message still is."""

RENEWED_AT_ONCE = 200
"""Leases that are renewed in one script: it holds the store for that long, and nobody else."""


READ_AT_ONCE = 5_000
"""Names of waiting parts that are read in one command, for the same reason."""


class Refusal(IntEnum):
    """Why a part is not this runner's, as the script says it."""

    CLOSED = 0
    """Another has closed it; the job is still open."""

    FORGOTTEN = -1
    CANCELLED = -2

    OURS = -3
    """This very worker runs it: its message came twice."""

    ELSEWHERE = -4
    OVER = -5
    """The whole job is closed."""

    TOO_OFTEN = -6
    UNREADABLE = -7


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to run a part, for as long as it is renewed: only this attempt may close it.

    Args:
        attempt: The fencing token: it grows with each lease of the part.
        now: Unix time on the store's clock when it was given.
        deadline_at: The job's, on the same clock, as it stands now.
    """

    attempt: int
    now: float
    deadline_at: float


@dataclass(frozen=True, slots=True)
class Held:
    """A part under way here, as its lease is renewed."""

    job: str
    part: str
    attempt: int


def task_id(job: str, part: str) -> str:
    """The Celery id of a part's task: known to all, so that any process can speak of it."""
    return f"{job}:{part}"


def named(member: str) -> tuple[str, str]:
    """The job and the part of a task's id."""
    job, _, part = member.partition(":")
    return job, part


class Leases:
    """Leases in the store.

    Args:
        client: The store.
    """

    def __init__(self, client: Commands) -> None:
        self._client = client
        self._take = client.register_script(lease_scripts.TAKE)
        self._renew = client.register_script(lease_scripts.RENEW)
        self._put_back = client.register_script(lease_scripts.PUT_BACK)

    def take(
        self, job: str, part: str, owner: str, host: str, lease_seconds: float
    ) -> Lease | Refusal:
        """Begin a part, or why not.

        Args:
            owner: This life of a worker.
            host: Its host. What a former life of the same host holds is taken over at once.
            lease_seconds: How long the lease lasts unless it is renewed.
        """
        answer: list[str] = self._take(
            keys=[
                keys.PART.at(job=job, part=part),
                keys.JOB.at(job=job),
                keys.WAITING.at(),
                keys.LEASES.at(),
            ],
            args=[
                task_id(job, part),
                owner,
                host,
                lease_seconds,
                LONGEST_LEASE_SECONDS,
                MOST_ATTEMPTS,
            ],
        )
        attempt = int(answer[0])
        if attempt <= 0:
            return Refusal(attempt)
        return Lease(attempt, float(answer[1]), float(answer[2]))

    def renew(self, held: Sequence[Held], owner: str, lease_seconds: float) -> dict[Held, bool]:
        """Renew all that a worker holds; False for what is another's now, or closed."""
        answers: dict[Held, bool] = {}
        for first in range(0, len(held), RENEWED_AT_ONCE):
            some = held[first : first + RENEWED_AT_ONCE]
            renewed: list[int] = self._renew(
                keys=[
                    keys.WAITING.at(),
                    keys.LEASES.at(),
                    *(keys.PART.at(job=one.job, part=one.part) for one in some),
                ],
                args=[
                    owner,
                    lease_seconds,
                    *(
                        word
                        for one in some
                        for word in (task_id(one.job, one.part), str(one.attempt))
                    ),
                ],
            )
            answers |= {one: bool(flag) for one, flag in zip(some, renewed, strict=True)}
        return answers

    def put_back(
        self,
        job: str,
        part: str,
        attempt: int | None,
        why: str,
        host: str = "",
        *,
        fell: bool = False,
    ) -> bool:
        """Make a part that runs one that waits; False where it does not run, or is held rightly.

        Its saved steps stay, and its owner may close it until another has begun it. It is the
        caller who sends it again.

        Args:
            attempt: The runner's own, who gives it back; None takes what nobody has renewed.
            why: For people who follow the job.
            fell: Whether the runner was lost, and did not give it back.
        """
        event = Event(kind=EventKind.PART_PUT_BACK, at=now_utc(), part=part, host=host, status=why)
        return bool(
            self._put_back(
                keys=[
                    keys.PART.at(job=job, part=part),
                    keys.WAITING.at(),
                    keys.LEASES.at(),
                    keys.EVENTS.at(job=job),
                ],
                args=[
                    task_id(job, part),
                    "" if attempt is None else attempt,
                    LOOK_SECONDS,
                    LONGEST_LEASE_SECONDS,
                    event.model_dump_json(exclude_defaults=True),
                    STREAM_LENGTH,
                    int(fell or attempt is None),
                ],
            )
        )

    def over(self, now: float, limit: int = 500) -> tuple[str, ...]:
        """Members whose lease is over, or ends later than any can; oldest first."""
        found = self._client.zrangebyscore(keys.LEASES.at(), "-inf", now, start=0, num=limit)
        if len(found) < limit:
            far = now + LONGEST_LEASE_SECONDS
            found += self._client.zrangebyscore(
                keys.LEASES.at(), far, "+inf", start=0, num=limit - len(found)
            )
        return tuple(found)

    def waiting(self, now: float, limit: int = 500) -> tuple[str, ...]:
        """Members that wait and are to be looked after now; those that are due longest first."""
        found = self._client.zrangebyscore(keys.WAITING.at(), "-inf", now, start=0, num=limit)
        return tuple(found)

    def count_waiting(self) -> int:
        """How many parts of the whole fleet wait."""
        return self._client.zcard(keys.WAITING.at())

    def waiting_by_host(self) -> Counter[str]:
        """How many parts wait for each host; those for any host are under no host's name.

        All that wait are read, about 1.5 µs for each.
        """
        found: Counter[str] = Counter()
        first = 0
        while True:
            last = first + READ_AT_ONCE - 1
            portion: list[str] = self._client.zrange(keys.WAITING.at(), first, last)
            found.update(named(member)[1].partition("/")[0] for member in portion)
            if len(portion) < READ_AT_ONCE:
                return found
            first = last + 1

    def look_again(self, members: Mapping[str, float]) -> None:
        """Look after these at these times, on the store's clock, unless they are begun by then."""
        if members:
            self._client.zadd(keys.WAITING.at(), members, xx=True)

    def drop(self, members: Iterable[str]) -> None:
        """Look after these no more: nothing is known of them."""
        names = tuple(members)
        if names:
            self._client.zrem(keys.WAITING.at(), *names)
            self._client.zrem(keys.LEASES.at(), *names)
