"""The memory of a worker that waits for work, with the whole catalog loaded."""

from __future__ import annotations

import time

from benchmarks.support import MEGABYTE, Figure, Table, fleet
from swarm_tasks.models.job import AuditRequest
from tests.support.fleets import TestFleet
from workers.tools.book import toolbook

RESTING_MEGABYTES = 90.0
REST_SECONDS = 10.0


def run(runs: int) -> Table:
    """Measure: as many workers as runs, at the same time."""
    names = tuple(f"rest-{number}" for number in range(runs))
    catalog = sum(1 for _ in toolbook())
    with fleet() as running:
        running.start_workers(*names)
        time.sleep(REST_SECONDS)
        known = known_tools(running)
        resting = [megabytes(running, name) for name in names]
        running.start_control()
        running.fleet.wait(running.fleet.audit(AuditRequest()).id)
        time.sleep(REST_SECONDS / 5)
        after = [megabytes(running, name) for name in names]
    if known != {catalog}:
        raise RuntimeError(f"the catalog has {catalog} tools, the workers know {known}")
    return Table(
        "rest: a worker at rest",
        (
            Figure("RSS", "MB", [rss for rss, _ in resting], RESTING_MEGABYTES),
            Figure("of it its own (USS)", "MB", [uss for _, uss in resting]),
            Figure("RSS after one audit of everything", "MB", [rss for rss, _ in after]),
            Figure("of it its own (USS)", "MB", [uss for _, uss in after]),
        ),
        (
            f"{REST_SECONDS:g} s after {runs} workers joined; {catalog} tools loaded; "
            "a megabyte is a million bytes.",
            "RSS counts the pages of shared libraries in full; USS is what ending it would free.",
        ),
    )


def megabytes(running: TestFleet, name: str) -> tuple[float, float]:
    """A worker's resident set and its own part of that."""
    memory = running.process(name).memory_full_info()
    return memory.rss / MEGABYTE, memory.uss / MEGABYTE


def known_tools(running: TestFleet) -> set[int]:
    """How many tools each worker has in its catalog, available here or not."""
    return {
        len(view.facts.tools) + len(view.facts.unavailable)
        for view in running.fleet.hosts()
        if view.facts is not None
    }
