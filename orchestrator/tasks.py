"""The tasks of control."""

from __future__ import annotations

from typing import Any

from celery import current_app, shared_task
from pydantic import ValidationError

from orchestrator.service import Fleet
from swarm_tasks import contracts
from swarm_tasks.app import settings_of
from swarm_tasks.errors import Busy, HostswarmError, UsageError
from swarm_tasks.log import logger
from swarm_tasks.models.job import AuditRequest


# Acknowledged when the job is sent: a control that dies before loses no request, and `asked` sees
# that none makes two jobs, nor one hours later. What is refused is no fault to trace.
@shared_task(name=contracts.AUDIT, bind=True, acks_late=True, throws=(HostswarmError,))
def audit(
    self: Any,
    question: str = "",
    hosts: tuple[str, ...] = (),
    specialists: tuple[str, ...] = (),
    **options: Any,
) -> str | None:
    """What beat and producers send. Returns the job's id as soon as it is planned: at once, or
    after a model has been asked for the plan. Its report comes later.

    Keyword arguments are the fields of `AuditRequest`, `budget_usd` and `max_tokens` among them.
    For a scheduled audit that another beat has just asked for, or that has no room, the answer is
    None.

    Raises:
        UsageError: An argument is wrong; the producer finds the message as the task's error.
        Busy: There is no room; its message says when to ask again.
    """
    try:
        request = AuditRequest.model_validate(
            {"question": question, "hosts": hosts, "specialists": specialists, **options}
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise UsageError(f"{contracts.AUDIT}: {place}: {first['msg']}") from None
    fleet = _fleet()
    try:
        job = fleet.audit_once(request, self.request.id or "")
    except Busy as error:
        if not request.slot:
            raise
        logger("control").warning("schedule %s is left out this time: %s", request.slot, error)
        return None
    finally:
        fleet.close()
    if job is None:
        logger("control").info("schedule %s was asked for already", request.slot)
        return None
    return job.id


@shared_task(name=contracts.SYNTHESIZE, ignore_result=True)
def synthesize(job: str) -> str:
    """The body of a job's chord: all its parts are closed, make the report."""
    fleet = _fleet()
    try:
        record = fleet.record(job)
        if record.closed < record.total:
            # A message that came twice was counted twice. The last part's own count, or the
            # keeper, ends the job.
            logger("control").warning("job %s still has open parts", job)
        else:
            fleet.finish(job)
    finally:
        fleet.close()
    return job


def _fleet() -> Fleet:
    return Fleet(settings_of(current_app), app=current_app)
