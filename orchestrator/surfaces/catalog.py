"""The verbs about tools and this set-up: tools, tool, doctor."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.surfaces.options import Json, examples, given

if TYPE_CHECKING:
    from orchestrator.surfaces.session import Given


def tools(
    context: typer.Context,
    as_json: Json = False,
) -> None:
    """The catalog: every tool, what it tells, and whether this machine can run it."""
    _become_host(given(context), "tools", *(["--json"] if as_json else []))


def tool(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The tool, as `hostswarm tools` names it.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(help="Its arguments, as key=value.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Run it on this host of the fleet.")] = None,
    as_json: Json = False,
) -> None:
    """Run one tool, on this machine or with --host on another, and print its answer."""
    pairs = arguments or []
    if host is None:
        _become_host(given(context), "tool", name, *(["--json"] if as_json else []), "--", *pairs)
    from orchestrator.surfaces.session import open_fleet
    from swarm_tasks.tool_arguments import evidence_text, exit_code_of, parse_pairs

    with open_fleet(given(context)) as fleet:
        evidence = fleet.call_tool(host or "", name, parse_pairs(pairs))
    text = evidence.model_dump_json(indent=2) if as_json else evidence_text(evidence)
    sys.stdout.write(text + "\n")
    raise typer.Exit(exit_code_of(evidence))


def doctor(context: typer.Context, as_json: Json = False) -> None:
    """What is wrong with this set-up, and the command that mends it."""
    from orchestrator.surfaces.doctor import run_doctor

    raise typer.Exit(run_doctor(context.obj, as_json=as_json))


def _become_host(known: Given, *words: str) -> None:
    from orchestrator.surfaces.children import HOST_PROGRAM, child_environment

    sys.stdout.flush()
    argv = [*HOST_PROGRAM, *words]
    environment = child_environment(known.settings, known.config)
    os.execve(argv[0], argv, environment)  # noqa: S606 - argv is ours, and no shell is wanted


EXAMPLES = {
    tools: ("hostswarm tools", "hostswarm tools --json | jq '.[].name'"),
    tool: ("hostswarm tool disk_usage mount=/", "hostswarm tool ping host=db1 --host web1"),
    doctor: ("hostswarm doctor",),
}


def register(app: typer.Typer) -> None:
    """Add these verbs to the command."""
    for verb, lines in EXAMPLES.items():
        app.command(epilog=examples(*lines))(verb)
