"""What peers see of dark hosts: one look at a time, and one view for all who want it."""

from __future__ import annotations

from datetime import datetime

from pydantic import ValidationError

from swarm_tasks.log import logger
from swarm_tasks.models.host import HostFacts
from swarm_tasks.models.outside import OutsideView
from swarm_tasks.store import keys
from swarm_tasks.store.commands import Commands

VIEW_SECONDS = 60
"""How long a view is good for: long enough for all parts and jobs that ask for the same host."""

AGAIN_SECONDS = 60
"""A host is looked at once in this time, however often it comes and goes: it says itself where."""

UNDER_WAY = ""
"""In place of a view: somebody is looking."""


class OutsideViews:
    """The views of dark hosts.

    Args:
        client: The store.
    """

    def __init__(self, client: Commands) -> None:
        self._client = client

    def get(self, host: str, since: datetime | None = None) -> OutsideView | None:
        """What a peer saw of a host; None while nobody has looked, or the look is under way.

        Args:
            since: When the host last gave a sign of life. A view from before that is of an earlier
                silence; it is dropped.
        """
        key = keys.OUTSIDE.at(host=host)
        text = self._client.get(key)
        if not text:
            return None
        try:
            view = OutsideView.model_validate_json(text)
        except ValidationError as error:
            logger("outside").warning("the view of %s cannot be read: %.200s", host, error)
            self._client.delete(key)
            return None
        if view.host != host or (since is not None and view.at < since):
            self._client.delete(key)
            return None
        return view

    def claim(self, host: str, seconds: float) -> bool:
        """Whether the caller may have a host looked at: nobody else does, and no view is there.

        Args:
            seconds: After this somebody else may; for a peer that never answers.
        """
        key = keys.OUTSIDE.at(host=host)
        return bool(self._client.set(key, UNDER_WAY, px=max(int(seconds * 1000), 1), nx=True))

    def begin(self, host: str) -> bool:
        """Whether the peer that was asked may look now. A look that was had counts for its whole
        time, whatever the host has said since."""
        return bool(self._client.set(keys.LOOKED.at(host=host), "1", ex=AGAIN_SECONDS, nx=True))

    def drop(self, host: str) -> None:
        """Forget what was seen of a host: its worker is back, and its next silence is another."""
        self._client.delete(keys.OUTSIDE.at(host=host))

    def put(self, view: OutsideView) -> None:
        """Keep a view for a while."""
        key = keys.OUTSIDE.at(host=view.host)
        self._client.set(key, view.model_dump_json(exclude_defaults=True), ex=VIEW_SECONDS)

    def facts(self, host: str) -> HostFacts | None:
        """What a host said of itself; None where it said nothing, or nothing that can be read."""
        text = self._client.get(keys.FACTS.at(host=host))
        try:
            return None if text is None else HostFacts.model_validate_json(text)
        except ValidationError:
            return None
