"""The tasks of a host. Each hands its payload to the host's service, which begins the work."""

from __future__ import annotations

from typing import Any

from celery import current_app, shared_task
from celery.worker.control import control_command

from swarm_tasks import contracts
from workers.begun import Begun, BegunTask, ErrandTask
from workers.service import service_of


@shared_task(name=contracts.INVESTIGATE, base=BegunTask, ignore_result=True)
def investigate(payload: dict[str, Any]) -> Begun[str]:
    """One specialist on this host: `HostTask` in, the part's name out."""
    return service_of(current_app).investigate(payload)


@shared_task(name=contracts.TOOL, base=ErrandTask, ignore_result=True, acks_late=False)
def call_tool(payload: dict[str, Any]) -> Begun[str]:
    """One tool on this host for a person who waits: `RemoteCall` in, its id out."""
    return service_of(current_app).call_tool(payload)


@shared_task(name=contracts.CHECK, base=ErrandTask, ignore_result=True, acks_late=False)
def check(payload: dict[str, Any]) -> Begun[str]:
    """What others claim of this host, measured here: `ClaimCheck` in, its id out."""
    return service_of(current_app).check(payload)


@shared_task(name=contracts.OUTSIDE, base=ErrandTask, ignore_result=True, acks_late=False)
def look_outside(payload: dict[str, Any]) -> Begun[str]:
    """A peer that gives no sign of life, seen from this host: `OutsideLook` in, its id out."""
    return service_of(current_app).look_outside(payload)


@control_command(name=contracts.CANCEL_COMMAND, args=[("job", str)], signature="<job>")
def cancel_agents(state: Any, job: str) -> dict[str, int]:
    """Stop a job's agents on this host; a remote-control command, so that no queue delays it."""
    return {"cancelled": service_of(state.app).cancel(job)}
