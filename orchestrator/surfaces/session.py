"""Reach a fleet: the configured one, the one that runs here already, or one just for now."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from orchestrator.service import Fleet
from orchestrator.surfaces.children import child_environment, worker_argv
from swarm_tasks import routing
from swarm_tasks.config import Settings
from swarm_tasks.embedded import EmbeddedStore, running_store
from swarm_tasks.errors import JobError
from swarm_tasks.guarded import Guarded

JOIN_SECONDS = 30.0
PRIVATE_GRACE_SECONDS = 0.3
"""Enough for a worker of our own to end its agents and their tools. It is not waited for longer:
closing its connection takes up to a second, and its store goes away with it."""
POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line gave: the settings, and the file they came from."""

    settings: Settings
    config: Path | None


@contextmanager
def open_fleet(given: Given, *, with_worker: bool = False) -> Generator[Fleet]:
    """The fleet to talk to.

    A store in the settings is used as it is. Else the embedded store that runs on this machine,
    if one does. Else one is started for as long as this lasts, and with it, where
    `with_worker` says so, this host's worker and control.

    Raises:
        StoreError: The store cannot be reached or started.
        JobError: The worker did not come up.
    """
    settings = given.settings
    with ExitStack() as stack:
        private = False
        if settings.broker_url is None:
            url = running_store(settings.state_dir)
            if url is None:
                url = stack.enter_context(EmbeddedStore(settings.state_dir)).url
                private = True
            settings = settings.model_copy(update={"broker_url": SecretStr(url)})
        fleet = Fleet(settings)
        stack.callback(fleet.close)
        if private and with_worker:
            fleet.presence.silence(settings.host)
            worker = _start_worker(settings, given.config)
            stack.callback(worker.stop)
            _await_worker(fleet, worker, settings)
        yield fleet


def _start_worker(settings: Settings, config: Path | None) -> Guarded:
    """This host's worker and control in one process: half the start-up, half the memory."""
    log = settings.state_dir / "worker.log"
    log.unlink(missing_ok=True)
    return Guarded(
        worker_argv(settings, "WARNING", extra_queues=(routing.CONTROL,)),
        child_environment(settings, config, roles="worker,control"),
        log=log,
        grace_seconds=PRIVATE_GRACE_SECONDS,
    )


def _await_worker(fleet: Fleet, worker: Guarded, settings: Settings) -> None:
    end = time.monotonic() + JOIN_SECONDS
    while settings.host not in fleet.presence.beats((settings.host,)):
        if worker.ended() is not None or time.monotonic() > end:
            log = settings.state_dir / "worker.log"
            said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise JobError(
                f"this host's worker did not come up: {said[-1] if said else 'it said nothing'}",
                f"see {log}",
            )
        time.sleep(POLL_SECONDS)
