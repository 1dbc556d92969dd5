"""The fleet of `docker-compose.yml` in trouble: what falls or is cut off in the middle of an audit.

Each container is a machine here, on a network of its own: a kill takes all its processes along, and
a host that is taken off the store's network reaches nobody of the fleet until it is put back.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from swarm_tasks.models.report import JobStatus, Report
from tests.support.containers import PROJECT, SERVICES, Containers, fleet_up, said
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.compose,
    pytest.mark.skipif(
        os.environ.get("HOSTSWARM_TEST_COMPOSE") != "1",
        reason="brings up containers: set HOSTSWARM_TEST_COMPOSE=1 (docs/compose.md)",
    ),
]

COUNT = 60
DEADLINE_SECONDS = 180.0
QUESTIONS = "/tmp/questions"
ASK = (
    *("hostswarm", "audit", "--anywhere-from", QUESTIONS, "--specialists", "performance"),
    *("--brain", "rules", "--deadline", f"{DEADLINE_SECONDS:g}s", "--json"),
)
STORE_NETWORK = f"{PROJECT}_store"

BOOKS = """\
import json, sys
from collections import Counter
from orchestrator.service import Fleet
from swarm_tasks.config import load_settings
from swarm_tasks.store import keys
fleet = Fleet(load_settings())
ledger, job = fleet.ledger, sys.argv[1]
record, parts = ledger.record(job), ledger.parts(job)
print(json.dumps({
    "counts": [record.total, record.closed, len(parts), len(ledger.reports(job))],
    "states": Counter(part.state for part in parts),
    "left": [*ledger.open_jobs(), *(
        member for key in (keys.WAITING, keys.LEASES)
        for member in ledger.client.zrange(key.at(), 0, -1)
    )],
}))
fleet.close()
"""
"""What control's own code finds in the ledger, asked inside its container."""


@pytest.fixture(scope="module")
def containers(base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Generator[Containers]:
    """The fleet without a model, and without a schedule that asks for jobs between."""
    secrets = tmp_path_factory.mktemp("secrets")
    with fleet_up(base_image, secrets, HOSTSWARM_SCHEDULES="") as fleet:
        lines = "\\n".join(f"Is part {number} slow?" for number in range(COUNT))
        write = f"printf '{lines}\\n' > {QUESTIONS}"
        assert fleet.inside("control", "sh", "-c", write).returncode == 0
        yield fleet


@pytest.fixture(autouse=True)
def whole(containers: Containers) -> None:
    """Each test begins with all services well."""
    containers.wait_until_healthy(*SERVICES)


def jobs(containers: Containers) -> dict[str, dict[str, Any]]:
    """The jobs that there are."""
    return {job["id"]: job for job in json.loads(containers.hostswarm("jobs", "--json"))}


def audited(containers: Containers, meanwhile: Callable[[], object]) -> None:
    """Ask for shared work, have something happen in its middle, and find all of it answered, and
    counted once."""
    before = jobs(containers)
    argv = (*containers.compose, "exec", "-T", "control", *ASK)
    pipe = subprocess.PIPE
    with subprocess.Popen(
        argv, env=containers.environment, stdout=pipe, stderr=pipe, text=True
    ) as asker:

        def under_way() -> list[str]:
            assert asker.poll() is None, asker.communicate()
            return [
                name
                for name, job in jobs(containers).items()
                if name not in before and 0 < job["closed"] < job["total"]
            ]

        try:
            (job,) = wait_until("the audit is under way", under_way)
            meanwhile()
            said_out, said_err = asker.communicate(timeout=DEADLINE_SECONDS)
        finally:
            with suppress(ProcessLookupError):
                asker.kill()
    assert asker.returncode == 0, said_err
    report = Report.model_validate_json(said_out)
    assert report.job.id == job
    assert report.job.status is JobStatus.COMPLETE
    assert (report.coverage.dark, report.coverage.failed) == ((), ())
    assert sum(len(line.parts) for line in report.hosts) == COUNT
    books = books_of(containers, job)
    assert books["counts"] == [COUNT] * 4
    assert books["states"] == {"closed": COUNT}
    wait_until("nothing is left of it", lambda: not books_of(containers, job)["left"])


def books_of(containers: Containers, job: str) -> dict[str, Any]:
    """What the ledger says of a job."""
    done = containers.inside("control", "python", "-c", BOOKS, job)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@contextmanager
def off_the_network(containers: Containers, host: str) -> Generator[None]:
    """While this lasts, a host reaches no store."""
    container = containers.call("ps", "--quiet", host).strip()
    said("docker", "network", "disconnect", STORE_NETWORK, container)
    try:
        yield
    finally:
        said("docker", "network", "connect", "--alias", host, STORE_NETWORK, container)


def alive(containers: Containers, host: str) -> bool:
    """Whether control sees a sign of life of this host."""
    views = json.loads(containers.hostswarm("hosts", "--json"))
    return any(view["host"] == host and view["beat"] is not None for view in views)


def test_what_a_killed_machine_had_is_done_by_others(containers: Containers) -> None:
    try:
        audited(containers, lambda: containers.call("kill", "bravo"))
    finally:
        containers.call("start", "bravo")


def test_a_store_that_is_killed_in_the_middle_costs_no_part(containers: Containers) -> None:
    def kill_and_start() -> None:
        containers.call("kill", "valkey")
        containers.call("start", "valkey")

    audited(containers, kill_and_start)


def test_a_host_that_is_cut_off_for_a_while_keeps_nobody_waiting(containers: Containers) -> None:
    def cut_and_mend() -> None:
        with off_the_network(containers, "charlie"):
            wait_until("charlie is missed", lambda: not alive(containers, "charlie"))

    audited(containers, cut_and_mend)
    wait_until("charlie is back", lambda: alive(containers, "charlie"))
