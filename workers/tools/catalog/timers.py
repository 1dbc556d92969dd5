"""Timers: what systemd starts by the clock, and when it last did."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from swarm_tasks.models.base import Moment, now_utc
from workers.tools.access import Access
from workers.tools.catalog.shown import shown
from workers.tools.catalog.systemd import systemd_time
from workers.tools.spec import Command, NoArguments, Result, Tool

LATE_SECONDS = 60.0
"""A timer's own default accuracy is a minute (AccuracySec= of systemd.timer)."""

KEPT = 200

LIST_TIMERS = Command(
    (
        *("systemctl", "list-timers", "--all", "--full", "--no-pager", "--no-legend"),
        "--output=json",
    ),
    package="systemd",
)

STAMP = r"(?:[A-Z][a-z]{2} \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+|-|n/a)"
COLUMNS = re.compile(
    rf"^(?P<next>{STAMP})\s+(?P<left>.*?)\s+(?P<last>{STAMP})\s+(?P<passed>.*?)\s+"
    r"(?P<unit>\S+\.timer)\s*(?P<activates>\S*)$"
)


class Timer(Result):
    """One timer.

    `late_seconds` says for how long it has been due without being started: its service may still
    be busy from the time before. None where it is not due.
    """

    unit: str
    activates: str
    next: Moment | None
    last: Moment | None
    late_seconds: float | None


class Timers(Result):
    """Every timer that systemd knows, the next to start first."""

    timers: tuple[Timer, ...]
    late: int


def parse_timers(text: str, now: datetime) -> list[Timer]:
    """The timers in `systemctl list-timers`.

    As JSON from systemd 248 on, with times in microseconds; an older one takes `--output=json`
    to be about logs, and prints its columns.
    """
    if text.lstrip().startswith("["):
        rows: list[dict[str, Any]] = json.loads(text)
        return [
            _timer(
                row["unit"], row["activates"], _from_usec(row["next"]), _from_usec(row["last"]), now
            )
            for row in rows
        ]
    return [
        _timer(
            found["unit"],
            found["activates"],
            systemd_time(found["next"]),
            systemd_time(found["last"]),
            now,
        )
        for line in text.splitlines()
        if (found := COLUMNS.match(line))
    ]


def _timer(
    unit: str, activates: str, due: datetime | None, last: datetime | None, now: datetime
) -> Timer:
    late = (now - due).total_seconds() if due else 0.0
    return Timer(
        unit=shown(unit),
        activates=shown(activates or ""),
        next=due,
        last=last,
        late_seconds=round(late, 1) if late > LATE_SECONDS else None,
    )


def _from_usec(value: int | None) -> datetime | None:
    return datetime.fromtimestamp(value / 1e6, tz=UTC) if value else None


def count_late(timers: Iterable[Timer]) -> int:
    """How many are late."""
    return sum(timer.late_seconds is not None for timer in timers)


async def read_timers(arguments: NoArguments, access: Access) -> Timers:
    """What systemd starts by the clock."""
    timers = parse_timers((await access.run(LIST_TIMERS)).stdout, now_utc())
    return Timers(timers=tuple(timers[:KEPT]), late=count_late(timers))


TOOLS = (
    Tool(
        name="timers",
        summary="Every systemd timer: when it runs next, when it last ran, and whether it is late.",
        arguments=NoArguments,
        result=Timers,
        reads={"linux": read_timers},
        needs={"linux": (LIST_TIMERS,)},
    ),
)
