"""The verbs about what findings are worth: trust, ack, diff."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from orchestrator.surfaces.options import Json, examples, given, plugin_errors


def trust(
    context: typer.Context,
    as_json: Json = False,
    days: Annotated[int, typer.Option(min=1, max=30, help="How far back, today among them.")] = 30,
) -> None:
    """How often each model was wrong, by specialist: what became of its claims when checked."""
    from orchestrator.surfaces.session import open_fleet
    from orchestrator.surfaces.trust_page import print_trust, trust_json

    known = given(context)
    with open_fleet(known) as fleet:
        tallies = fleet.trust.tallies(days)
    limit_percent = known.settings.distrust_percent
    if as_json:
        sys.stdout.write(trust_json(tallies, limit_percent) + "\n")
    else:
        print_trust(tallies, limit_percent, days)


def ack(
    context: typer.Context,
    finding: Annotated[
        str, typer.Argument(help="A finding's fingerprint, or JOB:ID such as 7k2mbq4wxp:f3.")
    ] = "",
    until: Annotated[
        str, typer.Option(help="A date (2026-12-24, when it begins in UTC), or 12h, 7d.")
    ] = "",
    reason: Annotated[str, typer.Option(help="Why no alarm is wanted until then.")] = "",
    listed: Annotated[bool, typer.Option("--list", help="Show what is acknowledged.")] = False,
    remove: Annotated[
        str, typer.Option(metavar="FINGERPRINT", help="Take an acknowledgement back.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Acknowledge a finding until a date: no alarm for it until then, unless it gets graver."""
    from orchestrator.surfaces.acknowledging import AckOptions, run_ack

    options = AckOptions(finding, until, reason, listed, remove, as_json)
    run_ack(given(context), options)


def diff(
    context: typer.Context,
    old: Annotated[str, typer.Argument(help="The earlier job's id.")],
    new: Annotated[str, typer.Argument(help="The later job's id.")],
    as_json: Json = False,
    exit_code: Annotated[
        bool,
        typer.Option(
            "--exit-code",
            help="Exit as a monitoring plugin, by what is new or worse: 0, 1, 2 or 3.",
        ),
    ] = False,
) -> None:
    """What is new, worse, the same, better or resolved from one job to another."""
    from orchestrator.surfaces.session import open_fleet

    with plugin_errors(exit_code):
        with open_fleet(given(context)) as fleet:
            reports = fleet.report(old), fleet.report(new)
        from orchestrator.change import exit_code_of
        from orchestrator.compare import compare
        from orchestrator.surfaces.diff_page import print_diff

        found = compare(*reports)
        if as_json:
            sys.stdout.write(found.to_json() + "\n")
        else:
            print_diff(found)
        raise typer.Exit(exit_code_of(found, reports[1]) if exit_code else 0)


EXAMPLES = {
    trust: ("hostswarm trust", "hostswarm trust --days 7 --json"),
    ack: (
        "hostswarm ack 7k2mbq4wxp:f3 --until 7d --reason 'the new disk comes on Monday'",
        "hostswarm ack --list",
        "hostswarm ack --remove 3f9c0d2e4b5a6c71",
    ),
    diff: (
        "hostswarm diff 7k2mbq4wxp 9hd3tq6vya",
        "hostswarm diff 7k2mbq4wxp 9hd3tq6vya --exit-code   (0 no worse, 1, 2, 3 unknown)",
    ),
}


def register(app: typer.Typer) -> None:
    """Add these verbs to the command."""
    for verb, lines in EXAMPLES.items():
        app.command(epilog=examples(*lines))(verb)
