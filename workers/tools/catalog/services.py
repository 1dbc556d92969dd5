"""Services: which failed, and how one of them does."""

from __future__ import annotations

import json
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from swarm_tasks.models.base import Moment
from workers.tools.access import Access
from workers.tools.catalog.launchd import LAUNCHCTL_LIST, Job, parse_launchctl, signal_name
from workers.tools.catalog.restarts import TOOLS as RESTART_TOOLS
from workers.tools.catalog.service_logs import TOOLS as LOG_TOOLS
from workers.tools.catalog.service_logs import UNIT_PATTERN
from workers.tools.catalog.shown import shown
from workers.tools.catalog.systemd import properties, systemd_time
from workers.tools.catalog.timers import TOOLS as TIMER_TOOLS
from workers.tools.spec import Arguments, Command, NoArguments, Result, Tool

KEPT = 100

LIST_FAILED = Command(
    (
        *("systemctl", "list-units", "--failed", "--plain", "--no-legend", "--no-pager", "--full"),
        "--output=json",
    ),
    package="systemd",
)
SHOW = Command(
    (
        *("systemctl", "show", "--no-pager"),
        "--property=Id,Description,LoadState,ActiveState,SubState,Result,ExecMainCode,"
        "ExecMainStatus,NRestarts,StateChangeTimestamp,MainPID,MemoryCurrent",
        *("--", "{unit}"),
    ),
    package="systemd",
)

KILLED, DUMPED = 2, 3
"""CLD_KILLED and CLD_DUMPED of waitid(2): the exit status is then a signal's number."""

NO_LIMIT = (1 << 64) - 1
"""What systemd before 254 prints for a number that is not set."""


class State(StrEnum):
    """ActiveState of systemd, and `missing`."""

    ACTIVE = "active"
    RELOADING = "reloading"
    REFRESHING = "refreshing"
    INACTIVE = "inactive"
    FAILED = "failed"
    ACTIVATING = "activating"
    DEACTIVATING = "deactivating"
    MAINTENANCE = "maintenance"
    MISSING = "missing"


class FailedUnit(Result):
    """A unit that failed.

    `vendor` marks the system's own jobs of macOS, which end with a code or a signal every day.
    """

    unit: str
    state: Literal["failed"]
    description: str
    vendor: bool


class FailedServices(Result):
    """The units that failed; at most 100 are listed. `total` leaves out the vendor's."""

    failed: tuple[FailedUnit, ...]
    total: int


class ServiceStatus(Result):
    """One unit.

    `state` is systemd's ActiveState with two exceptions: a unit that nobody knows is `missing`,
    and one that failed and waits for its next restart is `failed`, since it does not run.
    """

    unit: str
    description: str
    state: State
    sub_state: str
    result: str
    exit_code: int | None
    exit_signal: str | None
    restarts: int | None
    since: Moment | None
    main_pid: int | None
    memory_bytes: int | None


class UnitArgument(Arguments):
    """Which unit; one without a suffix is a service. On macOS, a job's label."""

    name: str = Field(pattern=UNIT_PATTERN, max_length=256)


def parse_failed(text: str) -> list[FailedUnit]:
    """The units in `systemctl list-units --failed`.

    As JSON from systemd 248 on; an older one takes `--output=json` to be about logs and prints
    its columns, some of them with a mark in front.
    """
    if text.lstrip().startswith("["):
        rows: list[dict[str, Any]] = json.loads(text)
        return [_failed(row["unit"], row["description"]) for row in rows]
    columns = (line.lstrip("●*× ").split(None, 4) for line in text.splitlines())
    return [_failed(row[0], row[4]) for row in columns if len(row) == 5]


def _failed(unit: str, description: str, *, vendor: bool = False) -> FailedUnit:
    return FailedUnit(
        unit=shown(unit, 256), state="failed", description=shown(description, 200), vendor=vendor
    )


def parse_show(text: str) -> ServiceStatus:
    """A unit in `systemctl show`, one property a line."""
    found = properties(text)
    ended = _number(found, "ExecMainCode")
    status = _number(found, "ExecMainStatus")
    by_signal = ended in (KILLED, DUMPED) and status is not None
    return ServiceStatus(
        unit=shown(found["Id"], 256),
        description=shown(found.get("Description", ""), 200),
        state=_state(found),
        sub_state=found.get("SubState", ""),
        result=found.get("Result", ""),
        exit_code=status if ended and not by_signal else None,
        exit_signal=signal_name(status) if by_signal and status is not None else None,
        restarts=_number(found, "NRestarts"),
        since=systemd_time(found.get("StateChangeTimestamp", "")),
        main_pid=_number(found, "MainPID") or None,
        memory_bytes=_number(found, "MemoryCurrent"),
    )


def _state(found: dict[str, str]) -> State:
    if found.get("LoadState") == "not-found":
        return State.MISSING
    if found.get("SubState", "").startswith("auto-restart") and found.get("Result") != "success":
        return State.FAILED
    return State(found["ActiveState"])


def _number(found: dict[str, str], name: str) -> int | None:
    """A property's number; None where it is `[not set]`, infinite or not there."""
    text = found.get(name, "")
    return int(text) if text.isdecimal() and int(text) < NO_LIMIT else None


def job_ending(job: Job) -> str:
    """How a job of launchd last ended, in words."""
    if job.status < 0:
        return f"ended by {signal_name(-job.status)}"
    return f"ended with exit code {job.status}"


def failed_jobs(jobs: Iterable[Job]) -> FailedServices:
    """The jobs of launchd that failed, the system's own last."""
    failed = [_failed(job.label, job_ending(job), vendor=job.vendor) for job in jobs if job.failed]
    return FailedServices(
        failed=tuple(sorted(failed, key=lambda unit: unit.vendor)[:KEPT]),
        total=sum(not unit.vendor for unit in failed),
    )


def job_status(job: Job | None, label: str) -> ServiceStatus:
    """A job of launchd as the status of a unit; None is one that is not loaded."""
    if job is None:
        state = State.MISSING
    elif job.pid is not None:
        state = State.ACTIVE
    else:
        state = State.FAILED if job.failed else State.INACTIVE
    ended = job.status if job is not None and job.pid is None else None
    return ServiceStatus(
        unit=label,
        description="",
        state=state,
        sub_state="",
        result=job_ending(job) if job is not None and ended is not None else "",
        exit_code=ended if ended is not None and ended >= 0 else None,
        exit_signal=signal_name(-ended) if ended is not None and ended < 0 else None,
        restarts=None,
        since=None,
        main_pid=job.pid if job else None,
        memory_bytes=None,
    )


async def read_failed(arguments: NoArguments, access: Access) -> FailedServices:
    """Which units failed."""
    failed = parse_failed((await access.run(LIST_FAILED)).stdout)
    return FailedServices(failed=tuple(failed[:KEPT]), total=len(failed))


async def read_failed_macos(arguments: NoArguments, access: Access) -> FailedServices:
    """Which jobs ended badly."""
    return failed_jobs(parse_launchctl((await access.run(LAUNCHCTL_LIST)).stdout))


async def read_service(arguments: UnitArgument, access: Access) -> ServiceStatus:
    """How one unit does."""
    return parse_show((await access.run(SHOW, unit=arguments.name)).stdout)


async def read_service_macos(arguments: UnitArgument, access: Access) -> ServiceStatus:
    """How one job of launchd does."""
    jobs = parse_launchctl((await access.run(LAUNCHCTL_LIST)).stdout)
    found = next((job for job in jobs if job.label == arguments.name), None)
    return job_status(found, arguments.name)


TOOLS = (
    Tool(
        name="failed_services",
        summary="The services and other units that failed.",
        arguments=NoArguments,
        result=FailedServices,
        reads={"linux": read_failed, "darwin": read_failed_macos},
        needs={"linux": (LIST_FAILED,)},
    ),
    Tool(
        name="service",
        summary="One service: its state, how it last ended, its restarts and its memory.",
        arguments=UnitArgument,
        result=ServiceStatus,
        reads={"linux": read_service, "darwin": read_service_macos},
        needs={"linux": (SHOW,)},
    ),
    *LOG_TOOLS,
    *TIMER_TOOLS,
    *RESTART_TOOLS,
)
