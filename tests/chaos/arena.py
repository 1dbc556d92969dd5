"""A fleet whose processes are started again when they fall, as a service manager would."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.support.cable import Cable
from tests.support.disks import small_disk
from tests.support.fleets import TestFleet, specialist
from tests.support.model_script import Script, answers, call, calls, role, says
from tests.support.model_server import ModelServer

RESTART_SECONDS = 0.5
"""How long a service manager waits; systemd's `RestartSec=` is 100 ms unless it is set."""

LOOK_SECONDS = 0.1

NAPS: dict[str, tuple[str, float]] = {
    "blink": ("nap", 0.2),
    "doze": ("nap", 0.6),
    "nap": ("nap", 1.2),
    "sleep": ("nap", 2.0),
    "child": ("child_nap", 0.9),
}
"""What parts do: a tool and its seconds."""

THINKERS = tuple(name for name, (tool, _) in NAPS.items() if tool == "nap")
"""Those that have the tool that the model calls."""

SCRIPT = Script(
    roles=(
        role("synthesis", "You sum up", says("All of them have napped.")),
        role("agents", None, calls(call("nap", seconds=0.3)), answers({"answer": "I napped."})),
    )
)
"""What the model says: it has an agent nap once, and is content."""

DISK_MEGABYTES = 256
"""Room for the store's file and for its successor, into which it is written anew now and then."""

FAKETIME = next(
    (
        str(found)
        for root in (Path("/usr/lib"), Path("/usr/lib64"))
        if root.is_dir()
        for found in sorted(root.glob("*/faketime/libfaketime.so.1"))
    ),
    None,
)
"""The library that gives a process a clock of its own; None where it is not installed."""


@dataclass(slots=True)
class Post:
    """One process of the fleet.

    Args:
        start: Starts it anew.
        fell_at: When it was first seen to be gone, on the monotonic clock.
    """

    start: Callable[[], None]
    fell_at: float | None = None


@dataclass(slots=True)
class Arena:
    """The fleet, and all that can be done to it.

    Args:
        fleet: Its processes.
        hosts: Its workers.
        controls: Its controls.
        cables: The line of each worker to the store.
        clocks: The file that says how far the clock of a process is off, for those that have one.
        model: Who thinks for jobs that ask for it.
        disk: The disk of the store, where it has one of its own.
        silent: Workers that were made to fall, to freeze or to lose touch.
    """

    fleet: TestFleet
    hosts: tuple[str, ...]
    controls: tuple[str, ...]
    cables: dict[str, Cable]
    clocks: dict[str, Path]
    model: ModelServer
    disk: Path | None = None
    silent: set[str] = field(default_factory=set[str])
    store_lock: threading.Lock = field(default_factory=threading.Lock)
    model_lock: threading.Lock = field(default_factory=threading.Lock)
    _posts: dict[str, Post] = field(default_factory=dict[str, Post])
    _stop: threading.Event = field(default_factory=threading.Event)

    def start(self, *hosts: str) -> None:
        """Start controls and these workers, and wait until they are there."""
        for name in (*self.controls, *hosts):
            self._post(name)
            self._posts[name].start()
        self.fleet.wait_alive(*hosts)

    def join(self, host: str) -> None:
        """Start one more worker."""
        self._post(host)
        self._posts[host].start()

    def _post(self, name: str) -> None:
        variables: dict[str, str] = {}
        if name in self.clocks and FAKETIME is not None:
            variables = {
                "LD_PRELOAD": FAKETIME,
                "FAKETIME_TIMESTAMP_FILE": str(self.clocks[name]),
                "FAKETIME_NO_CACHE": "1",
                # Durations are measured by a clock that nobody sets.
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
        cable = self.cables.get(name)
        if cable is not None:
            variables["HOSTSWARM_BROKER_URL"] = cable.url
        role = "control" if name in self.controls else "worker"
        self._posts[name] = Post(lambda: self.fleet.launch(name, role, variables))

    def supervise(self) -> None:
        """Start again what has fallen, until the arena is left. Runs in a thread of its own."""
        while not self._stop.wait(LOOK_SECONDS):
            for name, post in list(self._posts.items()):
                if self.fleet.runs(name):
                    post.fell_at = None
                elif post.fell_at is None:
                    post.fell_at = time.monotonic()
                elif time.monotonic() - post.fell_at > RESTART_SECONDS:
                    post.fell_at = None
                    post.start()

    def leave(self) -> None:
        """Supervise no more."""
        self._stop.set()

    def children(self) -> list[psutil.Process]:
        """The programs that tools run now."""
        found: list[psutil.Process] = []
        for host in self.hosts:
            with contextlib.suppress(psutil.Error, ValueError):
                found += self.fleet.process(host).children()
        return found

    def log(self) -> str:
        """What all processes have logged."""
        names = (*self.controls, *self.hosts)
        return "\n".join(f"== {name}\n{self.fleet.log(name)}" for name in names)


@contextmanager
def arena(
    directory: Path,
    workers: int,
    seed: int,
    agents: int = 4,
    *,
    own_disk: bool = False,
    **options: Any,
) -> Generator[Arena]:
    """A fleet of two controls and so many workers, with its service manager and its model.

    Args:
        own_disk: Its store has a disk of its own, where one can be mounted.
    """
    hosts = tuple(f"h{number}" for number in range(1, workers + 1))
    common: dict[str, Any] = {
        "tool_modules": ["tests.support.fake_tools"],
        "specialists": {
            name: specialist(name, tool, seconds=seconds) for name, (tool, seconds) in NAPS.items()
        },
        "agents": agents,
        **options,
    }
    chance = random.Random(seed)
    with ExitStack() as stack:
        model = stack.enter_context(ModelServer(SCRIPT, record=False))
        store = small_disk(directory / "store", DISK_MEGABYTES)
        disk = stack.enter_context(store) if own_disk else None
        fleet = stack.enter_context(TestFleet(directory, router_url=[model.url], **common))
        target = Path(fleet.url.removeprefix("unix://"))
        cables = {
            host: stack.enter_context(Cable(directory / f"{host}.sock", target)) for host in hosts
        }
        controls = ("control1", "control2")
        clocks: dict[str, Path] = {}
        if FAKETIME is not None:
            for name in (controls[0], chance.choice(hosts)):
                clocks[name] = directory / f"{name}.clock"
                clocks[name].write_text("+0", encoding="ascii")
        found = Arena(fleet, hosts, controls, cables, clocks, model, disk)
        found.start(*hosts)
        manager = threading.Thread(target=found.supervise, name="manager", daemon=True)
        manager.start()
        try:
            yield found
        finally:
            found.leave()
            manager.join(10)
