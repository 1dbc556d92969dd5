"""The verb `drain`: let hosts finish what runs there, and take no more parts."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime

from rich.console import Console

from orchestrator.plan import select_hosts
from orchestrator.service import Fleet
from orchestrator.surfaces.acknowledging import login
from orchestrator.surfaces.options import parse_seconds
from orchestrator.surfaces.page import page
from orchestrator.surfaces.session import Given, open_fleet
from swarm_tasks.errors import ArgumentError
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.host import Drained, HostView
from swarm_tasks.store.draining import Draining
from swarm_tasks.unseen import plain_line

POLL_SECONDS = 0.2
REASON_LIMIT = 500


@dataclass(frozen=True, slots=True)
class DrainOptions:
    """What the command line asked for."""

    hosts: Sequence[str]
    undo: bool
    wait: str
    reason: str
    as_json: bool


@dataclass(slots=True)
class Quiet:
    """What was seen of a host since it was marked: it is quiet once two signs of life in a row say
    that it takes no more parts and that nothing runs. One alone may be older than a part that was
    just being taken.

    Args:
        agents: How many run there, as the last sign says.
        seen: When the first sign that said so was given.
        alive: Whether there is any sign of it.
        over: Whether nothing runs there any more.
    """

    agents: int = 0
    alive: bool = True
    seen: datetime | None = field(default=None)
    over: bool = False

    def look(self, view: HostView) -> None:
        """Take in what is known of the host now. A dark one runs nothing that counts."""
        beat = view.beat
        self.alive, self.agents = beat is not None, beat.agents if beat else 0
        if beat is None:
            self.over = True
        elif not beat.draining or beat.agents:
            self.over, self.seen = False, None
        elif self.seen is None:
            self.seen = beat.at
        elif beat.at != self.seen:
            self.over = True


def run_drain(given: Given, options: DrainOptions) -> int:
    """Drain, or take it back; the exit code: 1 where something still ran in the end.

    Raises:
        UnknownName: There is no such host; nothing was changed.
        ArgumentError: What was asked for is wrong.
    """
    seconds = 0.0 if options.wait in ("0", "0s") else parse_seconds(options.wait, "--wait")
    reason = plain_line(options.reason, REASON_LIMIT + 1)
    if len(reason) > REASON_LIMIT:
        raise ArgumentError(f"--reason is longer than {REASON_LIMIT} characters", "say it in brief")
    with open_fleet(given) as fleet:
        hosts = select_hosts(options.hosts, (view.host for view in fleet.hosts()))
        draining = Draining(fleet.client)
        if options.undo:
            before = draining.drained()
            draining.unmark(hosts)
            _tell_undone(hosts, before, as_json=options.as_json)
            return 0
        drained = Drained(since=now_utc(), by=login(), reason=reason)
        draining.mark(hosts, drained)
        try:
            quiet = _watched(fleet, hosts, seconds, silent=options.as_json)
        except KeyboardInterrupt:
            sys.stderr.write(f"Not waited for any longer. {_until_undone(hosts)}\n")
            raise
    _tell(quiet, drained, waited=seconds > 0, as_json=options.as_json)
    return 0 if seconds == 0 or all(one.over for one in quiet.values()) else 1


def _watched(
    fleet: Fleet, hosts: Sequence[str], seconds: float, *, silent: bool
) -> Mapping[str, Quiet]:
    """How far each host has come, once all are quiet or the time is up."""
    quiet = {host: Quiet() for host in hosts}
    end = time.monotonic() + seconds
    console = Console(stderr=True)
    with ExitStack() as stack:
        status = None
        if console.is_terminal and not silent and seconds:
            status = stack.enter_context(console.status("Draining …"))
        while True:
            beats = fleet.presence.beats(tuple(quiet))
            for host, one in quiet.items():
                one.look(HostView(host=host, beat=beats.get(host)))
            left = {host: one for host, one in quiet.items() if not one.over}
            if not left or time.monotonic() >= end:
                return quiet
            if status is not None:
                status.update(f"Draining: {_still(left)}")
            time.sleep(POLL_SECONDS)


def _still(left: Mapping[str, Quiet]) -> str:
    """What still runs where."""
    return ", ".join(
        f"{host} ({one.agents} under way)" if one.agents else host for host, one in left.items()
    )


def _tell(quiet: Mapping[str, Quiet], drained: Drained, *, waited: bool, as_json: bool) -> None:
    """Say how far each host has come. That no agent is seen says nothing of one that was not waited
    for: its newest sign of life may be older than its mark."""
    if as_json:
        mark = drained.model_dump(mode="json")
        rows = [
            {
                "host": host,
                "alive": one.alive,
                "quiet": one.over if waited or one.over else None,
                "agents": one.agents if one.agents or one.over else None,
                "drained": mark,
            }
            for host, one in quiet.items()
        ]
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return
    for host, one in quiet.items():
        page().print(f"{host} takes no more parts; {_stands(one, waited=waited)}.", markup=False)
    page().print(_until_undone(tuple(quiet)), markup=False)


def _stands(one: Quiet, *, waited: bool) -> str:
    """How far a host has come."""
    if one.over:
        return "nothing runs there" if one.alive else "it is dark"
    if not waited:
        return "it was not waited for"
    if one.agents:
        return f"{one.agents} still under way"
    return "it has not said yet that nothing runs there"


def _until_undone(hosts: Sequence[str]) -> str:
    """How long the marks stand."""
    what = f"{hosts[0]} stays" if len(hosts) == 1 else f"These {len(hosts)} hosts stay"
    return f"{what} drained until `hostswarm drain {' '.join(hosts)} --undo`."


def _tell_undone(hosts: Sequence[str], before: Mapping[str, Drained], *, as_json: bool) -> None:
    if as_json:
        rows = [{"host": host, "drained": None} for host in hosts]
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return
    for host in hosts:
        text = "takes parts again" if host in before else "was not drained"
        page().print(f"{host} {text}.", markup=False)
