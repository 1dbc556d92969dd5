"""Looks after every part of the fleet that nobody runs.

Whoever holds a short lock does it: any worker, any control. All that it decides is written by
scripts which ask the ledger again, so that one who wakes up late, and thinks he still has the lock,
does no harm.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

import redis
from celery import Celery

from swarm_tasks import sending
from swarm_tasks.log import logger
from swarm_tasks.models.report import StopReason
from swarm_tasks.store import keys, lease_scripts
from swarm_tasks.store.draining import Draining
from swarm_tasks.store.leases import LOOK_SECONDS, named
from swarm_tasks.store.ledger import Ledger
from swarm_tasks.store.outside import OutsideViews
from swarm_tasks.store.presence import Presence, control_owner
from swarm_tasks.store.records import PartRecord
from swarm_tasks.watch.closer import Closer, Sentence
from swarm_tasks.watch.darkness import Darkness
from swarm_tasks.watch.messages import Messages, forget, give_back
from swarm_tasks.watch.scene import Scene
from swarm_tasks.watch.verdicts import (
    HostState,
    Verdict,
    dark,
    ended_by_its_job,
    ended_by_itself,
    too_new,
    unreadable,
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
"""Parts that one look is after."""

CALM_PARTS = 1_000
"""So many parts may be looked after each three seconds; with more that wait, each is looked after
more rarely. What was put back does not wait for that."""


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
        self._views = OutsideViews(client)
        self._closer = Closer(app, ledger, lambda: self._hold_lock()[0])
        self._since = self._looked = 0.0
        self._clocks: tuple[float, float] | None = None
        self._held = False
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Forget what was seen before another had the lock."""
        self._suspected: frozenset[str] = frozenset()
        self._waiting_for_silent: dict[str, set[str]] = {}
        self._darkness = Darkness(
            self._views,
            lambda look: sending.send_outside_look(self._app, look),
            self._presence.last_seen,
        )

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
        if held and not self._held:
            self._begin_anew()
        self._held = held
        if held:
            self._bury()
            self._look_after(self._scene(now, clock))
            self._looked = time.monotonic()  # its own work was no silence
        return held

    def _hold_lock(self) -> tuple[bool, float]:
        """Take the lock, or keep it; whether it is this watch's, and the store's clock."""
        life_ms = int(LOCK_SECONDS * 1000)
        held, seconds, microseconds = self._hold(
            keys=[keys.WATCH.at()], args=[self._owner, life_ms]
        )
        return bool(held), int(seconds) + int(microseconds) / 1e6

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
        jobs = self._ledger.open_jobs()
        heads = self._ledger.heads(jobs)
        broken = [job for job in jobs if job not in heads and self._client.exists(_job_key(job))]
        for job in broken:
            self._ledger.mend_job(job)
        return Scene(
            now=now,
            clock=clock,
            heads=heads | self._ledger.heads(broken),
            alive=self._presence.alive(),
            drained=frozenset(self._draining.drained()),
            presence=self._presence,
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

    def _put_back(self, scene: Scene) -> dict[str, PartRecord]:
        """Make parts wait again whose runner has let their lease run out; those."""
        if not self._hears(scene.clock):
            return {}
        back: list[str] = []
        for member in self._ledger.leases.over(scene.now):
            job, part = named(member)
            why = "its worker gave no sign of life"
            if self._ledger.leases.put_back(job, part, None, why):
                logger("watch").info("%s was put back: %s", member, why)
                back.append(member)
        return self._ledger.part_records(back)

    def _look_after(self, scene: Scene) -> None:
        """Have parts that wait begun, or answered for."""
        fallen = self._put_back(scene)
        due = self._ledger.leases.waiting(scene.now, MOST_AT_ONCE)
        records = self._ledger.part_records(due) | fallen
        gone = [one for one in records if named(one)[0] not in scene.heads]
        self._ledger.leases.drop(gone)
        for member in gone:
            del records[member]
        waiting = {member: part for member, part in records.items() if part.state == "sent"}
        # Others were begun since they were found waiting, or closed.
        later = scene.now + LOOK_SECONDS
        self._ledger.leases.look_again(dict.fromkeys(records.keys() - waiting.keys(), later))
        scene = self._with_silent(scene, waiting)
        self._end_with_their_jobs(scene)
        self._go_on(scene, waiting, fallen)
        self._answer_for_the_silent(scene)

    def _with_silent(self, scene: Scene, waiting: Mapping[str, PartRecord]) -> Scene:
        asked = {part.host for part in waiting.values() if part.bound}
        for members in self._waiting_for_silent.values():
            asked |= {named(member)[1].partition("/")[0] for member in members}
        # A host that left of its own will was heard of just now, and is away all the same.
        alive = scene.alive - (asked - self._presence.beats(tuple(asked)).keys())
        scene = replace(scene, alive=alive)
        if not self._hears(scene.clock):
            return scene
        silent = self._darkness.note(asked, alive, scene.clock, scene.now)
        return replace(scene, silent=silent)

    def _end_with_their_jobs(self, scene: Scene) -> None:
        """Close what is left of jobs whose time is over, or that were cancelled."""
        for head in scene.heads.values():
            late = scene.now >= head.deadline_at
            if head.state == "closed" or not (late or head.cancelled_at is not None):
                continue
            if head.closed >= head.total:
                continue
            parts = self._ledger.parts(head.id)
            left = [part for part in parts if part.state != "closed"]
            sentences: list[Sentence] = []
            for part in left:
                verdict = unreadable(part) or ended_by_its_job(head, part, scene.now)
                if verdict is None:
                    continue
                if part.bound and part.host in scene.silent and not part.broken:
                    sentences.append(self._dark(head.id, part))
                else:
                    sentences.append(Sentence(head.id, part, verdict, whoever=True))
            self._closer.close(sentences)
            if not left:
                counted = self._ledger.recount(head.id)
                logger("watch").warning("job %s counted %d closed parts anew", head.id, counted)

    def _go_on(
        self, scene: Scene, waiting: Mapping[str, PartRecord], fallen: Mapping[str, PartRecord]
    ) -> None:
        """Have parts that wait begun: sent again where their message is lost."""
        again: dict[str, float] = {}
        sought: dict[str, PartRecord] = {}
        ended: list[Sentence] = []
        calm = max(1.0, self._ledger.leases.count_waiting() / CALM_PARTS)
        for member, part in waiting.items():
            job, state = named(member)[0], scene.state_of(part)
            if verdict := ended_by_itself(part, state):
                ended.append(Sentence(job, part, verdict))
            elif state is HostState.ALIVE:
                again[member] = scene.now + LOOK_SECONDS * calm * (1 + part.sends)
                sought[member] = part
            else:
                again[member] = scene.now + SOON_SECONDS
                if state is HostState.SILENT:
                    self._waiting_for_silent.setdefault(job, set()).add(member)
        ready = self._lost(scene, sought, fallen)
        ended += self._send_again(scene, {member: sought[member] for member in ready})
        suspected = self._suspected & again.keys()
        again |= dict.fromkeys(suspected, scene.now + SOON_SECONDS)
        self._ledger.leases.look_again(again)
        self._closer.close(ended)

    def _lost(
        self, scene: Scene, sought: Mapping[str, PartRecord], fallen: Mapping[str, PartRecord]
    ) -> set[str]:
        """Those whose message nobody holds. What was put back went with its worker; any other is
        missed twice, since a message that was just handed out is nowhere for a moment."""
        ready = {member for member in sought if member in fallen or sought[member].refused}
        rest = {member: part for member, part in sought.items() if member not in ready}
        missed = self._messages.lost(rest) if rest else set[str]()
        kept = {one for one in self._suspected - sought.keys() if named(one)[0] in scene.heads}
        confirmed = missed & self._suspected
        self._suspected = frozenset(kept | (missed - confirmed))
        return ready | confirmed

    def _send_again(self, scene: Scene, parts: Mapping[str, PartRecord]) -> list[Sentence]:
        """Send these parts; those that nobody could do are to be closed."""
        ended: list[Sentence] = []
        for member, part in sorted(parts.items()):
            job, name = named(member)
            try:
                payload = self._ledger.payload(job, name)
                if payload is None:
                    verdict = Verdict(StopReason.ERROR, "its task cannot be read")
                    ended.append(Sentence(job, part, verdict))
                    continue
                needed = payload.get("format", 1)
                queue = scene.queue_for(part, needed if isinstance(needed, int) else 1)
                if queue is None:
                    ended.append(Sentence(job, part, too_new(part, payload)))
                    continue
                logger("watch").info("%s is sent again", member)
                self._ledger.sent_again(job, name)
                sending.send_payload(self._app, member, payload, queue)
            except redis.ResponseError as error:  # one entry's trouble must not be all entries'
                logger("watch").warning("%s cannot be sent again: %s", member, error)
        return ended

    def _answer_for_the_silent(self, scene: Scene) -> None:
        """Close the parts of silent hosts, once they are all that their job waits for: until then
        a host that comes back still does them."""
        for job, members in list(self._waiting_for_silent.items()):
            head = scene.heads.get(job)
            if head is None or head.closed >= head.total:
                del self._waiting_for_silent[job]
                continue
            if len(members) < head.total - head.closed:
                continue
            records = self._ledger.part_records(sorted(members))
            for member, part in records.items():
                if part.state != "sent" or part.host not in scene.silent:
                    members.discard(member)
            due = self._darkness.due({records[one].host for one in members}, scene)
            self._closer.close(
                [self._dark(job, records[one]) for one in members if records[one].host in due]
            )

    def _dark(self, job: str, part: PartRecord) -> Sentence:
        """What is said of a part of a dark host: by who waited for it, and by a peer."""
        known, view = self._darkness.seen(part.host)
        return Sentence(job, part, dark(known=known, view=view), view=view)


def _job_key(job: str) -> str:
    return keys.JOB.at(job=job)
