"""The life of one part on its host: begun from a message, worked on, closed in the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from celery.exceptions import Ignore
from celery.worker import state
from kombu.exceptions import OperationalError

from swarm_tasks.config import Settings
from swarm_tasks.log import logger
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.event import Event, EventKind
from swarm_tasks.models.job import HostTask
from swarm_tasks.models.report import HostReport, StopReason
from swarm_tasks.store.events import EventWriter
from swarm_tasks.store.history import History
from swarm_tasks.store.leases import Held, Lease, task_id
from swarm_tasks.store.ledger import Closing, Ledger
from workers.begun import Begun, at_hand, dropped
from workers.history import keep
from workers.investigate import Attempt, Investigated, Investigator, failed_report
from workers.patience import patiently
from workers.rules.judge import Raised
from workers.runtime import Runtime
from workers.saving import StepKeeper, StepWriter
from workers.thinker import Thinker

MARGIN_SECONDS = 1.0
"""An agent stops this long before the job's deadline, so that its report is still counted."""


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


class Host(Protocol):
    """What a part needs of the host that it is done on."""

    settings: Settings
    shelf: Shelf
    runtime: Runtime
    investigator: Investigator
    thinker: Thinker
    leaving: bool

    @property
    def send(self) -> Callable[[HostTask], None]:
        """Sends a part that is given back."""
        ...

    def hold(self, held: Held, part: Part) -> None:
        """Have a part's lease renewed from now on."""
        ...

    def release(self, held: Held) -> None:
        """Have it renewed no more."""
        ...


class Part:
    """One attempt at one part, once its lease is taken."""

    def __init__(self, parts: Host, task: HostTask, lease: Lease) -> None:
        host = parts.settings.host
        policy = task.policy.under(parts.settings.policy)
        self._parts = parts
        self._sent = task
        self._task = task.model_copy(update={"policy": policy, "host": host})
        self._lease = lease
        self._held = Held(task.job, task.part, lease.attempt)
        self._stood: Raised = {}
        self._future: Future[Any] | None = None
        self._terminated = False
        self._lost = False
        self._ended = 0.0

    def begin(self, arrived: float) -> Begun[str]:
        """Let an agent work on it. Whatever keeps it from that, its lease is renewed no more: what
        nobody is to close here must become another's."""
        self._parts.hold(self._held, self)
        try:
            return self._begin(arrived)
        except BaseException:
            self._release()
            raise

    def _begin(self, arrived: float) -> Begun[str]:
        task = self._task
        self._say(EventKind.PART_STARTED)
        seconds = self._lease.deadline_at - self._lease.now - MARGIN_SECONDS
        if seconds <= 0:
            return self._at_once("began too late to finish by the deadline", arrived)
        shelf, parts = self._parts.shelf, self._parts
        try:
            self._stood = patiently(shelf.history.raised, arrived)
            attempt = patiently(self._attempt, arrived)
            work = parts.investigator.investigate(task, seconds, self._stood, attempt)
            future = self._future = parts.runtime.start(task.job, work)
        except Exception as error:  # noqa: BLE001 - a part never raises: whatever broke is told
            self._log(error)
            return self._at_once(f"{type(error).__name__}: {error}", arrived)
        future.add_done_callback(self._note_end)
        if self._lost:  # while it was begun
            self._end(future)
        finish, terminate = partial(self._finish, future), partial(self._terminate, future)
        return Begun(finish, future, terminate, self._release)

    def lose(self) -> None:
        """Work on it no more: it is another's."""
        self._lost = True
        if self._future is not None:
            self._end(self._future)

    def _release(self) -> None:
        """Hold it no more, and leave no agent at work on what is not held."""
        self._parts.release(self._held)
        if self._future is not None and not self._future.done():
            self._end(self._future)

    def _note_end(self, _: Future[Any]) -> None:
        self._ended = time.monotonic()

    def _terminate(self, future: Future[Any]) -> None:
        self._terminated = True
        self._end(future)

    def _end(self, future: Future[Any]) -> None:
        self._parts.runtime.end(self._task.job, future)

    def _finish(self, future: Future[Investigated | None]) -> str:
        """Close the part, or give it back; its name is the task's answer.

        It is as patient from its agent's end as if a thread had waited there: behind others that
        the store keeps waiting, it still has a try of its own.

        Raises:
            Ignore: It is another's to close.
        """
        # Whoever waits for the future may be here before the future calls `_note_end`.
        ended = self._ended or time.monotonic()
        try:
            return self._close_as(future, ended)
        finally:
            self._parts.release(self._held)

    def _close_as(self, future: Future[Investigated | None], ended: float) -> str:
        try:
            done = future.result()
        except Exception as error:  # noqa: BLE001 - a part never raises: whatever broke is told
            self._log(error)
            return self._fail(f"{type(error).__name__}: {error}", ended)
        if done is None:
            return self._cut_off(ended)
        self._parts.shelf.events.flush()
        try:
            closing = self._close(done.report, ended)
        except ValueError as error:
            logger("worker").exception("the report of %s cannot be written", self._task.part)
            return self._fail(f"its report cannot be written: {error}", ended)
        if closing.ours:
            self._remember(done, ended)
        return self._counted(closing)

    def _remember(self, done: Investigated, ended: float) -> None:
        history = self._parts.shelf.history
        # Only what stood raised can be cleared: a host that is well has nothing to write.
        cleared = done.cleared & self._stood.keys()
        if done.raised or cleared:
            patiently(lambda: history.remember(done.raised, cleared), ended)
        keep(history, done.report.measured)

    def _cut_off(self, ended: float) -> str:
        """Close a part whose agent was told to end, or give it back."""
        if self._lost:
            raise Ignore
        revoked = task_id(self._task.job, self._task.part) in state.revoked
        # On a cold stop Celery ends its tasks before it tells anybody that it stops: what it ends
        # and nobody has revoked is given back.
        if self._parts.leaving or (self._terminated and not revoked):
            return self._give_back(ended)
        if revoked:
            return self._fail("its task was revoked", ended, StopReason.LOST)
        return self._fail("was cancelled", ended, StopReason.CANCELLED)

    def _give_back(self, ended: float) -> str:
        """Let another life of this worker go on with it, or another host where any may.

        Raises:
            Ignore: Always: whoever takes it up closes it.
        """
        task, leases = self._task, self._parts.shelf.ledger.leases
        attempt, why = self._lease.attempt, "its worker was stopped"
        # First of all: a sign of life in between would make it ours again.
        self._parts.release(self._held)
        if patiently(lambda: leases.put_back(task.job, task.part, attempt, why, task.host), ended):
            try:
                self._parts.send(self._sent)
            except (OSError, OperationalError) as error:
                # It stands as waiting in the ledger: the fleet's watch sends it.
                logger("worker").warning("%s was not sent on: %s", task.part, error)
        raise Ignore

    def _at_once(self, reason: str, since: float) -> Begun[str]:
        """Close it without an agent."""
        try:
            closing = self._close(failed_report(self._task, StopReason.ERROR, reason), since)
        finally:
            self._parts.release(self._held)
        return dropped() if closing is Closing.TAKEN else at_hand(self._task.part)

    def _fail(self, reason: str, since: float, stop: StopReason = StopReason.ERROR) -> str:
        return self._counted(self._close(failed_report(self._task, stop, reason), since))

    def _counted(self, closing: Closing) -> str:
        """The part's name, which counts for the chord.

        Raises:
            Ignore: Another attempt runs it, and will be counted.
        """
        if closing is Closing.TAKEN:
            raise Ignore
        return self._task.part

    def _log(self, error: Exception) -> None:
        task = self._task
        logger("worker").error("part %s of job %s broke", task.part, task.job, exc_info=error)

    def _close(self, report: HostReport, since: float) -> Closing:
        ledger = self._parts.shelf.ledger
        return patiently(lambda: ledger.close_part(report, self._lease.attempt), since)

    def _attempt(self) -> Attempt:
        """What this attempt begins with; the rules need nothing of it.

        Only steps towards a model's answer are kept: a sweep takes a second, and is better fresh.
        """
        task, number, shelf = self._task, self._lease.attempt, self._parts.shelf
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
