"""What `doctor` finds of the broker and the store: who answers, and who could step in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import redis

from orchestrator.surfaces.check import Check
from swarm_tasks.config import Settings
from swarm_tasks.errors import HostswarmError
from swarm_tasks.servers import check_broker
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.safety import checked_broker_url, checked_store_url, keeps_queues
from swarm_tasks.store.urls import address, shown_url


def broker_checks(settings: Settings) -> Iterator[Check]:
    """The broker, where it is another than the store."""
    if keeps_queues(settings):
        return
    try:
        check_broker(settings)
    except HostswarmError as error:
        yield Check("broker", "broken", error.message, error.remedy)
    else:
        yield Check(
            "broker", "ok", f"RabbitMQ answers at {shown_url(checked_broker_url(settings))}"
        )


def sentinel_checks(settings: Settings, client: Commands) -> Iterator[Check]:
    """The Sentinels, where the store stands behind some, and what they know of it."""
    place = address(checked_store_url(settings))
    if not place.is_sentinel:
        return
    sentinels: list[Any] = cast(Any, client).connection_pool.sentinel_manager.sentinels
    states: list[dict[str, Any]] = []
    for one in sentinels:
        at = one.connection_pool.connection_kwargs
        try:
            states.append(one.sentinel_masters()[place.master])
        except (redis.RedisError, KeyError) as error:
            said = f"knows no {place.master}" if isinstance(error, KeyError) else str(error)
            yield Check(
                "store",
                "warning",
                f"the Sentinel at {at['host']}:{at['port']}: {said}",
                "mend it: only a majority of them names another master",
            )
    if not states:
        return
    known = states[0]
    yield Check(
        "store",
        "ok",
        f"{place.master} is {known['ip']}:{known['port']}, as {len(states)} of {len(sentinels)} "
        "Sentinels say",
    )
    if not known["num-slaves"]:
        yield Check(
            "store",
            "warning",
            f"{place.master} has no replica: nothing takes its place when it falls",
            "add one with `replicaof`",
        )
