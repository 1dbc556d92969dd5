"""The ledger: what was asked, what became of each part, and the report. It is the truth.

A part is `sent`, then `running`, then `closed`, and closes once. A job is `open` until every part
is closed and a report stands. Queues carry work; only the ledger says what is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

import redis
from pydantic import ValidationError

from swarm_tasks.errors import JobError, UnknownName
from swarm_tasks.log import logger
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.charge import Charge
from swarm_tasks.models.event import Event, EventKind
from swarm_tasks.models.job import HostTask, Job
from swarm_tasks.models.report import HostReport, Report
from swarm_tasks.store import keys, lease_scripts, scripts
from swarm_tasks.store.asked import job_in
from swarm_tasks.store.bill import Bill, Spent
from swarm_tasks.store.commands import Commands, Pipeline
from swarm_tasks.store.entries import Entries
from swarm_tasks.store.events import STREAM_LENGTH, add_event
from swarm_tasks.store.leases import LOOK_SECONDS, task_id
from swarm_tasks.store.records import (
    JobRecord,
    JobSummary,
    PartRecord,
    summary_of,
)
from swarm_tasks.store.steps import Steps
from swarm_tasks.store.trust import Increments, increments

LONGEST_ENDING_SECONDS = 60.0
"""How long a control may be at a job's report before it is taken for stuck: a model's words and the
hosts that are asked to measure take half of it."""


class Closing(IntEnum):
    """What came of closing a part, as the script says it."""

    CLOSED = 1
    BEFORE = 2
    """The same attempt had closed it, and the answer was lost."""

    ANOTHER = 0
    """Another closed it first."""

    TAKEN = -1
    """Another attempt runs it now, or the part is gone."""

    @property
    def ours(self) -> bool:
        """Whether the part stands closed with the report that was given."""
        return self > 0


LIFE_AFTER_DEADLINE_SECONDS = 3600
"""A job is kept at least this long past its deadline, however short results are kept."""


class Ledger(Entries):
    """Jobs, parts and reports in the store.

    Args:
        client: The store.
        ttl_seconds: How long a job and all that belongs to it is kept.
    """

    def __init__(self, client: Commands, ttl_seconds: int) -> None:
        super().__init__(client)
        self._ttl = ttl_seconds
        self._close_part = client.register_script(lease_scripts.CLOSE_PART)
        self._begin_end = client.register_script(lease_scripts.BEGIN_END)
        self._bill = Bill(client)
        self.steps = Steps(client)
        self._close_job = client.register_script(scripts.CLOSE_JOB)

    def open(
        self,
        job: Job,
        tasks: Sequence[HostTask],
        deadline_at: float,
        images: Sequence[str] = (),
        request: str = "",
    ) -> str:
        """Write down a job and its parts, before anything is sent.

        Args:
            images: URLs that belong to the question, kept once for all parts.
            request: The id of the message that asks for it.

        Returns:
            Its id, or that of the job that came of the same message before; then nothing is
            written.
        """
        pipe = self.client.pipeline(transaction=True)
        asked = keys.ASKED.at(request=request)
        if request:
            pipe.watch(asked)
            if before := job_in(pipe.get(asked)):
                pipe.reset()
                return before
            pipe.multi()
        key = keys.JOB.at(job=job.id)
        asked_at = deadline_at - job.deadline_seconds
        life = max(self._ttl, int(job.deadline_seconds) + LIFE_AFTER_DEADLINE_SECONDS)
        pipe.hset(
            key,
            mapping={
                "job": job.model_dump_json(),
                "state": "open",
                "total": len(tasks),
                "closed": 0,
                "deadline_at": repr(deadline_at),
                "parts": "\n".join(task.part for task in tasks),
            },
        )
        pipe.expire(key, life)
        for task in tasks:
            self._open_part(pipe, job.id, task, life)
        if tasks:
            look_at = self.now() + LOOK_SECONDS
            waiting = {task_id(job.id, task.part): look_at for task in tasks}
            pipe.zadd(keys.WAITING.at(), waiting)
        if images:
            pipe.rpush(keys.IMAGES.at(job=job.id), *images)
            pipe.expire(keys.IMAGES.at(job=job.id), life)
        pipe.sadd(keys.OPEN.at(), job.id)
        # By the store's clock, like all that several machines compare.
        pipe.zadd(keys.JOBS.at(), {job.id: asked_at})
        pipe.zremrangebyscore(keys.JOBS.at(), "-inf", asked_at - life)
        opened = Event(kind=EventKind.JOB_OPENED, at=job.created, total=len(tasks))
        add_event(pipe, job.id, opened)
        pipe.expire(keys.EVENTS.at(job=job.id), life)
        if request:
            pipe.set(asked, job.id, ex=life)
        try:
            pipe.execute()
        except redis.WatchError:  # the same message is worked on elsewhere: see what came of it
            return self.open(job, tasks, deadline_at, images, request)
        return job.id

    def _open_part(self, pipe: Pipeline, job: str, task: HostTask, life: int) -> None:
        key = keys.PART.at(job=job, part=task.part)
        pipe.hset(
            key,
            mapping={
                "task": task.model_dump_json(),
                "state": "sent",
                "attempt": 0,
                "owner": "",
                "host": task.host,
                "holder": "",
                "lease_until": "0",
                "lane": task.lane,
                "specialist": task.specialist.name,
            },
        )
        pipe.expire(key, life)

    def close_part(
        self, report: HostReport, attempt: int | None, seen: PartRecord | None = None
    ) -> Closing:
        """Close a part with its report.

        Args:
            attempt: The lease's number; None closes whoever runs it, as the watch does for a
                host that went dark.
            seen: The part as whoever closes it in its runner's stead has seen it: it is left alone
                if it was begun, or put back, since then.
        """
        return Closing(self._close(report, attempt, seen, self.client))

    def close_parts(
        self, closings: Sequence[tuple[HostReport, PartRecord | None]]
    ) -> list[Closing]:
        """Close several parts in their runners' stead, in one round trip.

        Args:
            closings: The report and the part as it was seen, of each.
        """
        pipe = self.client.pipeline(transaction=False)
        for report, seen in closings:
            self._close(report, None, seen, pipe)
        return [Closing(answer) for answer in pipe.execute()]

    def _close(
        self, report: HostReport, attempt: int | None, seen: PartRecord | None, client: Commands
    ) -> Any:
        event = Event(
            kind=EventKind.PART_CLOSED,
            at=now_utc(),
            part=report.part,
            host=report.host,
            specialist=report.specialist,
            status=report.status.value,
            seconds=report.seconds,
            findings=len(report.findings),
        )
        return self._close_part(
            keys=[
                keys.PART.at(job=report.job, part=report.part),
                keys.JOB.at(job=report.job),
                keys.EVENTS.at(job=report.job),
                keys.STEPS.at(job=report.job, part=report.part),
                keys.WAITING.at(),
                keys.LEASES.at(),
            ],
            args=[
                "" if attempt is None else attempt,
                report.model_dump_json(),
                event.model_dump_json(exclude_defaults=True),
                report.status.value,
                STREAM_LENGTH,
                task_id(report.job, report.part),
                "" if seen is None else seen.state,
                "" if seen is None else seen.attempt,
            ],
            client=client,
        )

    def close_job(self, report: Report, counted: Increments | None = None) -> bool:
        """Close a job with its report; False if it already was.

        Args:
            counted: What it adds to the trust record, in the same step: once for each job.

        Raises:
            JobError: Some of its parts are not closed.
        """
        event = Event(
            kind=EventKind.JOB_CLOSED,
            at=now_utc(),
            status=report.job.status.value,
            findings=sum(1 for finding in report.findings if finding.counts),
        )
        counted = counted or increments(())
        answer: int = self._close_job(
            keys=[
                keys.JOB.at(job=report.job.id),
                keys.EVENTS.at(job=report.job.id),
                keys.OPEN.at(),
                counted.key,
            ],
            args=[
                report.job.id,
                report.to_json(indent=None),
                report.job.status.value,
                event.model_dump_json(exclude_defaults=True),
                STREAM_LENGTH,
                counted.life_seconds,
                counted.most_fields,
                *counted.pairs,
            ],
        )
        if answer < 0:
            raise JobError(f"job {report.job.id} still has parts that are not closed")
        if answer == 2:
            why = f"{counted.key} is no hash of numbers"
            logger("control").warning(
                "job %s: what became of its claims is not on record: %s", report.job.id, why
            )
        return answer > 0

    def begin_end(self, job: str, control: str) -> bool:
        """Begin to make a job's report; False where it is closed, or a control that lives does so.

        Args:
            control: Who begins, as it stands among the controls that are alive; anybody else is
                not waited for.
        """
        key = keys.JOB.at(job=job)
        return bool(
            self._begin_end(
                keys=[key, keys.CONTROLS.at()],
                args=[control, repr(self.now()), LONGEST_ENDING_SECONDS],
            )
        )

    def leave_end(self, job: str, control: str) -> None:
        """Make a job's report no more; another may begin it."""
        key = keys.JOB.at(job=job)
        if self.client.hget(key, "ended_by") == control:
            self.client.hdel(key, "ended_by")

    def is_being_ended(self, job: str) -> bool:
        """Whether a control that lives makes a job's report now, and is not stuck with it."""
        fields = ("ended_by", "ended_since")
        control, since = self.client.hmget(keys.JOB.at(job=job), fields)
        if not control:
            return False
        (ends,) = self.client.zmscore(keys.CONTROLS.at(), [control])
        now = self.now()
        stuck = now - float(since or 0) > LONGEST_ENDING_SECONDS
        return ends is not None and ends > now and not stuck

    def cancel(self, job: str) -> bool:
        """Mark a job as cancelled; False if it was closed already.

        Raises:
            UnknownName: There is no such job.
        """
        if self.record(job).state == "closed":
            return False
        self.client.hset(keys.JOB.at(job=job), "cancelled_at", repr(self.now()))
        return True

    def cancelled(self, jobs: Sequence[str]) -> set[str]:
        """Which of these jobs were cancelled."""
        if not jobs:
            return set()
        pipe = self.client.pipeline(transaction=False)
        for job in jobs:
            pipe.hexists(keys.JOB.at(job=job), "cancelled_at")
        return {job for job, flag in zip(jobs, pipe.execute(), strict=True) if flag}

    def record(self, job: str) -> JobRecord:
        """A job as it stands.

        Raises:
            UnknownName: There is no such job, or it is older than results are kept.
            JobError: Its entry cannot be read.
        """
        fields = ("job", "state", "total", "closed", "deadline_at", "cancelled_at", "status")
        values = self.client.hmget(keys.JOB.at(job=job), fields)
        found = {name: value for name, value in zip(fields, values, strict=True) if value}
        if "job" not in found:
            raise UnknownName(f"there is no job {job!r}", "see `hostswarm jobs`")
        text = found.pop("job")
        try:
            return JobRecord.model_validate({**found, "job": Job.model_validate_json(text)})
        except ValidationError as error:
            raise JobError(
                f"the entry of job {job} in the store cannot be read: {error.error_count()} of its "
                "fields are wrong",
                "ask again; another version wrote it, or somebody wrote into the store",
            ) from error

    def reports(self, job: str) -> tuple[HostReport, ...]:
        """What the closed parts of a job answered, in the order of the plan.

        Raises:
            ValidationError: One of them cannot be read.
        """
        return tuple(map(HostReport.model_validate_json, self.report_texts(job).values()))

    def report_texts(self, job: str) -> dict[str, str]:
        """What the closed parts of a job answered, by part, as it came: perhaps unreadable."""
        names = self.part_names(job)
        rows = self.rows([keys.PART.at(job=job, part=name) for name in names], ("report",))
        return {
            name: text for name, row in zip(names, rows, strict=True) if (text := row["report"])
        }

    def report(self, job: str) -> Report | None:
        """The report of a job; None while there is none.

        Raises:
            UnknownName: There is no such job.
        """
        text = self.client.hget(keys.JOB.at(job=job), "report")
        if text is None:
            self.record(job)
            return None
        return Report.model_validate_json(text)

    def spent(self, job: str) -> Spent:
        """What all model calls of a job took until now."""
        return self._bill.spent(job)

    def charge_job(self, job: str, charge: Charge) -> None:
        """Count calls that belong to the job as a whole, such as planning."""
        self._bill.charge(job, charge)

    def job_charges(self, job: str) -> tuple[Charge, ...]:
        """What the job as a whole took, beside its parts."""
        return self._bill.of_job(job)

    def images(self, job: str) -> tuple[str, ...]:
        """The images that belong to a job's question."""
        return tuple(self.client.lrange(keys.IMAGES.at(job=job), 0, -1))

    def jobs(self, limit: int = 50) -> tuple[JobSummary, ...]:
        """The newest jobs first."""
        names: list[str] = self.client.zrange(keys.JOBS.at(), 0, limit - 1, desc=True)
        found: list[JobSummary] = []
        for name in names:
            try:
                record = self.record(name)
            except UnknownName:
                continue  # its life ended between the two reads
            found.append(summary_of(record))
        return tuple(found)


def moment(unix_seconds: float) -> datetime:
    """Unix time as a time in UTC."""
    return datetime.fromtimestamp(unix_seconds, UTC)
