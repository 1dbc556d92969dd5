"""Calls one tool on one host, for a person who waits for its answer."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping

from celery import Celery

from orchestrator import dispatch
from orchestrator.checks import wait_seconds
from swarm_tasks.contracts import RemoteCall
from swarm_tasks.errors import JobError
from swarm_tasks.models.evidence import Evidence
from swarm_tasks.store import keys
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.ledger import Ledger
from swarm_tasks.store.presence import Presence

SLICE_SECONDS = 5.0
"""How long one wait for an answer lasts: one as long as the connection's own patience would end as
an error of the connection."""


def call_tool(
    app: Celery,
    ledger: Ledger,
    presence: Presence,
    host: str,
    tool: str,
    arguments: Mapping[str, object],
    seconds: float,
) -> Evidence:
    """Run one tool on one host of the fleet and wait for its answer.

    Raises:
        JobError: The host is dark, or did not answer in time.
    """
    if not presence.beats((host,)):
        seen = presence.last_seen((host,)).get(host)
        raise JobError(
            f"{host} gives no sign of life",
            f"it was last seen {seen:%Y-%m-%d %H:%M:%S} UTC" if seen else "it never came",
        )
    call = RemoteCall(
        call=secrets.token_hex(8),
        host=host,
        tool=tool,
        arguments=dict(arguments),
        expires_at=ledger.now() + seconds,
    )
    dispatch.send_call(app, call)
    answer = _await_answer(ledger.client, call.call, seconds)
    if answer is None:
        raise JobError(
            f"{host} did not answer {tool} within {seconds:g} s",
            "its worker may be full: see `hostswarm hosts`",
        )
    return Evidence.model_validate_json(answer)


def _await_answer(client: Commands, call: str, seconds: float) -> str | None:
    """What a host put under a call's key, or None in time."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        wait = wait_seconds(left, SLICE_SECONDS)
        answer = client.blpop([keys.ANSWER.at(call=call)], timeout=wait)
        if answer is not None:
            return answer[1]
    return None
