"""Sends what somebody waits for to one host, and tells hosts to stop; `sending` sends parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from celery import Celery

from swarm_tasks import contracts, routing


def send_call(app: Celery, call: contracts.RemoteCall) -> None:
    """Ask one host to run one tool."""
    app.send_task(
        contracts.TOOL,
        args=(call.model_dump(mode="json"),),
        queue=routing.errand_queue(call.host),
        ignore_result=True,
    )


def send_check(app: Celery, check: contracts.ClaimCheck) -> None:
    """Ask one host to measure claims that others made about it."""
    app.send_task(
        contracts.CHECK,
        args=(check.model_dump(mode="json"),),
        queue=routing.errand_queue(check.host),
        ignore_result=True,
        # What Flower shows of it, as with a part.
        argsrepr=f"({len(check.claims)} claims of {check.job!r},)",
        kwargsrepr="{}",
    )


def stop_agents(app: Celery, job: str, hosts: Sequence[str]) -> None:
    """Tell these hosts to stop a job's agents; one that misses it learns it from the ledger."""
    cast(Any, app.control).broadcast(
        contracts.CANCEL_COMMAND,
        arguments={"job": job},
        destination=[routing.worker_node(host) for host in hosts],
    )
