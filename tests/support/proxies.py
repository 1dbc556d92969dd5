"""A real LiteLLM Proxy for tests, started as a person starts it: `hostswarm router`."""

from __future__ import annotations

import os
import random
import socket
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import psutil

from swarm_tasks.guarded import Guarded
from tests.support.model_server import LOOPBACK, PORTS
from tests.support.waiting import wait_until

PROGRAM = "HOSTSWARM_TEST_ROUTER"
"""The variable that names a `hostswarm` beside which LiteLLM Proxy is installed."""

START_SECONDS = 90.0
"""It starts in seven; a machine that is busy and has nothing compiled yet takes longer."""


class RouterProxy:
    """The proxy's process; use it as a context manager.

    Args:
        directory: Where its log goes, and where it works.
        variables: Its environment, beside the system's.
    """

    def __init__(self, directory: Path, **variables: str) -> None:
        self._log = directory / "router.log"
        self._directory = directory
        self._port = free_port()
        self._variables = variables

    def __enter__(self) -> RouterProxy:
        clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        environment = {**clean, "HOSTSWARM_STATE_DIR": str(self._directory), **self._variables}
        argv = (os.environ[PROGRAM], "router", "--port", str(self._port))
        self._process = Guarded(argv, environment, self._log)
        wait_until("the router is up", self._ready, START_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stop()

    @property
    def url(self) -> str:
        """What hosts are given as `router_url`."""
        return f"http://{LOOPBACK}:{self._port}"

    @property
    def log(self) -> str:
        """What it has written."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def processes(self) -> list[psutil.Process]:
        """The proxy and whatever it has started; not the shell that guards it."""
        guard = psutil.Process(self._process.pid)
        return [one for one in guard.children(recursive=True) if one.name() not in ("sh", "sleep")]

    def stop(self) -> int:
        """End it as a service manager would; its exit code."""
        return self._process.stop(30.0)

    def _ready(self) -> bool:
        if self._process.ended() is not None:
            raise RuntimeError(f"the router did not start:\n{self.log[-3000:]}")
        connection = HTTPConnection(LOOPBACK, self._port, timeout=5.0)
        with closing(connection):
            try:
                connection.request("GET", "/health/liveliness")
                with connection.getresponse() as reply:
                    return reply.status == 200
            except (OSError, HTTPException):
                return False


def free_port() -> int:
    """A port on which nobody listens, below those that systems give to clients."""
    for port in random.sample(PORTS, 50):
        with socket.socket() as tried:
            if tried.connect_ex((LOOPBACK, port)) != 0:
                return port
    raise OSError("no port is free")
