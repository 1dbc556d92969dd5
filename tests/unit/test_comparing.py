"""How an observed value is held against a claimed one: as precisely as the claim is written."""

from __future__ import annotations

import math

import pytest

from swarm_tasks.models.base import JsonScalar
from workers.comparing import compares, precision_of

GIB = 1024**3


@pytest.mark.parametrize(
    ("observed", "value", "same"),
    [
        (12.4, 12, True),
        (12.6, 12, False),
        (12.34, 12.3, True),
        (12.36, 12.3, False),
        (12.35, 12.3, True),
        (12.25, 12.3, True),
        (12.4, 12.0, False),
        (63.2, 62, False),
        (63, 62, False),
        (64, 60, False),
        (97.25, 97.3, True),
        (97.25, 97, True),
        (3, 2, False),
        (0, 0, True),
        (0.4, 0, True),
        (0.6, 0, False),
        (1004, 1000, True),
        (1006, 1000, False),
        (15032385536, 15000000000, True),
        (15032385536, 15032385536, True),
        (15032385536, 15032385535, False),
        (14.02 * GIB, 14 * GIB, True),
        (14.1 * GIB, 14 * GIB, False),
        (1.502 * GIB, 1.5 * GIB, True),
        (14 * GIB, 14_000_000_000, False),
        (14_000_000_000, 14 * GIB, False),
        (15_000_000_001, 15_032_385_537, False),
        (1_212_000, 1_209_600, True),
        (1_296_000, 1_209_600, False),
        (1e20, 1.2e20, False),
        (math.inf, math.inf, False),
        (math.nan, 1, False),
        (10**400, 1, False),
        (True, True, True),
    ],
)
def test_equal_means_as_precisely_as_it_is_written(
    observed: JsonScalar, value: JsonScalar, same: bool
) -> None:
    assert compares(observed, "==", value) is same


@pytest.mark.parametrize("value", [*range(1, 101), 0.5, 0.99, 10.5, 99.9])
def test_of_a_small_number_every_digit_counts(value: float) -> None:
    assert not compares(value + 0.51 if isinstance(value, int) else value + 0.06, "==", value)
    assert precision_of(value) <= 0.500001


@pytest.mark.parametrize("value", [1_000, 10**9, 10**12, GIB, 7 * GIB, 1.5 * GIB, 86_400, 1e50])
def test_of_a_large_number_rounding_takes_half_a_percent_at_most(value: float) -> None:
    assert precision_of(value) <= value * 0.005 * 1.0001


@pytest.mark.parametrize(
    ("observed", "comparator", "value", "slack", "holds"),
    [
        (89, ">=", 90, 0, False),
        (89, ">=", 90, 1, True),
        (88, ">=", 90, 1, False),
        (90, ">", 90, 0, False),
        (90, ">", 90, 0.5, True),
        (11, "<=", 10, 1, True),
        (12, "<=", 10, 1, False),
        (10, "<", 10, 0.5, True),
        (10, "<", 10, 0, False),
        (14, "==", 12, 2, True),
        (15, "==", 12, 2, False),
        (12, "!=", 12, 5, False),
        (13, "!=", 12, 5, True),
        ("up", "==", "up", 5, True),
        ("up", "!=", "down", 0, True),
        ("up", ">=", "up", 0, False),
        ("9", ">=", 1, 0, False),
    ],
)
def test_slack_widens_what_is_a_number(
    observed: JsonScalar, comparator: str, value: JsonScalar, slack: float, holds: bool
) -> None:
    assert compares(observed, comparator, value, slack) is holds
