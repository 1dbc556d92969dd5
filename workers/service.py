"""A host in the fleet: its tools, its agents, its memory and its signs of life, joined here."""

from __future__ import annotations

import gc
import resource
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

import redis
from celery import Celery

from swarm_tasks.app import settings_of
from swarm_tasks.config import Settings
from swarm_tasks.log import logger
from swarm_tasks.models.evidence import ToolCall
from swarm_tasks.models.job import HostTask
from swarm_tasks.sending import send_part
from swarm_tasks.store.client import connect
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.draining import Draining
from swarm_tasks.store.events import EventWriter
from swarm_tasks.store.history import History
from swarm_tasks.store.ledger import Ledger
from swarm_tasks.store.names import Names
from swarm_tasks.store.outside import OutsideViews
from swarm_tasks.store.presence import Presence
from swarm_tasks.watch.succession import succeed
from swarm_tasks.watch.thread import WatchThread
from workers.begun import Begun
from workers.blocking import in_thread
from workers.errand_desk import ErrandDesk
from workers.facts import found_anew, gather_facts, os_name
from workers.governor import Governor, Lines, allow_agents
from workers.heartbeat import Heartbeat
from workers.history import StoreHistory
from workers.investigate import TOOLS_AT_ONCE, Investigator
from workers.leaving import Grace
from workers.membership import DrainedFromTheStart, Membership, drain
from workers.naming import OwnName
from workers.orphans import begin_to_end_orphans, mark_of
from workers.part import Shelf
from workers.parts import Parts
from workers.pool import begin_no_more
from workers.room import RoomBeside
from workers.runtime import Runtime
from workers.saving import StepWriter
from workers.signs import TOOL_GROUP, Signs
from workers.strain import look
from workers.thinker import Thinker
from workers.tools.access import this_machine
from workers.tools.book import rulebook, toolbook
from workers.tools.manners import Manners
from workers.tools.registry import Outcome

SAMPLED = ("disk_usage", "interfaces")
"""Tools whose answers the worker samples by itself, since growth needs a past."""

SAMPLE_GROUP = f"{TOOL_GROUP}sample"
PLACE_GROUP = f"{TOOL_GROUP}place"

GARBAGE_THRESHOLD = 20_000
"""Objects made before the youngest generation is looked through; Python's own is 700."""

FILES_BESIDE = 512
FILES_PER_AGENT = 4


class HostService:
    """One host's worker.

    Args:
        settings: This host's settings.
        send: Sends a part that this worker gives back.
        begin_no_more: Keeps the worker from beginning what waits, once it is told to stop: the
            places of agents that end are not for others.
        drain: Keeps it from taking parts, or lets it take them again.
        allow: Bounds how many agents may be under way at the same time.
    """

    def __init__(
        self,
        settings: Settings,
        send: Callable[[HostTask], None],
        begin_no_more: Callable[[], None] = lambda: None,
        drain: Callable[[bool], None] = lambda _: None,
        allow: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.settings = settings
        self.watch: WatchThread | None = None
        self._begin_no_more = begin_no_more
        self.client: Commands = connect(settings)
        self.ledger = Ledger(self.client, settings.result_ttl_seconds)
        self.presence = Presence(
            self.client, settings.presence_ttl_seconds, settings.forget_seconds
        )
        self._steps = StepWriter(self.ledger)
        self._events = EventWriter(self.client, settings.result_ttl_seconds)
        self._history = History(self.client, settings.host, settings.forget_seconds)
        self._runtime = Runtime()
        self._machine = this_machine(
            StoreHistory(self._history),
            settings.log_roots,
            Manners(settings.tool_niceness, (mark_of(settings.host),)),
        )
        self._registry = toolbook(settings.tool_modules)
        self._thinker = Thinker(settings, os_name())
        self._investigator = Investigator(
            self._registry,
            rulebook(settings.tool_modules),
            self._machine,
            tell=self._events.emit,
            keep=self._keep,
            thinker=self._thinker,
        )
        self.facts = gather_facts(settings.host, self._registry, self._machine, settings.role)
        self._parts = self._all_parts(send)
        self._errands = self._desk()
        self._member = self._membership(drain)
        self._member.join(settings.host)
        self._grace = Grace(settings.grace_seconds, self._runtime.refuse)
        self._heart = Heartbeat(
            beat=self._signs(allow).give,
            announce=self._announce,
            sample=self._sample,
            every_seconds=settings.heartbeat_seconds,
            sample_seconds=settings.sample_seconds,
        )

    def _all_parts(self, send: Callable[[HostTask], None]) -> Parts:
        return Parts(
            self.settings,
            self.facts.instance,
            Shelf(self.ledger, self._history, self._steps, self._events),
            self._runtime,
            self._investigator,
            self._thinker,
            send,
        )

    def _desk(self) -> ErrandDesk:
        return ErrandDesk(
            self.settings,
            self.ledger,
            self.presence,
            self._runtime,
            self._investigator,
            self._machine,
            lambda: self.facts,
        )

    def _membership(self, drain: Callable[[bool], None]) -> Membership:
        settings, draining = self.settings, Draining(self.client)
        names = Names(self.client, settings.presence_ttl_seconds, settings.forget_seconds)
        own = OwnName(names, settings, self.facts)
        return Membership(self.presence, draining, own, self.facts.machine_id, drain)

    def _signs(self, allow: Callable[[int], None]) -> Signs:
        governor = Governor(
            Lines(self.settings.busy_load_per_cpu, self.settings.busy_memory_percent),
            self.settings.agents,
            TOOLS_AT_ONCE,
            look,
            allow,
            self._investigator.turns.allow,
        )
        return Signs(
            lambda: self.facts,
            self._parts,
            governor,
            self._member,
            self._runtime,
            self.ledger,
        )

    def pool_stands(self) -> None:
        """The pool is there, and nothing has been taken yet."""
        self._member.begin()

    def ready(self) -> None:
        """Join the fleet."""
        make_room(self.settings.agents)
        settle_memory()
        self._heart.start()
        if self.watch is not None:
            self.watch.start()
        begin_to_end_orphans(self.settings.host)
        logger("worker").info("%s is up with %d tools", self.settings.host, len(self.facts.tools))

    def stopping(self) -> None:
        """Take nothing more, and let agents go on for a while. What is left then is put back; a
        second signal does not wait for that."""
        self._begin_no_more()
        self._parts.leaving = True
        self._grace.begin()

    def stopped(self) -> None:
        """Leave the fleet at once, rather than by silence."""
        if self.watch is not None:
            self.watch.stop()
        self._heart.stop()
        try:
            self._runtime.close(self._thinker.close)
        except Exception:  # noqa: BLE001 - whatever hangs there, the fleet is to know we are gone
            logger("worker").exception("the agents did not end in time")
        try:
            self._member.leave(self.settings.host, self.facts.instance)
        except redis.RedisError as error:
            logger("worker").warning("left without saying so: %s", error)
        self._steps.close()
        self._events.close()

    def cancel(self, job: str) -> int:
        """Stop a job's agents on this host; how many there were."""
        return self._runtime.cancel(job)

    def investigate(self, payload: Mapping[str, Any]) -> Begun[str]:
        """Begin one part; it is closed in the ledger when it is finished."""
        return self._parts.begin(payload)

    def call_tool(self, payload: Mapping[str, Any]) -> Begun[str]:
        """Begin to run one tool for a person who waits."""
        return self._errands.call_tool(payload)

    def check(self, payload: Mapping[str, Any]) -> Begun[str]:
        """Begin to measure what others claim of this host."""
        return self._errands.check(payload)

    def look_outside(self, payload: Mapping[str, Any]) -> Begun[str]:
        """Begin to look at a host that gives no sign of life."""
        return self._errands.look_outside(payload)

    def _announce(self) -> None:
        """Say what this host is, at once, and where it is found, once that is known."""
        self.presence.announce(self.facts)
        OutsideViews(self.client).drop(self.settings.host)
        if PLACE_GROUP not in self._runtime.groups:
            self._runtime.start(PLACE_GROUP, self._say_where())

    async def _say_where(self) -> None:
        self.facts = await found_anew(self.facts, self._registry, self._machine)
        try:
            await in_thread(self.presence.announce, self.facts)
        except redis.RedisError as error:
            logger("worker").warning("where this host is found was not said: %s", error)

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
    service = HostService(
        settings or settings_of(app),
        partial(send_part, app),
        partial(begin_no_more, app),
        partial(drain, app),
        partial(allow_agents, app),
    )
    service.watch = WatchThread(
        app, service.ledger, service.presence, service.settings.heartbeat_seconds
    )
    parts, messages = succeed(service.ledger, service.settings.host)
    if parts or messages:
        logger("worker").warning(
            "a former life left %d parts and %d messages, which go back", parts, messages
        )
    cast(Any, app).steps["consumer"].add(RoomBeside)
    cast(Any, app).steps["worker"].add(DrainedFromTheStart)
    cast(Any, app).hostswarm_host = service
    return service


def service_of(app: Celery) -> HostService:
    """The service that `make_service` tied to the app."""
    return cast(Any, app).hostswarm_host
