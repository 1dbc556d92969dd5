"""An audit while it runs: a row per host and specialist, tool by tool, and a bar for it all."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from swarm_tasks.models.event import Event, EventKind
from swarm_tasks.models.job import ANY_SIGN

ROWS = 30
"""How many rows are shown at once; of a larger fleet, those that run."""

SIGNS = {
    "answered": ("✓", "green"),
    "dark": ("○", "magenta"),
    "failed": ("✗", "red"),
}


@dataclass(slots=True)
class Row:
    """One part, as far as its events have told."""

    host: str
    specialist: str
    running: list[str] = field(default_factory=list[str])
    tools: int = 0
    unavailable: int = 0
    status: str = ""
    seconds: float = 0.0
    findings: int = 0

    def take(self, event: Event) -> None:
        """Bring the row up to an event."""
        self.host = event.host or self.host  # another may go on with it
        match event.kind:
            case EventKind.TOOL_STARTED:
                self.running.append(event.tool)
            case EventKind.TOOL_ENDED:
                if event.tool in self.running:
                    self.running.remove(event.tool)
                self.tools += 1
                self.unavailable += event.status != "ok"
            case EventKind.PART_CLOSED:
                self.running.clear()
                self.status, self.seconds = event.status, event.seconds
                self.findings = event.findings
            case _:
                pass


class Board:
    """All rows of a job; a pure function of the events it took."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.total = 0

    def take(self, event: Event) -> None:
        """Bring the board up to an event."""
        if event.kind is EventKind.JOB_OPENED:
            self.total = event.total
        if event.part:
            row = self.rows.setdefault(event.part, Row(event.host, event.specialist))
            row.take(event)

    @property
    def closed(self) -> int:
        """How many parts are closed."""
        return sum(1 for row in self.rows.values() if row.status)

    def render(self) -> RenderableType:
        """The board as it stands."""
        table = Table(box=None, padding=(0, 1), show_header=False, expand=True)
        for ratio in (None, None, None, 1):
            table.add_column(ratio=ratio, no_wrap=True, overflow="ellipsis")
        for row in self._shown():
            sign, style = SIGNS.get(row.status, ("…", "cyan"))
            table.add_row(Text(sign, style), row.host, Text(row.specialist, "bold"), _progress(row))
        bar = ProgressBar(total=max(self.total, 1), completed=self.closed, width=40)
        counts = Counter(row.status for row in self.rows.values() if row.status)
        told = ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))
        line = Table.grid(padding=(0, 1))
        line.add_row(bar, f"{self.closed}/{self.total} parts", Text(told, "dim"))
        return Group(table, line)

    def _shown(self) -> list[Row]:
        ordered = sorted(self.rows.values(), key=lambda row: (row.host, row.specialist))
        if len(ordered) <= ROWS:
            return ordered
        return [row for row in ordered if not row.status][:ROWS]


def _progress(row: Row) -> Text:
    if row.status:
        noun = "finding" if row.findings == 1 else "findings"
        found = f", {row.findings} {noun}" if row.findings else ""
        blind = f", {row.unavailable} not available" if row.unavailable else ""
        return Text(f"{row.tools} tools{found}{blind} in {row.seconds:.1f} s", "dim")
    if row.running:
        return Text(", ".join(row.running), "cyan")
    return Text("thinking" if row.tools else "begins", "dim")


def show_live(events: Iterable[Event], console: Console) -> None:
    """Take all events, and show the board while they come where there is a terminal."""
    board = Board()
    if not console.is_terminal:
        for event in events:
            board.take(event)
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        drawn = 0.0
        for event in events:
            board.take(event)
            now = time.monotonic()
            if now - drawn > 0.08 or event.kind is EventKind.JOB_CLOSED:
                live.update(board.render(), refresh=True)
                drawn = now


def tell_lines(events: Iterable[Event], console: Console) -> None:
    """Each event as one line: for `watch` where there is no terminal."""
    for event in events:
        name = event.part or "job"
        what = event.kind.value.replace("_", " ")
        where = f"on {event.host}" if event.part.startswith(ANY_SIGN) and event.host else ""
        rest = " ".join(word for word in (event.tool, event.status, where) if word)
        console.print(f"{event.at:%H:%M:%S} {name} {what} {rest}".rstrip(), markup=False)
