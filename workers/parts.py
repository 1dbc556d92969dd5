"""What a host needs to take parts on, and all of them that are under way on it."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

from pydantic import ValidationError

from swarm_tasks import __version__
from swarm_tasks.config import Settings
from swarm_tasks.log import logger
from swarm_tasks.models.base import HOST_PATTERN, NAME_PATTERN
from swarm_tasks.models.job import ANY_SIGN, JOB_ID_PATTERN, PART_FORMAT, HostTask
from swarm_tasks.models.report import HostReport, HostStatus, StopReason
from swarm_tasks.store.leases import Held, Refusal, task_id
from swarm_tasks.store.ledger import Closing
from workers.begun import Begun, at_hand, dropped
from workers.investigate import Investigator, failed_report
from workers.part import Part, Shelf
from workers.patience import patiently
from workers.runtime import Runtime
from workers.thinker import Thinker

COUNTED = {Refusal.CLOSED, Refusal.FORGOTTEN}
"""Of parts that are not to be run, those whose message still counts for the chord: whoever closed
one may have died before the chord heard of it. Counting twice does no harm."""


class Parts:
    """What a host needs to take parts on and to close them.

    Args:
        settings: The host's.
        instance: This life of its worker, which owns the leases that it takes.
        shelf: Where parts leave what they come to.
        runtime: Where agents live.
        investigator: What they do.
        thinker: Whether they ask a model.
        send: Sends a part that this worker gives back, so that it is begun again.
    """

    def __init__(
        self,
        settings: Settings,
        instance: str,
        shelf: Shelf,
        runtime: Runtime,
        investigator: Investigator,
        thinker: Thinker,
        send: Callable[[HostTask], None],
    ) -> None:
        self.settings = settings
        self.instance = instance
        self.shelf = shelf
        self.runtime = runtime
        self.investigator = investigator
        self.thinker = thinker
        self.send = send
        self.leaving = False
        self._held: dict[Held, Part] = {}
        self._lock = threading.Lock()

    def renew(self) -> None:
        """Renew the leases of all that is under way here, and end what is another's by now.

        Raises:
            redis.RedisError: The store is away. Agents go on: nobody else can begin their parts.
        """
        with self._lock:
            held = dict(self._held)
        renewed = self.shelf.ledger.leases.renew(
            tuple(held), self.instance, self.settings.presence_ttl_seconds
        )
        for one, still in renewed.items():
            # A part that has just closed itself is no longer to be renewed, and is not lost.
            if not still and self.holds(one):
                held[one].lose()

    def holds(self, held: Held) -> bool:
        """Whether this part is under way here."""
        with self._lock:
            return held in self._held

    def hold(self, held: Held, part: Part) -> None:
        """Have a part's lease renewed from now on."""
        with self._lock:
            self._held[held] = part

    def release(self, held: Held) -> None:
        """Have it renewed no more."""
        with self._lock:
            self._held.pop(held, None)

    def begin(self, payload: Mapping[str, Any]) -> Begun[str]:
        """Begin one part. Its answer is its name, which is all that travels back through Celery.

        Raises nothing for what the part brings: that is told in its report.

        Raises:
            redis.RedisError: The store stayed away.
        """
        arrived = time.monotonic()
        if (needed := format_of(payload)) > PART_FORMAT:
            return self._too_new(payload, needed, arrived)
        try:
            task = HostTask.model_validate(payload)
        except ValidationError as error:
            reason = f"its task cannot be read: {first_of(error)}"
            return self._refuse(payload, reason, StopReason.ERROR, arrived)
        host = self.settings.host
        if task.host not in ("", host):
            reason = f"was sent to {host} by mistake"
            return self._close_waiting(failed_report(task, StopReason.ERROR, reason), arrived)
        lease = patiently(
            lambda: self.shelf.ledger.leases.take(
                task.job, task.part, self.instance, host, self.settings.presence_ttl_seconds
            ),
            arrived,
        )
        if isinstance(lease, Refusal):
            return at_hand(task.part) if lease in COUNTED else dropped()
        return Part(self, task, lease).begin(arrived)

    def _too_new(self, payload: Mapping[str, Any], needed: int, arrived: float) -> Begun[str]:
        """Refuse a part that a newer version made, as this one would do it wrong. One that any
        host may do is left to the watch, which offers it to a host that can."""
        job, name = str(payload.get("job", "")), str(payload.get("part", ""))
        ledger, host = self.shelf.ledger, self.settings.host
        reason = (
            f"runs hostswarm {__version__}, which knows parts of form {PART_FORMAT}, and this one "
            f"was made by {payload.get('version') or 'an unknown version'} in form {needed}: "
            "upgrade hostswarm there"
        )
        if payload.get("host"):
            return self._refuse(payload, reason, StopReason.REFUSED, arrived)
        logger("worker").warning("part %s of job %s was refused: %s %s", name, job, host, reason)
        member = task_id(job, name)
        record = patiently(lambda: ledger.part_records([member]).get(member), arrived)
        if record is not None:
            refused = sorted({*record.refused, host})
            patiently(lambda: ledger.refuse(job, name, refused), arrived)
        return dropped()

    def _refuse(self, payload: object, reason: str, stop: StopReason, arrived: float) -> Begun[str]:
        """Close a part that cannot be begun, as far as its task says which part it is."""
        logger("worker").error("a part was refused: %s", reason)
        known = isinstance(payload, Mapping)
        said: Mapping[str, object] = cast("Mapping[str, object]", payload) if known else {}
        job, part = str(said.get("job", "")), str(said.get("part", ""))
        host, _, rest = part.partition("/")
        host = self.settings.host if host == ANY_SIGN else host
        specialist = rest.partition("/")[0]
        fits = ((JOB_ID_PATTERN, job), (HOST_PATTERN, host), (NAME_PATTERN, specialist))
        if all(re.fullmatch(pattern, word) for pattern, word in fits):
            report = HostReport(
                job=job,
                part=part,
                host=host,
                specialist=specialist,
                status=HostStatus.FAILED,
                stop=stop,
                reason=reason,
            )
            return self._close_waiting(report, arrived)
        return at_hand(part)

    def _close_waiting(self, report: HostReport, since: float) -> Begun[str]:
        """Close a part that is not begun here, if the ledger says that it waits for this host: a
        copy that went astray, or that cannot be read, must not end what its own host does."""
        ledger, member = self.shelf.ledger, task_id(report.job, report.part)
        record = patiently(lambda: ledger.part_records([member]).get(member), since)
        if record is None or record.state == "closed":
            return at_hand(report.part)  # as in `COUNTED`
        if record.state == "sent" and (not record.bound or record.host == self.settings.host):
            closing = patiently(lambda: ledger.close_part(report, None, record), since)
            if closing is not Closing.TAKEN:
                return at_hand(report.part)
        logger("worker").warning("a copy of %s was dropped: %s", member, report.reason)
        return dropped()


def format_of(payload: object) -> int:
    """What must be understood to do a part: 1 where its task does not say."""
    if not isinstance(payload, Mapping):
        return 1
    needed = cast("Mapping[str, object]", payload).get("format", 1)
    return needed if isinstance(needed, int) else 1


def first_of(error: ValidationError) -> str:
    """The first thing that is wrong, in a few words."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"])) or "all of it"
    return f"{place}: {first['msg']}"
