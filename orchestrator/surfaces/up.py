"""The verb `up`: a whole fleet on one machine, until Ctrl-C."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
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
from swarm_tasks.models.job import ANY_HOST
from swarm_tasks.store.client import connect
from swarm_tasks.store.presence import Presence

WATCH_SECONDS = 0.5
SETTLED_SECONDS = 10.0
"""A process that has lived this long was set up rightly."""

FALLS = 3
"""How often a process may end sooner than that, at first, before it is given up."""

GRACE_SECONDS = 1.0
"""How long agents may go on after Ctrl-C: a sweep that is nearly done, and no more. What is not
done is put back, and done when this fleet is started again."""

PAUSE_SECONDS = 30.0
"""The longest pause before a process is started again."""

FREE_TO_FALL = {
    "flower": "name a port that is free in HOSTSWARM_FLOWER_PORT, or leave it out with --no-flower"
}
"""Processes that a fleet works without, and what mends each: given up alone."""


def run_up(given: Given, hosts: tuple[str, ...], *, with_flower: bool) -> int:
    """Start everything, say where it is, and stop it all at Ctrl-C or SIGTERM.

    What ends by itself is started again, the store with all that it had written down.
    """
    console = Console(highlight=False)
    settings = given.settings
    with terminate_as_interrupt(), ExitStack() as stack:
        store: EmbeddedStore | None = None
        if settings.broker_url is None:
            store = stack.enter_context(
                EmbeddedStore(settings.state_dir, fsync=settings.store_fsync)
            )
            settings = settings.model_copy(update={"broker_url": SecretStr(store.url)})
            console.print(f"store    {store.url}", markup=False)
        client = connect(settings)
        if store is not None:
            # In a store of its own a fleet is what is started here: nobody else can join.
            presence = Presence(client, settings.presence_ttl_seconds, settings.forget_seconds)
            presence.keep_only({*(hosts or (settings.host,)), *settings.expected_hosts})
        client.close()
        plan = _plan(settings, given.config, hosts, with_flower=with_flower)
        crew = Crew(plan, usable(settings.state_dir / "logs"), console)
        stack.callback(crew.stop)
        try:
            crew.start()
            if "flower" in plan:
                console.print(f"Flower   http://{settings.flower_address}:{settings.flower_port}")
            console.print("Ready. `hostswarm audit` in another terminal; Ctrl-C ends it all.")
            _mind(crew, StorePost(store, console) if store is not None else None)
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
            child_environment(own, config, "worker", grace_seconds=GRACE_SECONDS),
        )
    return plan


def _as_host(settings: Settings, host: str) -> Settings:
    try:
        return settings.model_validate(
            {name: getattr(settings, name) for name in Settings.model_fields} | {"host": host}
        )
    except ValueError:
        raise ArgumentError(
            f"{host!r} is not a host's name",
            f"use letters, digits, dots, dashes, underscores, and not {ANY_HOST}",
        ) from None


@dataclass(slots=True)
class Standing:
    """How it went with a process until now.

    Args:
        started: The newest start, on the monotonic clock.
        falls: How often in a row it ended soon after its start.
        settled: Whether it has ever lived long enough to be set up rightly.
        again_at: When to start it again; None while it runs.
    """

    started: float
    falls: int = 0
    settled: bool = False
    again_at: float | None = None

    def stood(self, now: float) -> None:
        """It runs."""
        self.settled = self.settled or now - self.started > SETTLED_SECONDS

    def fell(self, now: float) -> bool:
        """It ended. Whether starting it again may help: then `again_at` says when."""
        self.falls = 1 if now - self.started > SETTLED_SECONDS else self.falls + 1
        self.again_at = now + min(2.0 ** (self.falls - 1) - 1, PAUSE_SECONDS)
        return self.settled or self.falls < FALLS

    def rose(self, now: float) -> None:
        """It was started again."""
        self.started, self.again_at = now, None


@dataclass(slots=True)
class Post:
    """One process.

    Args:
        child: It, or what is left of it.
        standing: How it goes with it.
    """

    child: Guarded
    standing: Standing


class StorePost:
    """The embedded store, started again when it ends by itself.

    Its data is in its append-only file and its address stays, so the others need not be told: they
    wait for it.

    Args:
        store: It, running.
        console: What is told about it goes there.
    """

    def __init__(self, store: EmbeddedStore, console: Console) -> None:
        self._store = store
        self._console = console
        self._standing = Standing(time.monotonic())

    def look_after(self) -> bool:
        """Start it again if it has ended and its pause is over; whether it runs.

        Raises:
            StoreError: It ends again and again, and never did anything else.
        """
        now, standing = time.monotonic(), self._standing
        if not self._store.ended:
            standing.stood(now)
            return True
        if standing.again_at is None:
            self._fall("store ended by itself; it is started again")
        elif now >= standing.again_at:
            try:
                self._store.restart()
            except StoreError as error:
                self._fall(f"store: {error.message}; it is tried again")
            else:
                standing.rose(now)
                self._console.print("store runs again")
                return True
        return False

    def _fall(self, told: str) -> None:
        if not self._standing.fell(time.monotonic()):
            raise StoreError("the embedded store ends again and again", f"see {self._store.log}")
        self._console.print(told, markup=False)


class Crew:
    """The fleet's processes. One that ends by itself is started again.

    One that never got to its feet is not set up rightly, and nothing but a person mends that.
    One that did is started again for ever, after a pause that grows: its store may be away.

    Args:
        plan: A name, a command line and an environment each.
        logs: Where each process's log goes.
        console: What is told about them goes there.
    """

    def __init__(self, plan: dict[str, Spec], logs: Path, console: Console) -> None:
        self._plan = plan
        self._logs = logs
        self._console = console
        self._posts: dict[str, Post] = {}

    def start(self) -> None:
        """Start them all."""
        for name in self._plan:
            self._posts[name] = Post(self._launch(name), Standing(time.monotonic()))
            self._console.print(f"{name:<8} log {self._log(name)}", markup=False)

    def look_after(self) -> None:
        """Start again what has ended since the last look, when its pause is over.

        Raises:
            StoreError: One that the fleet needs ends again and again, and never did anything else.
        """
        now = time.monotonic()
        for name, post in tuple(self._posts.items()):
            code, standing = post.child.ended(), post.standing
            if code is None:
                standing.stood(now)
            elif standing.again_at is None:
                if not standing.fell(now):
                    self._give_up(name)
                    continue
                self._console.print(
                    f"{name} ended with code {code}; it is started again", markup=False
                )
            if standing.again_at is not None and now >= standing.again_at:
                post.child.stop()  # it has ended; its guard's pipe has not
                post.child = self._launch(name)
                standing.rose(now)

    def stop(self) -> None:
        """End them all at the same time, and wait for each."""
        for post in self._posts.values():
            post.child.ask_to_stop()
        for post in self._posts.values():
            post.child.stop()

    def _give_up(self, name: str) -> None:
        """Go on without a process.

        Raises:
            StoreError: The fleet is nothing without it.
        """
        told, log = f"{name} ends again and again", self._log(name)
        if name not in FREE_TO_FALL:
            raise StoreError(told, f"see {log}")
        self._posts.pop(name).child.stop()
        self._console.print(
            f"warning: {told}; the fleet goes on without it: see {log}; {FREE_TO_FALL[name]}",
            markup=False,
        )

    def _launch(self, name: str) -> Guarded:
        argv, environment = self._plan[name]
        return Guarded(argv, environment, log=self._log(name))

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"


def _mind(crew: Crew, store: StorePost | None) -> None:
    """Look after all of them for ever.

    Raises:
        KeyboardInterrupt: By Ctrl-C or a signal; never ends otherwise.
        StoreError: The store, or one of the crew, ends and will not stay.
    """
    pause = threading.Event()
    while not pause.wait(WATCH_SECONDS):
        # Who ends while the store is away would only end again.
        if store is None or store.look_after():
            crew.look_after()
