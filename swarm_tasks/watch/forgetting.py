"""What hosts that are forgotten leave behind in the broker: nobody would ever take it away."""

from __future__ import annotations

from collections.abc import Collection

from swarm_tasks import routing
from swarm_tasks.models.job import LANES
from swarm_tasks.store.commands import Commands
from swarm_tasks.watch.messages import forget, give_back, lane_key

BINDINGS = ("_kombu.binding.{queue}", "_kombu.binding_permanent.{queue}")
"""Where kombu keeps what is bound to a queue's own exchange: `Channel.keyprefix_queue` and
`keyprefix_permanent`. Nobody needs it to send: what goes to one queue is put into it directly."""

SHARED_BY_ALL = (routing.SHARED, routing.CONTROL)
"""Queues whose messages others can take."""

AT_ONCE = 50
"""Hosts whose keys are deleted in one command, about a thousand names."""


def clear_away(client: Commands, hosts: Collection[str]) -> None:
    """Delete the queues of these hosts, and what their workers held of them. What they held of
    queues that others consume goes back first.

    A host that comes back all the same does without harm: the watch sends again what is lost.
    """
    names = sorted(hosts)
    for host in names:
        give_back(client, host, queues=SHARED_BY_ALL)
    forget(client, names)
    for first in range(0, len(names), AT_ONCE):
        client.delete(
            *(key for host in names[first : first + AT_ONCE] for key in _queue_keys(host))
        )


def _queue_keys(host: str) -> list[str]:
    queues = (routing.host_queue(host), routing.errand_queue(host))
    lanes = [lane_key(queue, lane) for queue in queues for lane in range(LANES)]
    return lanes + [key.format(queue=queue) for key in BINDINGS for queue in queues]
