"""What a death costs a job, and how soon a worker that joins is at work, with two-second beats."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.support import Figure, Table, fleet
from swarm_tasks.models.job import AuditRequest
from swarm_tasks.store.records import PartRecord
from tests.support.fleets import TestFleet, specialist
from tests.support.waiting import wait_until

HOSTS = tuple(f"host-{number}" for number in range(6))
AGENTS = 2
HEARTBEAT_SECONDS = 2.0
NAP_SECONDS = 1.0
SPECIALISTS = {"napper": specialist("napper", "nap", seconds=NAP_SECONDS)}

PUT_BACK_SECONDS = 3 * HEARTBEAT_SECONDS + 1.0
DARK_SECONDS = 10.0
JOIN_SECONDS = 1.0

BACKLOG = 120
"""Parts that any host may do, so many that some still wait for the one who joins."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What one death and one joining cost, in seconds.

    Args:
        put_back: From SIGKILL until the dead worker's parts wait again.
        begun: From SIGKILL until the last of them is begun elsewhere.
        dark: How much longer an audit of all hosts took with one of them killed in it.
        join: From a worker's first sign of life until it has begun a shared part.
    """

    put_back: float
    begun: float
    dark: float
    join: float


def run(runs: int) -> Table:
    """Measure."""
    with fleet(
        tool_modules=["tests.support.fake_tools"],
        specialists=SPECIALISTS,
        heartbeat_seconds=HEARTBEAT_SECONDS,
    ) as running:
        running.start_control()
        running.start_workers(*HOSTS, agents=AGENTS)
        # A watch that has just begun gives everybody time to speak.
        time.sleep(4 * HEARTBEAT_SECONDS)
        samples = [_sample(running) for _ in range(runs)]
    return Table(
        "failover: one of six workers is killed, one joins",
        (
            Figure("killed to put back", "s", [one.put_back for one in samples], PUT_BACK_SECONDS),
            Figure("killed to begun elsewhere", "s", [one.begun for one in samples]),
            Figure("a dark host costs an audit", "s", [one.dark for one in samples], DARK_SECONDS),
            Figure(
                "joined to first shared part", "s", [one.join for one in samples], JOIN_SECONDS, 2
            ),
        ),
        (
            "A worker gives a sign of life every two seconds; three that are missed are a death.",
            "The cost of a dark host is the wall time of an audit of six hosts in which one is "
            "killed and stays away, less that of the same audit before.",
        ),
    )


def _sample(running: TestFleet) -> Costs:
    whole = _audit(running, lambda: None)
    dark = _audit(running, lambda: running.kill(HOSTS[0])) - whole
    running.start_workers(HOSTS[0], agents=AGENTS)
    put_back, begun = _taken_over(running)
    join = _joined(running)
    running.start_workers(HOSTS[1], agents=AGENTS)
    return Costs(put_back, begun, dark, join)


def _audit(running: TestFleet, meanwhile: Callable[[], object]) -> float:
    """Wall time of an audit of all hosts, in whose middle something happens."""
    began = time.monotonic()
    job = running.fleet.audit(AuditRequest(hosts=HOSTS, specialists=("napper",))).id
    wait_until("all are at work", lambda: len(_running(running, job)) == len(HOSTS))
    meanwhile()
    running.fleet.wait(job)
    return time.monotonic() - began


def _taken_over(running: TestFleet) -> tuple[float, float]:
    """Kill a worker that has shared parts, and see who takes them, and when."""
    job = running.fleet.audit(_shared(4 * AGENTS * len(HOSTS))).id
    victim = HOSTS[1]
    mine = wait_until(
        "it has all it can", lambda: _of(running, job, victim) if _full(running, job) else []
    )
    names = {part.part for part in mine}
    running.kill(victim)
    killed = time.monotonic()

    def those() -> list[PartRecord]:
        return [part for part in running.fleet.ledger.parts(job) if part.part in names]

    wait_until(
        "they are put back", lambda: all(part.returns or part.attempt > 1 for part in those())
    )
    put_back = time.monotonic() - killed
    wait_until("they are begun again", lambda: all(part.attempt > 1 for part in those()))
    begun = time.monotonic() - killed
    running.fleet.wait(job)
    return put_back, begun


def _joined(running: TestFleet) -> float:
    """Start a worker while shared parts wait."""
    job = running.fleet.audit(_shared(BACKLOG)).id
    running.start_workers("joiner", agents=AGENTS)
    began = time.monotonic()
    wait_until("it is at work", lambda: _of(running, job, "joiner"))
    join = time.monotonic() - began
    running.fleet.cancel(job)
    running.fleet.wait(job)
    running.terminate("joiner")
    return join


def _shared(count: int) -> AuditRequest:
    return AuditRequest.model_validate({"anywhere": [{"specialist": "napper"}] * count})


def _running(running: TestFleet, job: str) -> list[PartRecord]:
    return [part for part in running.fleet.ledger.parts(job) if part.state == "running"]


def _full(running: TestFleet, job: str) -> bool:
    return len(_running(running, job)) == AGENTS * len(HOSTS)


def _of(running: TestFleet, job: str, host: str) -> list[PartRecord]:
    return [part for part in _running(running, job) if part.host == host]
