"""Jobs in the ledger of a test, without a fleet to do them."""

from __future__ import annotations

from typing import Any

from orchestrator.plan import default_parts, host_tasks
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.job import HostTask, Job, Specialist
from swarm_tasks.models.policy import Policy
from swarm_tasks.models.report import HostReport
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.ledger import Ledger

NAPPER = Specialist(name="napper", title="", prompt="", tools=())
DEADLINE_SECONDS = 600.0


def open_job(
    client: Commands, job: str, *hosts: str, deadline_seconds: float = DEADLINE_SECONDS
) -> Ledger:
    """Open a job of one part on each of these hosts; nothing is sent."""
    ledger = Ledger(client, 3600)
    asked = Job(
        id=job,
        hosts=hosts or ("alpha",),
        specialists=(NAPPER.name,),
        created=now_utc(),
        deadline_seconds=max(deadline_seconds, 1.0),
    )
    deadline_at = ledger.now() + deadline_seconds
    parts = default_parts(asked.hosts, (NAPPER,), asked.question)
    ledger.open(asked, host_tasks(asked, parts, Policy(), deadline_at), deadline_at)
    return ledger


def open_anywhere(client: Commands, job: str, count: int = 1) -> Ledger:
    """Open a job of so many parts that any host may do; nothing is sent."""
    ledger = Ledger(client, 3600)
    asked = Job(
        id=job, specialists=(NAPPER.name,), created=now_utc(), deadline_seconds=DEADLINE_SECONDS
    )
    deadline_at = ledger.now() + DEADLINE_SECONDS
    tasks = [
        HostTask(
            job=job, part=f"*/napper/{number}", host="", specialist=NAPPER, deadline_at=deadline_at
        )
        for number in range(1, count + 1)
    ]
    ledger.open(asked, tasks, deadline_at)
    return ledger


def answered(job: str, host: str, **more: Any) -> HostReport:
    """The report of a host's part that has nothing to say."""
    given = {"job": job, "part": f"{host}/napper", "host": host, "specialist": "napper"}
    return HostReport.model_validate({**given, "status": "answered", "stop": "answered", **more})
