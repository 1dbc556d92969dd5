"""A real fleet for tests: an embedded store, real control and worker processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from pydantic import SecretStr

from orchestrator.service import Fleet
from orchestrator.surfaces.children import child_environment, control_argv, worker_argv
from swarm_tasks.app import make_app
from swarm_tasks.config import Settings
from swarm_tasks.embedded import EmbeddedStore
from swarm_tasks.guarded import Guarded
from tests.support.waiting import wait_until

REPOSITORY = Path(__file__).parent.parent.parent

NAPPER: dict[str, Any] = {
    "name": "napper",
    "title": "Napper",
    "prompt": "Nap.",
    "tools": ["nap"],
    "sweep": [{"tool": "nap", "arguments": {"seconds": 0.1}}],
}


def specialist(name: str, tool: str, **arguments: object) -> dict[str, Any]:
    """A specialist that calls one fake tool."""
    return {
        **NAPPER,
        "name": name,
        "tools": [tool],
        "sweep": [{"tool": tool, "arguments": arguments}],
    }


class TestFleet:
    """Processes and what talks to them; use it as a context manager.

    Args:
        directory: Where its state and logs go.
        broker_url: A broker that runs already; None starts an embedded store.
        options: Settings of all its processes, as `Settings` takes them.
    """

    __test__ = False  # the name is for people; it holds no tests

    def __init__(self, directory: Path, broker_url: str | None = None, **options: Any) -> None:
        self.directory = directory
        self._broker_url = broker_url
        self._store = EmbeddedStore(directory)
        self._options: dict[str, Any] = {
            "heartbeat_seconds": 0.5,
            "grace_seconds": 0.0,
            # However busy the machine is that the tests run on.
            "busy_load_per_cpu": 1000.0,
            "busy_memory_percent": 100.0,
            "state_dir": directory,
            **options,
        }
        self._children: dict[str, Guarded] = {}
        self.fleet: Fleet

    def __enter__(self) -> TestFleet:
        if self._broker_url is None:
            self._store.start()
        self.fleet = Fleet(self.settings())
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children.values():
            child.ask_to_stop()
        for child in self._children.values():
            child.stop()
        self.fleet.close()
        self._store.stop()

    @property
    def url(self) -> str:
        """The store's URL."""
        return self._broker_url or self._store.url

    def settings(self, **more: Any) -> Settings:
        """Settings of this fleet, with some changed."""
        return Settings(broker_url=SecretStr(self.url), **{**self._options, **more})

    def asking(self, **more: Any) -> Fleet:
        """A producer with settings of its own."""
        return Fleet(self.settings(**more))

    @contextmanager
    def celery(self) -> Generator[Any]:
        """A plain Celery app on this fleet's store, as a producer in another program has."""
        app: Any = make_app(self.settings())
        try:
            yield app
        finally:
            consumer = app.backend.result_consumer
            consumer.stop()
            # A result that is dropped later must not open the closed connection anew.
            consumer._pubsub = None
            app.backend.client.connection_pool.disconnect()
            app.close()

    def start_control(self, name: str = "control") -> None:
        """Start a control and wait for its sign of life."""
        settings = self.settings()
        before = len(self.fleet.presence.controls())
        self._start(name, control_argv(settings, "INFO"), "control", settings)
        wait_until("control is up", lambda: len(self.fleet.presence.controls()) > before)

    def start_workers(
        self, *hosts: str, roles: str = "worker", words: Sequence[str] = (), **more: Any
    ) -> None:
        """Start workers at the same time and wait until each has joined.

        Args:
            roles: What each plays, with commas.
            words: More of their command line.
        """
        for host in hosts:
            settings = self.settings(host=host, **more)
            argv = [*worker_argv(settings, "INFO"), *words]
            self._start(host, argv, roles, settings)
        self.wait_alive(*hosts)

    def launch(self, name: str, role: str, variables: Mapping[str, str]) -> None:
        """Start one process and do not wait for it.

        Args:
            role: `worker` or `control`.
            variables: More of its environment.
        """
        settings = self.settings(host=name)
        argv = (control_argv if role == "control" else worker_argv)(settings, "INFO")
        self._start(name, argv, role, settings, variables)

    def runs(self, name: str) -> bool:
        """Whether a process that was started has not ended."""
        return self._children[name].ended() is None

    def wait_alive(self, *hosts: str) -> None:
        """Wait until these hosts give signs of life."""
        wait_until(
            f"{', '.join(hosts)} joined",
            lambda: len(self.fleet.presence.beats(hosts)) == len(hosts),
        )

    def restart_store(self, meanwhile: Callable[[], object]) -> None:
        """Stop the store, and start it again after `meanwhile`; all else goes on."""
        url = self._store.url
        self._store.stop()
        meanwhile()
        self._store.start()
        assert self._store.url == url, "the directory's path is too long for a lasting address"

    def kill_store(self, keep_bytes: int | None = None) -> None:
        """SIGKILL the store; all else goes on.

        Args:
            keep_bytes: So much of its file is left, as by a power cut that takes the last second
                along; None leaves all of it.
        """
        guard = next(
            child
            for child in psutil.Process().children()
            if str(self._store.log.parent) in " ".join(child.cmdline())
        )
        (server,) = (one for one in guard.children() if one.name() == "valkey-server")
        server.send_signal(signal.SIGKILL)
        wait_until("the store's end is noticed", lambda: self._store.ended)
        if keep_bytes is not None:
            os.truncate(self._written(), keep_bytes)

    def written_bytes(self) -> int:
        """How much the store has written down until now."""
        return self._written().stat().st_size

    def _written(self) -> Path:
        (path,) = (self.directory / "store" / "appendonlydir").glob("*.incr.aof")
        return path

    def revive_store(self) -> None:
        """Start the store that was killed again, with what it had written down."""
        self._store.restart()

    def kill(self, name: str) -> None:
        """SIGKILL a worker or a control, as a power cut would."""
        for process in self._celery_of(name):
            process.send_signal(signal.SIGKILL)
            process.wait(10)

    def freeze(self, name: str) -> None:
        """SIGSTOP a worker."""
        for process in self._celery_of(name):
            process.send_signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """SIGCONT a worker."""
        for process in self._celery_of(name):
            process.send_signal(signal.SIGCONT)

    def terminate(self, name: str) -> None:
        """End a worker as its service manager would, and wait for it."""
        self._children.pop(name).stop()

    def exit_code(self, name: str) -> int | None:
        """What a worker or a control ended with, or None while it runs."""
        return self._children[name].ended()

    def log(self, name: str) -> str:
        """What a process has logged."""
        return (self.directory / f"{name}.log").read_text(encoding="utf-8")

    def process(self, name: str) -> psutil.Process:
        """The Celery process of a worker or a control."""
        return self._celery_of(name)[0]

    def _start(
        self,
        name: str,
        argv: list[str],
        role: str,
        settings: Settings,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        environment = child_environment(settings, None, role)
        environment |= {"PYTHONPATH": str(REPOSITORY)} | as_variables(self._options)
        environment["HOSTSWARM_AGENTS"] = str(settings.agents)
        environment["HOSTSWARM_BROKER_URL"] = self.url
        environment |= variables or {}
        if name in self._children:
            self._children.pop(name).stop()
        self._children[name] = Guarded(argv, environment, self.directory / f"{name}.log")

    def _celery_of(self, name: str) -> list[psutil.Process]:
        guard = psutil.Process(self._children[name].pid)
        return [child for child in guard.children(recursive=True) if _is_celery(child)]


def _is_celery(process: psutil.Process) -> bool:
    """Whether this is Celery itself and not the shell that guards it."""
    try:
        words = process.cmdline()
    except psutil.NoSuchProcess:
        return False
    return "celery" in words[1:3]


def as_variables(options: Mapping[str, Any]) -> dict[str, str]:
    """Settings as environment variables."""
    return {
        f"HOSTSWARM_{name.upper()}": value
        if isinstance(value, str)
        else json.dumps(value, default=str)
        if not isinstance(value, Path)
        else str(value)
        for name, value in options.items()
    }


def run_cli(
    *words: str,
    environment: Mapping[str, str] | None = None,
    timeout_seconds: float = 60.0,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the command as a person would, with no terminal and no settings but these."""
    import sys

    clean = {key: value for key, value in os.environ.items() if not key.startswith("HOSTSWARM_")}
    return subprocess.run(
        [str(Path(sys.executable).parent / "hostswarm"), *words],
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=False,
        cwd=cwd,
        env={**clean, "PYTHONPATH": str(REPOSITORY), **(environment or {})},
    )
