"""A worker that starts takes over from the one that had its name before."""

from __future__ import annotations

from swarm_tasks.store import keys
from swarm_tasks.store.leases import named
from swarm_tasks.store.ledger import Ledger
from swarm_tasks.watch.messages import give_back


def succeed(ledger: Ledger, host: str) -> tuple[int, int]:
    """Have what a former life of this host's worker held done again, without waiting until its
    leases are over: a name has one worker at a time, and this one does not consume yet.

    Returns:
        How many parts are put back, and how many messages go back to their queues.
    """
    members: list[str] = ledger.client.zrange(keys.LEASES.at(), 0, -1)
    parts = 0
    for member, part in ledger.part_records(members).items():
        if part.state == "running" and part.host == host:
            job, name = named(member)
            why = "its worker fell and came back"
            parts += ledger.leases.put_back(job, name, part.attempt, why, host)
    return parts, give_back(ledger.client, host)
