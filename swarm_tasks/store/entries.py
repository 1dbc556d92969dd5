"""What stands in the ledger of jobs and parts, read in one go and mended where it is broken.

Entries may have been tampered with, or be half written after a store that died. One that is broken
must keep neither its job nor any other from its end.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import ValidationError
from redis.exceptions import ResponseError

from swarm_tasks.log import logger
from swarm_tasks.store import keys, lease_scripts
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.leases import Leases, named, task_id
from swarm_tasks.store.records import HEAD_FIELDS, PART_FIELDS, JobHead, PartRecord, part_of

Row = dict[str, str | None]


class Entries:
    """Jobs and parts as they stand.

    Args:
        client: The store.
    """

    def __init__(self, client: Commands) -> None:
        self.client = client
        self.leases = Leases(client)
        self._recount = client.register_script(lease_scripts.RECOUNT)
        self._shift = client.register_script(lease_scripts.SHIFT)

    def now(self) -> float:
        """Unix time on the store's clock, which every host shares."""
        seconds, microseconds = self.client.time()
        return seconds + microseconds / 1e6

    def open_jobs(self) -> tuple[str, ...]:
        """Every job that is not closed."""
        return tuple(sorted(self.client.smembers(keys.OPEN.at())))

    def drop_open(self, job: str) -> None:
        """Take a job that is past its life out of the open ones."""
        self.client.srem(keys.OPEN.at(), job)

    def part_names(self, job: str) -> list[str]:
        """Every part of a job, in the order of the plan; none for a job that is forgotten."""
        text = self.client.hget(keys.JOB.at(job=job), "parts")
        return text.split("\n") if text else []

    def parts(self, job: str) -> tuple[PartRecord, ...]:
        """Every part of a job, in the order of the plan; those that cannot be read say so."""
        names = self.part_names(job)
        rows = self.rows([keys.PART.at(job=job, part=name) for name in names], PART_FIELDS)
        return tuple(part_of(name, row) for name, row in zip(names, rows, strict=True))

    def part_records(self, members: Sequence[str]) -> dict[str, PartRecord]:
        """Parts of any jobs by their tasks' ids; those that cannot be read say so."""
        named_ones = [named(member) for member in members]
        rows = self.rows(
            [keys.PART.at(job=job, part=part) for job, part in named_ones], PART_FIELDS
        )
        return {
            member: part_of(part, row)
            for member, (_, part), row in zip(members, named_ones, rows, strict=True)
        }

    def heads(self, jobs: Sequence[str]) -> dict[str, JobHead]:
        """How these jobs stand; one that is gone, or cannot be read, is left out."""
        rows = self.rows([keys.JOB.at(job=job) for job in jobs], HEAD_FIELDS)
        found: dict[str, JobHead] = {}
        for job, row in zip(jobs, rows, strict=True):
            known = {name: value for name, value in row.items() if value is not None}
            try:
                found[job] = JobHead.model_validate({"id": job, **known})
            except ValidationError as error:
                if known:
                    logger("ledger").warning("job %s cannot be read: %s", job, error)
        return found

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

    def refuse(self, job: str, part: str, hosts: Sequence[str]) -> None:
        """Note which hosts run a version that cannot do a part, and have it looked after."""
        self.client.hset(keys.PART.at(job=job, part=part), "refused", "\n".join(hosts))
        self.leases.look_again({task_id(job, part): self.now()})

    def recount(self, job: str) -> int:
        """Set a job's count of closed parts to what its parts say, whatever it was."""
        parts = [keys.PART.at(job=job, part=name) for name in self.part_names(job)]
        return self._recount(keys=[keys.JOB.at(job=job), *parts], args=[])

    def shift_deadlines(self, seconds: float) -> None:
        """Move the deadlines of all open jobs along with the store's clock, which was set."""
        for job in self.open_jobs():
            self._shift(keys=[keys.JOB.at(job=job)], args=[repr(seconds)])

    def mend_part(self, job: str, part: PartRecord) -> None:
        """Write what can be said of a part whose entry is broken, so that it can be closed."""
        key = keys.PART.at(job=job, part=part.part)
        whole = {"state": part.state, "attempt": part.attempt, "owner": part.owner}
        where = {"host": part.host if part.bound else "", "specialist": part.specialist}
        pipe = self.client.pipeline(transaction=True)
        pipe.delete(key)
        pipe.hset(key, mapping=whole | where)
        pipe.expire(key, max(self.client.ttl(keys.JOB.at(job=job)), 1))
        pipe.execute()

    def mend_job(self, job: str) -> bool:
        """Have a job end now whose counts or deadline are broken; False where nothing is left that
        a report could be made of, and it is given up."""
        key = keys.JOB.at(job=job)
        names: list[str] = []
        try:
            names = self.part_names(job)
            known = self.client.hget(key, "job") if names else None
        except ResponseError:
            known = None
        if known is None:
            logger("ledger").error("job %s is given up: its entry is broken", job)
            self.drop_open(job)
            return False
        counts = {"state": "open", "total": len(names), "deadline_at": repr(self.now())}
        self.client.hset(key, mapping=counts)
        self.client.hdel(key, "cancelled_at")
        self.recount(job)
        logger("ledger").error("job %s ends now: its entry is broken", job)
        return True

    def rows(self, names: Sequence[str], fields: Sequence[str]) -> list[Row]:
        """These fields of many hashes, in one round trip; of what is no hash, nothing."""
        pipe = self.client.pipeline(transaction=False)
        for name in names:
            pipe.hmget(name, fields)
        nothing: Mapping[str, str | None] = dict.fromkeys(fields)
        return [
            dict(nothing) if isinstance(row, Exception) else dict(zip(fields, row, strict=True))
            for row in pipe.execute(raise_on_error=False)
        ]
