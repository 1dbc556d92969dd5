"""A job that is opened is sent or closed, whatever fails between the two."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from typing import Any

import pytest
from pydantic import SecretStr

from orchestrator import opening
from orchestrator.planner import make_plan
from orchestrator.service import Fleet
from swarm_tasks import routing, sending
from swarm_tasks.config import Settings
from swarm_tasks.embedded import EmbeddedStore
from swarm_tasks.errors import JobError
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.charge import Charge, Tier
from swarm_tasks.models.host import Beat
from swarm_tasks.models.job import AuditRequest
from swarm_tasks.store.commands import Commands

REQUEST = AuditRequest(hosts=("alpha",), specialists=("storage",))


@pytest.fixture
def fleet(client: Commands, store: EmbeddedStore) -> Generator[Fleet]:
    """One host that gives signs of life and does nothing."""
    fleet = Fleet(
        Settings(broker_url=SecretStr(store.url), expected_hosts=("alpha",)),
    )
    fleet.presence.beat(
        Beat(host="alpha", instance="i", at=now_utc(), load1=0, agents=0, capacity=8)
    )
    yield fleet
    fleet.close()


def test_a_charge_that_the_store_refuses_does_not_keep_a_job_from_its_hosts(
    fleet: Fleet, client: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge = Charge(tier=Tier.ORCHESTRATOR, model="m", prompt_tokens=10**20)

    def dear(*args: Any) -> Any:
        return dataclasses.replace(make_plan(*args), charges=(huge,))

    monkeypatch.setattr(opening, "make_plan", dear)
    job = fleet.audit(REQUEST)
    assert client.llen(routing.host_queue("alpha")) == 1
    assert fleet.record(job.id).state == "open"


def test_a_job_that_cannot_be_sent_is_closed_and_says_so(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise OSError("the line is cut")

    monkeypatch.setattr(sending, "send_job", fails)
    with pytest.raises(JobError, match="could not be sent: the line is cut"):
        fleet.audit(REQUEST)
    assert fleet.ledger.open_jobs() == ()
    (job,) = fleet.jobs()
    (line,) = fleet.report(job.id).hosts
    assert (line.status, line.reason) == ("failed", "the job could not be sent")
