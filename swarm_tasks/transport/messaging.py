"""Celery's messaging over connections of ours."""

from __future__ import annotations

from typing import Any

import kombu
from celery.app.amqp import AMQP

from swarm_tasks.transport.channel import OwnSentinelTransport, OwnTransport

OURS = {"redis": OwnTransport, "rediss": OwnTransport, "sentinel": OwnSentinelTransport}
"""Transports by scheme, as kombu has it of a URL: `redis` of `redis+socket` too, `sentinel` of
`sentinel+ssl`. Any other scheme is kombu's."""


class OwnConnection(kombu.Connection):
    """A connection to the broker, with our channels where that is Redis.

    A transport that is named by the settings would take the URL's scheme along: Flower could not
    read it, and a Unix socket's could not be written.
    """

    def get_transport_cls(self) -> type[Any]:
        """The transport that the URL's scheme asks for."""
        return OURS.get(str(self.transport_cls)) or super().get_transport_cls()


class OwnMessaging(AMQP):
    """Celery's messaging over connections of ours."""

    Connection = OwnConnection
    BrokerConnection = OwnConnection
