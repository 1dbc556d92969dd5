"""Celery's messaging over connections of ours."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, cast

import kombu
from celery import Celery
from celery.app.amqp import AMQP
from kombu.utils.imports import symbol_by_name

from swarm_tasks.gates import Gates
from swarm_tasks.transport.channel import OwnSentinelTransport, OwnTransport
from swarm_tasks.transport.station import Station

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

SPREAD_SECONDS = 1.0
"""Within which a fleet that lost its broker at the same instant comes back: each of its processes
opens a dozen connections, and a store takes some ten thousand of them in a second."""

TRY_AGAIN_SECONDS = (0.5, 1.5)
"""Between which the first wait for a broker that is away lies, and what each further one adds."""

TRY_AGAIN_MOST_SECONDS = (3.0, 6.0)
"""Between which the longest such wait lies. kombu's 30 would add to each outage."""

SLICE_SECONDS = 0.1
"""How soon a process that waits hears that it is to end."""


class OwnConnection(kombu.Connection):
    """A connection to the broker, with channels of ours.

    A transport that is named by the settings would take the URL's scheme along: Flower could not
    read it, and a Unix socket's could not be written.
    """

    station: Station | None = None
    """What it shares with the other connections of its app."""

    def get_transport_cls(self) -> type[Any]:
        """The transport that the URL's scheme asks for."""
        ours = OURS.get(str(self.transport_cls))
        return cast(Any, symbol_by_name)(ours) if ours else super().get_transport_cls()

    def ensure_connection(self, *args: Any, **kwargs: Any) -> Any:
        """Connect, and try again while the broker is away: not at the same instants as others."""
        if self.station is not None and self.station.deliveries.newly_lost():
            _wait(random.uniform(0, SPREAD_SECONDS), kwargs.get("callback"))  # noqa: S311
        waits = {
            "interval_start": random.uniform(*TRY_AGAIN_SECONDS),  # noqa: S311
            "interval_step": random.uniform(*TRY_AGAIN_SECONDS),  # noqa: S311
            "interval_max": random.uniform(*TRY_AGAIN_MOST_SECONDS),  # noqa: S311
        }
        return super().ensure_connection(*args, **{**waits, **kwargs})


def _wait(seconds: float, meanwhile: Callable[[], object] | None) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if meanwhile is not None:
            meanwhile()
        time.sleep(min(left, SLICE_SECONDS))


class OwnMessaging(AMQP):
    """Celery's messaging over connections of ours, which all know their app's station."""

    def __init__(self, app: Celery) -> None:
        super().__init__(app)
        self.station = Station()
        # Connections are copied by their class, so what they share is the class's.
        bound = type("OwnConnection", (OwnConnection,), {"station": self.station})
        self.Connection = self.BrokerConnection = bound

    @property
    def gates(self) -> Gates:
        """Which queues this process takes from now."""
        return self.station.gates


def station_of(app: Celery) -> Station:
    """What the connections of an app share; of one that is not ours, nothing."""
    messaging: Any = app.amqp
    return messaging.station if isinstance(messaging, OwnMessaging) else Station()
