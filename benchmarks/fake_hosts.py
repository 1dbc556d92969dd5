"""Hosts that exist in the store only, so that a thousand of them fit on one machine.

One loop in the measuring process does for all of them what a worker does with a part: take the
message from the host's queue, claim, close with a report as long as a real one, and count the
part towards the chord through Celery's own backend. What a worker does beside that (its tools,
its progress events, its Celery consumer) is left out, since control does not see it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from celery.app.task import Context

from swarm_tasks.models.base import now_utc
from swarm_tasks.models.host import Beat, HostFacts
from swarm_tasks.models.job import AuditRequest, HostTask
from swarm_tasks.models.report import HostReport
from swarm_tasks.routing import host_queue
from swarm_tasks.store.leases import Refusal
from swarm_tasks.store.presence import Presence
from tests.support.fleets import TestFleet
from tests.support.reports import full_volume

MODEL = "model-host"
"""The one real host, whose reports are taken as patterns."""

PRESENCE_SECONDS = 3600.0
WAIT_SECONDS = 5.0
LEASE_SECONDS = 60.0
TROUBLED = "storage"
"""The specialist in whose part each host has one finding, so that findings are joined as well."""


@dataclass(frozen=True, slots=True)
class Model:
    """What a real worker on this machine said.

    Args:
        reports: A part's report as JSON for each specialist.
        facts: What it said about itself.
    """

    reports: dict[str, str]
    facts: HostFacts


def model_host(running: TestFleet, specialists: Sequence[str]) -> Model:
    """Let a real worker join, audit it, and let it leave for good."""
    running.start_workers(MODEL)
    fleet = running.fleet
    job = fleet.audit(AuditRequest(specialists=tuple(specialists)))
    fleet.wait(job.id)
    reports = fleet.ledger.reports(job.id)
    (view,) = fleet.hosts()
    running.terminate(MODEL)
    fleet.presence.forget(MODEL)
    if view.facts is None or len(reports) != len(specialists):
        raise RuntimeError("the model host did not answer")
    return Model({report.specialist: report.model_dump_json() for report in reports}, view.facts)


class FakeHosts:
    """Some hosts of a fleet; use it as a context manager.

    Args:
        running: The fleet that they join.
        names: Theirs.
        model: What they repeat in their own names.
    """

    def __init__(self, running: TestFleet, names: Sequence[str], model: Model) -> None:
        self.names = tuple(names)
        self._fleet = running.fleet
        self._model = model
        self._presence = Presence(running.fleet.client, PRESENCE_SECONDS, int(PRESENCE_SECONDS))
        self._backend: Any = cast(Any, running.fleet.app).backend

    def __enter__(self) -> FakeHosts:
        for name in self.names:
            self._presence.announce(self._model.facts.model_copy(update={"host": name}))
            self._presence.beat(
                Beat(
                    host=name,
                    instance=self._model.facts.instance,
                    at=now_utc(),
                    load1=0.0,
                    agents=0,
                    capacity=1,
                )
            )
        return self

    def __exit__(self, *_: object) -> None:
        for name in self.names:
            self._presence.forget(name)

    def answer(self, host: str, *, through_the_chord: bool = False) -> None:
        """Do the next part in a host's queue.

        Args:
            through_the_chord: Send the report as the task's result, past the ledger.
        """
        request, task = self._next(host)
        report = self._report(task)
        if through_the_chord:
            result = report.model_dump(mode="json")
            self._backend.mark_as_done(request.id, result, request=request)
            return
        ledger = self._fleet.ledger
        owner = self._model.facts.instance
        lease = ledger.leases.take(task.job, task.part, owner, host, LEASE_SECONDS)
        if isinstance(lease, Refusal) or not ledger.close_part(report, lease.attempt).ours:
            raise RuntimeError(f"{task.part} was taken by somebody else")
        self._backend.mark_as_done(request.id, task.part, request=request)

    def _next(self, host: str) -> tuple[Any, HostTask]:
        """The oldest message of a host's queue, as Celery's worker reads it, and its task."""
        found = self._fleet.client.blpop([host_queue(host)], timeout=WAIT_SECONDS)
        if found is None:
            raise RuntimeError(f"nothing was sent to {host}")
        message = json.loads(found[1])
        arguments, _, embedded = json.loads(base64.b64decode(message["body"]))
        return Context(message["headers"], **embedded), HostTask.model_validate(arguments[0])

    def _report(self, task: HostTask) -> HostReport:
        text = self._model.reports[task.specialist.name].replace(MODEL, task.host)
        report = HostReport.model_validate_json(text)
        more: dict[str, object] = {"job": task.job, "started": now_utc()}
        if task.specialist.name == TROUBLED:
            finding, evidence = full_volume(task.host)
            more["findings"] = (finding,)
            more["evidence"] = (*report.evidence, *evidence)
        return report.model_copy(update=more)
