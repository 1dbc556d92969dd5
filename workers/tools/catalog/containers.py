"""Containers: which there are, how they do, and what one of them wrote.

Command lines, labels and environments are never shown: they are where secrets are passed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field

from swarm_tasks.errors import ToolFailed, Unavailable
from workers.tools.access import Access
from workers.tools.catalog.logfile import LINE_LIMIT, LINES_LIMIT, clean
from workers.tools.catalog.shown import shown
from workers.tools.runner import find_program
from workers.tools.spec import (
    Arguments,
    Command,
    Completed,
    NoArguments,
    Result,
    Tool,
    every_platform,
)

KEPT = 500
NAME_LIMIT = 256

Engine = Literal["docker", "podman"]

# An engine that cannot be reached ends with 1 (docker) or 125 (podman), and says why.
DOCKER_PS = Command(
    ("docker", "ps", "--all", "--format", "{{{{json .}}}}"),
    ok=None,
    package="docker.io",
    output_limit_bytes=4 << 20,
)
PODMAN_PS = Command(
    ("podman", "ps", "--all", "--format", "json"), ok=None, output_limit_bytes=4 << 20
)
DOCKER_LOGS = Command(
    ("docker", "logs", "--timestamps", "--tail", "{lines}", "--", "{id}"),
    ok=None,
    package="docker.io",
    output_limit_bytes=4 << 20,
)
PODMAN_LOGS = Command(
    ("podman", "logs", "--timestamps", "--tail", "{lines}", "--", "{id}"),
    ok=None,
    output_limit_bytes=4 << 20,
)

UNREACHABLE = ("cannot connect", "is the docker daemon running", "connection refused")
DENIED = ("permission denied", "operation not permitted")

EXITED = re.compile(r"^(?:Exited|Restarting) \((?P<code>\d+)\)")
HEALTH = re.compile(r"\((?P<health>healthy|unhealthy|health: starting|starting)\)$")


class Container(Result):
    """One container.

    `state` is the engine's, but that one whose health check fails is `unhealthy`, and one that
    ended with code 0 is `finished`: only a code other than 0 makes it `exited`.
    """

    id: str
    name: str
    image: str
    state: str
    health: str
    exit_code: int | None
    status: str


class Containers(Result):
    """Every container of an engine; at most 500."""

    engine: Engine
    containers: tuple[Container, ...]
    total: int


class ContainerLogs(Result):
    """What a container wrote, both streams in the order of time, oldest first."""

    engine: Engine
    id: str
    lines: tuple[str, ...]


class ContainerLogArguments(Arguments):
    """Which container, by name or id, and how many of its last lines."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=NAME_LIMIT)
    lines: int = Field(default=200, ge=1, le=LINES_LIMIT)


def state_of(state: str, health: str, exit_code: int | None) -> str:
    """The state that is graded, from the engine's words."""
    if state in ("exited", "stopped"):  # podman's `stopped` is on its way to `exited`
        return "finished" if exit_code == 0 else "exited"
    return "unhealthy" if state == "running" and health == "unhealthy" else state


def parse_docker_ps(text: str) -> list[Container]:
    """The containers in `docker ps --format '{{json .}}'`, one object a line."""
    rows: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines() if line]
    return [_container(row["ID"], row["Names"], row["State"], row) for row in rows]


def parse_podman_ps(text: str) -> list[Container]:
    """The containers in `podman ps --format json`, one list."""
    rows: list[dict[str, Any]] = json.loads(text or "[]") or []
    return [_container(row["Id"], ",".join(row["Names"] or ()), row["State"], row) for row in rows]


def _container(identity: str, name: str, state: str, row: dict[str, Any]) -> Container:
    status = str(row.get("Status", ""))
    exited, health = EXITED.match(status), HEALTH.search(status)
    code = int(exited["code"]) if exited else row.get("ExitCode")
    ended = code if state in ("exited", "stopped", "restarting", "dead") else None
    said = health["health"].removeprefix("health: ") if health else ""
    return Container(
        id=shown(identity, 12),
        name=shown(name, NAME_LIMIT),
        image=shown(str(row.get("Image", "")), NAME_LIMIT),
        state=state_of(state, said, ended),
        health=said,
        exit_code=ended,
        status=shown(status, 200),
    )


def engine_here() -> Engine:
    """The container engine of this machine.

    Raises:
        Unavailable: There is none.
    """
    engines: tuple[Engine, ...] = ("docker", "podman")
    for engine in engines:
        if find_program(engine):
            return engine
    raise Unavailable(
        "neither docker nor podman is installed", "nothing to mend without containers"
    )


async def read_containers(arguments: NoArguments, access: Access) -> Containers:
    """Every container. Where docker has no daemon, podman is asked."""
    engine = engine_here()
    try:
        found = await _listed(engine, access)
    except Unavailable:
        if engine == "podman" or not find_program("podman"):
            raise
        engine, found = "podman", await _listed("podman", access)
    return Containers(engine=engine, containers=tuple(found[:KEPT]), total=len(found))


async def _listed(engine: Engine, access: Access) -> list[Container]:
    if engine == "docker":
        return parse_docker_ps(answered(await access.run(DOCKER_PS)).stdout)
    return parse_podman_ps(answered(await access.run(PODMAN_PS)).stdout)


async def read_container_logs(arguments: ContainerLogArguments, access: Access) -> ContainerLogs:
    """What one container wrote."""
    engine = (await read_containers(NoArguments(), access)).engine
    command = DOCKER_LOGS if engine == "docker" else PODMAN_LOGS
    done = answered(await access.run(command, id=arguments.id, lines=arguments.lines))
    streams = (done.stdout.splitlines(), done.stderr.splitlines())
    lines = in_order(line for stream in streams for line in stream)
    return ContainerLogs(engine=engine, id=arguments.id, lines=lines[-arguments.lines :])


def in_order(lines: Iterable[str]) -> tuple[str, ...]:
    """Lines of both streams by the time that the engine put in front: RFC 3339, of one width."""
    stamped = sorted(lines, key=lambda line: line.partition(" ")[0])
    return tuple(clean(line)[:LINE_LIMIT] for line in stamped)


def answered(done: Completed) -> Completed:
    """`done`, where the engine answered.

    Raises:
        Unavailable: It is not running, or this worker may not ask it.
        ToolFailed: It answered with an error, such as that there is no such container.
    """
    if done.code == 0 or done.truncated:
        return done
    said = (done.stderr.strip() or f"exit code {done.code}").splitlines()[-1][:200]
    lowered = done.stderr.lower()
    if any(phrase in lowered for phrase in DENIED):
        raise Unavailable(said, "run the worker as root, or give its user access to the engine")
    if any(phrase in lowered for phrase in UNREACHABLE):
        raise Unavailable(said, "start the container engine if this host is to run containers")
    raise ToolFailed(said, "see the tool `containers`")


TOOLS = (
    Tool(
        name="containers",
        summary="Every container with its state, health and exit code.",
        arguments=NoArguments,
        result=Containers,
        reads=every_platform(read_containers),
    ),
    Tool(
        name="container_logs",
        summary="The last lines that one container wrote.",
        arguments=ContainerLogArguments,
        result=ContainerLogs,
        reads=every_platform(read_container_logs),
    ),
)
