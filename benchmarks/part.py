"""What one part costs in CPU beyond its tools: from being sent to being closed in the ledger."""

from __future__ import annotations

import time

from benchmarks.support import SETTLE_SECONDS, Figure, Meter, Table, fleet, since
from swarm_tasks.models.job import AuditRequest
from tests.support.fleets import TestFleet, specialist

PART_MILLISECONDS = 10.0
HOSTS = tuple(f"host-{number}" for number in range(6))
SPECIALISTS = {
    name: specialist(name, "nap", seconds=0) for name in ("first", "second", "third", "fourth")
}
WHOLE = AuditRequest()
SMALL = AuditRequest(hosts=HOSTS[:1], specialists=("first",))
JOBS = 12
SMALL_JOBS = 60
REST_SECONDS = 10.0


def run(runs: int) -> Table:
    """Measure."""
    request = WHOLE.model_copy(update={"specialists": tuple(SPECIALISTS)})
    with fleet(tool_modules=["tests.support.fake_tools"], specialists=SPECIALISTS) as running:
        running.start_control()
        running.start_workers(*HOSTS)
        meter = Meter()
        work(running, request, 2)  # scripts loaded, connections opened
        rest = meter.at_rest(REST_SECONDS)
        parts = len(HOSTS) * len(SPECIALISTS)
        large = [sample(running, meter, rest, request, JOBS, parts) for _ in range(runs)]
        small = [sample(running, meter, rest, SMALL, SMALL_JOBS, 1) for _ in range(runs)]
    per_second = ", ".join(f"{role} {1000 * used:.1f}" for role, used in rest.items())
    return Table(
        "part: CPU of one part, tools excluded",
        (
            Figure(
                f"a part of a job of {parts}",
                "ms",
                [sum(one.values()) for one in large],
                PART_MILLISECONDS,
            ),
            *(
                Figure(f"  of it {role}", "ms", [one[role] for one in large], None, 2)
                for role in rest
            ),
            Figure("a job of one part, all of it", "ms", [sum(one.values()) for one in small]),
            *(
                Figure(f"  of it {role}", "ms", [one[role] for one in small], None, 2)
                for role in rest
            ),
        ),
        (
            f"A sample is {JOBS} jobs of {parts}, or {SMALL_JOBS} of one, in turn, on six workers "
            "of eight agents; each part calls one tool that answers at once.",
            "The producer plans, sends, follows every event and reads the report, as `audit` does.",
            f"Taken off is what the same processes use at rest, ms a second: {per_second}.",
        ),
    )


def work(running: TestFleet, request: AuditRequest, jobs: int) -> None:
    """Audits one after the other, each followed to its report."""
    for _ in range(jobs):
        report = running.fleet.wait(running.fleet.audit(request).id)
        if not report.coverage.whole:
            raise RuntimeError(f"not every host answered: {report.summary}")


def sample(
    running: TestFleet,
    meter: Meter,
    rest: dict[str, float],
    request: AuditRequest,
    jobs: int,
    parts: int,
) -> dict[str, float]:
    """Milliseconds of CPU a part that each role used beyond what it uses at rest."""
    before, began = meter.read(), time.monotonic()
    work(running, request, jobs)
    time.sleep(SETTLE_SECONDS)
    wall = time.monotonic() - began
    return {
        role: 1000 * (used - rest[role] * wall) / (jobs * parts)
        for role, used in since(before, meter.read()).items()
    }
