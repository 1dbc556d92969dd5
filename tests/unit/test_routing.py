"""Which lane of a queue a part waits in."""

from __future__ import annotations

from collections import Counter

import pytest

from swarm_tasks.models.job import LANES
from swarm_tasks.routing import lane_of


def lanes(parts: int, *, periodic: bool = False) -> Counter[int]:
    """How many parts of a job each lane holds."""
    return Counter(lane_of(place, periodic=periodic) for place in range(parts))


def test_a_job_begins_in_the_first_lane_and_its_bulk_is_in_the_last_of_its_kind() -> None:
    assert lanes(5000) == {0: 8, 1: 56, 2: 448, 3: 4488}
    assert lanes(5000, periodic=True) == {4: 8, 5: 56, 6: 448, 7: 4488}
    assert max(lanes(5000, periodic=True)) == LANES - 1


@pytest.mark.parametrize("parts", [1, 8, 9, 64, 65, 512])
def test_a_job_waits_for_about_eight_times_its_own_parts_of_another(parts: int) -> None:
    last = max(lanes(parts))
    before = sum(count for lane, count in lanes(5000).items() if lane <= last)
    assert before <= 8 * parts
