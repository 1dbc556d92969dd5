"""Messages between our processes: over every kind of URL, and again when the store is back."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, cast

import pytest
from pydantic import SecretStr

from swarm_tasks.app import make_app
from swarm_tasks.config import Settings
from swarm_tasks.embedded import EmbeddedStore
from swarm_tasks.store.commands import Commands
from swarm_tasks.transport.channel import OwnChannel
from swarm_tasks.transport.messaging import OwnConnection


def connection_to(url: str) -> Any:
    """A producer's connection, which nobody has used."""
    settings = Settings(broker_url=SecretStr(url), allow_passwordless_broker=True)
    app: Any = make_app(settings, listens=False)
    return app.connection_for_write()


@pytest.fixture
def channel(store: EmbeddedStore, client: Commands) -> Generator[Any]:
    """A channel to an empty store."""
    with connection_to(store.url) as connection:
        yield connection.default_channel


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1:6390/2", "redis://127.0.0.1:6390/2"),
        ("rediss://me:pw@db1:6390/0", "rediss://me:pw@db1:6390/0"),
        ("unix://me:pw@/run/valkey/s", "redis+socket://me:pw@/run/valkey/s"),
    ],
)
def test_every_url_is_reached_by_our_channels_and_shown_as_others_read_it(
    url: str, shown: str
) -> None:
    connection = connection_to(url)
    for one in (connection, connection.clone()):
        assert isinstance(one, OwnConnection)
        transport: Any = one.transport
        assert transport.Channel is OwnChannel
        assert one.as_uri(include_password=True) == shown
        assert bool(one.ssl) is url.startswith("rediss")


def test_a_channel_keeps_its_client(channel: Any) -> None:
    with channel.conn_or_acquire() as first, channel.conn_or_acquire() as second:
        assert first is second
    other = object()
    with channel.conn_or_acquire(other) as given:
        assert given is other


def test_a_channel_that_lost_its_connections_speaks_over_new_ones(channel: Any) -> None:
    with channel.conn_or_acquire() as before:
        assert before.ping()
    channel._disconnect_pools()
    with channel.conn_or_acquire() as after:
        assert after is not before
        assert after.connection_pool is channel.pool
        assert after.ping()


def test_a_message_goes_out_after_the_store_has_dropped_every_connection(
    channel: Any, client: Commands
) -> None:
    queue = channel.connection.client.SimpleQueue("transport-test")
    try:
        queue.put({"number": 1})
        cast(Any, client).client_kill_filter(_type="normal", skipme=True)
        queue.put({"number": 2})
        got = [queue.get(timeout=5) for _ in range(2)]
        assert [message.payload["number"] for message in got] == [1, 2]
        for message in got:
            message.ack()
    finally:
        queue.close()
