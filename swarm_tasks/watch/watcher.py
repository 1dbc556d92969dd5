"""Looks after every part of the fleet that nobody runs.

Whoever holds a short lock does it: any worker, any control. All that it decides is written by
scripts which ask the ledger again, so that one who wakes up late, and thinks he still has the lock,
does no harm.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from celery import Celery

from swarm_tasks import routing, sending
from swarm_tasks.log import logger
from swarm_tasks.models.charge import summed
from swarm_tasks.models.outside import OutsideView
from swarm_tasks.models.report import HostReport, StopReason, Usage
from swarm_tasks.store import keys, lease_scripts
from swarm_tasks.store.draining import Draining
from swarm_tasks.store.leases import LOOK_SECONDS, named
from swarm_tasks.store.ledger import Ledger
from swarm_tasks.store.outside import OutsideViews
from swarm_tasks.store.presence import Presence, control_owner
from swarm_tasks.store.records import JobHead, PartRecord
from swarm_tasks.watch.darkness import Darkness
from swarm_tasks.watch.messages import Messages, forget, give_back
from swarm_tasks.watch.verdicts import (
    HostState,
    Verdict,
    dark,
    ended_by_its_job,
    ended_by_itself,
    report_of,
)

LOCK_SECONDS = 2.0
"""How long the lock outlives its holder."""

PAUSE_BEATS = 2.5
"""A watch that has not looked for so many signs of life may have missed some that came and went."""

JUMP_SECONDS = 5.0
"""By so much the store's clock goes wrong only where somebody sets it."""

SOON_SECONDS = 0.5
"""When to look again after a part that waits for a host which may come back."""

MOST_AT_ONCE = 2_000
"""Parts that one tick looks after."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What a tick sees.

    Args:
        now: The store's clock.
        clock: The monotonic one.
        heads: Open jobs.
        alive: Hosts that give signs of life.
        drained: Hosts that take no parts.
        silent: Hosts whose parts wait and that give no sign.
    """

    now: float
    clock: float
    heads: Mapping[str, JobHead]
    alive: frozenset[str]
    drained: frozenset[str]
    silent: frozenset[str] = frozenset()

    def state_of(self, host: str) -> HostState:
        """How a host stands."""
        if host in self.silent:
            return HostState.SILENT
        return HostState.DRAINED if host in self.drained else HostState.ALIVE


class Watcher:
    """Looks after parts, while it has the lock.

    Args:
        app: To send parts, and to count them.
        ledger: Where jobs stand.
        presence: Who is there.
        owner: This life of the process.
    """

    def __init__(self, app: Celery, ledger: Ledger, presence: Presence, owner: str) -> None:
        client = ledger.client
        self._app = app
        self._ledger = ledger
        self._presence = presence
        self._owner = owner
        self._client = client
        self._hold = client.register_script(lease_scripts.HOLD)
        self._let_go = client.register_script(lease_scripts.LET_GO)
        self._messages = Messages(app, client)
        self._draining = Draining(client)
        self._darkness = Darkness(
            OutsideViews(client),
            lambda look: sending.send_outside_look(app, look),
            presence.last_seen,
        )
        self._since = self._looked = 0.0
        self._clocks: tuple[float, float] | None = None
        self._suspected: frozenset[str] = frozenset()
        self._waiting_for_silent: dict[str, set[str]] = {}

    def _hold_lock(self) -> tuple[bool, float]:
        """Take the lock, or keep it; whether it is this watch's, and the store's clock."""
        life_ms = int(LOCK_SECONDS * 1000)
        held, seconds, microseconds = self._hold(
            keys=[keys.WATCH.at()], args=[self._owner, life_ms]
        )
        return bool(held), int(seconds) + int(microseconds) / 1e6

    def let_go(self) -> None:
        """Leave the lock to others at once."""
        self._let_go(keys=[keys.WATCH.at()], args=[self._owner])

    def tick(self) -> bool:
        """Look after all that nobody runs, once; False where another has the lock."""
        held, now = self._hold_lock()
        clock = time.monotonic()
        self._heed_the_clock(now, clock, held=held)
        if clock - self._looked > max(LOCK_SECONDS, PAUSE_BEATS * self._presence.ttl_seconds / 3):
            self._since = clock
        self._looked = clock
        if held:
            self._bury()
            if self._hears(clock):
                self._put_back(now)
            self._look_after(self._scene(now, clock))
            self._looked = time.monotonic()  # its own work was no silence
        return held

    def _heed_the_clock(self, now: float, clock: float, *, held: bool) -> None:
        """Notice that the store's clock was set. Leases and signs of life are then renewed before
        anybody is called silent; the time that jobs have left is not changed by it."""
        before, self._clocks = self._clocks, (now, clock)
        if before is None:
            return
        jump = (now - before[0]) - (clock - before[1])
        if abs(jump) < JUMP_SECONDS:
            return
        self._since = clock
        if held:
            logger("watch").warning("the store's clock was set by %.0f s", jump)
            self._ledger.shift_deadlines(jump)

    def _hears(self, clock: float) -> bool:
        """Whether the living had the time to speak since this watch, or the store, was away."""
        return clock - self._since >= self._presence.ttl_seconds

    def _scene(self, now: float, clock: float) -> Scene:
        return Scene(
            now=now,
            clock=clock,
            heads=self._ledger.heads(self._ledger.open_jobs()),
            alive=self._presence.alive(),
            drained=frozenset(self._draining.drained()),
        )

    def _bury(self) -> None:
        """Give back what controls that are gone held: requests that nobody has planned yet, and
        the ends of jobs."""
        for member, instance in self._presence.ended_controls().items():
            owner = control_owner(instance)
            count = give_back(self._client, owner)
            forget(self._client, [owner])
            self._presence.bury_control(member)
            if count:
                logger("watch").warning("%d messages of a control that is gone go back", count)

    def _put_back(self, now: float) -> None:
        """Make parts wait again whose runner has let their lease run out."""
        for member in self._ledger.leases.over(now):
            job, part = named(member)
            why = "its worker gave no sign of life"
            if self._ledger.leases.put_back(job, part, None, why):
                logger("watch").info("%s was put back: %s", member, why)
                # Whatever message of it there was is with the worker that is silent.
                self._ledger.leases.look_again({member: now})
                self._suspected |= {member}

    def _look_after(self, scene: Scene) -> None:
        members = self._ledger.leases.waiting(scene.now, MOST_AT_ONCE)
        records = self._ledger.part_records(members)
        gone = [one for one in members if one not in records or named(one)[0] not in scene.heads]
        self._ledger.leases.drop(gone)
        parts = {one: part for one, part in records.items() if one not in gone}
        scene = self._with_silent(scene, parts)
        self._end_with_their_jobs(scene)
        self._go_on(scene, {one: part for one, part in parts.items() if part.state == "sent"})

    def _with_silent(self, scene: Scene, parts: Mapping[str, PartRecord]) -> Scene:
        asked = {part.host for part in parts.values() if part.bound and part.state == "sent"}
        asked |= {host for host in self._waiting_hosts()}
        if not self._hears(scene.clock):
            return scene
        # A host that left of its own will was heard of just now, and is away all the same.
        alive = scene.alive - (asked - self._presence.beats(tuple(asked)).keys())
        silent = self._darkness.note(asked, alive, scene.clock, scene.now)
        return replace(scene, alive=alive, silent=silent)

    def _waiting_hosts(self) -> set[str]:
        return {
            named(member)[1].partition("/")[0]
            for members in self._waiting_for_silent.values()
            for member in members
        }

    def _end_with_their_jobs(self, scene: Scene) -> None:
        """Close what is left of jobs whose time is over, or that were cancelled."""
        for head in scene.heads.values():
            late = scene.now >= head.deadline_at
            if head.state == "closed" or not (late or head.cancelled_at is not None):
                continue
            if head.closed >= head.total and not late:
                continue
            parts = self._ledger.parts(head.id)
            left = [part for part in parts if part.state != "closed"]
            for part in left:
                verdict = ended_by_itself(part, HostState.ALIVE) if part.broken else None
                verdict = verdict or ended_by_its_job(head, part, scene.now)
                if verdict is None:
                    continue
                if part.bound and part.host in scene.silent and not part.broken:
                    self._close(head.id, part, *self._dark(part.host))
                else:
                    self._close(head.id, part, verdict)
            if not left and head.closed != head.total:
                counted = self._ledger.recount(head.id)
                logger("watch").warning("job %s counted %d closed parts anew", head.id, counted)

    def _go_on(self, scene: Scene, parts: Mapping[str, PartRecord]) -> None:
        """Have parts that wait begun: sent again where their message is lost."""
        again: dict[str, float] = {}
        sought: dict[str, PartRecord] = {}
        for member, part in parts.items():
            job = named(member)[0]
            state = scene.state_of(part.host) if part.bound else HostState.ALIVE
            verdict = ended_by_itself(part, state)
            if verdict is not None:
                self._close(job, part, verdict)
            elif state is HostState.SILENT or (part.bound and part.host not in scene.alive):
                again[member] = scene.now + SOON_SECONDS
                if state is HostState.SILENT:
                    self._waiting_for_silent.setdefault(job, set()).add(member)
            elif part.bound or scene.alive:
                again[member] = scene.now + LOOK_SECONDS * (1 + part.sends)
                sought[member] = part
            else:
                again[member] = scene.now + SOON_SECONDS
        lost = self._messages.lost(sought) if sought else set[str]()
        # A message that was just handed out is nowhere for a moment: it is missed twice.
        self._send_again(lost & self._suspected, parts)
        suspected = lost - self._suspected
        again |= dict.fromkeys(suspected, scene.now + SOON_SECONDS)
        kept = {one for one in self._suspected - sought.keys() if named(one)[0] in scene.heads}
        self._suspected = frozenset(kept | suspected)
        self._ledger.leases.look_again(again)
        self._answer_for_the_silent(scene)

    def _send_again(self, lost: set[str], parts: Mapping[str, PartRecord]) -> None:
        for member in sorted(lost):
            job, name = named(member)
            part = parts[member]
            payload = self._ledger.payload(job, name)
            if payload is None:
                self._close(job, part, Verdict(StopReason.ERROR, "its task cannot be read"))
                continue
            queue = self._queue_for(part, payload)
            if queue is not None:
                logger("watch").info("%s is sent again", member)
                self._ledger.sent_again(job, name)
                sending.send_payload(self._app, member, payload, queue)

    def _queue_for(self, part: PartRecord, payload: Mapping[str, object]) -> str | None:
        """Where a part is to be sent; None where no host that is there could do it."""
        if part.bound or not part.refused:
            return routing.part_queue(part.host if part.bound else "")
        needed = payload.get("format")
        for view in self._presence.fleet():
            known = view.facts.format if view.facts is not None else 0
            able = isinstance(needed, int) and known >= needed
            if view.alive and able and view.host not in part.refused:
                return routing.host_queue(view.host)
        return None

    def _answer_for_the_silent(self, scene: Scene) -> None:
        """Close the parts of silent hosts, once they are all that their job waits for: until then
        a host that comes back still does them."""
        for job, members in list(self._waiting_for_silent.items()):
            head = scene.heads.get(job)
            if head is None or head.closed >= head.total:
                del self._waiting_for_silent[job]
                continue
            records = self._ledger.part_records(sorted(members))
            for member in set(members):
                part = records.get(member)
                if part is None or part.state != "sent" or part.host not in scene.silent:
                    members.discard(member)
            if len(members) < head.total - head.closed:
                continue
            for member in sorted(members):
                part = records[member]
                if self._darkness.to_be_answered_for(part.host, scene.alive, scene.clock):
                    self._close(job, part, *self._dark(part.host))

    def _dark(self, host: str) -> tuple[Verdict, OutsideView | None]:
        """What is said of a dark host: by whoever waited for it, and by a peer."""
        view = self._darkness.view(host)
        known = host in self._presence.last_seen((host,))
        return dark(known=known, view=view), view

    def _close(
        self, job: str, part: PartRecord, verdict: Verdict, view: OutsideView | None = None
    ) -> None:
        """Close a part in its runner's stead, and count it."""
        if part.broken:
            self._ledger.mend(job, part)
        report = self._billed(report_of(job, part, verdict, view))
        if self._ledger.close_part(report, None).ours:
            sending.tell_chord(self._app, job, part.part)

    def _billed(self, report: HostReport) -> HostReport:
        """A report with what the part's own saved steps say that it took of a model."""
        steps = self._ledger.steps.load(report.job, report.part)
        charges = summed(step.charge for step in steps if step.charge is not None)
        if not charges:
            return report
        return report.model_copy(update={"charges": charges, "usage": Usage.of(charges)})
