"""One API for every surface: ask, follow, read, cancel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from celery import Celery

from orchestrator import dispatch
from orchestrator.calling import call_tool
from orchestrator.checks import CHECK_SECONDS, QUICK_SECONDS, Checks
from orchestrator.finish import finish
from orchestrator.following import Lookout, follow, watcher_of_asker
from orchestrator.keeper import Keeper
from orchestrator.opening import Opening
from orchestrator.patience import AWAY_SECONDS
from orchestrator.plan import select_hosts
from swarm_tasks.app import close_app, instance_of, make_app
from swarm_tasks.config import Settings
from swarm_tasks.errors import JobError
from swarm_tasks.models.event import Event
from swarm_tasks.models.evidence import Evidence
from swarm_tasks.models.host import HostView
from swarm_tasks.models.job import (
    AuditRequest,
    Job,
)
from swarm_tasks.models.report import Report
from swarm_tasks.store.acks import Acks
from swarm_tasks.store.asked import own_slot, taken_up
from swarm_tasks.store.client import connect
from swarm_tasks.store.ledger import Ledger
from swarm_tasks.store.presence import Presence, control_member
from swarm_tasks.store.records import JobRecord, JobSummary
from swarm_tasks.store.trust import TrustRecord


class Fleet:
    """The fleet behind one store.

    Args:
        settings: Whose specialists, thresholds and deadlines hold for what is asked here.
        app: The Celery app of this process; without one, the fleet makes its own when needed.
    """

    def __init__(self, settings: Settings, app: Celery | None = None) -> None:
        self.settings = settings
        self.client = connect(settings)
        self.ledger = Ledger(self.client, settings.result_ttl_seconds)
        self.presence = Presence(
            self.client, settings.presence_ttl_seconds, settings.forget_seconds
        )
        self.trust = TrustRecord(self.client)
        self.acks = Acks(self.client)
        self.patience_seconds = AWAY_SECONDS
        self._app = app
        self._owns_app = app is None

    @property
    def app(self) -> Celery:
        """The Celery app, made when something is to be sent."""
        if self._app is None:
            self._app = make_app(self.settings, listens=False)
        return self._app

    def close(self) -> None:
        """Let go of all connections."""
        if self._app is not None and self._owns_app:
            close_app(self._app)
        self.client.close()

    def audit(self, request: AuditRequest, message: str = "") -> Job:
        """Plan a job, open it and send it out.

        Returns at once, or, where a model is asked for the plan, as soon as that has answered.
        The deadline counts from now all the same.

        Args:
            message: The id of the message that asks for it: one message makes one job.

        Raises:
            UnknownName: A host or a specialist is not known.
            Busy: As many parts wait as may.
            JobError: There is no fleet, or the job could not be sent to it, or is too large.
            UsageError: The brain that was asked for is not there.
        """
        opening = Opening(self.settings, self.ledger, self.presence, self.trust, lambda: self.app)
        return opening.open(request, message)

    def audit_once(self, request: AuditRequest, message: str = "") -> Job | None:
        """`audit` for a message, which may come twice, or for a schedule: None where another beat
        asked for the same just now."""
        life_seconds = self.settings.result_ttl_seconds
        with taken_up(self.client, message, self.ledger.now(), life_seconds) as before:
            if before:
                return self.ledger.record(before).job
            with own_slot(self.client, request, message) as ours:
                return self.audit(request, message) if ours else None

    def follow(self, job: str) -> Iterator[Event]:
        """Every event of a job from its beginning, until it is closed.

        Where nobody else does, this looks after parts and ends the job, so that it ends all the
        same. A store that goes away is waited for.

        Raises:
            UnknownName: There is no such job.
            JobError: The store came back without it.
            redis.RedisError: The store stayed away.
        """
        watcher = watcher_of_asker(self.app, self.ledger, self.presence)
        lookout = Lookout(job, self.ledger, self.presence, watcher, self._keeper())
        yield from follow(self.ledger, lookout, job, self.patience_seconds)

    def _keeper(self) -> Keeper:
        """What does here what control would do."""
        percent = self.settings.distrust_percent
        return Keeper(self.app, self.ledger, self.presence, distrust_percent=percent)

    def wait(self, job: str) -> Report:
        """The report of a job, as soon as there is one.

        Raises:
            JobError: It ended without one.
        """
        for _ in self.follow(job):
            pass
        return self.report(job)

    def report(self, job: str) -> Report:
        """The report of a job that is closed.

        Raises:
            UnknownName: There is no such job.
            JobError: It is still open.
        """
        report = self.ledger.report(job)
        if report is None:
            record = self.ledger.record(job)
            raise JobError(
                f"job {job} is still open: {record.closed} of {record.total} parts are closed",
                f"follow it with `hostswarm watch {job}`",
            )
        return report

    def record(self, job: str) -> JobRecord:
        """A job as it stands."""
        return self.ledger.record(job)

    def cancel(self, job: str) -> bool:
        """Stop a job: what runs is ended, what waits never begins; False if it was closed.

        Raises:
            UnknownName: There is no such job.
        """
        if not self.ledger.cancel(job):
            return False
        hosts = self.ledger.record(job).job.hosts
        alive = tuple(view.host for view in self.hosts() if view.alive)
        dispatch.stop_agents(self.app, job, hosts or alive)
        watcher = watcher_of_asker(self.app, self.ledger, self.presence)
        if watcher.tick():
            watcher.let_go()
            self._keeper().look_after(job)
        return True

    def finish(self, job: str) -> None:
        """Make and store the report of a job whose parts are all closed, in words of the model of
        these settings where the job wants any."""
        seconds = CHECK_SECONDS if self.settings.has_model else QUICK_SECONDS
        checks = Checks(self.app, self.ledger, self.presence, seconds)
        distrust_percent = self.settings.distrust_percent
        by = control_member(instance_of(self.app), self.settings.host)
        finish(self.ledger, self.presence, job, self.settings, checks, distrust_percent, by)

    def hosts(self) -> tuple[HostView, ...]:
        """Every host of the fleet, by name."""
        return self.presence.fleet(self.settings.expected_hosts)

    def waiting(self) -> Counter[str]:
        """How many parts wait for each host; those for any host are under no host's name."""
        return self.ledger.leases.waiting_by_host()

    def jobs(self, limit: int = 50) -> tuple[JobSummary, ...]:
        """The newest jobs first."""
        return self.ledger.jobs(limit)

    def call_tool(
        self, host: str, tool: str, arguments: Mapping[str, object], seconds: float = 30.0
    ) -> Evidence:
        """Run one tool on one host and wait for its answer.

        Raises:
            UnknownName: There is no such host.
            JobError: The host is dark, or did not answer in time.
        """
        (name,) = select_hosts((host,), (view.host for view in self.hosts()))
        return call_tool(self.app, self.ledger, self.presence, name, tool, arguments, seconds)
