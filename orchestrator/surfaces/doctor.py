"""The verb `doctor`: look at this set-up and name what mends it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from orchestrator.service import Fleet
from orchestrator.surfaces.check import Check
from orchestrator.surfaces.children import HOST_PROGRAM, child_environment
from orchestrator.surfaces.model_checks import model_checks
from orchestrator.surfaces.server_checks import broker_checks, sentinel_checks
from orchestrator.surfaces.session import Given
from swarm_tasks import __version__
from swarm_tasks.config import Settings, find_config, load_settings, unknown_variables
from swarm_tasks.embedded import running_store, server_binary
from swarm_tasks.errors import HostswarmError
from swarm_tasks.models.host import HostView
from swarm_tasks.unseen import plain_line

CATALOG_SECONDS = 30.0


def run_doctor(config: Path | None, *, as_json: bool) -> int:
    """Look at everything and print it; 1 if something is broken."""
    checks = list(diagnose(config))
    if as_json:
        sys.stdout.write(json.dumps([asdict(check) for check in checks], indent=2) + "\n")
    else:
        _print(checks)
    return 1 if any(check.state == "broken" for check in checks) else 0


def diagnose(config: Path | None) -> Iterator[Check]:
    """Every check, from the ground up; what rests on something broken is left out."""
    yield _python()
    yield from _packages()
    try:
        given = Given(load_settings(config), find_config(config))
    except HostswarmError as error:
        yield Check("settings", "broken", error.message, error.remedy)
        return
    yield Check("settings", "ok", str(given.config or "no file; defaults and environment"))
    for variable in unknown_variables():
        yield Check(
            "settings", "warning", f"{variable} means nothing", "check its spelling, or unset it"
        )
    yield _catalog(given)
    yield from model_checks(given.settings)
    yield from _store(given.settings)


def _python() -> Check:
    here = ".".join(map(str, sys.version_info[:3]))
    return Check("python", "ok", f"{here}, hostswarm {__version__}")


def _packages() -> Iterator[Check]:
    """`workers` and `orchestrator` are names that others use too: see that they are ours."""
    ours = find_spec("swarm_tasks")
    home = Path(ours.origin).parent.parent if ours and ours.origin else None
    for name in ("workers", "orchestrator"):
        found = find_spec(name)
        origin = Path(found.origin) if found and found.origin else None
        if origin is None or origin.parent.parent != home:
            yield Check(
                "packages",
                "broken",
                f"the package {name} is not hostswarm's: {origin or 'not found'}",
                "install hostswarm into a virtual environment of its own",
            )


def _catalog(given: Given) -> Check:
    """Ask the host's own program, as a worker of these settings would find it."""
    remedy = "see that tool_modules names modules that can be imported"
    try:
        done = subprocess.run(
            (*HOST_PROGRAM, "tools", "--json"),
            env=child_environment(given.settings, given.config),
            capture_output=True,
            text=True,
            timeout=CATALOG_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Check("tools", "broken", f"no list of them in {CATALOG_SECONDS:g} s", remedy)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["they could not be listed"]
        return Check("tools", "broken", said[-1].removeprefix("hostswarm: "), remedy)
    rows = json.loads(done.stdout)
    lacking = sorted(row["name"] for row in rows if not row["available"])
    lacks = f"; this machine lacks what these need: {', '.join(lacking)}" if lacking else ""
    return Check("tools", "ok", f"{len(rows) - len(lacking)} of {len(rows)} can run here{lacks}")


def _store(settings: Settings) -> Iterator[Check]:
    url = None if settings.broker_url else running_store(settings.state_dir, lasting=True)
    if settings.broker_url is None and url is None:
        try:
            yield Check("store", "ok", f"embedded, when needed: {server_binary().name}")
        except HostswarmError as error:
            yield Check("store", "broken", error.message, error.remedy)
        yield Check(
            "fleet", "ok", "none configured: audits cover this machine", "hostswarm up, for a fleet"
        )
        return
    if url is not None:
        settings = settings.model_validate(
            {name: getattr(settings, name) for name in Settings.model_fields} | {"broker_url": url}
        )
    try:
        fleet = Fleet(settings)
    except HostswarmError as error:
        yield Check("store", "broken", error.message, error.remedy)
        return
    try:
        yield Check("store", "ok", "answers" + (f" at {url}" if url else ""))
        yield from sentinel_checks(settings, fleet.client)
        yield from broker_checks(settings)
        yield from _control(fleet)
        yield from host_checks(fleet.hosts())
    finally:
        fleet.close()


def _control(fleet: Fleet) -> Iterator[Check]:
    controls = fleet.presence.controls()
    if controls:
        yield Check("control", "ok", f"{len(controls)} alive")
    else:
        yield Check(
            "control",
            "broken",
            "none is alive: scheduled audits and dark hosts are not looked after",
            "hostswarm control",
        )


def host_checks(views: Sequence[HostView]) -> Iterator[Check]:
    """The hosts of a fleet: who is there, and who takes no parts or fewer than it may."""
    if not views:
        yield Check("hosts", "broken", "no host has joined", "hostswarm worker")
    for view in views:
        yield from _host(view)
        yield from _held(view)


def _host(view: HostView) -> Iterator[Check]:
    if not view.alive:
        seen = f"last seen {view.last_seen:%Y-%m-%d %H:%M} UTC" if view.last_seen else "never came"
        yield Check(
            "hosts",
            "warning",
            f"{view.host} is dark; {seen}",
            f"start its worker, or: hostswarm hosts --forget {view.host}"
            if view.last_seen
            else "start its worker, or take it out of expected_hosts",
        )
        return
    facts = view.facts
    if facts is None:
        yield Check("hosts", "warning", f"{view.host} has not said yet what it is", "wait a moment")
        return
    if facts.version != __version__:
        yield Check(
            "hosts",
            "warning",
            f"{view.host} runs hostswarm {facts.version}, this is {__version__}",
            "install the same version on every host",
        )
    lacking = f"; lacks: {', '.join(sorted(facts.unavailable))}" if facts.unavailable else ""
    yield Check("hosts", "ok", f"{view.host} is alive with {len(facts.tools)} tools{lacking}")


def _held(view: HostView) -> Iterator[Check]:
    """Why a host takes no parts, or fewer than it may: it looks well all the same."""
    if drained := view.drained:
        by = f" by {plain_line(drained.by)}" if drained.by else ""
        why = f": {plain_line(drained.reason)}" if drained.reason else ""
        yield Check(
            "hosts",
            "warning",
            f"{view.host} is drained{by} since {drained.since:%Y-%m-%d %H:%M} UTC{why}",
            f"hostswarm drain {view.host} --undo, once it may take parts again",
        )
    if view.beat is not None and view.beat.strain:
        yield Check(
            "hosts",
            "warning",
            f"{view.host} is held back to {view.beat.capacity} agents at a time: "
            f"{plain_line(view.beat.strain)}",
            "see what else runs there; it takes more by itself when that is over",
        )


def _print(checks: list[Check]) -> None:
    from rich.text import Text

    from orchestrator.surfaces.page import page

    styles = {"ok": "green", "warning": "yellow", "broken": "red"}
    console = page()
    for check in checks:
        line = Text.assemble(
            (f"{check.state:<8}", styles[check.state]), (f"{check.name:<9}", "bold"), check.said
        )
        console.print(line)
        if check.mend and check.state != "ok":
            console.print(Text(f"{'':<17}mend: {check.mend}"))
