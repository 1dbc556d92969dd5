"""Trends: how a value went over the last hours, from what the host's audits kept of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from statistics import median

from pydantic import Field, field_validator

from swarm_tasks.errors import ArgumentError, ToolError, ToolFailed, Unavailable
from swarm_tasks.measures import Measure, measures
from swarm_tasks.models.base import Moment
from swarm_tasks.models.policy import Checks
from workers.rules.rule import Reading, Rule
from workers.tools.access import Access
from workers.tools.spec import Arguments, Result, Tool, every_platform

Samples = Sequence[tuple[float, float]]

NEEDED = 3
NEEDED_SECONDS = 3600
"""As `disk_fill_eta`: two points always lie on a line, and an hour is the least that shows one."""

USUAL_HOURS = 24
DAY_SECONDS = 86_400
YESTERDAY_SECONDS = (DAY_SECONDS - 4 * 3600, DAY_SECONDS + 4 * 3600)
"""How old a value may be to stand for yesterday's: audits come hourly, or a few times a day."""

MOST = 1e18
"""More than any metric comes to, in whatever unit."""

POINTS = 150
"""The slope is the median over all pairs of this many points at most: 11,175 pairs."""

FOREVER_SECONDS = 1e9
"""Thirty years: what takes longer does not happen."""


class Trend(Result):
    """How one value went. Times and values of the window, the last of them measured just now.

    `since_yesterday` is the change against the value of about 24 hours ago, None where none was
    kept then. `per_hour` is the slope after Theil and Sen, which a few odd values do not bend.
    `reaches_in_seconds` is when the value is at `limit` if it goes on like that: 0 where it is
    past it, None where it goes another way. `limit` is the metric's own level unless it is given.
    """

    metric: str
    subject: str
    unit: str
    hours: int
    samples: int
    first_at: Moment
    first_value: float
    last_at: Moment
    last_value: float
    minimum: float
    maximum: float
    since_yesterday: float | None
    per_hour: float
    limit: float | None
    reaches_in_seconds: float | None


class TrendArguments(Arguments):
    """What to look at, how far back, and which level to reckon with."""

    metric: str = Field(
        pattern=r"^[a-z]+\.[a-z_]+$", max_length=64, description="Such as disk.used_percent."
    )
    subject: str = Field(
        pattern=r"^[^\x00-\x1f\x7f-][^\x00-\x1f\x7f]*$",
        max_length=4096,
        description="Of what, such as /var; where a host has it once, the metric's name will do.",
    )
    hours: int = Field(default=USUAL_HOURS, ge=1, le=192)
    limit: float | None = Field(
        default=None,
        ge=-MOST,
        le=MOST,
        description="The level whose time is asked for, in the metric's unit.",
    )

    @field_validator("metric")
    @classmethod
    def _has_a_course(cls, metric: str) -> str:
        known = measures().get(metric)
        if known is None or not known.kept:
            kept = ", ".join(name for name, one in measures().items() if one.kept)
            raise ValueError(f"nothing is kept of {metric}; there are: {kept}")
        return metric


def slope_of(samples: Samples) -> float:
    """Units per second: the median of the slopes between all pairs of points.

    Theil and Sen's estimator (P. K. Sen, Estimates of the regression coefficient based on
    Kendall's tau, JASA 63, 1968), on evenly chosen points where there are many.
    """
    points = thinned(samples)
    slopes = [
        (value - before) / (at - then)
        for place, (at, value) in enumerate(points)
        for then, before in points[:place]
        if at > then
    ]
    return median(slopes) if slopes else 0.0


def thinned(samples: Samples) -> Samples:
    """At most `POINTS` of the samples, evenly chosen; the first and the last are among them."""
    if len(samples) <= POINTS:
        return samples
    step = (len(samples) - 1) / (POINTS - 1)
    return [samples[round(place * step)] for place in range(POINTS)]


def change_since_yesterday(samples: Samples) -> float | None:
    """The last value less the one that was taken nearest to 24 hours before it."""
    last_at, last = samples[-1]
    youngest, oldest = YESTERDAY_SECONDS
    aged = [(last_at - at, value) for at, value in samples if youngest <= last_at - at <= oldest]
    if not aged:
        return None
    return last - min(aged, key=lambda one: abs(one[0] - DAY_SECONDS))[1]


def reaches_in(value: float, per_second: float, limit: float, comparator: str) -> float | None:
    """Seconds until a value is at a limit; 0 where it is past it, None where it never will be."""
    if value <= limit if comparator == "<=" else value >= limit:
        return 0.0
    seconds = (limit - value) / per_second if per_second else -1.0
    return seconds if 0 <= seconds <= FOREVER_SECONDS else None


def need_more(metric: Measure, kept: Samples, now: float) -> None:
    """Look whether there is a trend in what was kept and one more value.

    Raises:
        Unavailable: It is too little, or too close together.
    """
    if len(kept) + 1 >= NEEDED and now - kept[0][0] >= NEEDED_SECONDS:
        return
    since = f" since {_moment(kept[0][0]):%Y-%m-%d %H:%M} UTC" if kept else ""
    raise Unavailable(
        f"{len(kept)} samples of {metric.name}{since} are too few: {NEEDED} over "
        f"{NEEDED_SECONDS // 60} min are needed, of which the last is taken now",
        "each audit that measures it keeps one",
    )


def trend_of(metric: Measure, subject: str, series: Samples, arguments: TrendArguments) -> Trend:
    """The trend in these samples, of which the last was taken just now."""
    now, last = series[-1]
    seen = _within(series, now, arguments.hours)
    slope = slope_of(seen)
    limit = arguments.limit
    if limit is None:
        limit = metric.critical if metric.critical is not None else metric.warning
    left = None if limit is None else reaches_in(last, slope, limit, metric.comparator)
    change = change_since_yesterday(series)
    return Trend(
        metric=metric.name,
        subject=subject,
        unit=metric.unit,
        hours=arguments.hours,
        samples=len(seen),
        first_at=_moment(seen[0][0]),
        first_value=seen[0][1],
        last_at=_moment(now),
        last_value=last,
        minimum=min(value for _, value in seen),
        maximum=max(value for _, value in seen),
        since_yesterday=None if change is None else _digits(change),
        per_hour=_digits(slope * 3600),
        limit=limit,
        reaches_in_seconds=None if left is None else round(left, 1),
    )


async def read_trend(arguments: TrendArguments, access: Access) -> Trend:
    """Measure the value now, and lay what was kept of it before it.

    Only what audits measured before is measured here, so that nobody reaches by this tool what
    another one would not let him.

    Raises:
        ToolFailed: The subject is not clear, or cannot be measured now.
        Unavailable: Too little was kept.
    """
    metric, subject = measures()[arguments.metric], arguments.subject
    kept = await _kept(metric, subject, access)
    if not kept:
        subject = await full_name(metric, subject, access)
        kept = await _kept(metric, subject, access)
    need_more(metric, _within(kept, time.time(), arguments.hours), time.time())
    value = await measured_now(metric, subject, access)
    return trend_of(metric, subject, [*kept, (time.time(), value)], arguments)


async def full_name(metric: Measure, said: str, access: Access) -> str:
    """What a subject is called in full, among those that tools show when asked for nothing.

    Raises:
        ToolFailed: It means none of them, or several.
    """
    # The book is made of the catalog, and this is a part of that.
    from workers.rules.subjects import resolve

    there: list[str] = []
    for rule in _rules_of(metric):
        readings = await _readings(rule, {}, access)
        found = resolve(said, readings)
        if found is None and said == metric.name and len(readings) == 1:
            found = readings[0]
        if found is not None:
            return found.subject
        there += [reading.subject for reading in readings]
    raise ToolFailed(
        f"nothing was kept of {metric.name} of {said!r}",
        f"there are: {'; '.join(there[:10])}" if there else "call it as an audit called it",
    )


async def measured_now(metric: Measure, subject: str, access: Access) -> float:
    """The value of a subject now, by the metric's own probe. Nothing is written by it.

    Raises:
        ToolFailed: It cannot be seen any more.
        ToolError: What its tool says.
    """
    why: ToolError | None = None
    for rule in _rules_of(metric):
        given = rule.again(subject, Checks())
        try:
            readings = () if given is None else await _readings(rule, given, access)
        except ToolError as error:
            why = error
            continue
        for reading in readings:
            if reading.subject == subject:
                return float(reading.value)
    raise why or ToolFailed(f"{metric.name} of {subject!r} cannot be measured now")


def _rules_of(metric: Measure) -> tuple[Rule, ...]:
    from workers.tools.book import rulebook

    return tuple(rule for rule in rulebook() if rule.metric == metric.name)


async def _readings(rule: Rule, given: Mapping[str, object], access: Access) -> tuple[Reading, ...]:
    """What a rule reads in its tool's answer; nothing where the tool takes no such arguments.

    Raises:
        ToolError: What the tool says.
    """
    from workers.tools.book import toolbook

    tool = toolbook().get(rule.tool)
    read = tool.reads.get(access.machine.platform)
    try:
        arguments = tool.parse_arguments(given)
    except ArgumentError:
        return ()
    return () if read is None else tuple(rule.readings(await read(arguments, access)))


async def _kept(metric: Measure, subject: str, access: Access) -> Samples:
    access.source.append(f"history({metric.name}, {subject})")
    return await access.machine.history.samples(metric.name, subject)


def _within(series: Samples, now: float, hours: int) -> Samples:
    return [one for one in series if now - hours * 3600 <= one[0] <= now]


def _moment(unix_seconds: float) -> datetime:
    return datetime.fromtimestamp(unix_seconds, tz=UTC)


def _digits(value: float) -> float:
    """Six significant digits: a slope of percent and one of bytes alike."""
    return float(f"{value:.6g}")


TOOLS = (
    Tool(
        name="trend",
        summary="How a metric of one subject went over the last hours: growth, change since "
        "yesterday, and when it reaches a level.",
        arguments=TrendArguments,
        result=Trend,
        reads=every_platform(read_trend),
    ),
)
