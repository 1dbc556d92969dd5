"""Which queue a piece of work goes to. Pure.

A queue has lanes, as kombu's priorities have them: a worker takes from the first that is not empty,
and now and then from the others first, so that none of them starves.
"""

from __future__ import annotations

from bisect import bisect_right

SHARED = "swarm"
"""Work that any host may do."""

CONTROL = "control"
"""Work of the orchestrator."""

PARTS_IN_FRONT = (8, 64, 512)
"""Up to which of its parts a job goes into the first lane of a queue, the second and the third; the
rest go into the fourth. So a job of up to 512 parts waits for at most about eight times as many of
any other, however large that is."""


def host_queue(host: str) -> str:
    """The queue that only this host's worker consumes: its parts."""
    return f"host.{host}"


def errand_queue(host: str) -> str:
    """The queue of what somebody waits for on this host: one tool, claims to measure."""
    return f"host.{host}.errands"


def part_queue(host: str) -> str:
    """Where a part waits: its host's queue, or the shared one where any host may do it."""
    return host_queue(host) if host else SHARED


def worker_node(host: str) -> str:
    """The Celery node name of a host's worker."""
    return f"worker@{host}"


def worker_queues(host: str) -> tuple[str, ...]:
    """What a host's worker consumes."""
    return (errand_queue(host), host_queue(host), SHARED)


def lane_of(place: int, *, periodic: bool) -> int:
    """The lane of a part: one of `LANES`, of which periodic jobs have the second half.

    Args:
        place: How many parts of the same job go to the same queue before it.
        periodic: Whether a schedule asked for the job, and no person waits.
    """
    return bisect_right(PARTS_IN_FRONT, place) + (len(PARTS_IN_FRONT) + 1) * periodic
