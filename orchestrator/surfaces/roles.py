"""The verbs that run a part of the fleet: up, worker, control, beat, flower, router, health."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.surfaces.options import examples, given, split_names

if TYPE_CHECKING:
    from orchestrator.surfaces.session import Given

Host = Annotated[str | None, typer.Option(help="This host's name; default: the system's.")]
Level = Annotated[str, typer.Option("--loglevel", "-l", help="DEBUG, INFO, WARNING or ERROR.")]


def up(
    context: typer.Context,
    hosts: Annotated[
        str, typer.Option(help="Start several workers of these names on this machine.")
    ] = "",
    flower: Annotated[bool, typer.Option(help="Start Flower as well, if installed.")] = True,
) -> None:
    """The whole fleet on this machine until Ctrl-C: store, control, beat, worker, Flower."""
    from orchestrator.surfaces.up import run_up

    raise typer.Exit(run_up(given(context), split_names(hosts), with_flower=flower))


def worker(
    context: typer.Context,
    host: Host = None,
    agents: Annotated[
        int | None, typer.Option(min=1, max=1000, help="How many agents may run at once.")
    ] = None,
    level: Level = "INFO",
) -> None:
    """This host's worker: joins the fleet and does its part of every audit."""
    from orchestrator.surfaces.children import worker_argv

    known = given(context, host=host, agents=agents)
    become(known, worker_argv(known.settings, level), "worker")


def control(context: typer.Context, level: Level = "INFO") -> None:
    """The orchestrator: takes requests, answers for dark hosts, makes the reports."""
    from orchestrator.surfaces.children import control_argv

    known = given(context)
    become(known, control_argv(known.settings, level), "control")


def beat(context: typer.Context, level: Level = "INFO") -> None:
    """Celery beat: sends the audits that the settings schedule."""
    from orchestrator.surfaces.children import beat_argv
    from swarm_tasks.embedded import usable

    known = given(context)
    usable(known.settings.state_dir)
    become(known, beat_argv(known.settings, level), "")


def flower(context: typer.Context) -> None:
    """Flower: the queues and tasks in a browser, on this machine's own address."""
    from importlib.util import find_spec

    from orchestrator.surfaces.children import flower_argv
    from swarm_tasks.errors import UsageError

    if find_spec("flower") is None:
        raise UsageError("Flower is not installed", "pip install 'hostswarm[flower]'")
    known = given(context)
    become(known, flower_argv(known.settings), "")


def router(
    context: typer.Context,
    config_file: Annotated[
        Path | None,
        typer.Option(help="A configuration of LiteLLM Proxy; default: the one that comes along."),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="The port to listen on.")] = 4000,
) -> None:
    """The shared brain's router: LiteLLM Proxy, with the models that ROUTER_* variables name."""
    from orchestrator.surfaces.router_verb import run_router
    from swarm_tasks.config import load_settings

    run_router(load_settings(context.obj), config_file, host, port)


def health(
    context: typer.Context,
    role: Annotated[str, typer.Argument(help="worker or control.")],
) -> None:
    """Exit 0 if this host's worker, or any control, gives signs of life; for health checks."""
    from swarm_tasks.errors import ArgumentError, JobError
    from swarm_tasks.store.client import connect
    from swarm_tasks.store.presence import Presence

    settings = given(context).settings
    if role not in ("worker", "control"):
        raise ArgumentError(f"there is no role {role!r}", "write worker or control")
    presence = Presence(connect(settings), settings.presence_ttl_seconds, settings.forget_seconds)
    alive = presence.beats((settings.host,)) if role == "worker" else presence.controls()
    if not alive:
        raise JobError(f"no sign of life of {role} {settings.host}")


def become(known: Given, argv: list[str], role: str) -> None:
    """Replace this process by a Celery one: no parent stays behind to cost memory.

    Raises:
        SettingsError: The store's URL is missing, wrong or unsafe.
        StoreError: The store cannot be reached now.
    """
    from pydantic import SecretStr

    from orchestrator.surfaces.children import child_environment
    from swarm_tasks.embedded import running_store
    from swarm_tasks.servers import check_broker
    from swarm_tasks.store.client import connect

    settings = known.settings
    if settings.broker_url is None:
        url = running_store(settings.state_dir, lasting=True)
        if url is not None:
            settings = settings.model_copy(update={"broker_url": SecretStr(url)})
    # Celery would try for ever; a person who has just typed this wants to know now.
    connect(settings).close()
    check_broker(settings)
    environment = child_environment(settings, known.config, roles=role)
    environment["HOSTSWARM_AGENTS"] = str(settings.agents)
    sys.stdout.flush()
    os.execve(argv[0], argv, environment)  # noqa: S606 - argv is ours, and no shell is wanted


EXAMPLES = {
    up: ("hostswarm up", "hostswarm up --hosts alpha,bravo,charlie"),
    worker: ("HOSTSWARM_BROKER_URL=rediss://:PASSWORD@control:6379/0 hostswarm worker",),
    control: ("hostswarm control",),
    beat: ("hostswarm beat",),
    flower: ("hostswarm flower",),
    router: (
        "ROUTER_WORKER_MODEL=openai/gpt-4o-mini OPENAI_API_KEY=KEY hostswarm router",
        "hostswarm router --config-file router.yaml --host 0.0.0.0",
    ),
}


def register(app: typer.Typer) -> None:
    """Add these verbs to the command."""
    for verb, lines in EXAMPLES.items():
        app.command(epilog=examples(*lines))(verb)
    app.command(hidden=True)(health)
