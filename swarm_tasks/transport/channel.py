"""Channels to the store, with what kombu's lack.

kombu makes a client of the store anew for each command, which costs more than the command.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

from kombu.transport.redis import SentinelChannel, SentinelTransport, Transport

from swarm_tasks.transport.refusals import PatientChannel


class OwnChannel(PatientChannel):
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


class OwnSentinelChannel(OwnChannel, SentinelChannel):
    """The same to the store that a Sentinel names."""


class OwnTransport(Transport):
    """Redis with channels of ours."""

    Channel = OwnChannel


class OwnSentinelTransport(SentinelTransport):
    """The same where a Sentinel says which server it is."""

    Channel = OwnSentinelChannel
