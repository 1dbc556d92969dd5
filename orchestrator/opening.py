"""How a request becomes a job: it is planned, written down, and only then sent out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from orchestrator.belief import belief_in
from orchestrator.finish import finish
from orchestrator.plan import host_tasks, parts_anywhere, select_hosts, select_specialists
from orchestrator.planner import make_plan
from orchestrator.pressure import Pressure
from orchestrator.proposal import Planned, planned_by_asker
from orchestrator.scope import Scope
from swarm_tasks import sending
from swarm_tasks.config import Settings
from swarm_tasks.errors import JobError, UsageError
from swarm_tasks.log import logger
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.charge import Charge
from swarm_tasks.models.host import HostView
from swarm_tasks.models.job import (
    ANY_HOST,
    AuditRequest,
    BrainChoice,
    HostTask,
    Job,
    Specialist,
    new_job_id,
)
from swarm_tasks.models.report import HostReport, HostStatus, StopReason
from swarm_tasks.store.leases import task_id
from swarm_tasks.store.ledger import Ledger
from swarm_tasks.store.presence import Presence
from swarm_tasks.store.safety import checked_broker_url, keeps_queues
from swarm_tasks.store.trust import TrustRecord
from swarm_tasks.store.urls import shown_url

HOSTS_NAMED = 5
"""How many hosts a message names at most."""


class Opening:
    """Opens jobs.

    Args:
        settings: Whose specialists, thresholds and deadlines hold.
        ledger: Where jobs are written down.
        presence: Who is there.
        trust: Whose model was wrong before.
        app: The Celery app, made when something is to be sent.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        presence: Presence,
        trust: TrustRecord,
        app: Callable[[], Celery],
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._presence = presence
        self._trust = trust
        self._app = app

    def open(self, request: AuditRequest, message: str = "") -> Job:
        """Plan a job, open it and send it out, as `Fleet.audit` says."""
        words, specialists = resolve(request, self._settings)
        created, asked_at = now_utc(), self._ledger.now()
        views = self._presence.fleet(self._settings.expected_hosts)
        if request.anywhere:
            views = takers(views)
        scope = self._scope(request, words, specialists, views)
        pressure = Pressure(self._ledger, self._settings, views)
        pressure.see_any_room(() if request.anywhere else scope.hosts)
        planned = self._planned(request, scope)
        job = self._job(request, scope, planned, created)
        deadline_at = asked_at + job.deadline_seconds
        tasks = host_tasks(
            job,
            planned.parts,
            self._settings.policy,
            deadline_at,
            images=len(request.img),
            raised=scope.belief.raised,
            periodic=request.periodic,
        )
        pressure.see_room(tasks)
        stands = self._ledger.open(job, tasks, deadline_at, request.img, message)
        if stands != job.id:
            return self._ledger.record(stands).job
        self._charge(job, planned.charges)
        self._send_out(job, tasks)
        return job

    def _scope(
        self,
        request: AuditRequest,
        words: tuple[str, ...],
        specialists: tuple[Specialist, ...],
        views: tuple[HostView, ...],
    ) -> Scope:
        hosts = {*select_hosts(words, (view.host for view in views))}
        return Scope(
            question=request.question,
            views=tuple(view for view in views if view.host in hosts),
            specialists=specialists,
            named=bool(words),
            belief=belief_in(self._trust, self._settings, request.brain, specialists),
        )

    def _planned(self, request: AuditRequest, scope: Scope) -> Planned:
        """Who is to look at what. Where any host may answer, the asker has said it."""
        if request.anywhere:
            return planned_by_asker(parts_anywhere(request, scope.specialists))
        return make_plan(
            self._settings,
            scope,
            request.brain,
            request.allowance.over(self._settings.allowance),
            request.deadline_seconds or self._settings.deadline_seconds,
            request.img,
        )

    def _job(self, request: AuditRequest, scope: Scope, planned: Planned, created: datetime) -> Job:
        used, plan = planned.specialists(scope.specialists), planned.plan
        return Job(
            id=new_job_id(),
            question=request.question,
            hosts=planned.hosts,
            specialists=used,
            brain=request.brain,
            created=created,
            deadline_seconds=request.deadline_seconds or self._settings.deadline_seconds,
            asked_by=request.asked_by,
            allowance=request.allowance.over(self._settings.allowance),
            plan=plan.model_copy(update={"notes": (*plan.notes, *scope.belief.notes(used))}),
        )

    def _charge(self, job: Job, charges: Iterable[Charge]) -> None:
        for charge in charges:
            try:
                self._ledger.charge_job(job.id, charge)
            except redis.RedisError as error:  # a bill with a gap is no reason to ask nobody
                logger("control").warning("job %s: its plan is not on its bill: %s", job.id, error)

    def _send_out(self, job: Job, tasks: Sequence[HostTask]) -> None:
        try:
            self._send(job, tasks)
        except Exception as error:
            self._withdraw(job, tasks)
            raise unsent(job.id, error, self._settings) from error

    def _send(self, job: Job, tasks: Sequence[HostTask]) -> None:
        """Send out what can be done now. The parts of hosts that give no sign of life are the
        watch's to answer for, or to send if they come back."""
        alive = self._presence.beats(job.hosts)
        there = [task for task in tasks if not task.host or task.host in alive]
        sending.send_job(self._app(), job.id, there, len(tasks))
        now = self._ledger.now()
        sent = {task.part for task in there}
        silent = [task_id(job.id, task.part) for task in tasks if task.part not in sent]
        self._ledger.leases.look_again(dict.fromkeys(silent, now))

    def _withdraw(self, job: Job, tasks: Sequence[HostTask]) -> None:
        """Close a job that could not be sent. What was sent of it finds its part closed."""
        try:
            for task in tasks:
                self._ledger.close_part(
                    HostReport(
                        job=job.id,
                        part=task.part,
                        host=task.host or ANY_HOST,
                        specialist=task.specialist.name,
                        status=HostStatus.FAILED,
                        stop=StopReason.ERROR,
                        reason="the job could not be sent",
                    ),
                    None,
                )
            finish(self._ledger, self._presence, job.id)
        except redis.RedisError as error:  # the store is away: the keeper ends it at its deadline
            logger("control").warning("job %s could not be closed: %s", job.id, error)


def takers(views: Sequence[HostView]) -> tuple[HostView, ...]:
    """Those of a fleet that may take questions for any host: none that is dark or drained.

    Raises:
        JobError: There is none.
    """
    alive = tuple(view for view in views if view.alive)
    found = tuple(view for view in alive if view.drained is None)
    if alive and not found:
        names = [view.host for view in alive]
        all_of_them = f"all {len(names)} hosts are" if len(names) > 1 else f"{names[0]} is"
        more = " …" if len(names) > HOSTS_NAMED else ""
        raise JobError(
            f"{all_of_them} drained, and nobody else is alive to take a question",
            f"hostswarm drain {' '.join(names[:HOSTS_NAMED])}{more} --undo",
        )
    return found


def unsent(job: str, error: Exception, settings: Settings) -> JobError:
    """Why a job could not be sent, with the server that it concerns."""
    if isinstance(error, OperationalError) and not keeps_queues(settings):
        return JobError(
            f"job {job} could not be sent: the broker at "
            f"{shown_url(checked_broker_url(settings))} cannot be reached: {error}",
            "start it, or mend HOSTSWARM_BROKER_URL, and ask again",
        )
    return JobError(
        f"job {job} could not be sent: {error}",
        "ask again once `hostswarm doctor` finds the store well",
    )


def resolve(
    request: AuditRequest, settings: Settings
) -> tuple[tuple[str, ...], tuple[Specialist, ...]]:
    """What can be said of a request without its fleet: the hosts' names and globs, the specialists.

    Raises:
        UnknownName: A specialist is not known.
        ArgumentError: A file of hosts cannot be read.
        UsageError: The brain that was asked for is not there, or is blind.
    """
    if request.brain is BrainChoice.LLM and not settings.has_model:
        raise UsageError(
            "no model is configured for --brain llm",
            "set HOSTSWARM_ROUTER_URL, or HOSTSWARM_MODEL, or leave --brain out",
        )
    if request.brain is BrainChoice.RULES and request.img:
        raise UsageError("the rules look at no image", "leave out --img or --brain rules")
    specialists = select_specialists(request.wanted, settings.all_specialists)
    return request.hosts, specialists
