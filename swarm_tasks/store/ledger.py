"""The ledger: what was asked, what became of each part, and the report. It is the truth.

A part is `sent`, then `running`, then `closed`, and closes once. A job is `open` until every part
is closed and a report stands. Queues carry work; only the ledger says what is done.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, cast

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
from swarm_tasks.store.events import STREAM_LENGTH, add_event
from swarm_tasks.store.leases import LOOK_SECONDS, Leases, named, task_id
from swarm_tasks.store.records import (
    PART_FIELDS,
    JobHead,
    JobRecord,
    JobSummary,
    PartRecord,
    part_of,
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


class Ledger:
    """Jobs, parts and reports in the store.

    Args:
        client: The store.
        ttl_seconds: How long a job and all that belongs to it is kept.
    """

    def __init__(self, client: Commands, ttl_seconds: int) -> None:
        self.client = client
        self._ttl = ttl_seconds
        self._close_part = client.register_script(lease_scripts.CLOSE_PART)
        self._recount = client.register_script(lease_scripts.RECOUNT)
        self._shift = client.register_script(lease_scripts.SHIFT)
        self._begin_end = client.register_script(lease_scripts.BEGIN_END)
        self.leases = Leases(client)
        self._bill = Bill(client)
        self.steps = Steps(client)
        self._close_job = client.register_script(scripts.CLOSE_JOB)

    def now(self) -> float:
        """Unix time on the store's clock, which every host shares."""
        seconds, microseconds = self.client.time()
        return seconds + microseconds / 1e6

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
        answer: int = self._close_part(
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
        )
        return Closing(answer)

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

    def shift_deadlines(self, seconds: float) -> None:
        """Move the deadlines of all open jobs along with the store's clock, which was set."""
        for job in self.open_jobs():
            self._shift(keys=[keys.JOB.at(job=job)], args=[repr(seconds)])

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
        """
        fields = ("job", "state", "total", "closed", "deadline_at", "cancelled_at", "status")
        values = self.client.hmget(keys.JOB.at(job=job), fields)
        found = {name: value for name, value in zip(fields, values, strict=True) if value}
        if "job" not in found:
            raise UnknownName(f"there is no job {job!r}", "see `hostswarm jobs`")
        text = found.pop("job")
        return JobRecord.model_validate({**found, "job": Job.model_validate_json(text)})

    def parts(self, job: str) -> tuple[PartRecord, ...]:
        """Every part of a job, in the order of the plan; those that cannot be read say so."""
        return tuple(
            part_of(name, row)
            for name, row in self._part_rows(job, self.part_names(job), PART_FIELDS)
        )

    def part_records(self, members: Sequence[str]) -> dict[str, PartRecord]:
        """Parts of any jobs by their tasks' ids; those that are gone are left out."""
        pipe = self.client.pipeline(transaction=False)
        for member in members:
            job, part = named(member)
            pipe.hmget(keys.PART.at(job=job, part=part), PART_FIELDS)
        return {
            member: part_of(named(member)[1], dict(zip(PART_FIELDS, row, strict=True)))
            for member, row in zip(members, pipe.execute(), strict=True)
            if any(value is not None for value in row)
        }

    def heads(self, jobs: Sequence[str]) -> dict[str, JobHead]:
        """How these jobs stand; one that is gone, or cannot be read, is left out."""
        fields = ("state", "total", "closed", "deadline_at", "cancelled_at")
        pipe = self.client.pipeline(transaction=False)
        for job in jobs:
            pipe.hmget(keys.JOB.at(job=job), fields)
        found: dict[str, JobHead] = {}
        for job, row in zip(jobs, pipe.execute(), strict=True):
            known = {name: value for name, value in zip(fields, row, strict=True) if value}
            try:
                found[job] = JobHead.model_validate({"id": job, **known})
            except ValidationError as error:
                if known:
                    logger("ledger").warning("job %s cannot be read: %s", job, error)
        return found

    def refuse(self, job: str, part: str, hosts: Sequence[str]) -> None:
        """Note which hosts run a version that cannot do a part, and have it looked after."""
        self.client.hset(keys.PART.at(job=job, part=part), "refused", "\n".join(hosts))
        self.leases.look_again({task_id(job, part): self.now()})

    def mend(self, job: str, part: PartRecord) -> None:
        """Write what can be said of a part whose entry is broken, so that it can be closed."""
        key = keys.PART.at(job=job, part=part.part)
        whole = {"state": part.state, "attempt": part.attempt, "owner": part.owner}
        where = {"host": part.host if part.bound else "", "specialist": part.specialist}
        self.client.hset(key, mapping=whole | where)
        self.client.expire(key, max(self.client.ttl(keys.JOB.at(job=job)), 1))

    def payload(self, job: str, part: str) -> dict[str, Any] | None:
        """What was to be done in a part, as it travels; None where it cannot be read.

        It may have been made by a newer version, which this one could not make a `HostTask` of.
        """
        text = self.client.hget(keys.PART.at(job=job, part=part), "task")
        try:
            found: object = json.loads(text or "")
        except ValueError as error:
            logger("ledger").warning("the task of %s cannot be read: %s", part, error)
            return None
        return cast("dict[str, Any]", found) if isinstance(found, dict) else None

    def sent_again(self, job: str, part: str) -> None:
        """Count one more message of a part."""
        self.client.hincrby(keys.PART.at(job=job, part=part), "sends", 1)

    def recount(self, job: str) -> int:
        """Set a job's count of closed parts to what its parts say: it was tampered with."""
        parts = [keys.PART.at(job=job, part=name) for name in self.part_names(job)]
        return self._recount(keys=[keys.JOB.at(job=job), *parts], args=[])

    def _part_rows(
        self, job: str, names: Sequence[str], fields: Sequence[str]
    ) -> list[tuple[str, dict[str, str | None]]]:
        pipe = self.client.pipeline(transaction=False)
        for name in names:
            pipe.hmget(keys.PART.at(job=job, part=name), fields)
        return [
            (name, dict(zip(fields, row, strict=True)))
            for name, row in zip(names, pipe.execute(), strict=True)
        ]

    def reports(self, job: str) -> tuple[HostReport, ...]:
        """What the closed parts of a job answered, in the order of the plan.

        Raises:
            ValidationError: One of them cannot be read.
        """
        return tuple(map(HostReport.model_validate_json, self.report_texts(job).values()))

    def report_texts(self, job: str) -> dict[str, str]:
        """What the closed parts of a job answered, by part, as it came: perhaps unreadable."""
        rows = self._part_rows(job, self.part_names(job), ("report",))
        return {name: text for name, row in rows if (text := row["report"])}

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

    def open_jobs(self) -> tuple[str, ...]:
        """Every job that is not closed."""
        return tuple(sorted(self.client.smembers(keys.OPEN.at())))

    def drop_open(self, job: str) -> None:
        """Take a job that is past its life out of the open ones."""
        self.client.srem(keys.OPEN.at(), job)

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

    def part_names(self, job: str) -> list[str]:
        """Every part of a job, in the order of the plan; none for a job that is forgotten."""
        text = self.client.hget(keys.JOB.at(job=job), "parts")
        return text.split("\n") if text else []


def moment(unix_seconds: float) -> datetime:
    """Unix time as a time in UTC."""
    return datetime.fromtimestamp(unix_seconds, UTC)
