"""In which order a take looks through the lanes of its queues. Pure."""

from __future__ import annotations

from collections.abc import Sequence

OTHERS_FIRST_EVERY = 8
"""Every so many takes one of the other lanes goes before the first. So an eighth of what is taken
is left for what nobody waits for, however much comes that somebody does."""


def lane_order(take: int, lanes: Sequence[int]) -> tuple[int, ...]:
    """The lanes as one take looks through them: those after the first have their turns in front
    from the last on, so that none of them starves behind another.

    Args:
        take: How many messages were taken before.
        lanes: All of them, the most urgent first.
    """
    turn, place = divmod(take, OTHERS_FIRST_EVERY)
    if place != OTHERS_FIRST_EVERY - 1 or len(lanes) < 2:
        return tuple(lanes)
    others = lanes[:0:-1]
    first = turn % len(others)
    return (*others[first:], *others[:first], lanes[0])
