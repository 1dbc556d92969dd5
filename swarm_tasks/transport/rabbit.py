"""The way of messages over RabbitMQ: kombu's, with the lanes of a queue turned round.

Of two messages in a queue Redis gives the one with the lower priority first, as kombu has it, and
RabbitMQ the one with the higher.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import pyamqp

from swarm_tasks.transport import RABBIT_PRIORITIES


class LanedChannel(pyamqp.Channel):
    """A channel that numbers the lanes as RabbitMQ does."""

    def prepare_message(
        self, body: Any, priority: int | None = None, *rest: Any, **more: Any
    ) -> Any:
        """The message for the wire. What names no lane goes in the first."""
        first = RABBIT_PRIORITIES - max(priority or 0, 0)
        return super().prepare_message(body, max(first, 0), *rest, **more)


class LanedConnection(pyamqp.Connection):
    """A connection with channels of ours."""

    Channel = LanedChannel


class RabbitTransport(pyamqp.Transport):
    """AMQP with channels of ours."""

    Connection = LanedConnection


class RabbitTlsTransport(pyamqp.SSLTransport):
    """The same over TLS."""

    Connection = LanedConnection
