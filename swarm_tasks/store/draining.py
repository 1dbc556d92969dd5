"""Hosts that take no parts: who said so, since when and why. It holds until it is taken back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from pydantic import ValidationError

from swarm_tasks.log import logger
from swarm_tasks.models.host import Drained
from swarm_tasks.store import keys
from swarm_tasks.store.commands import Commands


class Draining:
    """The marks, by host. A worker reads its own with each sign of life.

    Args:
        client: The store.
    """

    def __init__(self, client: Commands) -> None:
        self._client = client

    def mark(self, hosts: Iterable[str], drained: Drained) -> None:
        """Let these hosts begin no more parts, whatever was said of them before."""
        marks = dict.fromkeys(hosts, drained.model_dump_json())
        if marks:
            self._client.hset(keys.DRAINED.at(), mapping=marks)

    def unmark(self, hosts: Iterable[str]) -> None:
        """Let these hosts take parts again."""
        names = tuple(hosts)
        if names:
            self._client.hdel(keys.DRAINED.at(), *names)

    def drained(self) -> dict[str, Drained]:
        """All that are marked, by host."""
        found = self._client.hgetall(keys.DRAINED.at())
        return {host: drained_of(host, text) for host, text in sorted(found.items())}


def drained_of(host: str, text: str) -> Drained:
    """A mark as it stands in the store. One that cannot be read holds all the same: the host may
    be under repair, and only a person knows that it is not."""
    try:
        return Drained.model_validate_json(text)
    except ValidationError:
        logger("store").warning("the mark that drains %s cannot be read", host)
        return Drained(since=datetime.fromtimestamp(0, UTC), reason="its mark cannot be read")


def marks_of(hosts: list[str], texts: list[str | None]) -> Mapping[str, Drained]:
    """The marks among these answers of the store."""
    pairs = zip(hosts, texts, strict=True)
    return {host: drained_of(host, text) for host, text in pairs if text is not None}
