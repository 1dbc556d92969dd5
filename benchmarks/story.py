"""Six hosts of two agents, four specialists each: 24 parts of a second, twelve at once."""

from __future__ import annotations

import time

from benchmarks.support import Figure, Table, fleet
from swarm_tasks.models.job import AuditRequest
from swarm_tasks.models.report import JobStatus
from tests.support.fleets import TestFleet, specialist

HOSTS = tuple(f"host-{number}" for number in range(6))
AGENTS = 2
NAP_SECONDS = 1.0
SPECIALISTS = {
    name: specialist(name, "nap", seconds=NAP_SECONDS)
    for name in ("first", "second", "third", "fourth")
}
IDEAL_SECONDS = NAP_SECONDS * len(SPECIALISTS) / AGENTS
MOST = 1.10


def run(runs: int) -> Table:
    """Measure."""
    with fleet(tool_modules=["tests.support.fake_tools"], specialists=SPECIALISTS) as running:
        running.start_control()
        running.start_workers(*HOSTS, agents=AGENTS)
        timed(running)
        samples = [timed(running) for _ in range(runs)]
    return Table(
        "story: 24 parts of 1 s over six workers, twelve at once",
        (
            Figure("wall ÷ ideal", "×", [wall / IDEAL_SECONDS for wall, _ in samples], MOST, 3),
            Figure("wall, asked to closed", "s", [wall for wall, _ in samples], None, 3),
            Figure("of it after the last part ended", "s", [tail for _, tail in samples], None, 3),
        ),
        (
            f"Ideal is {IDEAL_SECONDS:g} s: each agent does two parts. The clock runs from before "
            "the request is planned until whoever asked has read that the job is closed.",
        ),
    )


def timed(running: TestFleet) -> tuple[float, float]:
    """Seconds from the question to the closed job, and from the last part's end to that."""
    request = AuditRequest(specialists=tuple(SPECIALISTS))
    began = time.monotonic()
    job = running.fleet.audit(request)
    for _ in running.fleet.follow(job.id):
        pass
    wall = time.monotonic() - began
    report = running.fleet.report(job.id)
    if report.job.status is not JobStatus.COMPLETE:
        raise RuntimeError(f"not every host answered: {report.summary}")
    naps = [item.started.timestamp() + item.seconds for item in report.evidence]
    return wall, report.job.finished.timestamp() - max(naps)
