"""What it costs control to make one report of a thousand parts, and whether that grows linearly."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import mean, median

from benchmarks import plain_chord
from benchmarks.fake_hosts import FakeHosts, Model, model_host
from benchmarks.support import Figure, Meter, Table, fleet
from orchestrator.plan import default_parts, host_tasks, select_specialists
from orchestrator.surfaces.children import child_environment
from swarm_tasks.guarded import Guarded
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.job import AuditRequest, Job, new_job_id
from swarm_tasks.store import keys
from tests.support.fleets import REPOSITORY, TestFleet

SPECIALISTS = ("storage", "services", "network", "performance")
SIZES = (100, 300, 1000, 3000)
PROMISED = 1000
"""The size that the target is for. A sample of a smaller one is as many jobs as have this many
parts together, since the kernel shows CPU in hundredths of a second."""

JOIN_MILLISECONDS = 5.0
LINEAR = 1.25
"""What a part may cost in the largest job where it costs 1 in a smaller one. Fixed costs fall on
more parts in the larger one, so a linear join is at or below 1; the rest is left to noise."""

REST_SECONDS = 5.0
AFTER_SECONDS = 0.2
"""Until control has acknowledged the chord's body."""

DEADLINE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Joined:
    """What a job cost, or the mean of some.

    Args:
        join: CPU of whoever joins, from when one part is left to do; milliseconds a part.
        last: CPU of the host that does this last part; milliseconds.
        tail: Wall time from then until the report stands; seconds.
        keep: CPU of control before that, while the job is open; milliseconds a second.
        send: CPU of the producer to plan the job and send it; milliseconds a part.
        wall: Wall time from the question until the report stands; seconds.
    """

    join: float
    last: float
    tail: float
    keep: float = 0.0
    send: float = 0.0
    wall: float = 0.0


class Bench:
    """Jobs on fake hosts in one fleet.

    Args:
        running: The fleet, in which whoever joins is up.
        model: What the fake hosts answer.
        joiner: The role of the process that joins.
    """

    def __init__(self, running: TestFleet, model: Model, joiner: str) -> None:
        self._running = running
        self._fleet = running.fleet
        self._model = model
        self._joiner = joiner
        self._meter = Meter()
        self._rest = self._meter.at_rest(REST_SECONDS)[joiner]

    def audit(self, parts: int, specialists: Sequence[str] = SPECIALISTS) -> Joined:
        """An audit as hostswarm does it: the reports wait in the ledger."""
        request = AuditRequest(specialists=tuple(specialists), deadline_seconds=DEADLINE_SECONDS)
        with self._hosts(parts // len(specialists)) as hosts:
            before, began, cpu = self._used(), time.monotonic(), time.process_time()
            job = self._fleet.audit(request)
            sent = time.process_time() - cpu
            *most, final = [host for host in hosts.names for _ in specialists]
            for host in most:
                hosts.answer(host)
            kept, open_seconds = self._used() - before, time.monotonic() - began
            join, last, tail = self._last_part(
                lambda: hosts.answer(final), lambda: self._follow(job.id), parts
            )
        self._forget(job.id)
        return Joined(
            join=join,
            last=last,
            tail=tail,
            keep=1000 * kept / open_seconds,
            send=1000 * sent / parts,
            wall=open_seconds + tail,
        )

    def plain_audit(self, parts: int) -> Joined:
        """The same parts, with their reports sent through the chord to its body."""
        settings = self._running.settings()
        with self._hosts(parts // len(SPECIALISTS)) as hosts:
            job = Job(
                id=new_job_id(),
                hosts=hosts.names,
                specialists=SPECIALISTS,
                created=now_utc(),
                deadline_seconds=DEADLINE_SECONDS,
            )
            chosen = select_specialists(SPECIALISTS, settings.all_specialists)
            deadline_at = self._fleet.ledger.now() + DEADLINE_SECONDS
            wanted = default_parts(hosts.names, chosen, job.question)
            *most, final = tasks = host_tasks(job, wanted, settings.policy, deadline_at)
            plain_chord.send(self._fleet.app, job, tasks)
            for task in most:
                hosts.answer(task.host, through_the_chord=True)
            join, last, tail = self._last_part(
                lambda: hosts.answer(final.host, through_the_chord=True),
                lambda: plain_chord.wait(self._fleet.client, job, DEADLINE_SECONDS),
                parts,
            )
        return Joined(join=join, last=last, tail=tail)

    def _last_part(
        self, answer: Callable[[], None], wait: Callable[[], None], parts: int
    ) -> tuple[float, float, float]:
        """Do the last part of a job and wait for its report: `join`, `last` and `tail`."""
        before, began, cpu = self._used(), time.monotonic(), time.process_time()
        answer()
        last = time.process_time() - cpu
        wait()
        tail = time.monotonic() - began
        time.sleep(AFTER_SECONDS)
        used = self._used() - before - self._rest * (time.monotonic() - began)
        return 1000 * used / parts, 1000 * last, tail

    def _used(self) -> float:
        return self._meter.read()[self._joiner]

    def _hosts(self, count: int) -> FakeHosts:
        names = [f"fake-{number:04}" for number in range(count)]
        return FakeHosts(self._running, names, self._model)

    def _follow(self, job: str) -> None:
        for _ in self._fleet.follow(job):
            pass
        if not self._fleet.report(job).coverage.whole:
            raise RuntimeError("not every fake host answered")

    def _forget(self, job: str) -> None:
        """Take a job out of the store, so that each sample finds the same."""
        client = self._fleet.client
        for key in client.scan_iter(match=keys.PART.at(job=job, part="*")):
            client.delete(key)
        client.delete(keys.JOB.at(job=job), keys.EVENTS.at(job=job))


def run(runs: int) -> Table:
    """Measure."""
    with fleet() as running:
        running.start_control()
        model = model_host(running, SPECIALISTS)
        bench = Bench(running, model, "control")
        bench.audit(SIZES[0])
        joined = {size: samples(bench.audit, size, runs) for size in SIZES}
        wide = [bench.audit(PROMISED, SPECIALISTS[:1]) for _ in range(runs)]
    with fleet() as running, plain_worker(running):
        bench = Bench(running, model, "body")
        bench.plain_audit(SIZES[0])
        plain = samples(bench.plain_audit, PROMISED, runs)
    return Table(
        "join: one report of many parts, on fake hosts",
        (*promised(joined, wide), *around(joined[PROMISED], wide), *compared(plain)),
        notes(model),
    )


def samples(job: Callable[[int], Joined], parts: int, runs: int) -> list[Joined]:
    """Samples, each the mean of as many jobs as have `PROMISED` parts."""
    jobs = max(1, PROMISED // parts)
    return [mean_of([job(parts) for _ in range(jobs)]) for _ in range(runs)]


def mean_of(jobs: Sequence[Joined]) -> Joined:
    """Each cost's mean."""
    names = Joined.__slots__
    return Joined(**{name: mean(getattr(job, name) for job in jobs) for name in names})


def promised(joined: dict[int, list[Joined]], wide: list[Joined]) -> list[Figure]:
    """What has a target, and what it rests on."""
    largest = max(joined)
    figures = [
        Figure(
            f"{size:,} parts: CPU of control a part",
            "ms",
            [one.join for one in found],
            JOIN_MILLISECONDS if size == PROMISED else None,
            2,
        )
        for size, found in joined.items()
    ]
    figures.append(
        Figure(
            f"{PROMISED:,} parts on as many hosts: the same",
            "ms",
            [one.join for one in wide],
            JOIN_MILLISECONDS,
            2,
        )
    )
    for base in (min(joined), PROMISED):
        figures += [
            Figure(
                f"a part of {size:,} ÷ a part of {base:,}",
                "×",
                [one.join / median(one.join for one in joined[base]) for one in found],
                LINEAR if size == largest else None,
                2,
            )
            for size, found in joined.items()
            if size > base
        ]
    return figures


def around(found: list[Joined], wide: list[Joined]) -> list[Figure]:
    """What the promised size costs beside the join."""
    job, idle = f"{PROMISED:,} parts", "CPU of control while a job is open on"
    few = PROMISED // len(SPECIALISTS)
    return [
        Figure(f"{job}: last part to report, wall", "s", [one.tail for one in found], None, 2),
        Figure(f"{job}: question to report, wall", "s", [one.wall for one in found], None, 2),
        Figure(f"{job}: CPU of the producer a part", "ms", [one.send for one in found], None, 2),
        Figure(f"{job}: CPU of the last host", "ms", [one.last for one in found], None, 0),
        Figure(f"{idle} {few:,} hosts", "ms a second", [one.keep for one in found], None, 0),
        Figure(f"{idle} {PROMISED:,}", "ms a second", [one.keep for one in wide], None, 0),
    ]


def compared(plain: list[Joined]) -> list[Figure]:
    """What the promised size would cost with results in the chord."""
    name = f"{PROMISED:,} parts, results in the chord"
    return [
        Figure(f"{name}: CPU of its body a part", "ms", [one.join for one in plain], None, 2),
        Figure(f"{name}: last part to report, wall", "s", [one.tail for one in plain], None, 2),
        Figure(f"{name}: CPU of the last host", "ms", [one.last for one in plain], None, 0),
    ]


def notes(model: Model) -> tuple[str, ...]:
    """What the figures include and leave out."""
    size = mean(len(text) for text in model.reports.values())
    return (
        f"{len(SPECIALISTS)} parts a host; a part's report has {size / 1000:.1f} KB on average, as "
        "a real worker on this machine gave it, and each host has a finding.",
        "CPU of control a part is taken from when one part is left to do until the report stands: "
        "the chord's body, reading the ledger, synthesis, closing, and the keeper meanwhile.",
        "The wall time from the question is that of one process that does every host's part in "
        "turn; hosts of their own work side by side.",
    )


@contextmanager
def plain_worker(running: TestFleet) -> Generator[None]:
    """The worker whose chord body takes results, up and serving."""
    environment = child_environment(running.settings(), None) | {"PYTHONPATH": str(REPOSITORY)}
    argv = (sys.executable, "-m", plain_chord.__name__)
    child = Guarded(argv, environment, running.directory / "plain.log")
    try:
        plain_chord.await_worker(running.fleet.app, running.fleet.client)
        yield
    finally:
        child.stop()
