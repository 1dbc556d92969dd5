"""What a service wrote to the system's log."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from workers.tools.access import Access
from workers.tools.catalog.journal import ANSWERS, ask_journal
from workers.tools.catalog.logfile import LINE_LIMIT, LINES_LIMIT, clean
from workers.tools.spec import Arguments, Command, Result, Tool

UNIT_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9@._:\\-]*$"
"""No leading dash, and no glob characters: systemctl and journalctl would spread those."""

LOGS = Command(
    (
        *("journalctl", "--no-pager", "--output=short-iso", "--lines={lines}"),
        *("--since=-{minutes}min", "--priority={priority}", "--unit={unit}"),
    ),
    ok=ANSWERS,
    package="systemd",
    output_limit_bytes=4 << 20,
)
LOG_SHOW = Command(
    (
        *("log", "show", "--style", "syslog", "--last", "{minutes}m", "--predicate"),
        '(process == "{process}" OR subsystem == "{unit}"'
        ' OR (process == "launchd" AND eventMessage CONTAINS "{unit}")){only}',
    ),
    timeout_seconds=25,
    output_limit_bytes=4 << 20,
)
ONLY_ERRORS = " AND (messageType == error OR messageType == fault)"

Priority = Literal["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"]
GRAVE: frozenset[Priority] = frozenset({"emerg", "alert", "crit", "err"})


class ServiceLogs(Result):
    """What a unit wrote to the log, oldest first."""

    unit: str
    lines: tuple[str, ...]


class ServiceLogArguments(Arguments):
    """Which unit, how many of its last lines, from when on, and how grave at least."""

    unit: str = Field(pattern=UNIT_PATTERN, max_length=256)
    lines: int = Field(default=200, ge=1, le=LINES_LIMIT)
    since_minutes: int = Field(default=1440, ge=1, le=525_600)
    priority: Priority = "debug"


def cleaned_lines(text: str, most: int) -> tuple[str, ...]:
    """The last `most` lines, fit to be shown."""
    lines = clean(text).splitlines()[-most:]
    return tuple(line[:LINE_LIMIT] for line in lines)


async def read_journal(arguments: ServiceLogArguments, access: Access) -> ServiceLogs:
    """A unit's lines in the journal."""
    text = await ask_journal(
        LOGS,
        access,
        unit=arguments.unit,
        lines=arguments.lines,
        minutes=arguments.since_minutes,
        priority=arguments.priority,
    )
    return ServiceLogs(unit=arguments.unit, lines=cleaned_lines(text, arguments.lines))


async def read_log_show(arguments: ServiceLogArguments, access: Access) -> ServiceLogs:
    """A job's lines in the log of macOS, which knows errors and faults but no priorities."""
    # The pattern keeps quotes out; a backslash would still escape the one that closes the string.
    unit = arguments.unit.replace("\\", "\\\\")
    done = await access.run(
        LOG_SHOW,
        unit=unit,
        process=unit.rpartition(".")[2] or unit,
        minutes=arguments.since_minutes,
        only=ONLY_ERRORS if arguments.priority in GRAVE else "",
    )
    return ServiceLogs(unit=arguments.unit, lines=cleaned_lines(done.stdout, arguments.lines))


TOOLS = (
    Tool(
        name="service_logs",
        summary="The last lines that one service wrote to the system's log.",
        arguments=ServiceLogArguments,
        result=ServiceLogs,
        reads={"linux": read_journal, "darwin": read_log_show},
        needs={"linux": (LOGS,)},
        timeout_seconds=30,
    ),
)
