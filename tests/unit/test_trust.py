"""When a model is doubted: many wrong claims are needed, and few prove nothing."""

from __future__ import annotations

import pytest

from swarm_tasks.models.tally import Tally
from swarm_tasks.store.trust import (
    LEAST_CHECKED,
    is_doubted,
    wilson_low,
    wrong_at_least_percent,
    wrong_percent,
)


@pytest.mark.parametrize(
    ("hits", "of", "low"),
    [
        # Newcombe, Two-sided confidence intervals for the single proportion, Statistics in
        # Medicine 17 (1998), table I, method 3.
        (81, 263, 0.2553),
        (15, 148, 0.0624),
        (1, 29, 0.0061),
        (0, 20, 0.0),
        (0, 0, 0.0),
    ],
)
def test_the_lower_bound_is_wilson_s(hits: int, of: int, low: float) -> None:
    assert wilson_low(hits, of) == pytest.approx(low, abs=5e-5)


def test_the_same_share_proves_more_the_more_claims_there_are() -> None:
    bounds = [wilson_low(of // 5, of) for of in (5, 50, 500, 5000)]
    assert bounds == sorted(bounds)
    assert bounds[0] < 0.05
    assert 0.18 < bounds[-1] < 0.2


def test_stale_claims_were_not_wrong_and_those_that_nobody_could_check_are_not_counted() -> None:
    tally = Tally(verified=6, refuted=1, unsupported=1, stale=2, unverifiable=50, rejected=9)
    assert wrong_percent(tally) == 20
    assert wrong_at_least_percent(tally) == pytest.approx(5.67, abs=0.01)


@pytest.mark.parametrize(
    ("tally", "limit", "doubted"),
    [
        (Tally(verified=90, refuted=10), 10, False),
        (Tally(verified=80, refuted=20), 10, True),
        (Tally(verified=3, refuted=1), 10, False),
        (Tally(refuted=LEAST_CHECKED - 1), 10, False),
        (Tally(refuted=LEAST_CHECKED), 10, True),
        (Tally(verified=99, unsupported=1), 0, True),
        (Tally(verified=100), 0, False),
        (Tally(refuted=100_000), 100, False),
        (Tally(), 0, False),
    ],
)
def test_a_model_is_doubted_when_the_limit_is_passed_for_certain(
    tally: Tally, limit: float, doubted: bool
) -> None:
    assert is_doubted(tally, limit) is doubted
