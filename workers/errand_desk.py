"""Where a host takes errands on: what somebody waits for, beside its parts."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, TypeVar

from swarm_tasks.config import Settings
from swarm_tasks.contracts import ClaimCheck, OutsideLook, RemoteCall
from swarm_tasks.log import logger
from swarm_tasks.models.base import Frozen
from swarm_tasks.models.host import HostFacts
from swarm_tasks.store import keys
from swarm_tasks.store.ledger import Ledger, moment
from swarm_tasks.store.presence import Presence
from workers import outside
from workers.begun import Begun, at_hand
from workers.errands import called, checked
from workers.investigate import Investigator
from workers.runtime import Runtime
from workers.signs import TOOL_GROUP
from workers.tools.access import Machine

T = TypeVar("T", bound=Frozen)

ANSWER_SECONDS = 60
"""How long an answer waits for the one who asked."""


class ErrandDesk:
    """Begins errands, and leaves their answers where somebody waits for them.

    Args:
        settings: The host's.
        ledger: The store, and its clock.
        presence: Who is there.
        runtime: Where errands live.
        investigator: Calls tools.
        machine: What is looked at from here.
        facts: What the host is by now.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        presence: Presence,
        runtime: Runtime,
        investigator: Investigator,
        machine: Machine,
        facts: Callable[[], HostFacts],
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._presence = presence
        self._runtime = runtime
        self._investigator = investigator
        self._machine = machine
        self._facts = facts

    def call_tool(self, payload: Mapping[str, Any]) -> Begun[str]:
        """Begin to run one tool for a person who waits; the evidence goes to the call's own key."""
        call = RemoteCall.model_validate(payload)
        if self._astray(call.host) or self._ledger.now() > call.expires_at:
            return at_hand(call.call)
        return self._errand(call.call, called(self._investigator, call))

    def check(self, payload: Mapping[str, Any]) -> Begun[str]:
        """Begin to measure what others claim of this host; the verdicts go to the call's key."""
        asked = ClaimCheck.model_validate(payload)
        seconds = asked.expires_at - self._ledger.now()
        if self._astray(asked.host) or seconds <= 0:
            return at_hand(asked.call)
        policy = self._settings.policy
        return self._errand(asked.call, checked(self._investigator, asked, policy, seconds))

    def look_outside(self, payload: Mapping[str, Any]) -> Begun[str]:
        """Begin to look at a host that gives no sign of life; the view goes to that host's key."""
        look = OutsideLook.model_validate(payload)
        now = self._ledger.now()
        if self._astray(look.host) or now > look.expires_at:
            return at_hand(look.call)
        shelf = outside.Shelf.of(self._ledger.client, self._presence)
        beside = partial(outside.ran_beside, self._settings)
        work = outside.looked(look, moment(now), self._facts(), shelf, self._machine, beside)
        return self._errand(look.call, work, shelf.views.put)

    def _astray(self, host: str) -> bool:
        """Whether an errand is another host's. What is measured here must not bear its name."""
        if host == self._settings.host:
            return False
        logger("worker").error("an errand for %s came to %s by mistake", host, self._settings.host)
        return True

    def _errand(
        self,
        call: str,
        work: Coroutine[Any, Any, T],
        keep: Callable[[T], None] | None = None,
    ) -> Begun[str]:
        """Begin what somebody waits for.

        Args:
            keep: Where the answer goes; by default to the call's own key.
        """
        group = f"{TOOL_GROUP}{call}"
        future = self._runtime.start(group, work)

        def finish() -> str:
            answer = future.result()
            if answer is not None and keep is not None:
                keep(answer)
            elif answer is not None:
                key = keys.ANSWER.at(call=call)
                pipe = self._ledger.client.pipeline(transaction=True)
                pipe.rpush(key, answer.model_dump_json())
                pipe.expire(key, ANSWER_SECONDS)
                pipe.execute()
            return call

        return Begun(finish, future, lambda: self._runtime.end(group, future))
