"""What Celery must know to reach the broker and the store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import kombu
from kombu.exceptions import OperationalError

from swarm_tasks.config import Settings
from swarm_tasks.silent import BACKEND, SENTINEL_BACKEND
from swarm_tasks.store.client import CONNECT_SECONDS, store_errors
from swarm_tasks.store.safety import checked_broker_url, checked_store_url, keeps_queues
from swarm_tasks.store.urls import (
    address,
    celery_url,
    sentinel_options,
    tls_options,
)
from swarm_tasks.transport import RABBIT_PRIORITIES

HEARTBEAT_SECONDS = 30
"""How often RabbitMQ and a worker see that the other is there. Redis is asked by its clients."""


def server_options(
    settings: Settings, redis: Mapping[str, object], *, listens: bool
) -> dict[str, object]:
    """Celery's settings for the broker and the store of ours.

    Args:
        redis: Options of the transport where the broker speaks Redis; others know none of them.
        listens: Whether results are waited for through Celery.

    Raises:
        SettingsError: A URL is missing, wrong or unsafe.
    """
    broker, store = checked_broker_url(settings), checked_store_url(settings)
    results, ca = celery_url(store), settings.broker_ca
    options: dict[str, object] = {
        "broker_url": celery_url(broker),
        "result_backend": results if listens else silent_url(results),
        "result_backend_transport_options": sentinel_options(store, ca),
    }
    if address(broker).is_amqp:
        options |= {
            "broker_transport_options": {"confirm_publish": True},
            "broker_heartbeat": HEARTBEAT_SECONDS,
            "task_queue_max_priority": RABBIT_PRIORITIES,
        }
    else:
        options["broker_transport_options"] = {**redis, **sentinel_options(broker, ca)}
    if checked := tls_options(broker, ca):
        options["broker_use_ssl"] = checked
    if checked := tls_options(store, ca):
        options["redis_backend_use_ssl"] = checked
    return options


def silent_url(url: str) -> str:
    """The same store for a process that listens to no results."""
    backend = SENTINEL_BACKEND if url.startswith("sentinel") else BACKEND
    return f"{backend}+{url.removeprefix('redis+')}"


def check_broker(settings: Settings) -> None:
    """See that a broker which is not the store answers; the store is asked by `connect`.

    Raises:
        StoreError: It cannot be reached, or wants another password.
    """
    if keeps_queues(settings):
        return
    url = checked_broker_url(settings)
    checked = tls_options(url, settings.broker_ca)
    made: Any = cast(Any, kombu.Connection)(url, ssl=checked, connect_timeout=CONNECT_SECONDS)
    with store_errors(settings), made as connection:
        try:
            connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
        except (*connection.connection_errors, *connection.channel_errors) as error:
            raise OperationalError(str(error)) from error
