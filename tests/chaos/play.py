"""A round: jobs of many kinds, one after the other, while things go wrong."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import redis

from swarm_tasks.errors import HostswarmError
from swarm_tasks.models.job import AuditRequest
from tests.chaos.arena import NAPS, THINKERS, Arena
from tests.chaos.books import Books, Ended, audit_of, left_over
from tests.chaos.faults import Spell, Trouble
from tests.support.waiting import wait_until

SETTLE_SECONDS = 30.0
"""How long what is left of ended jobs may take to be looked after."""


@dataclass(frozen=True, slots=True)
class Round:
    """What is asked in a round.

    Args:
        parts: How many parts in all, about.
        jobs: In how many jobs.
        deadline_seconds: Of each job.
        seed: Of jobs and faults.
        every_seconds: The mean time between two faults; None makes none.
        spell: How long faults last that pass.
    """

    parts: int
    jobs: int
    deadline_seconds: float
    seed: int
    every_seconds: float | None = None
    spell: Spell = field(default_factory=Spell)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a round.

    Args:
        seconds: From the first job to the end of the last.
        faults: What was made to go wrong, how often.
    """

    seconds: float
    books: Books
    faults: Counter[str]
    left: tuple[str, ...]


def play(arena: Arena, asked: Round) -> Outcome:
    """Play a round, and go through its books."""
    requests = requests_of(arena, asked)
    began = time.monotonic()
    if asked.every_seconds is None:
        ended, faults = _through(arena, requests), Counter[str]()
        seconds = time.monotonic() - began
    else:
        with Trouble(arena, asked.seed, asked.every_seconds, asked.spell) as trouble:
            ended = _through(arena, requests)
            seconds = time.monotonic() - began
        if trouble.failed:
            raise AssertionError(f"a fault could not be made: {trouble.failed[0]!r}")
        faults = trouble.made
    fleet = arena.fleet.fleet
    wait_until("the fleet is whole again", lambda: _whole(arena), 60)
    wait_until("nothing is left", lambda: not left_over(fleet.ledger), SETTLE_SECONDS)
    return Outcome(
        seconds, audit_of(fleet, ended, arena.silent), faults, tuple(left_over(fleet.ledger))
    )


def requests_of(arena: Arena, asked: Round) -> list[AuditRequest]:
    """Jobs for any host, some of them with a model, and between them audits of every host."""
    chance = random.Random(asked.seed)
    most = asked.parts // asked.jobs
    names = tuple(NAPS)
    requests: list[AuditRequest] = []
    for number in range(asked.jobs):
        brain = "auto" if number % 4 == 1 else "rules"
        common = {"deadline_seconds": asked.deadline_seconds, "brain": brain}
        if number % 4 == 3:
            some = tuple(chance.sample(names, min(len(names), max(most // len(arena.hosts), 1))))
            requests.append(AuditRequest.model_validate({"specialists": some, **common}))
        else:
            known = THINKERS if brain == "auto" else names
            questions = [{"specialist": chance.choice(known)} for _ in range(most)]
            requests.append(AuditRequest.model_validate({"anywhere": questions, **common}))
    return requests


@dataclass(frozen=True, slots=True)
class Begun:
    """A job under way.

    Args:
        asked_at: On the test's clock, before it was planned.
    """

    id: str
    parts: int
    deadline_seconds: float
    asked_at: float


def _through(arena: Arena, requests: Sequence[AuditRequest]) -> list[Ended]:
    """Ask for all of it at once, as several people do, and wait for the last."""
    begun = [_ask(arena, request) for request in requests]
    ended: dict[str, Ended] = {}
    longest = max(one.deadline_seconds for one in begun)

    def all_ended() -> bool:
        for one in begun:
            if one.id not in ended and _state(arena, one.id) == "closed":
                seconds = time.monotonic() - one.asked_at
                ended[one.id] = Ended(one.id, one.parts, seconds, one.deadline_seconds)
        return len(ended) == len(begun)

    wait_until("all jobs have ended", all_ended, longest + 60)
    return list(ended.values())


def _ask(arena: Arena, request: AuditRequest) -> Begun:
    """Ask until the store takes it: it may be away now and then. What was asked in vain counts for
    nothing, as its asker was told."""
    while True:
        asked_at = time.monotonic()
        try:
            job = arena.fleet.fleet.audit(request)
            record = arena.fleet.fleet.record(job.id)
        except (redis.RedisError, HostswarmError):
            if time.monotonic() > asked_at + 30:
                raise
            time.sleep(0.2)
            continue
        return Begun(job.id, record.total, job.deadline_seconds, asked_at)


def _state(arena: Arena, job: str) -> str:
    """How a job stands; nothing is known while the store is away."""
    try:
        head = arena.fleet.fleet.ledger.heads((job,)).get(job)
    except redis.RedisError:
        return ""
    if head is None:
        raise AssertionError(f"job {job} is gone")
    return head.state


def _whole(arena: Arena) -> bool:
    """Whether every process is there, and heard."""
    try:
        return len(arena.fleet.fleet.presence.beats(arena.hosts)) == len(arena.hosts)
    except redis.RedisError:
        return False
