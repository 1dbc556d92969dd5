"""How a value went: slopes, yesterday, levels, and what is kept of a part."""

from __future__ import annotations

import asyncio

import pytest

from swarm_tasks.errors import Unavailable
from swarm_tasks.measures import measure, measures
from swarm_tasks.models.report import Measured
from workers.history import MOST_KEPT, worth_keeping
from workers.tools.access import this_machine
from workers.tools.book import toolbook
from workers.tools.catalog.trends import (
    POINTS,
    TrendArguments,
    change_since_yesterday,
    need_more,
    reaches_in,
    slope_of,
    thinned,
    trend_of,
)

NOW = 1_772_366_400.0
HOUR = 3600.0
DISK = measure("disk.used_percent")


def line(hours: int, start: float, per_hour: float) -> list[tuple[float, float]]:
    """One sample an hour up to now, on a straight line."""
    return [(NOW - (hours - at) * HOUR, start + at * per_hour) for at in range(hours + 1)]


def asked(**more: float) -> TrendArguments:
    """The arguments for a volume."""
    return TrendArguments.model_validate({"metric": "disk.used_percent", "subject": "/var", **more})


def test_the_slope_of_a_line_is_its_own() -> None:
    assert slope_of(line(24, 50.0, 2.0)) * HOUR == pytest.approx(2.0)
    assert slope_of(line(24, 50.0, -0.5)) * HOUR == pytest.approx(-0.5)
    assert slope_of(line(24, 50.0, 0.0)) == 0.0


def test_a_few_odd_values_do_not_bend_the_slope() -> None:
    samples = line(24, 50.0, 1.0)
    for at in (3, 9, 20):
        samples[at] = (samples[at][0], 99.0)
    assert slope_of(samples) * HOUR == pytest.approx(1.0)


def test_values_taken_at_the_same_time_have_no_slope() -> None:
    assert slope_of([(NOW, 1.0), (NOW, 9.0)]) == 0.0


def test_many_samples_are_thinned_and_the_ends_stay() -> None:
    samples = line(2000, 0.0, 0.01)
    few = thinned(samples)
    assert len(few) == POINTS
    assert (few[0], few[-1]) == (samples[0], samples[-1])
    assert slope_of(samples) * HOUR == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("hours", "expected"), [(30, 24.0), (24, 24.0), (21, 21.0), (19, None), (1, None)]
)
def test_yesterday_is_what_was_kept_nearest_to_a_day_ago(
    hours: int, expected: float | None
) -> None:
    assert change_since_yesterday(line(hours, 10.0, 1.0)) == expected


def test_a_value_of_last_week_is_not_yesterdays() -> None:
    assert change_since_yesterday([(NOW - 100 * HOUR, 1.0), (NOW, 9.0)]) is None


@pytest.mark.parametrize(
    ("value", "per_second", "limit", "comparator", "expected"),
    [
        (50.0, 0.5, 90.0, ">=", 80.0),
        (95.0, 0.5, 90.0, ">=", 0.0),
        (95.0, -0.5, 90.0, ">=", 0.0),
        (50.0, -0.5, 90.0, ">=", None),
        (50.0, 0.0, 90.0, ">=", None),
        (50.0, 1e-12, 90.0, ">=", None),
        (50.0, -0.5, 10.0, "<=", 80.0),
        (5.0, 0.5, 10.0, "<=", 0.0),
        (50.0, 0.5, 10.0, "<=", None),
    ],
)
def test_a_level_is_reached_only_on_the_way_to_it(
    value: float, per_second: float, limit: float, comparator: str, expected: float | None
) -> None:
    assert reaches_in(value, per_second, limit, comparator) == expected


def test_a_trend_tells_its_window_and_when_the_metrics_own_level_is_reached() -> None:
    told = trend_of(DISK, "/var", line(30, 50.0, 1.0), asked())
    assert (told.samples, told.first_value, told.last_value) == (25, 56.0, 80.0)
    assert (told.minimum, told.maximum, told.since_yesterday) == (56.0, 80.0, 24.0)
    assert (told.per_hour, told.limit) == (1.0, 90)
    assert told.reaches_in_seconds == pytest.approx(10 * HOUR)


def test_a_level_that_is_asked_for_counts_in_place_of_the_metrics_own() -> None:
    told = trend_of(DISK, "/var", line(30, 50.0, 1.0), asked(limit=100))
    assert told.reaches_in_seconds == pytest.approx(20 * HOUR)


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ([], "0 samples of disk.used_percent are too few: 3 over 60 min"),
        (line(2, 1.0, 0.0)[:1], "1 samples of disk.used_percent since 2026-03-01 10:00 UTC are"),
        ([(NOW - 120.0, 1.0), (NOW - 60.0, 1.0)], "2 samples of disk.used_percent since"),
    ],
)
def test_too_few_samples_are_no_trend_and_say_since_when(
    kept: list[tuple[float, float]], said: str
) -> None:
    with pytest.raises(Unavailable, match=said):
        need_more(DISK, kept, NOW)


def test_two_samples_and_the_value_of_now_are_enough_over_an_hour() -> None:
    need_more(DISK, line(2, 1.0, 0.0)[:2], NOW)


@pytest.mark.parametrize(
    "metric", ["service.state", "kernel.oom_kills", "no.such", "trend.per_hour"]
)
def test_what_has_no_course_is_refused(metric: str) -> None:
    outcome = asyncio.run(
        toolbook().call("trend", {"metric": metric, "subject": "x"}, this_machine())
    )
    assert f"nothing is kept of {metric}" in outcome.reason


@pytest.mark.parametrize(
    "metric", [one.name for one in measures().values() if one.name[:6] == "trend."]
)
def test_change_by_itself_is_never_a_finding(metric: str) -> None:
    known = measure(metric)
    assert (known.judged, known.warning, known.critical) == (False, None, None)


def test_numbers_of_a_part_are_kept_and_words_and_events_are_not() -> None:
    measured = [
        Measured(metric="disk.used_percent", subject="/ (/dev/sda1, ext4)", value=12),
        Measured(metric="service.state", subject="a.service", value="failed"),
        Measured(metric="kernel.oom_kills", subject="java (pid 7)", value=1),
        Measured(metric="disk.used_percent", subject="/odd", value="much"),
        Measured(metric="of.somebody.else", subject="x", value=1),
        Measured(metric="trend.per_hour", subject="x", value=1),
    ]
    assert worth_keeping(measured) == [("disk.used_percent", "/ (/dev/sda1, ext4)", 12.0)]


def test_a_part_keeps_a_bounded_number_of_values() -> None:
    many = [Measured(metric="tls.left_seconds", subject=str(at), value=at) for at in range(999)]
    assert len(worth_keeping(many)) == MOST_KEPT


def test_nothing_that_a_tool_samples_is_kept_by_audits_under_the_same_name() -> None:
    sampled = {
        "disk.used_bytes",
        *("net.errors_total", "net.drops_total", "net.packets_total", "service.restarts_total"),
    }
    assert sum(tool.sampled for tool in toolbook()) == 3
    assert sampled.isdisjoint(measures())
