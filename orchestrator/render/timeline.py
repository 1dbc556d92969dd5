"""The geometry of a report's timeline: a lane per part, a bar per lane. Pure, and in percent.

Across, everything is a percentage of the plot, so that the page may be as wide as it likes and
no text is stretched; down, everything is in CSS pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.render.coverage import part_shortfall
from orchestrator.render.values import duration_text
from orchestrator.render.words import one_line
from swarm_tasks.models.base import Moment
from swarm_tasks.models.report import HostLine, HostStatus, JobLine, PartLine, Report, StopReason

LANE_PIXELS = 20
BAR_PIXELS = 12
DENSE_ROW_PIXELS = 18
DENSE_GAP_PIXELS = 1

DENSE_FROM_PARTS = 72
"""From this many parts on, a host is one row of thin lanes without the specialists' names."""

NARROWEST_PERCENT = 0.6
"""The least width of a bar: a part of a millisecond in a job of a minute is still there."""

TICKS_AT_MOST = 5
STEPS_SECONDS = (15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400)


class BarKind(StrEnum):
    """How a bar is drawn: each has a colour and a pattern of its own."""

    ANSWERED = "answered"
    DEGRADED = "degraded"
    SHORT = "short"
    FAILED = "failed"
    DARK = "dark"


KIND_WORDS = {
    BarKind.ANSWERED: "answered",
    BarKind.DEGRADED: "by the rules alone",
    BarKind.SHORT: "ended early",
    BarKind.FAILED: "failed",
    BarKind.DARK: "dark",
}


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on the time axis; `anchor` keeps its words inside the plot."""

    percent: float
    words: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One part, from its start to its end: percent across, pixels down."""

    kind: BarKind
    specialist: str
    left: float
    width: float
    top: float
    height: float
    words: str

    @property
    def middle(self) -> float:
        """Where the baseline of the lane's name stands, in pixels."""
        return self.top + self.height / 2 + 4


@dataclass(frozen=True, slots=True)
class Row:
    """One host's parts."""

    line: HostLine
    bars: tuple[Bar, ...]
    pixels: int
    words: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """All hosts over one axis, which begins when the job was created.

    Args:
        dense: Whether hosts are single rows without the specialists' names.
        deadline: Where the deadline stands in percent; None where the job ended well before.
    """

    rows: tuple[Row, ...]
    ticks: tuple[Tick, ...]
    seconds: float
    dense: bool
    deadline: float | None
    kinds: tuple[tuple[BarKind, str], ...]


def timeline_of(report: Report) -> Timeline:
    """The timeline of a report."""
    job = report.job
    seconds = max((job.finished - job.created).total_seconds(), 0.001)
    dense = sum(len(line.parts) for line in report.hosts) >= DENSE_FROM_PARTS
    rows = tuple(_row(line, job, seconds, dense=dense) for line in report.hosts)
    seen = {bar.kind for row in rows for bar in row.bars}
    return Timeline(
        rows=rows,
        ticks=ticks_for(seconds),
        seconds=seconds,
        dense=dense,
        deadline=100 * job.deadline_seconds / seconds if job.deadline_seconds <= seconds else None,
        kinds=tuple((kind, words) for kind, words in KIND_WORDS.items() if kind in seen),
    )


def ticks_for(seconds: float) -> tuple[Tick, ...]:
    """Round times on an axis of that many seconds."""
    step = _step(seconds)
    ticks: list[Tick] = []
    for index in range(int(seconds / step + 1e-9) + 1):
        percent = round(100 * index * step / seconds, 3)
        anchor = "start" if index == 0 else "end" if percent > 94 else "middle"
        at = round(index * step, 6)
        words = duration_text(at) if seconds < 0.5 or at >= 60 else f"{at:g} s"
        ticks.append(Tick(percent, words, anchor))
    return tuple(ticks)


def kind_of(part: PartLine) -> BarKind:
    """How a part's bar is drawn."""
    if part.status is HostStatus.DARK:
        return BarKind.DARK
    if part.status is HostStatus.FAILED:
        return BarKind.FAILED
    if part.degraded:
        return BarKind.DEGRADED
    return BarKind.ANSWERED if part.stop is StopReason.ANSWERED else BarKind.SHORT


def _step(seconds: float) -> float:
    least = seconds / TICKS_AT_MOST
    if least > 10:
        return next((step for step in STEPS_SECONDS if step >= least), least)
    power = 1e-4
    while True:
        for factor in (1, 2, 5):
            if factor * power >= least:
                return factor * power
        power *= 10


def _row(line: HostLine, job: JobLine, seconds: float, *, dense: bool) -> Row:
    lane = max(DENSE_ROW_PIXELS // max(len(line.parts), 1), 2) if dense else LANE_PIXELS
    bars = tuple(
        _bar(part, job.created, seconds, top=index * lane, lane=lane)
        for index, part in enumerate(line.parts)
    )
    return Row(
        line=line,
        bars=bars,
        pixels=max(lane * len(bars), DENSE_ROW_PIXELS),
        words=f"{line.host}: {_spoken(bars)}",
    )


def _bar(part: PartLine, created: Moment, seconds: float, *, top: float, lane: int) -> Bar:
    """A part's bar. One that never began is drawn over the whole time that it was waited for.

    A host's own clock may be wrong; what falls outside the job is drawn at its edge.
    """
    begin, length = 0.0, seconds
    if part.started is not None:
        begin = min(max((part.started - created).total_seconds(), 0.0), seconds)
        length = min(max(part.seconds, 0.0), seconds - begin)
    width = max(100 * length / seconds, NARROWEST_PERCENT)
    height = min(BAR_PIXELS, lane - DENSE_GAP_PIXELS)
    return Bar(
        kind=kind_of(part),
        specialist=part.specialist,
        left=round(min(100 * begin / seconds, 100 - width), 3),
        width=round(width, 3),
        top=top + (lane - height) / 2,
        height=height,
        words=_told(part, begin),
    )


def _told(part: PartLine, begin: float) -> str:
    if part.started is None:
        why = part_shortfall(part) or one_line(part.reason) or part.status
        return f"{part.specialist}: {why}"
    span = f"from {duration_text(begin)}, took {duration_text(part.seconds)}"
    state = part_shortfall(part) or KIND_WORDS[kind_of(part)]
    return f"{part.specialist}: {state}; {span}"


def _spoken(bars: Sequence[Bar]) -> str:
    """How many parts ended in which way, for those who hear the picture."""
    counts = {words: sum(bar.kind is kind for bar in bars) for kind, words in KIND_WORDS.items()}
    return ", ".join(f"{count} {words}" for words, count in counts.items() if count) or "no part"
