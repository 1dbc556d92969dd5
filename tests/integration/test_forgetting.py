"""A host that is forgotten leaves nothing in the broker, and what others can do goes to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from celery import Celery
from pydantic import SecretStr

from swarm_tasks import contracts, routing
from swarm_tasks.app import close_app, make_app
from swarm_tasks.config import Settings
from swarm_tasks.embedded import EmbeddedStore
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.host import Beat
from swarm_tasks.models.job import LANES
from swarm_tasks.store import keys
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.presence import Presence

FORGET_SECONDS = 3600


Way = Callable[[Presence, Commands, str], object]


def forget(presence: Presence, _: Commands, host: str) -> None:
    assert presence.forget(host)


def keep_others(presence: Presence, _: Commands, host: str) -> None:
    presence.keep_only({f"{host}2"})


def let_it_be_silent(presence: Presence, client: Commands, host: str) -> None:
    (seen,) = client.zmscore(keys.HOSTS.at(), [host])
    assert seen is not None
    client.zadd(keys.HOSTS.at(), {host: seen - FORGET_SECONDS})
    client.delete(keys.BEAT.at(host=host))
    presence.fleet()


def sent_to(app: Celery, host: str) -> None:
    """Fill every lane of a host's queues."""
    for queue in (routing.host_queue(host), routing.errand_queue(host)):
        for lane in range(LANES):
            app.send_task(contracts.INVESTIGATE, queue=queue, priority=lane)


@pytest.mark.parametrize("way", [forget, keep_others, let_it_be_silent])
def test_what_a_forgotten_host_held_is_gone_or_given_back(
    client: Commands, store: EmbeddedStore, way: Way
) -> None:
    # kombu binds a queue once in a process, so each of these needs a name of its own.
    host = f"{way.__name__.replace('_', '-')}-1"
    other = f"{host}2"
    app = make_app(Settings(broker_url=SecretStr(store.url), host=host), ("worker",))
    presence = Presence(client, 5.0, FORGET_SECONDS)
    for one in (host, other):
        presence.beat(Beat(host=one, instance="i", at=now_utc(), load1=0, agents=0, capacity=1))
        sent_to(app, one)
    app.send_task(contracts.INVESTIGATE, task_id="anybodys", queue=routing.SHARED, priority=3)
    with app.connection_for_read() as connection:
        channel: Any = connection.default_channel
        assert channel.basic_get(routing.SHARED)
        assert channel.basic_get(routing.host_queue(host))
        names = {*client.scan_iter(match=f"*{host}*")}
        of_other = {*client.scan_iter(match=f"*{other}*")}
        assert len(of_other) > 2 * LANES
        assert keys.UNACKED.at(owner=host) in names
        assert f"_kombu.binding.host.{host}.errands" in names
        way(presence, client, host)
        left = {*client.scan_iter(match=f"*{host}*")} - of_other
        assert left <= {keys.BEAT.at(host=host)}  # that ends by itself
        assert {*client.scan_iter(match=f"*{other}*")} == of_other
        (back,) = client.lrange(f"{routing.SHARED}\x06\x163", 0, -1)
        assert '"anybodys"' in back
    close_app(app)
