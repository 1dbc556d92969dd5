"""What the connections of one app share: they come and go with the store, and this stays."""

from __future__ import annotations

from dataclasses import dataclass, field

from swarm_tasks.gates import Gates
from swarm_tasks.transport.deliveries import Deliveries
from swarm_tasks.transport.listening import Listening


@dataclass(frozen=True, slots=True)
class Station:
    """One process's place in the traffic of messages.

    Args:
        gates: Which queues it takes from now.
        deliveries: What it has taken and not acknowledged.
        listening: Whether it still asks for messages.
    """

    gates: Gates = field(default_factory=Gates)
    deliveries: Deliveries = field(default_factory=Deliveries)
    listening: Listening = field(default_factory=Listening)
