"""Whose a host's name is: one life of one machine's worker at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import ValidationError

from swarm_tasks.models.base import Frozen
from swarm_tasks.store import keys, presence_scripts
from swarm_tasks.store.commands import Commands

HELD_SECONDS = 300.0
"""How long a machine that fell silent without a goodbye keeps its name from other machines. Long
enough to start again after a crash, or to get its network back; short enough that a box which was
set up anew at night comes back by its supervisor's patience, and wakes nobody."""


class Binding(Frozen):
    """Whom a name is bound to.

    Args:
        machine_id: The machine's.
        instance: The life of its worker.
        since: Unix time on the store's clock.
        left: Whether that life went in order: then the name is free for any machine.
    """

    machine_id: str
    instance: str
    since: float
    left: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """Who wants a name.

    Args:
        former: The life before this one, where that is known to be over; else empty.
    """

    host: str
    machine_id: str
    instance: str
    former: str = ""


@dataclass(frozen=True, slots=True)
class Ours:
    """The name is the claimant's.

    Args:
        before: Whose it was.
    """

    before: Binding | None


@dataclass(frozen=True, slots=True)
class Taken:
    """The name is another's, or may be.

    Args:
        elsewhere: Whether it is another machine's, which is certain. Else it may be a life of this
            machine's that is over by now: if `sign` changes, it is not.
        binding: Whose it is, where that is written down.
        sign: What shows that the other lives; empty for one that was heard of not long ago.
        last_seen: When it was last heard of.
        silent_seconds: How long ago that was.
    """

    elsewhere: bool
    binding: Binding | None
    sign: str
    last_seen: datetime
    silent_seconds: float


class Names:
    """The names of the fleet.

    Args:
        client: The store.
        ttl_seconds: How long one sign of life lasts.
        forget_seconds: After this a silent host is forgotten, and its name free.
    """

    def __init__(self, client: Commands, ttl_seconds: float, forget_seconds: int) -> None:
        self._client = client
        self.ttl_seconds = ttl_seconds
        self._forget = forget_seconds
        self._claim = client.register_script(presence_scripts.CLAIM)

    def claim(self, claim: Claim, held_seconds: float = HELD_SECONDS) -> Ours | Taken:
        """Bind a name, or whose it is."""
        answer: list[str] = self._claim(
            keys=[keys.MACHINES.at(), keys.HOSTS.at(), keys.BEAT.at(host=claim.host)],
            args=[
                claim.host,
                claim.machine_id,
                claim.instance,
                claim.former,
                min(held_seconds, self._forget),
                self.ttl_seconds,
            ],
        )
        binding = _binding_of(answer[1])
        if answer[0] == "ours":
            return Ours(binding)
        seen, now = float(answer[3]), float(answer[4])
        return Taken(
            elsewhere=answer[0] == "elsewhere",
            binding=binding,
            sign=answer[2],
            last_seen=datetime.fromtimestamp(seen, UTC),
            silent_seconds=now - seen,
        )


def _binding_of(text: str) -> Binding | None:
    try:
        return Binding.model_validate_json(text)
    except ValidationError:
        return None
