"""Hosts as control sees them, made up."""

from __future__ import annotations

from swarm_tasks.models.base import now_utc
from swarm_tasks.models.host import Beat, HostFacts, HostView

NOW = now_utc()


def view(host: str, role: str = "", *, alive: bool = True, lacks: tuple[str, ...] = ()) -> HostView:
    """A Debian machine that gives a sign of life, or not."""
    facts = HostFacts(
        host=host,
        machine_id=host,
        instance="i",
        version="0",
        platform="linux",
        os="Debian GNU/Linux 12 (bookworm)",
        kernel="6.1",
        architecture="x86_64",
        cpus=2,
        memory_bytes=1,
        started=NOW,
        unavailable=dict.fromkeys(lacks, "no such device"),
        role=role,
    )
    beat = Beat(host=host, instance="i", at=NOW, load1=0.1, agents=0, capacity=8)
    return HostView(host=host, facts=facts, beat=beat if alive else None, last_seen=NOW)
