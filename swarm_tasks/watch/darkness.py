"""Which hosts are dark, since when, and what their peers see of them."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from swarm_tasks.contracts import OutsideLook
from swarm_tasks.models.outside import OutsideView
from swarm_tasks.store.outside import OutsideViews
from swarm_tasks.watch.scene import Scene

GRACE_SECONDS = 2.0
"""How much longer than its signs of life last a host may be silent before it is answered for: the
service manager of a worker that fell has most likely started it again by then."""

LOOKS_AT_ONCE = 20
"""Hosts that peers are asked to look at in one turn of the watch. Where a whole rack is dark, the
last of it are answered for unseen."""

LOOK_SECONDS = 3.0
"""How long the view of a peer is waited for; a look takes two at most."""


@dataclass(slots=True)
class Silence:
    """A host that gives no sign of life.

    Args:
        since: When it was noticed, on the monotonic clock.
        asked_at: When a peer was last asked for a look.
    """

    since: float
    asked_at: float | None = None


class Darkness:
    """Follows the hosts whose parts wait in vain.

    Args:
        views: What peers have seen.
        ask: Sends a peer the errand to look.
        last_seen: Tells when hosts last gave a sign of life.
    """

    def __init__(
        self,
        views: OutsideViews,
        ask: Callable[[OutsideLook], None],
        last_seen: Callable[[tuple[str, ...]], Mapping[str, datetime]],
    ) -> None:
        self._views = views
        self._ask = ask
        self._last_seen = last_seen
        self._silent: dict[str, Silence] = {}

    def note(
        self, asked: Collection[str], alive: Collection[str], clock: float, now: float
    ) -> frozenset[str]:
        """Note which of these hosts are silent, and have each looked at.

        Args:
            asked: Hosts whose parts wait.
            alive: Hosts that give signs of life, these and others.
            clock: The monotonic clock.
            now: The store's.

        Returns:
            The silent ones.
        """
        silent = frozenset(asked) - frozenset(alive)
        for host in self._silent.keys() - silent:
            del self._silent[host]
        for host in silent:
            self._silent.setdefault(host, Silence(clock))
        unseen = [
            host
            for host, silence in sorted(self._silent.items())
            if silence.asked_at is None or clock - silence.asked_at > 10 * LOOK_SECONDS
        ]
        for host in unseen[:LOOKS_AT_ONCE]:
            self._silent[host].asked_at = clock
            self._look(host, alive, now)
        return silent

    def _look(self, host: str, alive: Collection[str], now: float) -> None:
        # This drops a view of an earlier silence, which would keep a new one away.
        if self.view(host) is not None or not alive:
            return
        if self._views.claim(host, LOOK_SECONDS):
            peer = random.choice(sorted(alive))  # noqa: S311 - chance spreads the errands
            self._ask(
                OutsideLook(
                    call=secrets.token_hex(6), host=peer, dark=host, expires_at=now + LOOK_SECONDS
                )
            )

    def view(self, host: str) -> OutsideView | None:
        """What a peer saw of a host since it was last heard of; None while nobody has looked."""
        return self._views.get(host, self._last_seen((host,)).get(host))

    def seen(self, host: str) -> tuple[bool, OutsideView | None]:
        """Whether a host was ever heard of, and what a peer saw of it since it was last."""
        since = self._last_seen((host,)).get(host)
        return since is not None, self._views.get(host, since)

    def due(self, hosts: Collection[str], scene: Scene) -> set[str]:
        """Those silent hosts that had the time to come back, and a peer the time to look."""
        due: set[str] = set()
        for host in hosts:
            silence = self._silent.get(host)
            if silence is None or scene.clock - silence.since < GRACE_SECONDS:
                continue
            waited = scene.clock - silence.since >= GRACE_SECONDS + LOOK_SECONDS
            if waited or not scene.alive or self.view(host) is not None:
                due.add(host)
        return due
