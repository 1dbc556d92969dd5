"""The only sender of work: a chord for a job, one message for a tool or for claims to check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from celery import Celery, chord
from celery.app.task import Context

from swarm_tasks import contracts, routing
from swarm_tasks.models.job import HostTask
from swarm_tasks.store.ledger import task_id


def send_job(app: Celery, job: str, tasks: Sequence[HostTask]) -> None:
    """Fan a job out: a part to each host's queue, and the synthesis behind them all.

    Ids are derived from the job, so that control can speak for a part whose host is gone. A
    part's result is its own name and is not stored: findings wait in the ledger.
    """
    body = synthesis(app, job)
    if not tasks:
        body.apply_async()
        return
    parts = cast(Any, chord([_part(app, job, task) for task in tasks], body, app=app))
    # The option names the header's group, the argument the body.
    parts.set(task_id=job).apply_async(task_id=body_id(job))


def synthesis(app: Celery, job: str) -> Any:
    """The chord's body: to control, with the job's id only, whatever the parts return."""
    return app.signature(
        contracts.SYNTHESIZE,
        args=(job,),
        immutable=True,
        options={
            "queue": routing.CONTROL,
            "task_id": body_id(job),
            # Nobody waits for its result: without this, the sender would subscribe to it.
            "ignore_result": True,
        },
    )


def tell_chord(app: Celery, job: str, part: str) -> None:
    """Count a part that control closed in a host's stead; harmless if it was counted before."""
    context = Context(
        id=task_id(job, part),
        group=job,
        chord=synthesis(app, job),
        ignore_result=True,
        task=contracts.INVESTIGATE,
    )
    cast(Any, app.backend).mark_as_done(task_id(job, part), part, request=context)


def send_call(app: Celery, call: contracts.RemoteCall) -> None:
    """Ask one host to run one tool."""
    app.send_task(
        contracts.TOOL,
        args=(call.model_dump(mode="json"),),
        queue=routing.host_queue(call.host),
        ignore_result=True,
    )


def send_check(app: Celery, check: contracts.ClaimCheck) -> None:
    """Ask one host to measure claims that others made about it."""
    app.send_task(
        contracts.CHECK,
        args=(check.model_dump(mode="json"),),
        queue=routing.host_queue(check.host),
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


def body_id(job: str) -> str:
    """The Celery id of a job's synthesis."""
    return f"{job}:synthesize"


def _part(app: Celery, job: str, task: HostTask) -> Any:
    return app.signature(
        contracts.INVESTIGATE,
        args=(task.model_dump(mode="json", exclude_defaults=True),),
        options={
            "queue": routing.host_queue(task.host),
            "task_id": task_id(job, task.part),
            "ignore_result": True,
            # What Flower shows of it. Left to itself Celery prints the whole task for that.
            "argsrepr": f"({task.part!r},)",
            "kwargsrepr": "{}",
        },
    )
