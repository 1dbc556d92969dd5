"""Agents with a model: wall time over ideal, CPU a call, memory an agent, tokens a task.

A scripted model server answers each call after a second. A task is four calls: three that each ask
for one reading of one local tool, and the answer, which makes a claim that is checked. Beside it
runs the floor: the same messages from bare aiohttp, in one process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from statistics import median

from benchmarks.peers.task import STEPS, Brief, Taken
from benchmarks.support import (
    SETTLE_SECONDS,
    Figure,
    Meter,
    Table,
    fleet,
    since,
)
from orchestrator.service import Fleet
from swarm_tasks.models.event import EventKind
from swarm_tasks.models.job import AuditRequest, BrainChoice
from swarm_tasks.models.report import Report
from swarm_tasks.store.events import read_events
from tests.support.fleets import REPOSITORY, TestFleet
from tests.support.model_script import (
    Script,
    Turn,
    answers,
    call,
    calls,
    plays,
    role,
    says,
)
from tests.support.model_server import ModelServer
from tests.support.waiting import wait_until

LATENCY_SECONDS = 1.0
WAIT_SECONDS = 8.0
"""How long each call is held while memory is measured."""

LOOK_SECONDS = 0.05
KILOBYTE = 1e3
DEADLINE_SECONDS = 300.0
MOST_MILLISECONDS = 1.0
MOST_KILOBYTES = 60.0
MOST_TOKENS = 900.0

PROMPT = "You look after the meters of this host."
ANSWER = {
    "answer": "The meters are calm.",
    "findings": [
        {
            "title": "A meter is at less than half",
            "severity": "info",
            "subject": "meter 1",
            "cause": "There is little to do.",
            "advice": "Leave it.",
            "claims": ["cpu.busy_percent <= 50 @c1/busy_percent"],
        }
    ],
    "ruled_out": ["meters 2 and 3"],
    "not_seen": [],
}


@dataclass(frozen=True, slots=True)
class Scale:
    """How many tasks, on how many workers.

    Args:
        at_once: Agents of all workers together.
        most: What wall time may be at most, over ideal.
    """

    tasks: int
    at_once: int
    workers: int
    most: float

    @property
    def name(self) -> str:
        """For the table."""
        return f"{self.tasks:,} at {self.at_once:,}"

    @property
    def ideal_seconds(self) -> float:
        """Wall time if nothing but the model took any."""
        return STEPS * LATENCY_SECONDS * self.tasks / self.at_once

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names of the workers' hosts."""
        return tuple(f"host-{number}" for number in range(self.workers))

    @property
    def specialists(self) -> dict[str, dict[str, object]]:
        """As many as it takes for that many parts."""
        names = [f"s{number}" for number in range(self.tasks // self.workers)]
        return {name: _specialist(name) for name in names}


def _specialist(name: str) -> dict[str, object]:
    return {"name": name, "title": "Meters", "prompt": PROMPT, "tools": ["meter"]}


CORES = os.cpu_count() or 1
SMALL = Scale(24, 12, 6, 1.06)
MIDDLE = Scale(240, 120, 6, 1.10)
LARGE = Scale(CORES * (1000 // CORES), CORES * (1000 // CORES), CORES, 1.5)
SCALES = (SMALL, MIDDLE, LARGE)


def turns(first_seconds: float | None = None, seconds: float = LATENCY_SECONDS) -> tuple[Turn, ...]:
    """Three calls of the tool and the answer, each after so many seconds."""
    waits = (seconds if first_seconds is None else first_seconds, seconds, seconds)
    asked = (
        calls(call("meter", number=number), latency=wait)
        for number, wait in enumerate(waits, start=1)
    )
    return (*asked, answers(ANSWER, latency=seconds))


def script_of(*said: Turn) -> Script:
    """These turns for the hosts' agents; control is told nothing."""
    return Script(
        roles=(
            role("worker", r"\Ahost-", *said),
            role("control", None, says("All the meters of this fleet are calm.")),
        )
    )


@dataclass(frozen=True, slots=True)
class Opening:
    """What an agent of the product is told before its first call.

    Args:
        system: Its standing orders, word for word.
        question: The user's first message.
    """

    system: str
    question: str


@dataclass(frozen=True, slots=True)
class Sample:
    """What one job took.

    Args:
        wall: Seconds from dispatch to the last part closed.
        cpu: Seconds by role of process.
        tokens: Prompt tokens a task, as the server counted.
    """

    wall: float
    cpu: dict[str, float]
    tokens: float


class Agents:
    """Jobs at one scale on a fleet whose hosts think through the scripted server."""

    def __init__(self, running: TestFleet, scale: Scale, server: ModelServer) -> None:
        self.running = running
        self._scale = scale
        self._server = server
        self._meter = Meter()

    def job(self, brain: BrainChoice = BrainChoice.LLM) -> Sample:
        """One job of all tasks, seen through to its report."""
        names = tuple(self._scale.specialists)
        request = AuditRequest(specialists=names, brain=brain, deadline_seconds=DEADLINE_SECONDS)
        asker = self.running.asking(specialists=self._scale.specialists)
        self._server.forget()
        before = self._meter.read()
        try:
            job = asker.audit(request).id
            while asker.record(job).state != "closed":
                time.sleep(LOOK_SECONDS)
            time.sleep(SETTLE_SECONDS)
            used = since(before, self._meter.read())
            wall = wall_of(asker, job)
            self._check(asker.report(job), brain)
        finally:
            asker.close()
        asked = self._server.tally().by_role.get("worker", [0, 0, 0])
        return Sample(wall, used, asked[1] / self._scale.tasks)

    def _check(self, report: Report, brain: BrainChoice) -> None:
        """See that every agent did its whole task."""
        asked = self._server.tally().by_role.get("worker", [0])[0]
        wanted = STEPS * self._scale.tasks if brain is BrainChoice.LLM else 0
        if not report.coverage.whole or asked != wanted or report.job.brain == "degraded":
            raise RuntimeError(
                f"{asked} calls in place of {wanted}, {report.job.brain}: {report.summary}"
            )

    def waiting_bytes(self) -> float:
        """What an agent adds to its worker's resident memory while it waits for the model."""
        self._server.play(script_of(*turns(WAIT_SECONDS, 0.0)))
        asker = self.running.asking(specialists=self._scale.specialists)
        before = self.resident_bytes()
        try:
            job = asker.audit(
                AuditRequest(
                    specialists=tuple(self._scale.specialists),
                    brain=BrainChoice.LLM,
                    deadline_seconds=DEADLINE_SECONDS,
                )
            ).id
            wait_until(
                "every agent waits for the model",
                lambda: self._server.tally().at_once >= self._scale.at_once,
                WAIT_SECONDS,
            )
            added = self.resident_bytes() - before
            asker.wait(job)
        finally:
            asker.close()
        self._server.play(script_of(*turns()))
        return added / self._scale.at_once

    def resident_bytes(self) -> int:
        """Resident memory of all workers."""
        processes = [self.running.process(host) for host in self._scale.hosts]
        return sum(process.memory_info().rss for process in processes)


def wall_of(asker: Fleet, job: str) -> float:
    """Seconds from dispatch to the last part closed, on the store's clock."""
    told: list[tuple[float, EventKind]] = []
    last = "0"
    while batch := list(read_events(asker.client, job, last, 0.01)):
        last = batch[-1][0]
        told += [(int(identifier.split("-")[0]) / 1000, event.kind) for identifier, event in batch]
    opened = [at for at, kind in told if kind is EventKind.JOB_OPENED]
    closed = [at for at, kind in told if kind is EventKind.PART_CLOSED]
    return max(closed) - min(opened)


@contextmanager
def agents(scale: Scale, server: ModelServer) -> Generator[Agents]:
    """A fleet for jobs of one scale, warm: each worker has done one task with the model."""
    options = {"tool_modules": ["benchmarks.meter"], "router_url": [server.url]}
    with fleet(**options) as running:
        running.start_control()
        running.start_workers(*scale.hosts, agents=scale.at_once // scale.workers)
        server.play(script_of(*turns(seconds=0.0)))
        warm = Agents(running, Scale(scale.workers, scale.workers, scale.workers, 0), server)
        warm.job()
        server.play(script_of(*turns()))
        yield Agents(running, scale, server)


def opening(server: ModelServer) -> Opening:
    """What an agent was told, from the record of a server that keeps one."""
    first = next(seen for seen in server.requests() if seen.role == "worker" and seen.turn == 0)
    system, user = first.body["messages"]
    return Opening(system["content"], user["content"])


def bare(scale: Scale, server: ModelServer, told: Opening) -> tuple[Taken, float]:
    """The floor: the same messages at the same scale; what it took, and prompt tokens a task."""
    server.play(plays(*turns()))
    server.forget()
    brief = Brief(server.url, told.system, told.question, scale.tasks, scale.at_once)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.peers.bare", json.dumps(asdict(brief))],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    taken = Taken(**json.loads(done.stdout.splitlines()[-1]))
    tally = server.tally()
    return taken, STEPS * tally.prompt_tokens / tally.requests


@dataclass(frozen=True, slots=True)
class Measured:
    """All samples of one scale, and the floor's."""

    ours: Sequence[Sample]
    floor: Sequence[Taken]
    floor_tokens: float
    parts: Sequence[Sample] = ()


def run(runs: int) -> Table:
    """Measure."""
    with ModelServer(script_of(*turns()), record=True) as server:
        with agents(SMALL, server) as small:
            ours = [small.job() for _ in range(runs)]
            told = opening(server)
        floor = [bare(SMALL, server, told) for _ in range(runs)]
        first = Measured(ours, [taken for taken, _ in floor], floor[0][1])
    with ModelServer(script_of(*turns()), record=False) as server:
        second = middle(server, told, runs)
        third, added = large(server, told, runs)
    return Table(
        "brain: four-call tasks through the shared router",
        (
            *walls(SMALL, first),
            *walls(MIDDLE, second),
            *walls(LARGE, third),
            *costs(second),
            Figure("memory an agent in flight adds", "KB", added, MOST_KILOBYTES),
            Figure("prompt tokens a task", "", [one.tokens for one in ours], MOST_TOKENS, 0),
            Figure("  floor", "", [first.floor_tokens], None, 0),
        ),
        notes(),
    )


def middle(server: ModelServer, told: Opening, runs: int) -> Measured:
    """The middle scale: with the model, by rules alone, and the floor."""
    with agents(MIDDLE, server) as running:
        ours = [running.job() for _ in range(runs)]
        parts = [running.job(BrainChoice.RULES) for _ in range(runs)]
    floor = [bare(MIDDLE, server, told) for _ in range(runs)]
    return Measured(ours, [taken for taken, _ in floor], floor[0][1], parts)


def large(server: ModelServer, told: Opening, runs: int) -> tuple[Measured, list[float]]:
    """The large scale, and memory: each sample of that on workers that had no load before."""
    added: list[float] = []
    ours: list[Sample] = []
    for _ in range(runs):
        with agents(LARGE, server) as running:
            added.append(running.waiting_bytes() / KILOBYTE)
            ours.append(running.job())
    floor = [bare(LARGE, server, told) for _ in range(runs)]
    return Measured(ours, [taken for taken, _ in floor], floor[0][1]), added


def walls(scale: Scale, measured: Measured) -> Iterator[Figure]:
    """Wall time over ideal, ours and the floor's."""
    ideal = scale.ideal_seconds
    ours = [one.wall / ideal for one in measured.ours]
    yield Figure(f"{scale.name}, wall ÷ ideal of {ideal:g} s", "×", ours, scale.most, 3)
    floor = [one.wall_seconds / ideal for one in measured.floor]
    yield Figure("  floor", "×", floor, None, 3)


def costs(measured: Measured) -> Iterator[Figure]:
    """CPU a model call at the middle scale, milliseconds, and what it is made of."""
    each = 1000 / (STEPS * MIDDLE.tasks)
    ours = [each * one.cpu["workers"] for one in measured.ours]
    part = median(each * one.cpu["workers"] for one in measured.parts)
    yield Figure(f"CPU of the workers a call, at {MIDDLE.name}, all of it", "ms", ours, None, 2)
    yield Figure(
        "  of it a quarter of a part that the rules do alone",
        "ms",
        [each * one.cpu["workers"] for one in measured.parts],
        None,
        2,
    )
    yield Figure(
        "  the rest: the call, loop and checks",
        "ms",
        [one - part for one in ours],
        MOST_MILLISECONDS,
        2,
    )
    for name in ("store", "control", "producer"):
        used = [each * one.cpu[name] for one in measured.ours]
        yield Figure(f"  {name} beside it", "ms", used, None, 2)
    floor = [each * one.cpu_seconds for one in measured.floor]
    yield Figure("  floor", "ms", floor, None, 2)


def notes() -> tuple[str, ...]:
    """What the figures rest on."""
    return (
        f"Each reply of the model comes after {LATENCY_SECONDS:g} s; the server is on the same "
        f"{CORES} cores. The clock runs from when the job is written down, before it is sent, "
        "until its last part is closed.",
        f"The large scale has one worker process a core, so {LARGE.workers}; the others six.",
        "The floor is bare aiohttp in one process, with the same standing orders, question, tool "
        "and answers, and nothing that is checked, kept or told.",
        "Memory is what the workers' RSS grows by until every agent waits for its first reply, "
        "each time in workers that have done one task before.",
        "Tokens are counted by the server over all that it is sent, tools included.",
    )
