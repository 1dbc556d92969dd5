"""The timeline's geometry: every part has its bar, inside the plot."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from orchestrator.render.timeline import BarKind, Timeline, ticks_for, timeline_of
from swarm_tasks.models.report import Report
from tests.support import reports

BUILDERS = (reports.complete, reports.partial, reports.healthy, reports.large, reports.hostile)


def bars(timeline: Timeline) -> list[tuple[float, float]]:
    return [(bar.left, bar.left + bar.width) for row in timeline.rows for bar in row.bars]


def with_part(report: Report, **changes: object) -> Report:
    """The report with its first host's first part changed."""
    first = report.hosts[0]
    part = first.parts[0].model_copy(update=changes)
    line = first.model_copy(update={"parts": (part, *first.parts[1:])})
    return report.model_copy(update={"hosts": (line, *report.hosts[1:])})


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_every_part_has_one_bar_inside_the_plot(build: Callable[[], Report]) -> None:
    report = build()
    timeline = timeline_of(report)
    assert len(bars(timeline)) == sum(len(line.parts) for line in report.hosts)
    assert all(0 <= left < right <= 100.001 for left, right in bars(timeline))
    assert all(bar.top + bar.height <= row.pixels for row in timeline.rows for bar in row.bars)


def test_a_bar_stands_where_its_part_ran() -> None:
    report = reports.healthy()
    begun = report.job.created + (report.job.finished - report.job.created) / 2
    seconds = (report.job.finished - begun).total_seconds() / 2
    timeline = timeline_of(with_part(report, started=begun, seconds=seconds))
    assert bars(timeline)[0] == pytest.approx((50, 75))


def test_a_part_that_never_began_is_drawn_over_the_whole_wait() -> None:
    row = next(row for row in timeline_of(reports.partial()).rows if row.line.host == "db-2")
    assert {(bar.kind, bar.left, bar.width) for bar in row.bars} == {(BarKind.DARK, 0, 100)}
    assert row.words == "db-2: 6 dark"
    assert row.bars[0].words == "compute: never began: the host is dark (no sign of life)"


@pytest.mark.parametrize("hours", [-9, 9])
def test_a_host_with_a_wrong_clock_stays_inside_the_plot(hours: int) -> None:
    report = reports.healthy()
    wrong = with_part(report, started=report.job.created + timedelta(hours=hours), seconds=1e9)
    left, right = bars(timeline_of(wrong))[0]
    assert 0 <= left < right <= 100


def test_a_part_that_ended_early_is_told_from_one_that_answered() -> None:
    row = next(row for row in timeline_of(reports.partial()).rows if row.line.host == "mail-1")
    assert [bar.kind for bar in row.bars] == [BarKind.ANSWERED] * 5 + [BarKind.SHORT]
    assert "was stopped by the deadline" in row.bars[-1].words


def test_a_fleet_has_one_row_per_host() -> None:
    assert not timeline_of(reports.complete()).dense
    fleet = timeline_of(reports.large())
    assert fleet.dense
    assert {row.pixels for row in fleet.rows} == {18}


def test_the_deadline_is_drawn_where_it_was_reached() -> None:
    assert timeline_of(reports.complete()).deadline is None
    assert timeline_of(reports.partial()).deadline == 100


def test_a_job_that_took_no_time_is_drawn() -> None:
    report = reports.healthy()
    job = report.job.model_copy(update={"finished": report.job.created})
    assert timeline_of(report.model_copy(update={"job": job})).ticks


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.003, ["0 s", "1 ms", "2 ms", "3 ms"]),
        (2.31, ["0 s", "0.5 s", "1 s", "1.5 s", "2 s"]),
        (12, ["0 s", "5 s", "10 s"]),
        (300, ["0 s", "1 min", "2 min", "3 min", "4 min", "5 min"]),
        (86_400, ["0 s", "6 h", "12 h", "18 h", "1 d"]),
    ],
)
def test_ticks_are_round_times(seconds: float, words: list[str]) -> None:
    assert [tick.words for tick in ticks_for(seconds)] == words


@pytest.mark.parametrize("power", range(-3, 9))
def test_there_are_few_ticks_on_any_axis(power: int) -> None:
    ticks = ticks_for(3.7 * 10**power)
    assert 2 <= len(ticks) <= 6
    assert all(0 <= tick.percent <= 100 for tick in ticks)
