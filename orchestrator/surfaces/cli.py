"""The command `hostswarm`. Each verb imports what it needs only when it runs."""

from __future__ import annotations

try:
    from pathlib import Path
    from typing import Annotated

    import typer

    from orchestrator.surfaces import catalog, checking, fleet, roles
    from orchestrator.surfaces.options import (
        Config,
        examples,
        given,
        parse_count,
        parse_dollars,
        parse_seconds,
        plugin_errors,
        split_names,
    )
    from swarm_tasks.entry import run
except KeyboardInterrupt:  # Ctrl-C this early is no error either
    raise SystemExit(130) from None

app = typer.Typer(
    name="hostswarm",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Ask a fleet of machines what is wrong with it. Each machine looks at itself with its "
    "own read-only tools; the answers come back as one report.",
    epilog=examples(
        "hostswarm audit",
        "hostswarm audit --hosts 'web*' --html report.html",
        "hostswarm up --hosts alpha,bravo",
        "hostswarm doctor",
    ),
)


def tell_version(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        from swarm_tasks import __version__

        typer.echo(f"hostswarm {__version__}")
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    config: Config = None,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and leave.", is_eager=True, callback=tell_version
        ),
    ] = False,
) -> None:
    """Remember what holds for every verb."""
    context.obj = config


@app.command(
    epilog=examples(
        "hostswarm audit",
        "hostswarm audit 'why is the mail slow?' --hosts mail1,mail2 --specialists network",
        "hostswarm audit 'what broke here at three?' --img graph.png --budget 0.50",
        "hostswarm audit --hosts @hosts.txt --deadline 1m --html report.html",
        "hostswarm audit --anywhere-from questions.txt --specialists network",
        "hostswarm audit --json | jq .coverage",
        "hostswarm audit --exit-code   (0 ok, 1 warning, 2 critical, 3 incomplete)",
    )
)
def audit(
    context: typer.Context,
    question: Annotated[
        str, typer.Argument(help="What you want to know. Without it: a check of everything.")
    ] = "",
    hosts: Annotated[
        str, typer.Option(help="Names, globs or @file, with commas. Default: the whole fleet.")
    ] = "",
    specialists: Annotated[
        str, typer.Option(help="storage, services, network, … Default: all of them.")
    ] = "",
    anywhere: Annotated[
        bool,
        typer.Option("--anywhere", help="One agent of each specialist, on whichever host is free."),
    ] = False,
    anywhere_from: Annotated[
        Path | None,
        typer.Option(
            help="A file with a question for any host on each line: SPECIALIST: QUESTION, or with "
            "--specialists the question alone."
        ),
    ] = None,
    brain: Annotated[str, typer.Option(help="auto, rules or llm.")] = "auto",
    deadline: Annotated[
        str, typer.Option(help="When to report with what there is: 90s, 5m, 1h.")
    ] = "",
    budget: Annotated[
        str, typer.Option(help="What models may cost in all, in dollars; then the rules go on.")
    ] = "",
    max_tokens: Annotated[
        str, typer.Option(help="Tokens that models may take in all; then the rules go on.")
    ] = "",
    img: Annotated[
        list[str] | None,
        typer.Option(help="An image that belongs to the question: a file or an https: URL."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    html: Annotated[
        Path | None, typer.Option(help="Also write the report to this HTML file.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Print the job's id and leave at once.")
    ] = True,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit as a monitoring plugin: 0, 1, 2 or 3.")
    ] = False,
) -> None:
    """Audit the fleet, or this machine, and print one report."""
    from orchestrator.surfaces.audit import AuditOptions, run_audit

    options = AuditOptions(
        question=question,
        hosts=split_names(hosts),
        specialists=split_names(specialists),
        anywhere=anywhere,
        anywhere_from=anywhere_from,
        brain=brain,
        deadline_seconds=parse_seconds(deadline, "--deadline") if deadline else None,
        budget_usd=parse_dollars(budget, "--budget") if budget else None,
        max_tokens=parse_count(max_tokens, "--max-tokens") if max_tokens else None,
        images=tuple(img or ()),
        as_json=as_json,
        html=html,
        wait=wait,
        exit_code=exit_code,
    )
    with plugin_errors(exit_code):
        raise typer.Exit(run_audit(given(context), options))


roles.register(app)
fleet.register(app)
checking.register(app)
catalog.register(app)


def main() -> None:
    """Run the command line."""
    run(app)
