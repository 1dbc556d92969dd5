"""Reach a fleet: the configured one, the one that runs here already, or one just for now."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from orchestrator.service import Fleet
from orchestrator.surfaces.children import child_environment, worker_argv
from swarm_tasks import routing
from swarm_tasks.app import CANNOT_SERVE
from swarm_tasks.config import Settings
from swarm_tasks.embedded import EmbeddedStore, running_store
from swarm_tasks.errors import JobError, StoreBusy
from swarm_tasks.guarded import Guarded
from swarm_tasks.store.client import store_errors

JOIN_SECONDS = 30.0
BUSY_SECONDS = 60.0
"""How long to wait for another command that has the embedded store for itself."""

IDLE_GRACE_SECONDS = 0.3
"""A worker of our own that has nothing left to do is not waited for longer: closing its
connection takes up to a second, and its store goes away with it."""

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
        StoreError: The store cannot be reached or started, or went away.
        JobError: The worker did not come up.
    """
    settings = given.settings
    with ExitStack() as stack:
        private = False
        if settings.broker_url is None:
            url, private = _embedded(stack, settings.state_dir, lasting=with_worker)
            settings = settings.model_copy(update={"broker_url": SecretStr(url)})
        stack.enter_context(store_errors(settings))
        fleet = Fleet(settings)
        stack.callback(fleet.close)
        if private:
            fleet.patience_seconds = 0.0  # nobody starts that store again
        if private and with_worker:
            fleet.presence.silence(settings.host)
            # Hosts of an earlier `up` are known to this store, and gone with it.
            fleet.presence.keep_only({settings.host, *settings.expected_hosts})
            worker = _start_worker(settings, given.config)
            stack.push(_ending(worker))
            _await_worker(fleet, worker, settings)
        yield fleet


def _embedded(stack: ExitStack, state_dir: Path, *, lasting: bool) -> tuple[str, bool]:
    """The URL of this machine's embedded store, and whether it was started just for now.

    Where another command has the store for itself, it is waited for.

    Args:
        lasting: To work in a store that runs already, it must be one that stays.
    """
    began, told = time.monotonic(), False
    while True:
        url = running_store(state_dir, lasting=lasting)
        if url is not None:
            return url, False
        try:
            return stack.enter_context(EmbeddedStore(state_dir, passing=True)).url, True
        except StoreBusy:
            if time.monotonic() - began > BUSY_SECONDS:
                raise
        if not told and time.monotonic() - began > 1.0:
            told = True
            sys.stderr.write("hostswarm: waiting for another hostswarm on this machine\n")


def _ending(worker: Guarded) -> Callable[..., None]:
    """How to end the private worker: at once after work that is done, in peace else.

    After an error or Ctrl-C its agents may still run, and their tools are ended by it alone.
    """

    def end(kind: type[BaseException] | None, *_: object) -> None:
        worker.stop(IDLE_GRACE_SECONDS if kind is None else None)

    return end


def _start_worker(settings: Settings, config: Path | None) -> Guarded:
    """This host's worker and control in one process: half the start-up, half the memory."""
    log = settings.state_dir / "worker.log"
    log.unlink(missing_ok=True)
    return Guarded(
        worker_argv(settings, "WARNING", extra_queues=(routing.CONTROL,)),
        # Its store ends with it: there is nobody left to answer.
        child_environment(settings, config, roles="worker,control", grace_seconds=0.0),
        log=log,
    )


def _await_worker(fleet: Fleet, worker: Guarded, settings: Settings) -> None:
    end = time.monotonic() + JOIN_SECONDS
    while settings.host not in fleet.presence.beats((settings.host,)):
        if worker.ended() is not None or time.monotonic() > end:
            log = settings.state_dir / "worker.log"
            said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            last = said[-1] if said else "it said nothing"
            raise JobError(
                f"this host's worker did not come up: {last.partition(CANNOT_SERVE)[2] or last}",
                f"see {log}",
            )
        time.sleep(POLL_SECONDS)
