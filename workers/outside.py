"""Looks at a host that gives no sign of life, from here: what answers of it without its worker.

Only what the host said of itself is tried: its addresses, as far as they are a machine's, and its
ports, with `MOST_PORTS` connections in all, once a minute. A connection is closed as soon as it
stands; nothing is sent on it and nothing read.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import psutil

from swarm_tasks.addresses import machine_address
from swarm_tasks.config import Settings
from swarm_tasks.contracts import OutsideLook
from swarm_tasks.errors import ToolFailed, ToolTimeout, Unavailable
from swarm_tasks.models.host import HostFacts, OpenPort
from swarm_tasks.models.outside import MOST_PORTS, Echo, LastAudit, OutsideView, PortSeen
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.last_audits import LastAudits
from swarm_tasks.store.outside import OutsideViews
from swarm_tasks.store.presence import Presence
from workers.blocking import in_thread
from workers.facts import boot_id
from workers.naming import lock_path
from workers.tools.access import Access, Machine
from workers.tools.catalog.probes import echo

MOST_TRIED = 3
"""Addresses of one host that are tried, all at the same time."""

PORTS_ELSEWHERE = 3
"""Ports that are tried at each address but the likeliest, which has the rest of `MOST_PORTS`."""

CONNECT_SECONDS = 1.0
PING_SECONDS = 1.6
"""Two requests 0.2 s apart, a second for the last answer, and what it takes to begin."""

NO_WAY = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ETIMEDOUT)
"""What a connection comes to where nobody is there to turn it down."""

State = Literal["answers", "refused", "silent", "unknown"]


@dataclass(frozen=True, slots=True)
class Shelf:
    """What the store knows of hosts that cannot speak for themselves."""

    views: OutsideViews
    presence: Presence
    audits: LastAudits

    @classmethod
    def of(cls, client: Commands, presence: Presence) -> Shelf:
        """What this store knows."""
        return cls(OutsideViews(client), presence, LastAudits(client, presence.forget_seconds))


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a dark host before anybody looks."""

    facts: HostFacts | None
    last_seen: datetime | None
    last_audit: LastAudit | None


@dataclass(frozen=True, slots=True)
class Way:
    """Where to look.

    Args:
        addresses: What to try, the likeliest first.
        note: What is not tried, and why; empty if all is.
    """

    addresses: tuple[str, ...] = ()
    same_machine: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of one address."""

    address: str
    ping: Echo
    ports: tuple[PortSeen, ...]
    notes: tuple[str, ...] = ()

    @property
    def answers(self) -> tuple[int, int]:
        """How much of it answers, and how much refuses."""
        states = [port.state for port in self.ports]
        ping = self.ping.state == "answers"
        return ping + states.count("answers"), states.count("refused")


async def looked(
    look: OutsideLook,
    at: datetime,
    here: HostFacts,
    shelf: Shelf,
    machine: Machine,
    ran_here: Callable[[HostFacts], bool],
) -> OutsideView:
    """What is to be seen of a dark host, in less than two seconds beside reads of the store.

    Args:
        at: The time on the store's clock.
        here: This host.
        ran_here: Whether this machine knows by itself that a host ran on it. Nothing that a host
            says may tell: its peer would knock at its own ports for whoever asks.
    """
    known = await in_thread(known_of, look.dark, shelf)
    own = await in_thread(addresses_of_this_machine)
    beside = known.facts is not None and await in_thread(ran_here, known.facts)
    way = way_to(known.facts, here, own, beside=beside)
    if way.addresses and not await in_thread(shelf.views.begin, look.dark):
        way = Way(note="it was looked at less than a minute ago")
    ports = known.facts.ports if known.facts else ()
    shares = shared_out(way.addresses, ports)
    tried = await asyncio.gather(*(try_address(one, some, machine) for one, some in shares))
    best = max(tried, key=lambda one: one.answers, default=None)  # the first of equals
    notes = [way.note] if way.note else []
    if best is not None:
        notes += best.notes
        if untried := len(ports) - len(best.ports):
            notes.append(f"ports not tried there: {untried}")
        if others := [one.address for one in tried if one is not best]:
            notes.append(f"nothing more at {', '.join(others)}")
    return OutsideView(
        host=look.dark,
        seen_by=look.host,
        at=at,
        address=best.address if best else "",
        resolved="its worker announced it" if best else "",
        same_machine=way.same_machine,
        ping=best.ping if best else Echo(state="unknown", reason="no address to try"),
        ports=best.ports if best else (),
        last_seen=known.last_seen,
        last_audit=known.last_audit,
        notes=tuple(notes),
    )


def known_of(host: str, shelf: Shelf) -> Known:
    """What the store knows of a host."""
    seen = shelf.presence.last_seen((host,))
    return Known(shelf.views.facts(host), seen.get(host), shelf.audits.of(host))


def addresses_of_this_machine() -> frozenset[str]:
    """Every address of this machine, those of its guests' networks too."""
    every = psutil.net_if_addrs().values()
    return frozenset(
        filter(
            None,
            (
                machine_address(one.address)
                for those in every
                for one in those
                if one.family in (socket.AF_INET, socket.AF_INET6)
            ),
        )
    )


def ran_beside(settings: Settings, facts: HostFacts) -> bool:
    """Whether this life of a host ran on this machine, by the lock of its name that it left here.

    A machine's id is only what its host says, and all the fleet can read it: no proof. Workers with
    state directories of their own do not know of each other.

    Args:
        settings: This host's.
        facts: What the other said of itself.
    """
    try:
        path = lock_path(settings.model_copy(update={"host": facts.host}))
        left = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return left.split() == [facts.instance, boot_id()]


def shared_out(
    addresses: Sequence[str], ports: Sequence[OpenPort]
) -> list[tuple[str, tuple[OpenPort, ...]]]:
    """Which ports to try at which address: `MOST_PORTS` connections in all. Pure.

    Args:
        addresses: The likeliest first.
    """
    most = MOST_PORTS - PORTS_ELSEWHERE * (len(addresses) - 1)
    return [
        (address, tuple(ports[: PORTS_ELSEWHERE if place else most]))
        for place, address in enumerate(addresses)
    ]


def way_to(facts: HostFacts | None, here: HostFacts, own: Collection[str], *, beside: bool) -> Way:
    """Where to look for a host. Pure.

    An address that this machine has as well is not the other's, unless both run on one machine:
    whoever tried it would find himself.

    Args:
        facts: What the host said of itself.
        here: This host.
        own: Every address of this machine.
        beside: Whether the host ran on this machine, which its own word does not tell.
    """
    if facts is None:
        return Way(note="nothing that it said of itself is known")
    if not facts.addresses:
        return Way(note="its worker announced no address")
    same = beside and {*facts.addresses} == {*here.addresses}
    left = [one for one in facts.addresses if same or one not in own]
    if not left:
        return Way(note=f"{here.host} has the same addresses, and would find itself")
    note = f"it runs on the same machine as {here.host}" if same else ""
    return Way(tuple(left[:MOST_TRIED]), same, note)


async def try_address(address: str, ports: Sequence[OpenPort], machine: Machine) -> Tried:
    """One address, all of it at the same time."""
    ping, seen = await asyncio.gather(
        _ping(address, machine), asyncio.gather(*(_knock(address, port) for port in ports))
    )
    notes = ["no port of it is known"] if not ports else []
    notes += dict.fromkeys(why for _, why in seen if why)
    return Tried(address, ping, tuple(port for port, _ in seen), tuple(notes[:4]))


async def _ping(address: str, machine: Machine) -> Echo:
    try:
        async with asyncio.timeout(PING_SECONDS):
            answer = await echo(address, 2, 1, Access(machine))
    except (TimeoutError, ToolTimeout):
        return Echo(state="silent")
    except (Unavailable, ToolFailed) as error:
        return Echo(state="unknown", reason=error.message)
    if answer.received:
        return Echo(state="answers", milliseconds=answer.rtt_min_ms)
    return Echo(state="silent", reason=answer.note)


async def _knock(address: str, port: OpenPort) -> tuple[PortSeen, str]:
    """One port, and what kept it from being tried."""
    state, why = await _connect(address, port.number)
    return PortSeen(number=port.number, service=port.service, state=state), why


async def _connect(address: str, port: int) -> tuple[State, str]:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(address, port)
    except TimeoutError:
        return "silent", ""
    except ConnectionRefusedError:
        return "refused", ""
    except OSError as error:
        if error.errno in NO_WAY:
            return "silent", ""
        return "unknown", f"a port could not be tried: {error.strerror or error}"
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(0.1):
            await writer.wait_closed()
    return "answers", ""
