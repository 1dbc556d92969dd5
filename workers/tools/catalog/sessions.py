"""Sessions: who is logged in, and who lately failed to be.

A name that is no account of this machine is not shown: people type passwords into that field.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

import psutil

from swarm_tasks.errors import ToolError, Unavailable
from swarm_tasks.models.base import Moment
from workers.tools.access import Access
from workers.tools.catalog.shown import shown
from workers.tools.spec import Command, NoArguments, Result, Tool, every_platform

KEPT = 100
SOURCES_KEPT = 20
NAME_LIMIT = 128
FAILURES_LIMIT = 2000

LASTB = Command(
    (
        *("lastb", "--fullnames", "--time-format", "iso", "--since", "-1days"),
        *("--limit", str(FAILURES_LIMIT)),
    ),
    package="util-linux",
)
ROW = re.compile(
    r"^(?P<user>.*?)\s+(?P<line>\S+)\s+(?:(?P<source>\S+)\s+)?"
    r"(?P<at>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S*) - "
)


class Login(Result):
    """One session that is open now."""

    user: str
    terminal: str
    source: str
    started: Moment


class FailedLogins(Result):
    """Attempts to log in that failed, of one account from one source, in the last day."""

    user: str
    source: str
    attempts: int
    last_at: Moment


class Logins(Result):
    """Who is logged in, and who lately failed to be.

    `failed` holds at most 20 pairs of account and source, those with most attempts first;
    `failed_total` counts all. Both are None where the record cannot be read: `failed_unread`
    says why.
    """

    sessions: tuple[Login, ...]
    failed: tuple[FailedLogins, ...] | None
    failed_total: int | None
    failed_unread: str


def parse_lastb(text: str) -> list[tuple[str, str, datetime]]:
    """(name, source, time) of each attempt in `lastb --time-format iso`; the newest first."""
    return [
        (found["user"], found["source"] or found["line"], datetime.fromisoformat(found["at"]))
        for line in text.splitlines()
        if (found := ROW.match(line))
    ]


def grouped(
    attempts: Iterable[tuple[str, str, datetime]], accounts: frozenset[str]
) -> tuple[FailedLogins, ...]:
    """Attempts by account and source, the most frequent first; unknown names are one account."""
    counts: Counter[tuple[str, str]] = Counter()
    last: dict[tuple[str, str], datetime] = {}
    for name, source, at in attempts:
        user = name if name in accounts else "(no account here)"
        pair = (user, shown(source, NAME_LIMIT))
        counts[pair] += 1
        last[pair] = max(at, last.get(pair, at))
    return tuple(
        FailedLogins(user=user, source=source, attempts=count, last_at=last[user, source])
        for (user, source), count in counts.most_common(SOURCES_KEPT)
    )


def parse_accounts(text: str) -> frozenset[str]:
    """The names in /etc/passwd."""
    return frozenset(line.partition(":")[0] for line in text.splitlines() if line)


async def read_logins(arguments: NoArguments, access: Access) -> Logins:
    """Who is logged in, and who lately failed to be."""
    users = await access.call("psutil.users()", psutil.users)
    failed: tuple[FailedLogins, ...] | None = None
    total: int | None = None
    unread = ""
    try:
        attempts = await _failures(access)
        failed = grouped(attempts, parse_accounts(await access.read("/etc/passwd")))
        total = len(attempts)
    except ToolError as error:
        unread = error.message
    return Logins(
        sessions=tuple(
            Login(
                user=shown(user.name, NAME_LIMIT),
                terminal=shown(user.terminal or "", NAME_LIMIT),
                source=shown(user.host or "", NAME_LIMIT),
                started=datetime.fromtimestamp(user.started, tz=UTC),
            )
            for user in users[:KEPT]
        ),
        failed=failed,
        failed_total=total,
        failed_unread=unread,
    )


async def _failures(access: Access) -> list[tuple[str, str, datetime]]:
    if access.machine.platform == "darwin":
        raise Unavailable("macOS keeps no record of failed logins that lastb could read")
    return parse_lastb((await access.run(LASTB)).stdout)


TOOLS = (
    Tool(
        name="logins",
        summary="Who is logged in, and which logins failed in the last day, by source.",
        arguments=NoArguments,
        result=Logins,
        reads=every_platform(read_logins),
    ),
)
