"""Findings that somebody knows of: no alarm for them until a date. Kept apart from any job."""

from __future__ import annotations

from pydantic import ValidationError

from swarm_tasks.log import logger
from swarm_tasks.models.finding import Acknowledgement
from swarm_tasks.store import keys, scripts
from swarm_tasks.store.commands import Commands


class Acks:
    """The acknowledgements that stand, by fingerprint.

    Args:
        client: The store. Its clock says what is due.
    """

    def __init__(self, client: Commands) -> None:
        self._client = client
        self._drop = client.register_script(scripts.DROP_SAME)

    def add(self, ack: Acknowledgement) -> None:
        """Let it stand until its date, in the place of an earlier one for the same finding."""
        self._client.hset(keys.ACKS.at(), ack.fingerprint, ack.model_dump_json())

    def remove(self, fingerprint: str) -> bool:
        """Let none stand for a finding any more; False if there was none."""
        return bool(self._client.hdel(keys.ACKS.at(), fingerprint))

    def standing(self) -> dict[str, Acknowledgement]:
        """Those that are not due, by fingerprint, the next to end first; due ones are dropped.

        One that cannot be read, as a newer version may have written it, holds for nothing.
        """
        found = self._client.hgetall(keys.ACKS.at())
        if not found:
            return {}
        seconds, _ = self._client.time()
        standing: list[Acknowledgement] = []
        due: list[str] = []
        for mark, text in found.items():
            try:
                ack = Acknowledgement.model_validate_json(text)
            except ValidationError:
                logger("store").warning("the acknowledgement of %.40r cannot be read", mark)
                continue
            if ack.until.timestamp() <= seconds:
                due += (mark, text)
            else:
                standing.append(ack)
        if due:
            # Only as it was read: somebody may have acknowledged it anew since.
            self._drop(keys=[keys.ACKS.at()], args=due)
        standing.sort(key=lambda ack: (ack.until, ack.fingerprint))
        return {ack.fingerprint: ack for ack in standing}
