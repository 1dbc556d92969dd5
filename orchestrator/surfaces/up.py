"""The verb `up`: a whole fleet on one machine, until Ctrl-C."""

from __future__ import annotations

import threading
import time
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
from swarm_tasks.embedded import EmbeddedStore, usable
from swarm_tasks.errors import ArgumentError, StoreError
from swarm_tasks.guarded import Guarded
from swarm_tasks.store.client import connect

WATCH_SECONDS = 0.5
RESTARTS = 5
RESTART_SECONDS = 60.0
"""A process that ends more than this often in this time is not started again."""


def run_up(given: Given, hosts: tuple[str, ...], *, with_flower: bool) -> int:
    """Start everything, say where it is, and stop it all at Ctrl-C or SIGTERM.

    A child that ends by itself is started again: a worker may end on a lost connection.
    """
    console = Console(highlight=False)
    settings = given.settings
    with terminate_as_interrupt(), ExitStack() as stack:
        store: EmbeddedStore | None = None
        if settings.broker_url is None:
            store = stack.enter_context(EmbeddedStore(settings.state_dir))
            settings = settings.model_copy(update={"broker_url": SecretStr(store.url)})
            console.print(f"store    {store.url}", markup=False)
        connect(settings).close()
        plan = _plan(settings, given.config, hosts, with_flower=with_flower)
        crew = Crew(plan, usable(settings.state_dir / "logs"), console)
        stack.callback(crew.stop)
        try:
            crew.start()
            if "flower" in plan:
                console.print(f"Flower   http://{settings.flower_address}:{settings.flower_port}")
            console.print("Ready. `hostswarm audit` in another terminal; Ctrl-C ends it all.")
            _mind(crew, store)
        except KeyboardInterrupt:
            console.print("Stopping …")
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


class Crew:
    """The fleet's processes. One that ends by itself is started again, within reason.

    Args:
        plan: A name, a command line and an environment each.
        logs: Where each process's log goes.
        console: What is told about them goes there.
    """

    def __init__(self, plan: dict[str, Spec], logs: Path, console: Console) -> None:
        self._plan = plan
        self._logs = logs
        self._console = console
        self._children: dict[str, Guarded] = {}
        self._ended: dict[str, list[float]] = {name: [] for name in plan}

    def start(self) -> None:
        """Start them all."""
        for name in self._plan:
            self._launch(name)
            self._console.print(f"{name:<8} log {self._log(name)}", markup=False)

    def look_after(self) -> None:
        """Start again what has ended since the last look.

        Raises:
            StoreError: One of them ends again and again.
        """
        for name, child in self._children.items():
            code = child.ended()
            if code is None:
                continue
            now = time.monotonic()
            recent = [*(at for at in self._ended[name] if now - at < RESTART_SECONDS), now]
            self._ended[name] = recent
            if len(recent) > RESTARTS:
                raise StoreError(f"{name} ends again and again", f"see {self._log(name)}")
            self._console.print(f"{name} ended with code {code}; starting it again", markup=False)
            self._launch(name)

    def stop(self) -> None:
        """End them all at the same time, and wait for each."""
        for child in self._children.values():
            child.ask_to_stop()
        for child in self._children.values():
            child.stop()

    def _launch(self, name: str) -> None:
        argv, environment = self._plan[name]
        self._children[name] = Guarded(argv, environment, log=self._log(name))

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"


def _mind(crew: Crew, store: EmbeddedStore | None) -> None:
    """Look after the crew for ever.

    Raises:
        KeyboardInterrupt: By Ctrl-C or a signal; never ends otherwise.
        StoreError: The store, or one of the crew, ends and will not stay.
    """
    pause = threading.Event()
    while not pause.wait(WATCH_SECONDS):
        if store is not None and store.ended:
            raise StoreError("the embedded store ended by itself", "start `hostswarm up` again")
        crew.look_after()
