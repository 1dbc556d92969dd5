"""The fleet of `docker-compose.yml`, brought up for real: audited, hurt, mended and taken down.

It runs when HOSTSWARM_TEST_COMPOSE=1. Where a registry can be reached, name a base image in
HOSTSWARM_TEST_BASE_IMAGE (`python:3.12-slim`); without one the base is made on this machine by
`tests/compose/base-image`, and the wheels are fetched by `tests/compose/wheelhouse`.
HOSTSWARM_TEST_COMPOSE_COMMAND says which Compose: `docker-compose` (default) or `docker compose`.
A Docker daemon is used if one answers, else started for as long as this lasts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator

import pytest

from swarm_tasks.models.report import HostStatus, JobStatus, Report
from tests.support.containers import (
    FLOWER_USER,
    HOSTS,
    LABEL,
    SERVICES,
    Containers,
    fleet_up,
    said,
)
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.compose,
    pytest.mark.skipif(
        os.environ.get("HOSTSWARM_TEST_COMPOSE") != "1",
        reason="brings up containers: set HOSTSWARM_TEST_COMPOSE=1 (docs/compose.md)",
    ),
]

DARK_SECONDS = 60.0


@pytest.fixture(scope="module")
def containers(base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Generator[Containers]:
    """The fleet without a model."""
    with fleet_up(base_image, tmp_path_factory.mktemp("secrets")) as fleet:
        yield fleet


def test_an_audit_of_three_named_hosts_is_answered_by_each(containers: Containers) -> None:
    report = containers.audit()

    assert report.job.status is JobStatus.COMPLETE
    assert sorted(report.coverage.answered) == list(HOSTS)
    assert (report.coverage.dark, report.coverage.failed) == ((), ())
    for line in report.hosts:
        assert line.tool_calls > 0, line
    answered = {piece.host for piece in report.evidence if piece.status == "ok"}
    assert answered == set(HOSTS)


def test_a_killed_host_is_dark_until_it_comes_back(containers: Containers) -> None:
    containers.call("kill", "bravo")
    try:
        wait_until("bravo is dark", lambda: not alive(containers, "bravo"), DARK_SECONDS)
        without = containers.audit()
    finally:
        containers.call("start", "bravo")
        containers.wait_until_healthy("bravo")

    assert without.job.status is JobStatus.PARTIAL
    assert without.coverage.dark == ("bravo",)
    assert sorted(without.coverage.answered) == ["alpha", "charlie"]
    bravo = next(line for line in without.hosts if line.host == "bravo")
    assert bravo.status is HostStatus.DARK
    assert bravo.reason
    assert bravo.last_seen is not None
    assert bravo.last_seen < without.job.created
    assert containers.audit().job.status is JobStatus.COMPLETE


def test_the_store_remembers_what_was_reported_before_it_was_killed(
    containers: Containers,
) -> None:
    job = containers.audit().job.id
    containers.call("kill", "valkey")
    containers.call("start", "valkey")
    containers.wait_until_healthy("valkey")

    again = Report.model_validate_json(containers.hostswarm("show", job, "--json"))

    assert again.job.id == job
    containers.wait_until_healthy(*SERVICES)
    assert containers.audit().job.status is JobStatus.COMPLETE


def test_beat_keeps_sending_the_audit_that_is_scheduled(containers: Containers) -> None:
    def scheduled() -> set[str]:
        jobs = json.loads(containers.hostswarm("jobs", "--json"))
        return {job["id"] for job in jobs if job["asked_by"] == "schedule often"}

    before = scheduled()

    wait_until("another scheduled job", lambda: scheduled() - before, 60.0)


@pytest.mark.parametrize("service", SERVICES)
def test_nothing_can_be_written_into_a_container(containers: Containers, service: str) -> None:
    for place in ("/", "/etc", "/opt/hostswarm/bin", "/usr/bin"):
        done = containers.inside(service, "touch", f"{place}/written")
        assert done.returncode != 0, place
        assert "Read-only file system" in done.stderr + done.stdout


@pytest.mark.parametrize("service", SERVICES)
def test_no_process_has_a_capability_or_can_gain_one(containers: Containers, service: str) -> None:
    status = containers.inside(service, "cat", "/proc/1/status").stdout
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)

    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(facts[name], 16) == 0, name
    assert facts["NoNewPrivs"] == "1"
    assert facts["Seccomp"] == "2"
    assert set(facts["Uid"].split()) == {"10001"}


def test_a_host_can_ping_without_a_capability(containers: Containers) -> None:
    done = containers.inside("alpha", "ping", "-c", "1", "127.0.0.1")

    assert done.returncode == 0, done.stderr


def test_the_image_holds_no_program_that_runs_as_somebody_else(containers: Containers) -> None:
    find = ("find", "/", "-xdev", "-type", "f", "-perm", "/6000", "-print")

    assert containers.inside("alpha", *find).stdout == ""


@pytest.mark.parametrize("service", SERVICES)
def test_each_container_has_its_own_name(containers: Containers, service: str) -> None:
    assert containers.inside(service, "hostname").stdout.strip() == service


def test_flower_asks_for_its_password(containers: Containers) -> None:
    assert containers.flower("/workers") == 401
    assert containers.flower("/workers", f"{FLOWER_USER}:wrong") == 401
    assert containers.flower("/workers", f"{FLOWER_USER}:{containers.flower_password}") == 200


def test_nothing_but_flower_is_published_and_that_on_the_loopback_address(
    containers: Containers,
) -> None:
    form = "{{.Ports}}"
    ports = said("docker", "ps", "--filter", LABEL, "--format", form).split()

    assert [port for port in ports if "->" in port] == [
        f"127.0.0.1:{containers.flower_port}->5555/tcp"
    ]


def test_the_store_is_on_an_internal_network_only(containers: Containers) -> None:
    form = "{{.Name}} {{.Internal}}"
    names = said("docker", "network", "ls", "--filter", LABEL, "--format", "{{.Name}}").split()
    internal = dict(
        line.split()
        for line in said("docker", "network", "inspect", "-f", form, *names).splitlines()
    )
    store = containers.call("ps", "--quiet", "valkey").strip()
    networks = json.loads(
        said("docker", "inspect", "--format", "{{json .NetworkSettings.Networks}}", store)
    )

    assert [internal[name] for name in networks] == ["true"]


def test_the_store_answers_nobody_without_the_password(containers: Containers) -> None:
    ask = "import redis; redis.Redis('valkey', socket_timeout=5).ping()"
    done = containers.inside("alpha", "python", "-c", ask)

    assert done.returncode != 0
    assert "AuthenticationError" in done.stderr + done.stdout


def test_the_password_stands_in_no_command_line_environment_or_log(
    containers: Containers,
) -> None:
    ids = said("docker", "ps", "--quiet", "--filter", LABEL).split()

    assert len(ids) == len(SERVICES)
    assert containers.password not in said("docker", "inspect", *ids)
    assert containers.password not in containers.call("logs", "--no-color")
    for service in SERVICES:
        assert containers.password not in containers.inside(service, "ps", "axww").stdout


def test_taking_it_down_leaves_no_container_network_or_volume(containers: Containers) -> None:
    containers.call("down", "--volumes")

    assert said("docker", "ps", "--all", "--quiet", "--filter", LABEL) == ""
    assert said("docker", "network", "ls", "--quiet", "--filter", LABEL) == ""
    assert said("docker", "volume", "ls", "--quiet", "--filter", LABEL) == ""


def alive(containers: Containers, host: str) -> bool:
    """Whether control sees a sign of life of this host."""
    views = json.loads(containers.hostswarm("hosts", "--json"))
    return any(view["host"] == host and view["beat"] is not None for view in views)
