"""Services that systemd starts again and again."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from swarm_tasks.errors import ToolError
from workers.tools.access import Access
from workers.tools.catalog.journal import ANSWERS, ask_journal, journal_entries, text_of
from workers.tools.catalog.shown import shown
from workers.tools.catalog.systemd import properties
from workers.tools.spec import Command, NoArguments, Result, Sample, Tool

WINDOW_SECONDS = 300
"""The window of node_exporter's NodeSystemdServiceCrashlooping."""

KEPT = 100
METRIC = "service.restarts_total"

TOTALS = Command(
    ("systemctl", "show", "--no-pager", "--property=Id,NRestarts", "--", "*.service"),
    package="systemd",
)
SCHEDULED = Command(
    # SD_MESSAGE_UNIT_RESTART_SCHEDULED. Anybody may log a message of that id; only the manager's
    # own come from process 1, which journald itself vouches for.
    (
        *("journalctl", "_PID=1", "MESSAGE_ID=5eb03494b6584870a536b337290809b3", "--no-pager"),
        *("--output=json", "--output-fields=UNIT", "--lines=5000", "--since=-{seconds}s"),
    ),
    ok=ANSWERS,
    package="systemd",
    output_limit_bytes=4 << 20,
)


class UnitRestarts(Result):
    """How often systemd started a unit again by itself.

    `total` is since the unit was last started by hand. `recent` is within the window, counted
    from the journal or else from this host's own samples; None where neither reaches back.
    """

    unit: str
    total: int
    recent: int | None
    counted_from: Literal["journal", "samples", ""]


class ServiceRestarts(Result):
    """The units that were restarted at all, the most often first; at most 100 are listed."""

    window_seconds: int
    units: tuple[UnitRestarts, ...]
    units_total: int


def parse_totals(text: str) -> dict[str, int]:
    """Restarts by unit in `systemctl show --property=Id,NRestarts`: blocks in any order."""
    totals: dict[str, int] = {}
    for block in text.split("\n\n"):
        found = properties(block)
        if found.get("NRestarts", "").isdecimal():
            totals[found["Id"]] = int(found["NRestarts"])
    return totals


def parse_scheduled(text: str) -> dict[str, int]:
    """Restarts by unit in the journal's messages about restarts."""
    return dict(Counter(text_of(entry.get("UNIT")) for entry in journal_entries(text)))


def recent_from(samples: Sequence[tuple[float, float]], total: int, now: float) -> int | None:
    """Restarts within the window, from samples of the total; None where they do not reach back.

    The newest sample from before the window is where the count begins; one from before twice
    the window says too little about the last minutes. A total below it began anew.
    """
    oldest, start = now - 2 * WINDOW_SECONDS, now - WINDOW_SECONDS
    before = [value for at, value in samples if oldest <= at <= start]
    if not before:
        return None
    return total - int(before[-1]) if total >= before[-1] else total


async def read_restarts(arguments: NoArguments, access: Access) -> ServiceRestarts:
    """Which units were restarted, and how often lately."""
    totals = parse_totals((await access.run(TOTALS)).stdout)
    try:
        recent = parse_scheduled(await ask_journal(SCHEDULED, access, seconds=WINDOW_SECONDS))
    except ToolError:
        recent = None
    names = [unit for unit, total in totals.items() if total or (recent and unit in recent)]
    units: list[UnitRestarts] = []
    for name in sorted(names, key=lambda name: -totals[name])[:KEPT]:
        if recent is not None:
            units.append(_unit(name, totals[name], recent.get(name, 0), "journal"))
            continue
        access.source.append(f"history({METRIC}, {name})")
        samples = await access.machine.history.samples(METRIC, name)
        count = recent_from(samples, totals[name], time.time())
        units.append(_unit(name, totals[name], count, "" if count is None else "samples"))
    return ServiceRestarts(
        window_seconds=WINDOW_SECONDS, units=tuple(units), units_total=len(names)
    )


def _unit(
    name: str, total: int, recent: int | None, counted_from: Literal["journal", "samples", ""]
) -> UnitRestarts:
    return UnitRestarts(
        unit=shown(name, 256), total=total, recent=recent, counted_from=counted_from
    )


def totals_samples(result: ServiceRestarts) -> Iterable[Sample]:
    """The totals, for a machine whose journal this worker may not read."""
    for unit in result.units:
        yield Sample(METRIC, unit.unit, unit.total)


TOOLS = (
    Tool(
        name="service_restarts",
        summary="Services that systemd restarted by itself, and how often in the last 5 minutes.",
        arguments=NoArguments,
        result=ServiceRestarts,
        reads={"linux": read_restarts},
        needs={"linux": (TOTALS,)},
        samples=totals_samples,
    ),
)
