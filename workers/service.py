"""A host in the fleet: its tools, its agents, its memory and its signs of life, joined here."""

from __future__ import annotations

import gc
import random
import re
import resource
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import redis
from celery import Celery
from pydantic import ValidationError

from swarm_tasks.app import settings_of
from swarm_tasks.config import Settings
from swarm_tasks.contracts import RemoteCall
from swarm_tasks.log import logger
from swarm_tasks.models.base import HOST_PATTERN, NAME_PATTERN, now_utc
from swarm_tasks.models.event import Event, EventKind
from swarm_tasks.models.evidence import ToolCall
from swarm_tasks.models.job import JOB_ID_PATTERN, HostTask
from swarm_tasks.models.report import HostReport, HostStatus, StopReason
from swarm_tasks.store import keys
from swarm_tasks.store.client import connect
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.events import EventWriter
from swarm_tasks.store.history import History
from swarm_tasks.store.ledger import Claim, Ledger
from swarm_tasks.store.presence import Presence
from workers.facts import beat_now, gather_facts, os_name
from workers.heartbeat import Heartbeat
from workers.history import StoreHistory
from workers.investigate import Attempt, Investigated, Investigator, evidence_of, failed_report
from workers.runtime import Runtime
from workers.saving import StepKeeper, StepWriter
from workers.thinker import Thinker
from workers.tools.access import this_machine
from workers.tools.book import rulebook, toolbook
from workers.tools.registry import Outcome

MARGIN_SECONDS = 1.0
"""An agent stops this long before the job's deadline, so that its report is still counted."""

SAMPLED = ("disk_usage", "interfaces")
"""Tools whose answers the worker samples by itself, since growth needs a past."""

TOOL_GROUP = "tool:"
SAMPLE_GROUP = f"{TOOL_GROUP}sample"

PATIENCE_SECONDS = 60.0
"""How long a part that is done waits for a store that is away."""

GARBAGE_THRESHOLD = 20_000
"""Objects made before the youngest generation is looked through; Python's own is 700."""

FILES_BESIDE = 512
FILES_PER_AGENT = 4

T = TypeVar("T")

ANSWER_SECONDS = 60
"""How long an answer waits for the one who asked."""


class HostService:
    """One host's worker.

    Args:
        settings: This host's settings.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.client: Commands = connect(settings)
        self.ledger = Ledger(self.client, settings.result_ttl_seconds)
        self.presence = Presence(
            self.client, settings.presence_ttl_seconds, settings.forget_seconds
        )
        self._steps = StepWriter(self.ledger)
        self._events = EventWriter(self.client, settings.result_ttl_seconds)
        self._history = History(self.client, settings.host, settings.forget_seconds)
        self._runtime = Runtime()
        self._leaving = False
        machine = this_machine(StoreHistory(self._history), settings.log_roots)
        self._registry = toolbook(settings.tool_modules)
        rules = rulebook(settings.tool_modules)
        self._thinker = Thinker(settings, os_name())
        self._investigator = Investigator(
            self._registry,
            rules,
            machine,
            tell=self._events.emit,
            keep=self._keep,
            thinker=self._thinker,
        )
        self.facts = gather_facts(settings.host, self._registry, machine, settings.role)
        self._heart = Heartbeat(
            beat=self._beat,
            announce=lambda: self.presence.announce(self.facts),
            sample=self._sample,
            every_seconds=settings.heartbeat_seconds,
            sample_seconds=settings.sample_seconds,
        )

    def ready(self) -> None:
        """Join the fleet."""
        make_room(self.settings.agents)
        settle_memory()
        self._heart.start()
        logger("worker").info("%s is up with %d tools", self.settings.host, len(self.facts.tools))

    def stopping(self) -> None:
        """Stop the agents; their parts are closed as lost to this stop."""
        self._leaving = True
        self._runtime.refuse()

    def stopped(self) -> None:
        """Leave the fleet at once, rather than by silence."""
        self._heart.stop()
        try:
            self._runtime.close(self._thinker.close)
        except Exception:  # noqa: BLE001 - whatever hangs there, the fleet is to know we are gone
            logger("worker").exception("the agents did not end in time")
        try:
            self.presence.leave(self.settings.host, self.facts.instance)
        except redis.RedisError as error:
            logger("worker").warning("left without saying so: %s", error)
        self._steps.close()
        self._events.close()

    def cancel(self, job: str) -> int:
        """Stop a job's agents on this host; how many there were."""
        return self._runtime.cancel(job)

    def investigate(self, payload: Mapping[str, Any]) -> str:
        """Run one part and close it in the ledger. Never raises for what the part brings.

        Returns:
            The part's name, which is all that travels back through Celery.
        """
        try:
            task = HostTask.model_validate(payload)
        except ValidationError as error:
            return self._refuse(payload, error)
        if task.host != self.settings.host:
            return self._close_failed(task, None, f"was sent to {self.settings.host} by mistake")
        claim = self._patiently(lambda: self.ledger.claim(task.job, task.part, self.facts.instance))
        if claim is None:
            return task.part
        self._say(task, EventKind.PART_STARTED)
        seconds = task.deadline_at - claim.now - MARGIN_SECONDS
        if seconds <= 0:
            return self._close_failed(task, claim, "began too late to finish by the deadline")
        task = task.model_copy(update={"policy": task.policy.under(self.settings.policy)})
        return self._run(task, claim, seconds)

    def _run(self, task: HostTask, claim: Claim, seconds: float) -> str:
        done: Investigated | None
        try:
            stood = self._patiently(self._history.raised)
            attempt = self._patiently(lambda: self._attempt(task, claim))
            done = self._runtime.run(
                task.job, self._investigator.investigate(task, seconds, stood, attempt)
            )
        except Exception as error:  # noqa: BLE001 - a part never raises: whatever broke is told
            logger("worker").exception("part %s of job %s broke", task.part, task.job)
            return self._close_failed(task, claim, f"{type(error).__name__}: {error}")
        if done is None and self._leaving:
            return self._close_failed(task, claim, "its worker was stopped", StopReason.LOST)
        if done is None:
            return self._close_failed(task, claim, "was cancelled", StopReason.CANCELLED)
        report = done.report
        try:
            closed = self._patiently(lambda: self.ledger.close_part(report, claim.attempt))
        except ValueError as error:
            logger("worker").exception("the report of %s cannot be written", task.part)
            return self._close_failed(task, claim, f"its report cannot be written: {error}")
        # Only what stood raised can be cleared: a host that is well has nothing to write.
        cleared = done.cleared & stood.keys()
        if closed and (done.raised or cleared):
            self._patiently(lambda: self._history.remember(done.raised, cleared))
        return task.part

    def _attempt(self, task: HostTask, claim: Claim) -> Attempt:
        """What this attempt begins with; the rules need nothing of it.

        Only steps towards a model's answer are kept: a sweep takes a second, and is better fresh.
        """
        if not self._thinker.wanted(task):
            return Attempt(number=claim.attempt)
        steps = self.ledger.steps.load(task.job, task.part) if claim.attempt > 1 else ()
        return Attempt(
            number=claim.attempt,
            steps=steps,
            memory=StepKeeper(self._steps, task, claim.attempt, len(steps)),
            images=self.ledger.images(task.job) if task.images else (),
        )

    def _patiently(self, action: Callable[[], T]) -> T:
        """Do what needs the store, and again while it is away: work that is done must not be
        lost because the store is being restarted.

        Raises:
            redis.RedisError: It stayed away for longer than `PATIENCE_SECONDS`.
        """
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return action()
            except (redis.ConnectionError, redis.TimeoutError) as error:
                if time.monotonic() > end:
                    raise
                logger("worker").warning("the store is away, trying again: %s", error)
                # Chance, so that a fleet does not come back all at once.
                time.sleep(random.uniform(0.1, 1.0))  # noqa: S311

    def call_tool(self, payload: Mapping[str, Any]) -> str:
        """Run one tool for a person who waits; the evidence goes to the call's own key."""
        call = RemoteCall.model_validate(payload)
        if self.ledger.now() > call.expires_at:
            return call.call
        asked = ToolCall(tool=call.tool, arguments=call.arguments)
        outcome = self._runtime.run(f"{TOOL_GROUP}{call.call}", self._investigator.outcome(asked))
        if outcome is not None:
            evidence = evidence_of(outcome, call.call, self.settings.host, "operator")
            key = keys.ANSWER.at(call=call.call)
            pipe = self.client.pipeline(transaction=True)
            pipe.rpush(key, evidence.model_dump_json())
            pipe.expire(key, ANSWER_SECONDS)
            pipe.execute()
        return call.call

    def _refuse(self, payload: Mapping[str, Any], error: ValidationError) -> str:
        """Close a part whose task cannot be read, as far as it says which part it is."""
        first = error.errors(include_url=False, include_input=False)[0]
        reason = f"its task cannot be read: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        logger("worker").error("a part was refused: %s", reason)
        job, part = str(payload.get("job", "")), str(payload.get("part", ""))
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
            self.ledger.close_part(report, None)
        return part

    def _close_failed(
        self,
        task: HostTask,
        claim: Claim | None,
        reason: str,
        stop: StopReason = StopReason.ERROR,
    ) -> str:
        report = failed_report(task, stop, reason)
        self._patiently(lambda: self.ledger.close_part(report, claim.attempt if claim else None))
        return task.part

    def _say(self, task: HostTask, kind: EventKind) -> None:
        event = Event(
            kind=kind,
            at=now_utc(),
            part=task.part,
            host=task.host,
            specialist=task.specialist.name,
        )
        self._events.emit(task.job, event)

    def _beat(self) -> None:
        self.presence.beat(beat_now(self.facts, self._runtime.busy, self.settings.agents))
        # The command to cancel may have been missed; the ledger's word is not.
        jobs = [group for group in self._runtime.groups if not group.startswith(TOOL_GROUP)]
        for job in self.ledger.cancelled(jobs):
            self.cancel(job)

    def _keep(self, outcome: Outcome) -> None:
        if outcome.result is None:
            return
        samples = tuple(self._registry.get(outcome.tool).samples(outcome.result))
        try:
            if samples:
                self._history.add([(one.metric, one.subject, one.value) for one in samples])
        except redis.RedisError as error:
            logger("worker").warning("samples of %s were not kept: %s", outcome.tool, error)

    def _sample(self) -> None:
        if SAMPLE_GROUP in self._runtime.groups:
            return  # the last ones still hang
        for name in SAMPLED:
            if name in self._registry:
                work = self._investigator.outcome(ToolCall(tool=name))
                self._runtime.start(SAMPLE_GROUP, work)


def make_room(agents: int) -> None:
    """Let this process open as many files as its agents may need at the same time.

    Each has a connection to a model and, while a tool runs, its pipes. The soft limit is a guard
    for programs that use select(2), which this one does not; see setrlimit(2).
    """
    wanted = FILES_BESIDE + FILES_PER_AGENT * agents
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def settle_memory() -> None:
    """Keep Python's search for cycles away from all that was loaded to start, and make it rarer.

    What a part leaves behind is trees of frozen models, which go without a search; looking through
    the whole process for each few hundred of them was a quarter of an agent's CPU.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, 20, 50)


def make_service(app: Celery, settings: Settings | None = None) -> HostService:
    """The service of this process, tied to its app so that the tasks find it."""
    service = HostService(settings or settings_of(app))
    cast(Any, app).hostswarm_host = service
    return service


def service_of(app: Celery) -> HostService:
    """The service that `make_service` tied to the app."""
    return cast(Any, app).hostswarm_host
