"""The verb `up`: a whole fleet on one machine, until Ctrl-C."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

from pydantic import SecretStr
from rich.console import Console

from orchestrator.surfaces.audit import terminate_as_interrupt
from orchestrator.surfaces.children import (
    beat_argv,
    child_environment,
    control_argv,
    flower_argv,
    worker_argv,
)
from orchestrator.surfaces.session import Given
from swarm_tasks.config import Settings
from swarm_tasks.embedded import EmbeddedStore
from swarm_tasks.errors import ArgumentError, StoreError
from swarm_tasks.guarded import Guarded
from swarm_tasks.store.client import connect

WATCH_SECONDS = 0.5


def run_up(given: Given, hosts: tuple[str, ...], *, with_flower: bool) -> int:
    """Start everything, say where it is, and stop it all at Ctrl-C or SIGTERM.

    A child that ends by itself is started again: a worker may end on a lost connection.
    """
    console = Console(highlight=False)
    settings = given.settings
    with terminate_as_interrupt(), ExitStack() as stack:
        if settings.broker_url is None:
            store = stack.enter_context(EmbeddedStore(settings.state_dir))
            settings = settings.model_copy(update={"broker_url": SecretStr(store.url)})
            console.print(f"store    {store.url}", markup=False)
        connect(settings).close()
        plan = _plan(settings, given.config, hosts, with_flower=with_flower)
        logs = settings.state_dir / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        children = {name: _start(stack, name, *spec, logs) for name, spec in plan.items()}
        for name in children:
            console.print(f"{name:<8} log {logs / f'{name}.log'}", markup=False)
        if "flower" in children:
            console.print(f"Flower   http://{settings.flower_address}:{settings.flower_port}")
        console.print("Ready. `hostswarm audit` in another terminal; Ctrl-C ends it all.")
        try:
            _mind(stack, children, plan, logs, console)
        except KeyboardInterrupt:
            console.print("Stopping …")
            for child in children.values():
                child.ask_to_stop()
    return 0


Spec = tuple[list[str], dict[str, str]]


def _plan(
    settings: Settings, config: Path | None, hosts: tuple[str, ...], *, with_flower: bool
) -> dict[str, Spec]:
    """What to start: a name, a command line and an environment each."""
    plan: dict[str, Spec] = {
        "control": (control_argv(settings), child_environment(settings, config, "control"))
    }
    if settings.schedules:
        plan["beat"] = (beat_argv(settings), child_environment(settings, config))
    if with_flower and find_spec("flower") is not None:
        plan["flower"] = (flower_argv(settings), child_environment(settings, config))
    for host in hosts or (settings.host,):
        own = _as_host(settings, host)
        plan[f"worker-{host}"] = (
            worker_argv(own),
            child_environment(own, config, "worker"),
        )
    return plan


def _as_host(settings: Settings, host: str) -> Settings:
    try:
        return settings.model_validate(
            {name: getattr(settings, name) for name in Settings.model_fields} | {"host": host}
        )
    except ValueError:
        raise ArgumentError(
            f"{host!r} is not a host's name", "use letters, digits, dots, dashes, underscores"
        ) from None


def _start(
    stack: ExitStack, name: str, argv: list[str], environment: dict[str, str], logs: Path
) -> Guarded:
    child = Guarded(argv, environment, log=logs / f"{name}.log")
    stack.callback(child.stop)
    return child


def _mind(
    stack: ExitStack,
    children: dict[str, Guarded],
    plan: dict[str, Spec],
    logs: Path,
    console: Console,
) -> None:
    """Wait for ever; start again what ends by itself.

    Raises:
        KeyboardInterrupt: By Ctrl-C or a signal; never ends otherwise.
        StoreError: A child ends again and again.
    """
    ended: dict[str, int] = {}
    pause = threading.Event()
    while not pause.wait(WATCH_SECONDS):
        for name, child in children.items():
            code = child.ended()
            if code is None:
                continue
            ended[name] = ended.get(name, 0) + 1
            if ended[name] > 5:
                raise StoreError(f"{name} ends again and again", f"see {logs / f'{name}.log'}")
            console.print(f"{name} ended with code {code}; starting it again", markup=False)
            children[name] = _start(stack, name, *plan[name], logs)
