"""What was asked already: a producer's message that comes twice, a schedule that two beats ask.

A message is acknowledged when its job has been sent. If control dies before, it comes again; it is
known by the id of its Celery task, which is the same each time.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress

import redis

from swarm_tasks.errors import Busy, JobError
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.job import AuditRequest
from swarm_tasks.store import keys, lease_scripts
from swarm_tasks.store.commands import Commands

LATE_SECONDS = 60.0
"""A message that comes again so long after it first came is dropped: whoever sent it has most
likely given up, or asked anew."""

_SINCE = "since "
"""Before the time at which a message first came, as long as no job has come of it."""


def job_in(value: str | None) -> str:
    """The job that a message's entry names; empty where none has come of it."""
    return "" if value is None or value.startswith(_SINCE) else value


@contextmanager
def taken_up(client: Commands, message: str, now: float, life_seconds: int) -> Generator[str]:
    """Take up a message; yields the job that came of it before, or nothing if none did.

    An error of what is done meanwhile is the message's answer: the same id may be sent anew then.

    Args:
        message: The id of its Celery task; empty for what came by no message.
        now: Unix time on the store's clock.
        life_seconds: How long it is known.

    Raises:
        JobError: It first came too long ago.
    """
    if not message:
        yield ""
        return
    key, own = keys.ASKED.at(request=message), f"{_SINCE}{now:.3f}"
    mark = own if client.set(key, own, ex=life_seconds, nx=True) else client.get(key) or own
    if job := job_in(mark):
        yield job
        return
    age_seconds = now - float(mark.removeprefix(_SINCE))
    if age_seconds > LATE_SECONDS:
        raise JobError(
            f"this request first came {age_seconds:,.0f} s ago, and control ended before it "
            "was sent out",
            "ask again",
        )
    try:
        yield ""
    except Exception:
        with suppress(redis.RedisError):  # at worst the id is of no use for a while
            _drop(client, key, mark)
        raise


@contextmanager
def own_slot(client: Commands, request: AuditRequest, message: str) -> Generator[bool]:
    """Take a schedule's slot; yields False where another message has it.

    It is given back where the fleet is busy, so that the next to ask for it may.
    """
    if not request.slot:
        yield True
        return
    key, owner = keys.SLOT.at(schedule=request.slot), message or now_utc().isoformat()
    window_ms = max(int(request.slot_seconds * 1000), 1000)
    # A message that comes again has its slot still.
    ours = client.set(key, owner, px=window_ms, nx=True) or client.get(key) == owner
    try:
        yield bool(ours)
    except Busy:
        _drop(client, key, owner)
        raise


def _drop(client: Commands, key: str, value: str) -> None:
    """Delete a key, if that is still its value."""
    client.register_script(lease_scripts.LET_GO)(keys=[key], args=[value])
