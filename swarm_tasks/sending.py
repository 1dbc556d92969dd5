"""Sends parts of jobs and counts them, in the wire form of a Celery chord.

A chord's header may be sent in portions here, and a part of it again: the queue carries a part, and
only the ledger says what became of it. Celery's own `chord` sends a header once and as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from celery import Celery
from celery.app.task import Context

from swarm_tasks import contracts, routing
from swarm_tasks.models.job import LANES, HostTask
from swarm_tasks.store.leases import named, task_id


def send_job(app: Celery, job: str, tasks: Sequence[HostTask], total: int) -> None:
    """Fan a job out: a part to each host's queue, and the synthesis behind them all.

    Ids are derived from the job, so that any process can speak for a part whose host is gone. A
    part's result is its own name and is not stored: findings wait in the ledger.

    Args:
        tasks: The parts that can be done now.
        total: All parts of the job: the synthesis waits for each to be counted.
    """
    if not total:
        send_synthesis(app, job)
        return
    cast(Any, app.backend).set_chord_size(job, total)
    for task in tasks:
        send_part(app, task)


def send_part(app: Celery, task: HostTask) -> None:
    """Send one part for the first time, or give it back to where it came from."""
    payload = task.model_dump(mode="json", exclude_defaults=True)
    send_payload(app, task_id(task.job, task.part), payload, routing.part_queue(task.host))


def send_payload(app: Celery, member: str, payload: Mapping[str, Any], queue: str) -> None:
    """Send a part as it travels, again: the ledger lets only one runner close it.

    Args:
        member: The task's id.
        payload: Its `HostTask`, perhaps of a newer version.
    """
    job, part = named(member)
    lane = payload.get("lane", 0)
    signature = app.signature(
        contracts.INVESTIGATE,
        args=(payload,),
        options={
            "queue": queue,
            "priority": lane if lane in range(LANES) else 0,
            "task_id": member,
            "ignore_result": True,
            # What Flower shows of it. Left to itself Celery prints the whole task for that.
            "argsrepr": f"({part!r},)",
            "kwargsrepr": "{}",
        },
    )
    signature.apply_async(chord=synthesis(app, job), group_id=job)


def send_synthesis(app: Celery, job: str) -> None:
    """Send a job's synthesis by itself, where nothing is left to count."""
    synthesis(app, job).apply_async()


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
    """Count a part that was closed in its runner's stead; harmless if it was counted before."""
    context = Context(
        id=task_id(job, part),
        group=job,
        chord=synthesis(app, job),
        ignore_result=True,
        task=contracts.INVESTIGATE,
    )
    cast(Any, app.backend).mark_as_done(task_id(job, part), part, request=context)


def send_outside_look(app: Celery, look: contracts.OutsideLook) -> None:
    """Have a host looked at by one of its peers."""
    app.send_task(
        contracts.OUTSIDE,
        args=(look.model_dump(mode="json"),),
        queue=routing.errand_queue(look.host),
        ignore_result=True,
        argsrepr=f"({look.dark!r},)",
        kwargsrepr="{}",
    )


def body_id(job: str) -> str:
    """The Celery id of a job's synthesis."""
    return f"{job}:synthesize"
