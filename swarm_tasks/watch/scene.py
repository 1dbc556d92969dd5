"""What one look of the watch sees, read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from swarm_tasks import routing
from swarm_tasks.models.host import HostView
from swarm_tasks.store.presence import Presence
from swarm_tasks.store.records import JobHead, PartRecord
from swarm_tasks.watch.verdicts import HostState


@dataclass(frozen=True)
class Scene:
    """The fleet at one moment.

    Args:
        now: The store's clock.
        clock: The monotonic one.
        heads: Open jobs.
        alive: Hosts that give signs of life.
        drained: Hosts that take no parts.
        silent: Hosts whose parts wait and that give no sign.
    """

    now: float
    clock: float
    heads: Mapping[str, JobHead]
    alive: frozenset[str]
    drained: frozenset[str]
    presence: Presence
    silent: frozenset[str] = field(default_factory=frozenset[str])

    def state_of(self, part: PartRecord) -> HostState:
        """How the host of a part stands; one for any host is as good as the fleet."""
        if not part.bound:
            return HostState.ALIVE if self.takers else HostState.AWAY
        if part.host in self.silent:
            return HostState.SILENT
        if part.host in self.drained:
            return HostState.DRAINED
        return HostState.ALIVE if part.host in self.alive else HostState.AWAY

    @property
    def takers(self) -> frozenset[str]:
        """Hosts that may take parts."""
        return self.alive - self.drained

    @cached_property
    def _views(self) -> tuple[HostView, ...]:
        return tuple(view for view in self.presence.fleet() if view.host in self.takers)

    def able(self, part: PartRecord, needed: int) -> tuple[str, ...]:
        """Hosts that may take a part and know its form.

        Args:
            needed: What must be understood to do it.
        """
        return tuple(
            view.host
            for view in self._views
            if view.facts is not None
            and view.facts.format >= needed
            and view.host not in part.refused
        )

    def queue_for(self, part: PartRecord, needed: int) -> str | None:
        """Where a part is to be sent; None where no host that is there could do it.

        One that was refused as too new goes to a host that knows its form, and each part to
        another of those.
        """
        if part.bound or not part.refused:
            return routing.part_queue(part.host if part.bound else "")
        able = self.able(part, needed)
        if not able:
            return None
        return routing.host_queue(able[hash(part.part) % len(able)])
