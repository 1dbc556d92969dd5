"""The Celery app: one function makes it, from settings that the caller built.

What a process does is its roles. A role is named here by its module only, as an app names its
includes: this package never imports those that stand on it.
"""

from __future__ import annotations

import importlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from celery import Celery
from celery.signals import (
    worker_init,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)
from kombu import Exchange, Queue

from swarm_tasks import contracts, routing
from swarm_tasks.config import Settings, load_settings
from swarm_tasks.errors import HostswarmError, SettingsError
from swarm_tasks.log import logger
from swarm_tasks.models.job import LANES
from swarm_tasks.schedule import beat_schedule
from swarm_tasks.servers import server_options
from swarm_tasks.store import keys
from swarm_tasks.store.client import let_go
from swarm_tasks.store.presence import control_owner
from swarm_tasks.transport import MESSAGING

APP_NAME = "swarm_tasks"
VISIBILITY_TIMEOUT_SECONDS = 2 * 86_400
"""Longer than the longest deadline: a message that is being worked on never comes back by time.
Work that was lost is noticed by the ledger instead."""


CANNOT_SERVE = "this process cannot serve: "
"""What the log of a process that ends at its start says before the reason."""


class Service(Protocol):
    """What a role runs beside the tasks, for the life of the worker process."""

    def ready(self) -> None:
        """The worker consumes now."""
        ...

    def stopping(self) -> None:
        """The worker was told to stop; running bodies are waited for after this."""
        ...

    def stopped(self) -> None:
        """Nothing runs any more."""
        ...


@dataclass(frozen=True, slots=True)
class Role:
    """A part that a process can play.

    Args:
        tasks: The module that registers its tasks.
        service: The module whose `make_service(app, settings)` gives its service.
        pool: What runs the tasks, as Celery names a pool.
    """

    tasks: str
    service: str
    pool: str = "threads"


ROLES = {
    "worker": Role("workers.tasks", "workers.service", pool="workers.pool:AgentPool"),
    "control": Role("orchestrator.tasks", "orchestrator.keeper"),
}


def make_app(settings: Settings, roles: Sequence[str] = (), *, listens: bool = True) -> Celery:
    """The app for these settings.

    Args:
        listens: Whether results are waited for through Celery. A producer may want to;
            hostswarm's own processes never do.
        roles: `worker`, `control`, both, or none for a process that only sends.

    Raises:
        SettingsError: The broker's URL is missing, wrong or unsafe, or a role is unknown.
    """
    unknown = sorted(set(roles) - set(ROLES))
    if unknown:
        raise SettingsError(f"there is no role {unknown[0]!r}", f"roles are: {', '.join(ROLES)}")
    instance = secrets.token_hex(6)
    app = Celery(APP_NAME, set_as_current=True, amqp=MESSAGING)
    app.conf.update(
        {
            **_WIRE,
            **server_options(settings, _transport(settings, roles, instance), listens=listens),
            "result_expires": settings.result_ttl_seconds,
            "worker_concurrency": settings.agents,
            # That of a host runs control's tasks as well.
            "worker_pool": ROLES["worker" if "worker" in roles else "control"].pool,
            "include": [ROLES[role].tasks for role in roles],
            "beat_schedule_filename": str(settings.state_dir / "beat-schedule"),
        }
    )
    if roles:
        # What a worker consumes unless -Q says otherwise: all that it gives signs of life for.
        names = [*(routing.worker_queues(settings.host) if "worker" in roles else ())]
        names += [routing.CONTROL] if "control" in roles else []
        app.conf.task_queues = [Queue(name, Exchange(name), routing_key=name) for name in names]
    if settings.schedules:
        app.conf.beat_schedule = beat_schedule(settings.schedules)
    cast(Any, app).hostswarm_settings = settings
    cast(Any, app).hostswarm_instance = instance
    if roles:
        _serve(app, settings, roles)
    return app


_WIRE: dict[str, object] = {
    "task_serializer": "json",
    "result_serializer": "json",
    "accept_content": ["json"],
    "enable_utc": True,
    "timezone": "UTC",
    "task_default_queue": routing.SHARED,
    "task_routes": {
        contracts.AUDIT: {"queue": routing.CONTROL},
        contracts.SYNTHESIZE: {"queue": routing.CONTROL},
    },
    "task_acks_late": True,
    # Lower goes first, as kombu has it for Redis. What says nothing goes with a job's first parts.
    "task_default_priority": 0,
    # Celery's own task events cost a sixth of a part. Flower turns them on while it runs.
    "task_send_sent_event": False,
    "worker_send_task_events": False,
    "worker_prefetch_multiplier": 1,
    "worker_hijack_root_logger": True,
    "worker_redirect_stdouts": False,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "broker_connection_retry_on_startup": True,
    # A store that cannot write for a while, as with a full disk, is one that is away.
    "broker_channel_error_retry": True,
    # One backend for all threads of a worker: otherwise each opens connections of its own.
    "result_backend_thread_safe": True,
    "redis_socket_timeout": 30.0,
    "redis_socket_connect_timeout": 3.0,
    "redis_retry_on_timeout": True,
}


def _transport(settings: Settings, roles: Sequence[str], instance: str) -> dict[str, object]:
    """Each process's unacknowledged messages apart, so that a dead one's can be told. A host has
    one worker at a time; of controls there may be several, each with a life of its own."""
    owner = "sender"
    if roles:
        owner = settings.host if "worker" in roles else control_owner(instance)
    return {
        "visibility_timeout": VISIBILITY_TIMEOUT_SECONDS,
        "priority_steps": list(range(LANES)),
        "unacked_key": keys.UNACKED.at(owner=owner),
        "unacked_index_key": keys.UNACKED_INDEX.at(owner=owner),
        "unacked_mutex_key": keys.UNACKED_MUTEX.at(owner=owner),
        "unacked_mutex_expire": keys.SWEEP_TTL_SECONDS,
        "socket_timeout": 30.0,
        "socket_connect_timeout": 3.0,
        "socket_keepalive": True,
        "health_check_interval": 15,
    }


def _serve(app: Celery, settings: Settings, roles: Sequence[str]) -> None:
    """Tie the roles' services to the life of the Celery worker that runs this app."""
    services: list[Service] = []

    def begin(**_: object) -> None:
        # Only workers pay for loading Celery's.
        from swarm_tasks.transport.consuming import keep_consuming

        keep_consuming(app)
        try:
            for role in roles:
                module = importlib.import_module(ROLES[role].service)
                services.append(module.make_service(app, settings))
        except Exception as error:
            # Celery logs what a handler raises and goes on: the worker would take parts and
            # have nobody to do them. Only an exit is heard.
            known = isinstance(error, HostswarmError)
            logger("app").critical("%s%s", CANNOT_SERVE, error, exc_info=not known)
            raise SystemExit(1) from error

    def tell(step: str) -> Any:
        def handler(**_: object) -> None:
            for service in services:
                getattr(service, step)()

        return handler

    for signal, handler in (
        (worker_init, begin),
        (worker_ready, tell("ready")),
        (worker_shutting_down, tell("stopping")),
        (worker_shutdown, tell("stopped")),
    ):
        cast(Any, signal).connect(handler, weak=False)


def close_app(app: Celery) -> None:
    """Let go of all of an app's connections. Celery's own close leaves those of its results."""
    app.close()
    let_go(cast(Any, app.backend).client.connection_pool)


def settings_of(app: Celery) -> Settings:
    """The settings that an app was made from."""
    return cast(Any, app).hostswarm_settings


def instance_of(app: Celery) -> str:
    """This life of the process that made an app."""
    return cast(Any, app).hostswarm_instance


def app_from_environment() -> Celery:
    """The app that `celery -A swarm_tasks …` uses.

    The roles come from HOSTSWARM_ROLES (`worker`, `control` or both with a comma); without it,
    both, so that a worker started by hand can do whatever its queues bring.
    """
    roles = os.environ.get("HOSTSWARM_ROLES", "worker,control")
    return make_app(load_settings(), tuple(role for role in roles.split(",") if role))
