"""The verbs about hosts and jobs: hosts, jobs, show, watch, cancel."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.surfaces.options import Json, examples, given, plugin_errors

if TYPE_CHECKING:
    from collections import Counter

    from pydantic import BaseModel
    from rich.text import Text

    from swarm_tasks.models.host import HostView
    from swarm_tasks.store.records import JobSummary

JobArgument = Annotated[str, typer.Argument(help="The job's id, as `hostswarm jobs` shows it.")]


def hosts(
    context: typer.Context,
    as_json: Json = False,
    forget: Annotated[
        str, typer.Option(help="Drop this host, which is gone for good, and free its name.")
    ] = "",
) -> None:
    """Who is in the fleet, who is alive, and when the others were last seen."""
    from orchestrator.surfaces.session import open_fleet
    from swarm_tasks.errors import ArgumentError, UnknownName

    with open_fleet(given(context)) as fleet:
        if forget and fleet.presence.beats((forget,)):
            raise ArgumentError(
                f"{forget} is alive, and would be back at once",
                "stop its worker, and then forget it",
            )
        if forget and not fleet.presence.forget(forget):
            raise UnknownName(f"there is no host called {forget!r}", "see `hostswarm hosts`")
        views = fleet.hosts()
        waiting = fleet.waiting()
    if as_json:
        _print_rows(
            [view.model_dump(mode="json") | {"waiting": waiting[view.host]} for view in views]
        )
    else:
        _print_hosts(views, waiting)


def drain(
    context: typer.Context,
    hosts: Annotated[list[str], typer.Argument(help="Names or globs, as `hostswarm hosts` shows.")],
    undo: Annotated[bool, typer.Option("--undo", help="Let them take parts again.")] = False,
    wait: Annotated[
        str, typer.Option(help="How long to wait for what runs there: 90s, 5m; 0 leaves at once.")
    ] = "5m",
    reason: Annotated[str, typer.Option(help="Why, for those who look.")] = "",
    as_json: Json = False,
) -> None:
    """Let hosts finish what runs there and take no more parts, over restarts too, until --undo."""
    from orchestrator.surfaces.drain import DrainOptions, run_drain

    options = DrainOptions(hosts, undo, wait, reason, as_json)
    raise typer.Exit(run_drain(given(context), options))


def jobs(
    context: typer.Context,
    as_json: Json = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 20,
) -> None:
    """What was asked lately, and what became of it."""
    from orchestrator.surfaces.session import open_fleet

    with open_fleet(given(context)) as fleet:
        found = fleet.jobs(limit)
    if as_json:
        _print_json(found)
    else:
        _print_jobs(found)


def show(
    context: typer.Context,
    job: JobArgument,
    as_json: Json = False,
    html: Annotated[
        Path | None, typer.Option(help="Write the report to this HTML file as well.")
    ] = None,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit as a monitoring plugin: 0, 1, 2 or 3.")
    ] = False,
) -> None:
    """Print a job's report again."""
    from orchestrator.surfaces.audit import deliver
    from orchestrator.surfaces.session import open_fleet

    with plugin_errors(exit_code):
        with open_fleet(given(context)) as fleet:
            report = fleet.report(job)
        raise typer.Exit(deliver(report, as_json, html, exit_code))


def watch(context: typer.Context, job: JobArgument, as_json: Json = False) -> None:
    """Follow a job while it runs, then print its report. Ctrl-C leaves the job alone."""
    from rich.console import Console

    from orchestrator.surfaces.audit import deliver
    from orchestrator.surfaces.live import show_live, tell_lines
    from orchestrator.surfaces.session import open_fleet

    console = Console(stderr=True)
    with open_fleet(given(context)) as fleet:
        if as_json:
            for event in fleet.follow(job):
                sys.stdout.write(event.model_dump_json(exclude_defaults=True) + "\n")
                sys.stdout.flush()
            raise typer.Exit
        (show_live if console.is_terminal else tell_lines)(fleet.follow(job), console)
        report = fleet.report(job)
    raise typer.Exit(deliver(report, as_json=False, html=None, exit_code=False))


def cancel(context: typer.Context, job: JobArgument, as_json: Json = False) -> None:
    """Stop a job: agents that run are ended with their tools, parts that wait never begin."""
    from orchestrator.surfaces.page import page
    from orchestrator.surfaces.session import open_fleet

    with open_fleet(given(context)) as fleet:
        stopped = fleet.cancel(job)
    if as_json:
        sys.stdout.write(json.dumps({"job": job, "cancelled": stopped}) + "\n")
        return
    text = "is being cancelled" if stopped else "was closed already; nothing to cancel"
    page().print(f"Job {job} {text}.", markup=False)


EXAMPLES = {
    hosts: ("hostswarm hosts", "hostswarm hosts --forget oldbox"),
    drain: (
        "hostswarm drain web2 --reason 'new disk'",
        "hostswarm drain 'db*' --wait 1h",
        "hostswarm drain web2 --undo",
    ),
    jobs: ("hostswarm jobs", "hostswarm jobs --json | jq '.[0].id'"),
    show: ("hostswarm show 7k2mbq4wxp", "hostswarm show 7k2mbq4wxp --html report.html"),
    watch: ("hostswarm watch 7k2mbq4wxp",),
    cancel: ("hostswarm cancel 7k2mbq4wxp",),
}


def register(app: typer.Typer) -> None:
    """Add these verbs to the command."""
    for verb, lines in EXAMPLES.items():
        app.command(epilog=examples(*lines))(verb)


def _print_json(models: Sequence[BaseModel]) -> None:
    _print_rows([model.model_dump(mode="json") for model in models])


def _print_rows(rows: Sequence[Mapping[str, object]]) -> None:
    sys.stdout.write(json.dumps(rows, indent=2) + "\n")


def _print_hosts(views: Sequence[HostView], waiting: Counter[str]) -> None:
    from rich.table import Table
    from rich.text import Text

    from orchestrator.surfaces.page import page
    from swarm_tasks.unseen import plain_line

    if not views:
        page().print("No host has joined. Start `hostswarm worker` on a machine.")
        return
    table = Table(
        *("host", "state", "load", "agents", "waiting", "tools", "system", "last seen"), box=None
    )
    for view in views:
        facts, beat = view.facts, view.beat
        table.add_row(
            Text(view.host, "bold"),
            _state(view),
            f"{beat.load1:.2f}" if beat else "",
            f"{beat.agents}/{beat.capacity}" if beat else "",
            str(waiting[view.host]),
            str(len(facts.tools)) if facts else "",
            Text(facts.os) if facts else "",
            f"{view.last_seen:%Y-%m-%d %H:%M:%S}" if view.last_seen else "never",
        )
    page().print(table)
    for view in views:
        if view.beat is not None and view.beat.strain:
            why = plain_line(view.beat.strain)
            page().print(Text(f"{view.host} is held back: {why}", "yellow"))


def _state(view: HostView) -> Text:
    """Whether a host is there, and whether it takes parts."""
    from rich.text import Text

    state = Text("alive", "green") if view.beat else Text("dark", "magenta")
    return state.append(", drained", "yellow") if view.drained else state


def _print_jobs(found: Sequence[JobSummary]) -> None:
    from rich.table import Table
    from rich.text import Text

    from orchestrator.surfaces.page import page

    if not found:
        page().print("No jobs yet. Ask something: `hostswarm audit`.")
        return
    table = Table(
        "job", "created (UTC)", "state", "hosts", "parts", "asked by", "question", box=None
    )
    for job in found:
        table.add_row(
            Text(job.id, "bold"),
            f"{job.created:%Y-%m-%d %H:%M:%S}",
            job.status.value if job.status else job.state,
            str(job.hosts or "any"),
            f"{job.closed}/{job.total}",
            Text(job.asked_by),
            Text(job.question[:60]),
        )
    page().print(table)
