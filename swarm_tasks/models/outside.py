"""A host that gives no sign of life, as one of its peers sees it from outside."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from swarm_tasks.models.base import Frozen, HostName, Moment, Name
from swarm_tasks.models.finding import Severity

MOST_PORTS = 16
"""Ports of one host that a peer tries."""

MOST_TITLES = 3
MOST_NOTES = 8
NAMED = 4
"""How many ports of a kind are named before the rest is counted."""


class Seen(StrEnum):
    """What a look from outside came to."""

    MACHINE = "machine"
    """Something answers at its address: the machine is up, its worker is not heard."""

    NOTHING = "nothing"
    """It was looked for, and nothing answers."""

    UNKNOWN = "unknown"
    """It could not be looked for."""


class Echo(Frozen):
    """What came back of an echo request.

    Args:
        milliseconds: The way there and back; None where nothing came.
        reason: Why it is unknown, or what the network said in place of an answer.
    """

    state: Literal["answers", "silent", "unknown"]
    milliseconds: float | None = None
    reason: str = ""


class PortSeen(Frozen):
    """One TCP port, tried from outside.

    Args:
        service: The program that listened there when the host last said so.
        state: `answers` took a connection, `refused` turned it down, `silent` did neither in time,
            `unknown` was not tried.
    """

    number: int = Field(ge=1, le=65_535)
    service: str = ""
    state: Literal["answers", "refused", "silent", "unknown"]


class LastAudit(Frozen):
    """What the newest closed job that heard of a host said of it.

    Args:
        at: When that job's report was made.
        specialists: Those that answered.
        findings: How many were verified.
        worst: The gravest of them; None for none.
        titles: Some of them, gravest first.
    """

    job: str
    at: Moment
    specialists: tuple[Name, ...] = ()
    findings: int = 0
    worst: Severity | None = None
    titles: tuple[str, ...] = Field(default=(), max_length=MOST_TITLES)


class OutsideView(Frozen):
    """What a peer can tell of a host without its worker. It says nothing of the host's health.

    Args:
        host: The one that is dark.
        seen_by: The peer.
        at: When it looked, on the store's clock.
        address: Where it looked; empty where none is known.
        resolved: How it came by that address; empty with it.
        same_machine: Whether both run on one machine.
        last_seen: When the host's worker last gave a sign of life, where known.
        last_audit: None where none is known.
        notes: What could not be looked at, and why.
    """

    host: HostName
    seen_by: HostName
    at: Moment
    address: str = ""
    resolved: str = ""
    same_machine: bool = False
    ping: Echo = Echo(state="unknown")
    ports: tuple[PortSeen, ...] = Field(default=(), max_length=MOST_PORTS)
    last_seen: Moment | None = None
    last_audit: LastAudit | None = None
    notes: tuple[str, ...] = Field(default=(), max_length=MOST_NOTES)

    @property
    def seen(self) -> Seen:
        """What it comes to. A refusal is an answer, too: only a running machine gives one."""
        states = {port.state for port in self.ports}
        if self.ping.state == "answers" or states & {"answers", "refused"}:
            return Seen.MACHINE
        if self.ping.state == "silent" or "silent" in states:
            return Seen.NOTHING
        return Seen.UNKNOWN


SILENT = "its worker gives no sign of life"


def dark_reason(view: OutsideView | None, *, known: bool) -> str:
    """Why a host is dark, in a few words: what to go and mend, the worker or the machine.

    Args:
        view: None where no peer has looked.
        known: Whether its worker was ever there.
    """
    if not known:
        return "its worker never came"
    if view is None:
        return SILENT
    if view.seen is Seen.MACHINE:
        return f"{SILENT}, but the machine answers"
    if view.seen is Seen.NOTHING:
        return f"{SILENT}, and nothing answers from outside"
    return f"{SILENT}; it could not be looked at from outside"


def seen_text(view: OutsideView) -> str:
    """What a peer saw, on one line: `at 192.0.2.7, ping answers in 0.4 ms; 22/tcp answers`."""
    said: list[str] = []
    if view.address:
        said.append(_ping_text(view.ping))
        for state in ("answers", "refused", "silent", "unknown"):
            those = [port for port in view.ports if port.state == state]
            if those:
                verb = {"answers": "answers" if len(those) == 1 else "answer"}.get(state, state)
                said.append(f"{_ports_text(those)} {verb}")
    said += view.notes
    where = f"at {view.address}, " if view.address else ""
    return where + "; ".join(said)


def _ping_text(ping: Echo) -> str:
    if ping.state == "answers":
        if ping.milliseconds is None:
            return "ping answers"
        digits = 0 if ping.milliseconds >= 10 else 1 if ping.milliseconds >= 1 else 2
        return f"ping answers in {ping.milliseconds:,.{digits}f} ms"
    if ping.state == "silent":
        return f"no answer to ping ({ping.reason})" if ping.reason else "no answer to ping"
    return f"ping not tried ({ping.reason})" if ping.reason else "ping not tried"


def _ports_text(ports: list[PortSeen]) -> str:
    names = [
        f"{one.number}/tcp ({one.service})" if one.service else f"{one.number}/tcp" for one in ports
    ]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
