"""The host's own command line, `python -m workers`: its tools, run right here."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Annotated

import typer

from swarm_tasks.entry import run

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def tools(as_json: Json = False) -> None:
    """The catalog, and what this machine lacks for it."""
    from swarm_tasks.config import load_settings
    from workers.tools.access import this_machine
    from workers.tools.book import toolbook

    registry, machine = toolbook(load_settings().tool_modules), this_machine()
    missing = registry.missing(machine)
    if as_json:
        rows = [
            {
                "name": tool.name,
                "summary": tool.summary,
                "arguments": tool.arguments.model_json_schema(),
                "answer": tool.result.model_json_schema(),
                "available": tool.name not in missing,
                "reason": missing.get(tool.name, ""),
            }
            for tool in registry
        ]
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("tool", "tells", "arguments", "here", box=None)
    for tool in registry:
        lacking = missing.get(tool.name)
        table.add_row(
            Text(tool.name, "bold"),
            Text(tool.summary),
            Text(", ".join(tool.arguments.model_fields)),
            Text(lacking, "yellow") if lacking else Text("yes", "green"),
        )
    # One line per tool where there is no terminal, for grep.
    Console(width=None if sys.stdout.isatty() else 10_000).print(table)


@app.command()
def tool(
    name: str,
    arguments: Annotated[list[str] | None, typer.Argument()] = None,
    as_json: Json = False,
) -> None:
    """Run one tool on this machine and print its answer."""
    from swarm_tasks.config import load_settings
    from swarm_tasks.tool_arguments import evidence_text, exit_code_of, parse_pairs
    from workers.investigate import evidence_of
    from workers.orphans import mark_of
    from workers.tools.access import this_machine
    from workers.tools.book import toolbook
    from workers.tools.manners import Manners

    settings = load_settings()
    registry = toolbook(settings.tool_modules)
    raw = parse_pairs(arguments or [])
    registry.get(name).parse_arguments(raw)
    manners = Manners(settings.tool_niceness, (mark_of(settings.host),))
    machine = this_machine(log_roots=settings.log_roots, manners=manners)
    outcome = asyncio.run(registry.call(name, raw, machine))
    evidence = evidence_of(outcome, "here", settings.host, "operator")
    text = evidence.model_dump_json(indent=2) if as_json else evidence_text(evidence)
    sys.stdout.write(text + "\n")
    raise typer.Exit(exit_code_of(evidence))


def main() -> None:
    """Run the command line."""
    run(app)


if __name__ == "__main__":
    main()
