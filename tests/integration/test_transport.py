"""Messages between our processes: over every kind of URL, and again when the store is back."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from contextlib import suppress
from typing import Any, cast

import kombu
import pytest
from pydantic import SecretStr

from swarm_tasks.app import make_app
from swarm_tasks.config import Settings
from swarm_tasks.embedded import EmbeddedStore
from swarm_tasks.store.commands import Commands
from swarm_tasks.transport.channel import OwnChannel
from swarm_tasks.transport.messaging import TRY_AGAIN_SECONDS, OwnConnection
from tests.support.waiting import wait_until


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
        got = [queue.get(timeout=30) for _ in range(2)]
        assert [message.payload["number"] for message in got] == [1, 2]
        for message in got:
            message.ack()
    finally:
        queue.close()


class Enough(Exception):
    """No more tries are wanted."""


def test_processes_that_lost_their_broker_do_not_try_it_again_at_the_same_instants() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        connection = connection_to(f"redis://127.0.0.1:{nobody.getsockname()[1]}/0")
        waits: list[float] = []

        def note(error: Exception, seconds: float) -> None:
            waits.append(seconds)
            raise Enough

        for _ in range(20):
            with pytest.raises(Enough):
                connection.ensure_connection(note, None)
    assert len(set(waits)) == 20
    least, most = TRY_AGAIN_SECONDS
    assert all(least <= seconds <= most for seconds in waits)


class Taking:
    """A consumer of two queues, of which one is behind a gate; it waits for longer than a test."""

    def __init__(self, connection: Any) -> None:
        self.room = False
        self.got: list[str] = []
        connection.transport.brpop_timeout = 60
        self.channel = connection.channel()
        self.gates = connection.station.gates
        self.gates.guard(("parts",), lambda: self.room)
        queues = [kombu.Queue(name, kombu.Exchange(name), name) for name in ("errands", "parts")]
        self.consumer = kombu.Consumer(self.channel, queues, callbacks=[self._take])
        self.consumer.consume()
        self.channel.consume()
        self._connection = connection
        self._stop = False
        self._thread = threading.Thread(target=self._turn, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take no more."""
        self._stop = True
        self.channel.brpop_timeout = 1
        self.room = True
        self.gates.changed()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _take(self, body: str, message: Any) -> None:
        self.got.append(body)
        message.ack()

    def _turn(self) -> None:
        while not self._stop:
            with suppress(TimeoutError):
                self._connection.drain_events(timeout=0.2)


def test_a_shut_gate_holds_its_queue_back_and_no_other_and_opens_at_once(
    store: EmbeddedStore, client: Commands
) -> None:
    with connection_to(store.url) as sending, connection_to(store.url) as connection:
        taking = Taking(connection)
        producer = sending.Producer()
        for number in range(3):
            for queue in ("parts", "errands"):
                producer.publish(f"{queue} {number}", routing_key=queue, exchange=queue)
        wait_until("the errands are taken", lambda: len(taking.got) == 3)
        assert all(one.startswith("errands") for one in taking.got)
        wait_until("it waits for one queue", lambda: taking.channel._in_poll)
        taking.room = True
        taking.gates.changed()
        wait_until("the parts are taken", lambda: len(taking.got) == 6)
        taking.room = False
        producer.publish("errands 3", routing_key="errands", exchange="errands")
        wait_until("errands are taken", lambda: "errands 3" in taking.got)
        taking.close()
