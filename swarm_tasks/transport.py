"""The way of messages between our processes and the store: kombu's for Redis, with changes.

kombu makes a client of the store anew for each command, which costs more than the command.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

import kombu
from celery.app.amqp import AMQP
from kombu.transport.redis import Channel, Transport

MESSAGING = "swarm_tasks.transport:OwnMessaging"
"""How a Celery app finds what is here."""


class OwnChannel(Channel):
    """A channel that keeps its client."""

    _kept: Any = None

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Generator[Any]:
        """The client that was given, or the channel's own, which threads may share."""
        if client is None:
            # The channel drops its connections when it loses the store, and makes others.
            if self._kept is None or self._kept.connection_pool is not self.pool:
                self._kept = cast(Any, self)._create_client()
            client = self._kept
        yield client


class OwnTransport(Transport):
    """Redis with channels of ours."""

    Channel = OwnChannel


class OwnConnection(kombu.Connection):
    """A connection to the store, whatever the scheme of its URL.

    A transport that is named by the settings would take the URL's scheme along: Flower could not
    read it, and a Unix socket's could not be written.
    """

    def get_transport_cls(self) -> type[OwnTransport]:
        """The transport of all our connections."""
        return OwnTransport


class OwnMessaging(AMQP):
    """Celery's messaging over connections of ours."""

    Connection = OwnConnection
    BrokerConnection = OwnConnection
