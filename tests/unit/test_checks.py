"""Waiting for what a host measures."""

from __future__ import annotations

import pytest

from orchestrator.checks import LEAST_WAIT_SECONDS, wait_seconds


@pytest.mark.parametrize(
    ("left", "wait"),
    [(9.0, 5.0), (0.5, 0.5), (1e-7, LEAST_WAIT_SECONDS), (-1.0, LEAST_WAIT_SECONDS)],
)
def test_a_wait_is_a_slice_of_what_is_left_and_never_one_without_end(
    left: float, wait: float
) -> None:
    assert wait_seconds(left, 5.0) == wait
