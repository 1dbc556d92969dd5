"""The kernel's own messages: what it killed, and which hardware it complained about."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from swarm_tasks.errors import ToolError, Unavailable
from swarm_tasks.models.base import Moment, now_utc
from workers.tools.access import Access
from workers.tools.catalog.journal import ANSWERS, ask_journal
from workers.tools.catalog.kernel_log import (
    Message,
    merged,
    parse_dmesg,
    parse_journal,
    parse_log_show,
    parse_syslog,
)
from workers.tools.catalog.kernel_messages import (
    EccErrors,
    HungTask,
    IoErrors,
    OomKill,
    XidErrors,
    ecc_errors,
    hung_tasks,
    io_errors,
    oom_kills,
    xid_errors,
)
from workers.tools.catalog.logfile import LINES_LIMIT, tail_of
from workers.tools.spec import Arguments, Command, Result, Tool

KEPT = 50
"""This many of each kind are listed; the totals count all of them."""

USUAL_MINUTES = 30
"""The window of Netdata's `oom_kill`, in which the metrics of the kernel's messages count."""

LOGS = 8

JOURNAL = Command(
    # Not `-k`: that shows this boot alone, and what went before a crash is what matters most.
    (
        *("journalctl", "_TRANSPORT=kernel", "--no-pager", "--output=json"),
        *("--output-fields=MESSAGE", "--lines=10000", "--since=-{minutes}min"),
    ),
    ok=ANSWERS,
    package="systemd",
    output_limit_bytes=8 << 20,
)
DMESG = Command(("dmesg", "-r"), package="util-linux", output_limit_bytes=16 << 20)
LOG_SHOW = Command(
    (
        *("log", "show", "--style", "ndjson", "--last", "{minutes}m", "--predicate"),
        'process == "kernel" AND (eventMessage CONTAINS "memorystatus: killing"'
        ' OR eventMessage CONTAINS "I/O error")',
    ),
    timeout_seconds=25,
    output_limit_bytes=4 << 20,
)

LogPath = Annotated[str, Field(pattern=r"^/[^\x00-\x1f\x7f]+$", max_length=4096)]


def one_or_more(value: Any) -> Any:
    """A single path stands for a list of one: the sweep gives one of the host's logs a time."""
    return (value,) if isinstance(value, str) else value


class KernelArguments(Arguments):
    """How far to look back, and which log files to look into as well."""

    since_minutes: int = Field(default=USUAL_MINUTES, ge=1, le=10_080)
    logs: Annotated[tuple[LogPath, ...], BeforeValidator(one_or_more)] = Field(
        default=(),
        max_length=LOGS,
        description="Absolute paths below a log directory, such as /var/log/kern.log.",
    )


class KernelEvents(Result):
    """What the kernel reported in the last `since_minutes`.

    `sources` were read; `unread` could not be, with the reason. Lists hold at most 50 entries,
    of kills and hung tasks the newest; the totals count all.
    """

    since: Moment
    since_minutes: int
    sources: tuple[str, ...]
    unread: dict[str, str]
    messages: int
    oom_kills: tuple[OomKill, ...]
    oom_kills_total: int
    ecc: tuple[EccErrors, ...]
    ecc_corrected_total: int
    ecc_uncorrectable_total: int
    io_errors: tuple[IoErrors, ...]
    io_errors_total: int
    hung_tasks: tuple[HungTask, ...]
    hung_tasks_total: int
    xid_errors: tuple[XidErrors, ...]
    xid_errors_total: int


async def read_kernel_events(arguments: KernelArguments, access: Access) -> KernelEvents:
    """What the kernel reported.

    Raises:
        Unavailable: No source could be read.
    """
    now = now_utc()
    read: dict[str, list[Message]] = {}
    unread: dict[str, str] = {}
    remedies: dict[str, None] = {}
    for name in (*_own_sources(access), *arguments.logs):
        if name == "dmesg" and read.get("journal"):
            continue
        try:
            read[name] = await _read_source(name, arguments.since_minutes, now, access)
        except ToolError as error:
            unread[name] = error.message
            remedies[error.remedy] = None
    if not read:
        reasons = "; ".join(unread.values())
        raise Unavailable(reasons, " or ".join(remedy for remedy in remedies if remedy))
    since = now.timestamp() - arguments.since_minutes * 60
    return _summed(merged(tuple(read.values()), since), arguments, since, read, unread)


def _own_sources(access: Access) -> tuple[str, ...]:
    # The ring buffer is read when the journal had nothing: in a container, or with no journald,
    # an empty journal does not mean a silent kernel.
    return ("log show",) if access.machine.platform == "darwin" else ("journal", "dmesg")


async def _read_source(name: str, minutes: int, now: datetime, access: Access) -> list[Message]:
    """The messages of one source, named as in `sources`."""
    if name == "journal":
        return parse_journal(await ask_journal(JOURNAL, access, minutes=minutes))
    if name == "dmesg":
        text = (await access.run(DMESG)).stdout
        # The kernel stamps by its monotonic clock, so ages hold whatever was done to the date.
        return parse_dmesg(text, now.timestamp() - time.monotonic())
    if name == "log show":
        return parse_log_show((await access.run(LOG_SHOW, minutes=minutes)).stdout)
    return await _read_log_file(name, minutes, now, access)


async def _read_log_file(path: str, minutes: int, now: datetime, access: Access) -> list[Message]:
    machine = access.machine
    tail = await access.call(
        f"open({path})", tail_of, path, LINES_LIMIT, machine.log_roots, machine.root
    )
    messages = parse_syslog(tail.lines, path, now.timestamp())
    if tail.more and (not messages or messages[0].at > now.timestamp() - minutes * 60):
        access.truncated = True
    return messages


def _summed(
    messages: list[Message],
    arguments: KernelArguments,
    since: float,
    read: dict[str, list[Message]],
    unread: dict[str, str],
) -> KernelEvents:
    kills, ecc, io = oom_kills(messages), ecc_errors(messages), io_errors(messages)
    hung, xid = hung_tasks(messages), xid_errors(messages)
    return KernelEvents(
        since=datetime.fromtimestamp(since, tz=now_utc().tzinfo),
        since_minutes=arguments.since_minutes,
        sources=tuple(read),
        unread=unread,
        messages=len(messages),
        oom_kills=tuple(kills[-KEPT:]),
        oom_kills_total=len(kills),
        ecc=tuple(ecc[:KEPT]),
        ecc_corrected_total=sum(one.corrected for one in ecc),
        ecc_uncorrectable_total=sum(one.uncorrectable for one in ecc),
        io_errors=tuple(io[:KEPT]),
        io_errors_total=sum(one.errors for one in io),
        hung_tasks=tuple(hung[-KEPT:]),
        hung_tasks_total=len(hung),
        xid_errors=tuple(xid[:KEPT]),
        xid_errors_total=sum(one.errors for one in xid),
    )


TOOLS = (
    Tool(
        name="kernel_events",
        summary="What the kernel reported lately: OOM kills, memory, disk and GPU errors, hangs.",
        arguments=KernelArguments,
        result=KernelEvents,
        reads={"linux": read_kernel_events, "darwin": read_kernel_events},
        timeout_seconds=30,
    ),
)
