"""The life of one part on its host: begun from a message, worked on, closed in the ledger."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, cast

import redis
from pydantic import ValidationError

from swarm_tasks.config import Settings
from swarm_tasks.log import logger
from swarm_tasks.models.base import HOST_PATTERN, NAME_PATTERN, now_utc
from swarm_tasks.models.event import Event, EventKind
from swarm_tasks.models.job import JOB_ID_PATTERN, HostTask
from swarm_tasks.models.report import HostReport, HostStatus, StopReason
from swarm_tasks.store.events import EventWriter
from swarm_tasks.store.history import History
from swarm_tasks.store.ledger import Claim, Ledger
from workers.begun import Begun, at_hand
from workers.history import keep
from workers.investigate import Attempt, Investigated, Investigator, failed_report
from workers.rules.judge import Raised
from workers.runtime import Runtime
from workers.saving import StepKeeper, StepWriter
from workers.thinker import Thinker

MARGIN_SECONDS = 1.0
"""An agent stops this long before the job's deadline, so that its report is still counted."""

PATIENCE_SECONDS = 60.0
"""How long a part that is done waits for a store that is away."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where a host's parts leave what they come to.

    Args:
        ledger: The parts' reports.
        history: What the host remembers from one audit to the next.
        steps: What a model's agents did so far.
        events: What is told meanwhile.
    """

    ledger: Ledger
    history: History
    steps: StepWriter
    events: EventWriter


class Parts:
    """What a host needs to take parts on and to close them.

    Args:
        settings: The host's.
        instance: This life of its worker, which owns what it claims.
        shelf: Where parts leave what they come to.
        runtime: Where agents live.
        investigator: What they do.
        thinker: Whether they ask a model.
    """

    def __init__(
        self,
        settings: Settings,
        instance: str,
        shelf: Shelf,
        runtime: Runtime,
        investigator: Investigator,
        thinker: Thinker,
    ) -> None:
        self.settings = settings
        self.instance = instance
        self.shelf = shelf
        self.runtime = runtime
        self.investigator = investigator
        self.thinker = thinker
        self.leaving = False

    def begin(self, payload: Mapping[str, Any]) -> Begun[str]:
        """Begin one part. Its answer is its name, which is all that travels back through Celery.

        Raises nothing for what the part brings: that is told in its report.

        Raises:
            redis.RedisError: The store stayed away.
        """
        arrived = time.monotonic()
        try:
            task = HostTask.model_validate(payload)
        except ValidationError as error:
            return at_hand(self._refuse(payload, error, arrived))
        if task.host != self.settings.host:
            reason = f"was sent to {self.settings.host} by mistake"
            self._close(failed_report(task, StopReason.ERROR, reason), None, arrived)
            return at_hand(task.part)
        claim = patiently(
            lambda: self.shelf.ledger.claim(task.job, task.part, self.instance), arrived
        )
        if claim is None:
            return at_hand(task.part)
        return _Part(self, task, claim).begin(arrived)

    def _refuse(self, payload: object, error: ValidationError, arrived: float) -> str:
        """Close a part whose task cannot be read, as far as it says which part it is."""
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "all of it"
        reason = f"its task cannot be read: {place}: {first['msg']}"
        logger("worker").error("a part was refused: %s", reason)
        known = isinstance(payload, Mapping)
        said: Mapping[str, object] = cast("Mapping[str, object]", payload) if known else {}
        job, part = str(said.get("job", "")), str(said.get("part", ""))
        host, _, rest = part.partition("/")
        specialist = rest.partition("/")[0]
        fits = ((JOB_ID_PATTERN, job), (HOST_PATTERN, host), (NAME_PATTERN, specialist))
        if all(re.fullmatch(pattern, word) for pattern, word in fits):
            report = HostReport(
                job=job,
                part=part,
                host=host,
                specialist=specialist,
                status=HostStatus.FAILED,
                stop=StopReason.ERROR,
                reason=reason,
            )
            self._close(report, None, arrived)
        return part

    def _close(self, report: HostReport, attempt: int | None, since: float) -> bool:
        return patiently(lambda: self.shelf.ledger.close_part(report, attempt), since)


class _Part:
    """One attempt at one part, once it is claimed."""

    def __init__(self, parts: Parts, task: HostTask, claim: Claim) -> None:
        policy = task.policy.under(parts.settings.policy)
        self._parts = parts
        self._task = task.model_copy(update={"policy": policy})
        self._claim = claim
        self._stood: Raised = {}
        self._terminated = False
        self._ended = 0.0

    def begin(self, arrived: float) -> Begun[str]:
        """Let an agent work on it."""
        task = self._task
        self._say(EventKind.PART_STARTED)
        seconds = task.deadline_at - self._claim.now - MARGIN_SECONDS
        if seconds <= 0:
            return at_hand(self._fail("began too late to finish by the deadline", arrived))
        shelf, parts = self._parts.shelf, self._parts
        try:
            self._stood = patiently(shelf.history.raised, arrived)
            attempt = patiently(self._attempt, arrived)
            work = parts.investigator.investigate(task, seconds, self._stood, attempt)
            future = parts.runtime.start(task.job, work)
        except Exception as error:  # noqa: BLE001 - a part never raises: whatever broke is told
            return at_hand(self._broke(error, arrived))
        future.add_done_callback(self._note_end)
        return Begun(partial(self._finish, future), future, partial(self._terminate, future))

    def _note_end(self, _: Future[Any]) -> None:
        self._ended = time.monotonic()

    def _terminate(self, future: Future[Any]) -> None:
        self._terminated = True
        self._parts.runtime.end(self._task.job, future)

    def _finish(self, future: Future[Investigated | None]) -> str:
        """Close the part. It is as patient from its agent's end as if a thread had waited there:
        behind others that the store keeps waiting, it still has a try of its own."""
        # Whoever waits for the future may be here before the future calls `_note_end`.
        ended = self._ended or time.monotonic()
        try:
            done = future.result()
        except Exception as error:  # noqa: BLE001 - a part never raises: whatever broke is told
            return self._broke(error, ended)
        if done is None:
            return self._cut_off(ended)
        self._parts.shelf.events.flush()
        try:
            closed = self._close(done.report, ended)
        except ValueError as error:
            logger("worker").exception("the report of %s cannot be written", self._task.part)
            return self._fail(f"its report cannot be written: {error}", ended)
        # Only what stood raised can be cleared: a host that is well has nothing to write.
        cleared = done.cleared & self._stood.keys()
        if closed and (done.raised or cleared):
            history = self._parts.shelf.history
            patiently(lambda: history.remember(done.raised, cleared), ended)
        if closed:
            keep(self._parts.shelf.history, done.report.measured)
        return self._task.part

    def _cut_off(self, ended: float) -> str:
        """Close a part whose agent was told to end."""
        if self._parts.leaving:
            return self._fail("its worker was stopped", ended, StopReason.LOST)
        if self._terminated:
            # On a cold stop Celery ends its tasks before it tells anybody that it stops.
            reason = "its worker was stopped, or its task revoked"
            return self._fail(reason, ended, StopReason.LOST)
        return self._fail("was cancelled", ended, StopReason.CANCELLED)

    def _broke(self, error: Exception, since: float) -> str:
        task = self._task
        logger("worker").error("part %s of job %s broke", task.part, task.job, exc_info=error)
        return self._fail(f"{type(error).__name__}: {error}", since)

    def _fail(self, reason: str, since: float, stop: StopReason = StopReason.ERROR) -> str:
        self._close(failed_report(self._task, stop, reason), since)
        return self._task.part

    def _close(self, report: HostReport, since: float) -> bool:
        ledger = self._parts.shelf.ledger
        return patiently(lambda: ledger.close_part(report, self._claim.attempt), since)

    def _attempt(self) -> Attempt:
        """What this attempt begins with; the rules need nothing of it.

        Only steps towards a model's answer are kept: a sweep takes a second, and is better fresh.
        """
        task, number, shelf = self._task, self._claim.attempt, self._parts.shelf
        if not self._parts.thinker.wanted(task):
            return Attempt(number=number)
        steps = shelf.ledger.steps.load(task.job, task.part) if number > 1 else ()
        return Attempt(
            number=number,
            steps=steps,
            memory=StepKeeper(shelf.steps, task, number, len(steps)),
            images=shelf.ledger.images(task.job) if task.images else (),
        )

    def _say(self, kind: EventKind) -> None:
        task = self._task
        event = Event(
            kind=kind,
            at=now_utc(),
            part=task.part,
            host=task.host,
            specialist=task.specialist.name,
        )
        self._parts.shelf.events.emit(task.job, event)


def patiently(action: Callable[[], T], since: float) -> T:
    """Do what needs the store, and again while it is away: work that is done must not be lost
    because the store is being restarted.

    It holds its thread, one of a few. While those wait for the store, whatever else ends waits in
    line behind them, and nothing of it is lost: each has its own time, and at least one try.

    Args:
        since: From when on it is patient, on the monotonic clock.

    Raises:
        redis.RedisError: It stayed away for longer than `PATIENCE_SECONDS`.
    """
    end = since + PATIENCE_SECONDS
    while True:
        try:
            return action()
        except (redis.ConnectionError, redis.TimeoutError) as error:
            if time.monotonic() > end:
                raise
            logger("worker").warning("the store is away, trying again: %s", error)
            # Chance, so that a fleet does not come back all at once.
            time.sleep(random.uniform(0.1, 1.0))  # noqa: S311
