"""The fleet of `docker-compose.yml`, brought up for real: audited, hurt, mended and taken down.

It runs when HOSTSWARM_TEST_COMPOSE=1. Where a registry can be reached, name a base image in
HOSTSWARM_TEST_BASE_IMAGE (`python:3.12-slim`); without one the base is made on this machine by
`tests/compose/base-image`, and the wheels are fetched by `tests/compose/wheelhouse`.
HOSTSWARM_TEST_COMPOSE_COMMAND says which Compose: `docker-compose` (default) or `docker compose`.
A Docker daemon is used if one answers, else started for as long as this lasts.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import shlex
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from swarm_tasks.models.report import HostStatus, JobStatus, Report
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.compose,
    pytest.mark.skipif(
        os.environ.get("HOSTSWARM_TEST_COMPOSE") != "1",
        reason="brings up containers: set HOSTSWARM_TEST_COMPOSE=1 (docs/compose.md)",
    ),
]

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
PROJECT = "hostswarm-test"
IMAGE = "hostswarm:test"
LOCAL_BASE = "hostswarm-base:local"
HOSTS = ("alpha", "bravo", "charlie")
SERVICES = ("valkey", "control", "beat", "flower", *HOSTS)
LABEL = f"label=com.docker.compose.project={PROJECT}"
FLOWER_USER = "operator"

BUILD_SECONDS = 600.0
HEALTHY_SECONDS = 180.0
DARK_SECONDS = 60.0


def run(
    *argv: str, env: Mapping[str, str] | None = None, timeout: float = 120.0
) -> subprocess.CompletedProcess[str]:
    """One command, with what it said; that it failed is the caller's to judge."""
    return subprocess.run(
        argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=timeout, check=False
    )


def said(*argv: str, env: Mapping[str, str] | None = None, timeout: float = 120.0) -> str:
    """What a command that must succeed printed."""
    done = run(*argv, env=env, timeout=timeout)
    assert done.returncode == 0, f"{shlex.join(argv)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@dataclass(frozen=True, slots=True)
class Containers:
    """The fleet that runs, and the commands that reach it.

    Args:
        compose: The Compose command with its project.
        environment: What `docker-compose.yml` takes from the environment.
        password: The store's.
        flower_port: Flower's port on the loopback address.
        flower_password: Of `FLOWER_USER`.
    """

    compose: tuple[str, ...]
    environment: Mapping[str, str]
    password: str
    flower_port: int
    flower_password: str

    def call(self, *words: str, timeout: float = 120.0) -> str:
        """What `docker-compose WORDS` printed."""
        return said(*self.compose, *words, env=self.environment, timeout=timeout)

    def inside(self, service: str, *argv: str) -> subprocess.CompletedProcess[str]:
        """A command inside a service's container."""
        return run(*self.compose, "exec", "-T", service, *argv, env=self.environment)

    def hostswarm(self, *words: str) -> str:
        """What `hostswarm WORDS` printed inside the control container."""
        return self.call("exec", "-T", "control", "hostswarm", *words)

    def audit(self) -> Report:
        """The report of one audit of the whole fleet."""
        return Report.model_validate_json(self.hostswarm("audit", "--json"))

    def health(self) -> dict[str, str]:
        """Each service's state as Docker puts it, such as `healthy`."""
        form = '{{.Label "com.docker.compose.service"}}\t{{.Status}}'
        lines = said("docker", "ps", "--all", "--filter", LABEL, "--format", form).splitlines()
        return dict(line.split("\t", 1) for line in lines)

    def wait_until_healthy(self, *services: str) -> None:
        """Return when these services' health checks pass."""

        def all_are() -> bool:
            health = self.health()
            return all("(healthy)" in health.get(service, "") for service in services)

        try:
            wait_until("every health check passes", all_are, HEALTHY_SECONDS)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.health()}\n{self.logs()}") from None

    def logs(self) -> str:
        """The last lines of every service."""
        return self.call("logs", "--no-color", "--tail", "20")

    def flower(self, path: str, credentials: str | None = None) -> int:
        """The status that Flower answers with."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.flower_port}{path}")
        if credentials is not None:
            encoded = base64.b64encode(credentials.encode()).decode()
            request.add_header("Authorization", f"Basic {encoded}")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                return answer.status
        except urllib.error.HTTPError as error:
            with error:
                return error.code


def daemon_answers() -> bool:
    """Whether there is a Docker daemon to talk to."""
    return run("docker", "info", "--format", "{{.ServerVersion}}").returncode == 0


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    """A Docker daemon: the one that runs, or one of our own that ends with us."""
    if daemon_answers():
        yield
        return
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        pytest.fail("no Docker daemon answers, and this user cannot start one")
    log = tmp_path_factory.mktemp("dockerd") / "log"
    with log.open("wb") as sink:
        own = subprocess.Popen(
            ["dockerd"], stdout=sink, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        wait_until(f"dockerd answers; it says in {log}", daemon_answers, 60.0)
        yield
    finally:
        own.terminate()
        own.wait(60.0)


@pytest.fixture(scope="module")
def base_image(daemon: None) -> Generator[str]:
    """What the image is built on: the one that was named, or one made here with its wheels."""
    named = os.environ.get("HOSTSWARM_TEST_BASE_IMAGE")
    if named:
        yield named
        return
    said(str(HERE / "base-image"), LOCAL_BASE, timeout=BUILD_SECONDS)
    wheelhouse = ROOT / "build" / "wheelhouse"
    was_there = wheelhouse.exists()
    said(str(HERE / "wheelhouse"), LOCAL_BASE, timeout=BUILD_SECONDS)
    yield LOCAL_BASE
    if not was_there:
        shutil.rmtree(wheelhouse)
        with contextlib.suppress(OSError):  # something else is in there
            wheelhouse.parent.rmdir()


@pytest.fixture(scope="module")
def containers(base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Generator[Containers]:
    """The fleet, up and healthy; gone with its volumes afterwards."""
    command = shlex.split(os.environ.get("HOSTSWARM_TEST_COMPOSE_COMMAND", "docker-compose"))
    password, flower_password = secrets.token_hex(32), secrets.token_hex(16)
    directory = tmp_path_factory.mktemp("secrets")
    write_secret(directory / "store_conf", f"requirepass {password}\n")
    write_secret(directory / "broker_url", f"redis://:{password}@valkey:6379/0\n")
    port = free_port()
    fleet = Containers(
        compose=(*command, "--project-name", PROJECT),
        environment={
            **os.environ,
            "BASE_IMAGE": base_image,
            "FLEET_IMAGE": IMAGE,
            "FLEET_SECRETS": str(directory),
            "HOSTSWARM_SCHEDULES": '[{"name": "often", "every_seconds": 10}]',
            "FLOWER_BASIC_AUTH": f"{FLOWER_USER}:{flower_password}",
            "FLOWER_PORT": str(port),
        },
        password=password,
        flower_port=port,
        flower_password=flower_password,
    )
    fleet.call("down", "--volumes", "--remove-orphans")  # what an interrupted run left
    fleet.call("build", timeout=BUILD_SECONDS)
    try:
        fleet.call("up", "--detach", timeout=HEALTHY_SECONDS)
        fleet.wait_until_healthy(*SERVICES)
        yield fleet
    finally:
        fleet.call("down", "--volumes", "--remove-orphans")


def write_secret(path: Path, text: str) -> None:
    """A file that the containers' user may read, in a directory that nobody else may enter."""
    path.write_text(text, encoding="utf-8")
    path.chmod(0o444)


def free_port() -> int:
    """A port of the loopback address that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


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
