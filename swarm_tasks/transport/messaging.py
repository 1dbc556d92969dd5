"""Celery's messaging over connections of ours."""

from __future__ import annotations

from typing import Any, cast

import kombu
from celery.app.amqp import AMQP
from kombu.utils.imports import symbol_by_name

from swarm_tasks.transport.channel import OwnSentinelTransport, OwnTransport

OURS: dict[str, Any] = {
    "redis": OwnTransport,
    "rediss": OwnTransport,
    "sentinel": OwnSentinelTransport,
    # By name: few fleets want the library behind them.
    "amqp": "swarm_tasks.transport.rabbit:RabbitTransport",
    "amqps": "swarm_tasks.transport.rabbit:RabbitTlsTransport",
}
"""Transports by scheme, as kombu has it of a URL: `redis` of `redis+socket` too, `sentinel` of
`sentinel+ssl`. Any other scheme is kombu's."""


class OwnConnection(kombu.Connection):
    """A connection to the broker, with channels of ours.

    A transport that is named by the settings would take the URL's scheme along: Flower could not
    read it, and a Unix socket's could not be written.
    """

    def get_transport_cls(self) -> type[Any]:
        """The transport that the URL's scheme asks for."""
        ours = OURS.get(str(self.transport_cls))
        return cast(Any, symbol_by_name)(ours) if ours else super().get_transport_cls()


class OwnMessaging(AMQP):
    """Celery's messaging over connections of ours."""

    Connection = OwnConnection
    BrokerConnection = OwnConnection
