"""The command lines of the processes that a fleet is made of, and their environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from swarm_tasks import routing
from swarm_tasks.config import ENV_PREFIX, Settings

QUIET = ("--without-gossip", "--without-mingle")
"""Between a thousand workers gossip and mingle alone fill a network; presence replaces them."""

HOST_PROGRAM = (sys.executable, "-m", "workers")
"""The host's own command line: it alone knows the tools, and this package never imports it."""

CELERY = (sys.executable, "-m", "celery", "-A", "swarm_tasks")


def worker_argv(
    settings: Settings, level: str = "INFO", extra_queues: tuple[str, ...] = ()
) -> list[str]:
    """A host's worker: named after the host, on its own queue and the shared one."""
    queues = (*routing.worker_queues(settings.host), *extra_queues)
    return [
        *(*CELERY, "worker", "--concurrency", str(settings.agents)),
        *("--hostname", routing.worker_node(settings.host), "--queues", ",".join(queues)),
        *("--loglevel", level, *QUIET),
    ]


def control_argv(settings: Settings, level: str = "INFO") -> list[str]:
    """The orchestrator: synthesis, requests of producers, and the keeper."""
    return [
        *(*CELERY, "worker", "--concurrency", "4"),
        *("--hostname", f"control@{settings.host}", "--queues", routing.CONTROL),
        *("--loglevel", level, *QUIET),
    ]


def beat_argv(settings: Settings, level: str = "INFO") -> list[str]:
    """Beat, which sends the audits that the settings schedule."""
    # Its pid file would keep it from starting again after a kill.
    return [*CELERY, "beat", "--loglevel", level, "--pidfile", ""]


def flower_argv(settings: Settings) -> list[str]:
    """Flower, on the address and port of the settings."""
    return [
        *(*CELERY, "flower", f"--address={settings.flower_address}"),
        f"--port={settings.flower_port}",
    ]


def child_environment(
    settings: Settings,
    config: Path | None,
    roles: str = "",
    host: str = "",
    grace_seconds: float | None = None,
) -> dict[str, str]:
    """What a child process needs to come to the same settings.

    Args:
        config: The settings file that this process was given.
        roles: What the child is to be: `worker`, `control`, or both with a comma.
        host: The child's own host name, where it differs.
        grace_seconds: The longest that its agents may go on once it is told to stop. Whoever waits
            for a child to end gives it less than the guard does.
    """
    environment = dict(os.environ)
    environment[f"{ENV_PREFIX}HOST"] = host or settings.host
    environment[f"{ENV_PREFIX}STATE_DIR"] = str(settings.state_dir)
    environment[f"{ENV_PREFIX}ROLES"] = roles
    if grace_seconds is not None:
        environment[f"{ENV_PREFIX}GRACE_SECONDS"] = str(min(settings.grace_seconds, grace_seconds))
    # The embedded store's address is no secret. Any other the child reads where this process
    # did: what came from a file must not end up in an environment that others can read.
    if settings.broker_url is not None:
        url = settings.broker_url.get_secret_value()
        if url.startswith("unix:"):
            environment[f"{ENV_PREFIX}BROKER_URL"] = url
    if config is not None:
        environment[f"{ENV_PREFIX}CONFIG"] = str(config.resolve())
    return _importable(environment)


def _importable(environment: Mapping[str, str]) -> dict[str, str]:
    """The same, without the caller's directory on the child's module path.

    `python -m` puts the working directory first, where a file named celery.py or workers/ would
    be taken for ours.
    """
    return {**environment, "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}
