"""Which queue a piece of work goes to. Pure."""

from __future__ import annotations

SHARED = "swarm"
"""Work that any host may do."""

CONTROL = "control"
"""Work of the orchestrator."""


def host_queue(host: str) -> str:
    """The queue that only this host's worker consumes."""
    return f"host.{host}"


def worker_node(host: str) -> str:
    """The Celery node name of a host's worker."""
    return f"worker@{host}"


def worker_queues(host: str) -> tuple[str, ...]:
    """What a host's worker consumes."""
    return (host_queue(host), SHARED)
