"""The fleet of `docker-compose.yml` in containers, for its tests."""

from __future__ import annotations

import base64
import os
import secrets
import shlex
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from swarm_tasks.models.report import Report
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
PROJECT = "hostswarm-test"
IMAGE = "hostswarm:test"
HOSTS = ("alpha", "bravo", "charlie")
SERVICES = ("valkey", "control", "beat", "flower", *HOSTS)
LABEL = f"label=com.docker.compose.project={PROJECT}"
FLOWER_USER = "operator"

BUILD_SECONDS = 600.0
HEALTHY_SECONDS = 180.0


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


@contextmanager
def fleet_up(
    base_image: str,
    directory: Path,
    *words: str,
    services: tuple[str, ...] = SERVICES,
    **variables: str,
) -> Generator[Containers]:
    """The fleet, up and healthy; gone with its volumes afterwards.

    Args:
        directory: Where its secrets go.
        words: Between Compose and its command, such as `--profile router`.
        services: Those that are waited for.
        variables: More of what `docker-compose.yml` takes from the environment.
    """
    command = shlex.split(os.environ.get("HOSTSWARM_TEST_COMPOSE_COMMAND", "docker-compose"))
    password, flower_password = secrets.token_hex(32), secrets.token_hex(16)
    write_secret(directory / "store_conf", f"requirepass {password}\n")
    write_secret(directory / "broker_url", f"redis://:{password}@valkey:6379/0\n")
    port = free_port()
    fleet = Containers(
        compose=(*command, "--project-name", PROJECT, *words),
        environment={
            **os.environ,
            "BASE_IMAGE": base_image,
            "FLEET_IMAGE": IMAGE,
            "FLEET_SECRETS": str(directory),
            "HOSTSWARM_SCHEDULES": '[{"name": "often", "every_seconds": 10}]',
            "FLOWER_BASIC_AUTH": f"{FLOWER_USER}:{flower_password}",
            "FLOWER_PORT": str(port),
            **variables,
        },
        password=password,
        flower_port=port,
        flower_password=flower_password,
    )
    fleet.call("down", "--volumes", "--remove-orphans")  # what an interrupted run left
    fleet.call("build", timeout=BUILD_SECONDS)
    try:
        fleet.call("up", "--detach", timeout=HEALTHY_SECONDS)
        fleet.wait_until_healthy(*services)
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
