"""Hosts that are unlike their peers in one measured value. Pure.

A host of ten that uses 70 % of its memory where nine use 20 % crosses no limit, and is worth a
look. Hosts are compared with those of the same role: B. Iglewicz and D. Hoaglin, "How to Detect and
Handle Outliers", 1993, take the modified z-score `0.6745 (x - median) / MAD` and call what is over
3.5 an outlier.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from statistics import fmean, median
from typing import cast

from orchestrator.across.readings import Peers, Readings
from orchestrator.across.subjects import comparable
from swarm_tasks.measures import Measure, measures
from swarm_tasks.models.across import Outlier
from swarm_tasks.models.base import JsonScalar
from swarm_tasks.models.finding import Finding

CUTOFF = 3.5
MAD_FACTOR = 0.6745
"""Iglewicz and Hoaglin 1993: the factor makes a MAD comparable to a standard deviation."""

MEAN_FACTOR = 1.253314
"""√(π/2), which makes a mean absolute deviation comparable to a standard deviation. It takes the
MAD's place where that is 0, since more than half of the hosts measured the same; so does IBM
Cognos Analytics with the modified z-score."""

LEAST_HOSTS = 5
"""Fewer have no usual value to be unlike."""

NEAR = 4.0
"""A value is no news, however odd, while it is far from what would ever be a trouble. Where more is
worse, an outlier stands a quarter of the metric's first level above the median; where less is
worse, it is within four times that level, and at most half the median. On hosts that do nothing
this leaves out the noise, and 50 days where others have 60."""

LEAST_COUNT = 2.0
"""One event more than the others is no pattern, however few those have."""

MOST = 1e100
"""What is more was never measured, and would overflow what is reckoned with it."""

COUNTS = frozenset({"requests", "events", "restarts", "errors", "packages"})


def find_outliers(
    readings: Readings, peers: Peers, findings: Iterable[Finding]
) -> tuple[Outlier, ...]:
    """Every outlier on the bad side of its metric, furthest off first.

    What a finding already says of a host is not said again.

    Args:
        findings: Those that count.
    """
    said = {
        (finding.host, claim.metric, comparable(claim.metric, claim.subject, finding.host))
        for finding in findings
        for claim in finding.claims
    }
    groups: dict[str, str] = {}
    found: list[Outlier] = []
    for (metric, subject), by_host in readings.items():
        measure = measures()[metric]
        values = _numbers(by_host)
        if len(values) < LEAST_HOSTS or not _could_tell(measure, values.values()):
            continue
        groups |= {host: peers.group(host) for host in values if host not in groups}
        found += (
            outlier
            for outlier in _among(measure, subject, values, groups)
            if (outlier.host, metric, subject) not in said
        )
    found.sort(key=lambda one: (-abs(one.score), one.host, one.metric, one.subject))
    return tuple(one.model_copy(update={"id": f"o{number}"}) for number, one in enumerate(found, 1))


def _first_level(measure: Measure) -> float | None:
    return measure.warning if measure.warning is not None else measure.critical


def _numbers(by_host: Mapping[str, JsonScalar]) -> Mapping[str, float]:
    """The values that are numbers: all of them, but for a metric that is a word."""
    if {*map(type, by_host.values())} <= {int, float}:
        numbers = cast(Mapping[str, float], by_host)
        if min(numbers.values()) >= -MOST and max(numbers.values()) <= MOST:
            return numbers
    return {
        host: value
        for host, value in by_host.items()
        if not isinstance(value, (str, bool)) and -MOST <= value <= MOST
    }


def _could_tell(measure: Measure, values: Collection[float]) -> bool:
    """Whether any of these values could be worth telling, whatever the median is: for nearly all
    metrics of a fleet that is well, none is."""
    level = _first_level(measure)
    if level is None:
        return False
    if measure.comparator == "<=":
        return min(values) <= NEAR * level
    return max(values) - min(values) >= level / NEAR


def _among(
    measure: Measure, subject: str, values: Mapping[str, float], groups: Mapping[str, str]
) -> Iterator[Outlier]:
    """The outliers of one metric and subject, group by group."""
    by_group: dict[str, dict[str, float]] = {}
    for host, value in values.items():
        by_group.setdefault(groups[host], {})[host] = float(value)
    for group, own in by_group.items():
        if group and len(own) >= LEAST_HOSTS:
            yield from _unlike(measure, subject, own, group)


def _unlike(
    measure: Measure, subject: str, values: Mapping[str, float], group: str
) -> Iterator[Outlier]:
    """The outliers among the hosts of one group."""
    middle = median(values.values())
    candidates = [host for host in values if _worth_telling(measure, values[host], middle)]
    if not candidates:
        return
    deviations = [abs(value - middle) for value in values.values()]
    spread = median(deviations)
    deviation = spread / MAD_FACTOR or MEAN_FACTOR * fmean(deviations)
    for host in candidates:
        score = (values[host] - middle) / deviation if deviation else math.inf
        if math.isfinite(score) and abs(score) > CUTOFF:
            yield Outlier(
                id="",
                host=host,
                metric=measure.name,
                subject=subject,
                unit=measure.unit,
                value=values[host],
                median=middle,
                spread=spread,
                score=round(score, 1),
                peers=len(values),
                group=group,
            )


def _worth_telling(measure: Measure, value: float, middle: float) -> bool:
    """Whether a value is on the bad side of the median, and by enough."""
    level = _first_level(measure)
    if level is None:
        return False
    if measure.comparator == "<=":
        return value < middle and value <= NEAR * level and value <= middle / 2
    least = LEAST_COUNT if measure.unit in COUNTS else 0.0
    return value - middle >= max(level / NEAR, least)
