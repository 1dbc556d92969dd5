"""Questions that any host may take, over real workers."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from orchestrator.finish import finish
from orchestrator.plan import host_tasks, parts_anywhere, select_specialists
from orchestrator.service import Fleet
from swarm_tasks import contracts, routing, sending
from swarm_tasks.config import Settings
from swarm_tasks.embedded import EmbeddedStore
from swarm_tasks.errors import JobError
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.host import Beat, Drained
from swarm_tasks.models.job import ANY_HOST, AuditRequest, BrainChoice, Job, Plan
from swarm_tasks.models.policy import Policy
from swarm_tasks.models.report import HostReport, HostStatus, JobStatus, Report, StopReason
from swarm_tasks.specialists import shipped_specialists
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.draining import Draining
from swarm_tasks.store.leases import Lease
from swarm_tasks.store.records import PartRecord
from tests.support.fleets import TestFleet, as_variables, run_cli, specialist
from tests.support.model_script import Script, answers, role
from tests.support.model_server import ModelServer
from tests.support.waiting import wait_until

HOSTS = ("alpha", "bravo", "charlie")


def questions(count: int, name: str = "napper") -> list[dict[str, str]]:
    return [{"specialist": name, "question": f"question {n}?"} for n in range(1, count + 1)]


def told(report: Report) -> list[str]:
    """Every question of a report, in the order of their numbers."""
    found = (part.question for line in report.hosts for part in line.parts)
    return sorted(found, key=lambda question: (len(question), question))


def test_each_question_of_a_producer_is_answered_once_by_some_host(fleet: TestFleet) -> None:
    with fleet.celery() as app:
        sent = app.send_task(
            contracts.AUDIT, kwargs={"anywhere": questions(24)}, queue=routing.CONTROL
        )
        job = sent.get(timeout=20)
    report = fleet.fleet.wait(job)
    assert report.job.status is JobStatus.COMPLETE
    assert told(report) == [one["question"] for one in questions(24)]
    assert report.coverage.asked == report.coverage.answered
    assert set(report.coverage.asked) <= set(HOSTS)
    parts = fleet.fleet.ledger.parts(job)
    assert [part.part for part in parts[:3]] == ["*/napper", "*/napper/2", "*/napper/3"]
    assert {(part.state, part.bound) for part in parts} == {("closed", False)}
    took = {part.part: part.host for part in parts}
    # What a part saw stands under the host that ran it, and no two calls have one name.
    seen = {item.call_id.partition("#")[0]: item.host for item in report.evidence}
    assert seen == took
    assert len(report.evidence) == report.usage.tool_calls == 24
    for line in report.hosts:
        assert len(line.parts) == list(took.values()).count(line.host)


def test_the_command_line_asks_any_host(fleet: TestFleet, tmp_path: Path) -> None:
    path = tmp_path / "questions"
    path.write_text("napper: is it up?\nnapper: is it down?\n")
    environment = as_variables(fleet.settings().model_dump(include={"tool_modules"}, mode="json"))
    environment |= {
        "HOSTSWARM_BROKER_URL": fleet.url,
        "HOSTSWARM_SPECIALISTS": json.dumps({"napper": specialist("napper", "nap", seconds=0)}),
    }
    done = run_cli("audit", "--anywhere-from", str(path), environment=environment)
    assert (done.stderr, done.returncode) == ("", 0)
    assert "2 of 2 questions answered, on " in done.stdout
    assert "(is it up?)" in done.stdout
    assert "(is it down?)" in done.stdout
    (job, *_) = fleet.fleet.jobs()
    assert (job.hosts, job.total, job.status) == (0, 2, JobStatus.COMPLETE)


def test_a_job_for_any_host_is_cancelled_wherever_it_runs(fleet: TestFleet) -> None:
    slow = fleet.asking(specialists={"slow": specialist("slow", "child_nap", seconds=60)})
    try:
        job = slow.audit(AuditRequest.model_validate({"anywhere": questions(3, "slow")})).id
        wait_until(
            "all of it runs",
            lambda: all(part.state == "running" for part in slow.ledger.parts(job)),
        )
        assert slow.cancel(job)
        report = slow.wait(job)
    finally:
        slow.close()
    assert report.job.cancelled
    assert report.job.status is JobStatus.FAILED
    assert {one.reason for line in report.hosts for one in line.parts} == {"was cancelled"}


def ended(fleet: Fleet, job: str) -> Report:
    """The report of a job that no control is there to end."""
    record = fleet.record(job)
    wait_until("all is closed", lambda: fleet.record(job).closed == record.total)
    finish(fleet.ledger, fleet.presence, job)
    return fleet.report(job)


def running_on(fleet: Fleet, job: str, host: str) -> list[PartRecord]:
    return [one for one in fleet.ledger.parts(job) if (one.host, one.state) == (host, "running")]


def test_a_worker_that_joins_in_the_middle_takes_its_share(
    lone_fleet: TestFleet, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    lone_fleet.start_workers("alpha", agents=1)
    fleet = lone_fleet.asking(specialists={"holder": specialist("holder", "hold", path=str(gate))})
    try:
        request = AuditRequest.model_validate({"anywhere": questions(30, "holder")})
        job = fleet.audit(request).id
        wait_until("alpha has one", lambda: running_on(fleet, job, "alpha"))
        lone_fleet.start_workers("bravo", agents=1)
        wait_until("bravo has one", lambda: running_on(fleet, job, "bravo"))
        gate.touch()
        report = ended(fleet, job)
    finally:
        fleet.close()
    assert report.job.status is JobStatus.COMPLETE
    assert report.coverage.answered == ("alpha", "bravo")
    assert told(report) == [one["question"] for one in questions(30)]


SCRIPT = Script(
    roles=tuple(
        role(word, rf"is it {word}\?", answers({"answer": f"It is {word}."}))
        for word in ("up", "down")
    ),
    key="sk-anywhere",
)


def test_each_agent_s_model_is_asked_its_own_question(tmp_path: Path) -> None:
    looker = {**specialist("looker", "memory"), "sweep": [{"tool": "memory"}]}
    with (
        ModelServer(SCRIPT) as server,
        TestFleet(
            tmp_path,
            specialists={"looker": looker},
            router_url=server.url,
            router_key="sk-anywhere",
            model="scripted",
            model_timeout_seconds=5.0,
        ) as running,
    ):
        running.start_workers("alpha")
        request = AuditRequest.model_validate(
            {
                "anywhere": [{"question": "is it up?"}, {"question": "is it down?"}],
                "specialists": ["looker"],
                "brain": BrainChoice.LLM,
            }
        )
        report = ended(running.fleet, running.fleet.audit(request).id)
    (line,) = report.hosts
    assert [(part.question, part.answer) for part in line.parts] == [
        ("is it up?", "It is up."),
        ("is it down?", "It is down."),
    ]
    assert report.coverage.answered == ("alpha",)


@pytest.fixture
def ghostly(client: Commands, store: EmbeddedStore) -> Generator[Fleet]:
    """A fleet in which one host gives signs of life and does nothing."""
    fleet = Fleet(Settings(broker_url=SecretStr(store.url), expected_hosts=("ghost", "zombie")))
    beat = Beat(host="ghost", instance="i", at=now_utc(), load1=0, agents=0, capacity=8)
    fleet.presence.beat(beat)
    yield fleet
    fleet.close()


REQUEST = AuditRequest.model_validate({"anywhere": questions(2, "storage")})


def test_questions_for_any_host_wait_in_the_queue_that_all_share(ghostly: Fleet) -> None:
    job = ghostly.audit(REQUEST)
    assert job.hosts == ()
    assert ghostly.client.llen(routing.SHARED) == 2
    assert job.plan is not None
    assert job.plan.by == "asker"


def test_nobody_is_asked_where_no_host_is_alive(ghostly: Fleet) -> None:
    ghostly.presence.forget("ghost")
    with pytest.raises(JobError, match="no host has joined the fleet"):
        ghostly.audit(REQUEST)
    assert ghostly.jobs() == ()


def test_a_drained_host_is_nobody_to_take_a_question(ghostly: Fleet) -> None:
    Draining(ghostly.client).mark(["ghost"], Drained(since=now_utc()))
    with pytest.raises(JobError, match=r"ghost is drained, .*: hostswarm drain ghost --undo"):
        ghostly.audit(REQUEST)
    other = Beat(host="zombie", instance="i", at=now_utc(), load1=0, agents=0, capacity=8)
    ghostly.presence.beat(other)
    assert ghostly.audit(REQUEST).plan is not None
    Draining(ghostly.client).mark(["zombie"], Drained(since=now_utc()))
    with pytest.raises(JobError, match=r"all 2 hosts are drained, .* drain ghost zombie --"):
        ghostly.audit(REQUEST)
    assert len(ghostly.jobs()) == 1


def test_a_broker_that_is_away_is_named_where_a_job_cannot_be_sent(
    client: Commands, store: EmbeddedStore
) -> None:
    url = "amqp://guest:secret@127.0.0.1:1//"
    asking = Fleet(Settings(broker_url=SecretStr(url), store_url=SecretStr(store.url)))
    asking.presence.beat(
        Beat(host="ghost", instance="i", at=now_utc(), load1=0, agents=0, capacity=8)
    )
    try:
        with pytest.raises(JobError) as caught:
            asking.audit(REQUEST)
    finally:
        asking.close()
    assert "the broker at amqp://guest:***@127.0.0.1:1// cannot be reached: " in str(caught.value)
    assert caught.value.remedy.startswith("start it, or mend HOSTSWARM_BROKER_URL")


def test_a_job_for_any_host_that_cannot_be_sent_is_closed_and_says_so(
    ghostly: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise OSError("the line is cut")

    monkeypatch.setattr(sending, "send_job", fails)
    with pytest.raises(JobError, match="could not be sent: the line is cut"):
        ghostly.audit(REQUEST)
    (job,) = ghostly.jobs()
    report = ghostly.report(job.id)
    assert report.coverage.failed == (ANY_HOST,)
    assert [part.reason for part in report.hosts[0].parts] == ["the job could not be sent"] * 2


@pytest.mark.parametrize(
    ("named", "status", "reason"),
    [
        ("ghost", HostStatus.ANSWERED, ""),
        ("zombie", HostStatus.FAILED, "its report cannot be read: it is the report of another"),
        (ANY_HOST, HostStatus.FAILED, "its report cannot be read: it is the report of another"),
    ],
)
def test_a_part_for_any_host_is_told_of_the_host_that_took_it(
    ghostly: Fleet, named: str, status: HostStatus, reason: str
) -> None:
    chosen = select_specialists(("storage",), shipped_specialists())
    job = Job(
        id="abcdefgh",
        specialists=("storage",),
        created=now_utc(),
        deadline_seconds=60,
        plan=Plan(by="asker"),
    )
    deadline_at = ghostly.ledger.now() + 60
    request = AuditRequest.model_validate({"anywhere": questions(4, "storage")})
    tasks = host_tasks(job, parts_anywhere(request, chosen), Policy(), deadline_at)
    first, second, third, fourth = tasks
    ghostly.ledger.open(job, tasks, deadline_at)
    lease = ghostly.ledger.leases.take(job.id, first.part, "life", "ghost", 5.0)
    assert isinstance(lease, Lease)

    def report_of(part: str, host: str, stop: StopReason) -> HostReport:
        said = HostStatus.ANSWERED if stop is StopReason.ANSWERED else HostStatus.FAILED
        return HostReport(
            job=job.id, part=part, host=host, specialist="storage", status=said, stop=stop
        )

    answered = report_of(first.part, named, StopReason.ANSWERED)
    assert ghostly.ledger.close_part(answered, lease.attempt).ours
    for task, host, stop in (
        (second, ANY_HOST, StopReason.DEADLINE),
        (third, "zombie", StopReason.ERROR),  # it could not read its task
        (fourth, "zombie", StopReason.ANSWERED),  # and has no lease to answer this one
    ):
        assert ghostly.ledger.close_part(report_of(task.part, host, stop), None).ours
    finish(ghostly.ledger, ghostly.presence, job.id)
    report = ghostly.report(job.id)
    lines = {line.host: line for line in report.hosts}
    assert lines.keys() == {"ghost", "zombie", ANY_HOST}
    assert lines["ghost"].status is status
    assert lines["ghost"].reason.startswith(reason)
    for host, stops in (
        (ANY_HOST, [StopReason.DEADLINE, StopReason.ERROR]),
        ("zombie", [StopReason.ERROR]),
    ):
        assert lines[host].status is HostStatus.FAILED
        assert [part.stop for part in lines[host].parts] == stops
    assert set(report.coverage.asked) == {"ghost", "zombie", ANY_HOST}
