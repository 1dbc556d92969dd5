"""Keeps jobs from hanging: answers for hosts that are gone, and ends jobs at their deadline."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Mapping
from datetime import datetime

import redis
from celery import Celery

from orchestrator.checks import CHECK_SECONDS, QUICK_SECONDS, Checks
from orchestrator.finish import DISTRUST_PERCENT, finish
from orchestrator.prose import PROSE_SECONDS
from swarm_tasks import sending
from swarm_tasks.app import settings_of
from swarm_tasks.config import Settings
from swarm_tasks.errors import UnknownName
from swarm_tasks.log import logger
from swarm_tasks.models.charge import summed
from swarm_tasks.models.host import Beat
from swarm_tasks.models.job import BrainChoice
from swarm_tasks.models.report import HostReport, HostStatus, StopReason, Usage
from swarm_tasks.store.client import connect
from swarm_tasks.store.ledger import Ledger, moment
from swarm_tasks.store.presence import Presence
from swarm_tasks.store.records import JobRecord, PartRecord

TICK_SECONDS = 0.5
SCAN_SECONDS = 2.0
"""How often the parts of a job are looked through while nothing seems wrong."""

PAUSE_SECONDS = 2.0
"""A keeper that has not looked for this long may have missed signs of life that came and went."""

CHORD_SECONDS = 2.0
"""How long all parts of a job may be closed before the keeper ends it without the chord …"""

CHORD_SECONDS_A_PART = 0.002
"""… and longer for each part: a report of thousands takes seconds, and is not to be made twice."""

CANCEL_SECONDS = 10.0
"""How long agents of a cancelled job may take to close their own parts."""


class Keeper:
    """Watches open jobs. Several may run at once: the ledger lets each part and job close once.

    Args:
        app: To count a part towards its chord.
        ledger: Where jobs stand.
        presence: Who is there.
        words_seconds: How long the chord's body may wait for a model's words beside its work, and
            with that for hosts that check what others' models said of them; 0 without a model.
        distrust_percent: The share of checked claims of a model that may be wrong.
    """

    def __init__(
        self,
        app: Celery,
        ledger: Ledger,
        presence: Presence,
        words_seconds: float = 0.0,
        distrust_percent: float = DISTRUST_PERCENT,
    ) -> None:
        self._app = app
        self._words = words_seconds
        self._distrust_percent = distrust_percent
        self._checks = Checks(app, ledger, presence, QUICK_SECONDS)
        self._ledger = ledger
        self._presence = presence
        self._since = self._looked = time.monotonic()
        self._scanned: dict[str, float] = {}
        self._end_at: dict[str, float] = {}
        self._done: dict[str, frozenset[str]] = {}

    def tick(self) -> None:
        """Look after every open job once."""
        self._heed()
        jobs = self._ledger.open_jobs()
        for job in jobs:
            try:
                self.look_after(job)
            except UnknownName:
                self._ledger.drop_open(job)  # its life ended before it was closed
            except redis.RedisError:
                raise
            except Exception:  # noqa: BLE001 - one job's trouble must not be all jobs'
                logger("control").exception("job %s could not be looked after", job)
        for gone in {*self._scanned, *self._end_at, *self._done} - set(jobs):
            self._scanned.pop(gone, None)
            self._end_at.pop(gone, None)
            self._done.pop(gone, None)

    def _heed(self) -> float:
        """The clock, once it is known whether this keeper or its store stood still until now."""
        clock = time.monotonic()
        if clock - self._looked > PAUSE_SECONDS:
            self._since = clock
        self._looked = clock
        return clock

    def look_after(self, job: str) -> None:
        """Close what nobody else will close, and end the job once all of it is closed."""
        record = self._ledger.record(job)
        if record.state == "closed":
            return
        clock = self._heed()
        if record.closed < record.total:
            self._close_the_lost(record, clock)
            return
        if job not in self._end_at:
            self._end_at[job] = clock + self._grace_seconds(record)
        if clock > self._end_at[job]:
            logger("control").warning("job %s: the chord did not end it; ending it here", job)
            finish(
                self._ledger,
                self._presence,
                job,
                checks=self._checks,
                distrust_percent=self._distrust_percent,
            )
            # Its own work was no silence: other jobs' hosts are not to be given time for that.
            self._looked = time.monotonic()

    def _grace_seconds(self, record: JobRecord) -> float:
        """How long from now the chord's body may take with a job whose parts are all closed."""
        words = 0.0
        if record.job.brain is not BrainChoice.RULES and record.cancelled_at is None:
            most = self._words + CHECK_SECONDS if self._words else 0.0
            words = min(most, max(record.deadline_at - self._ledger.now(), 0.0))
        return CHORD_SECONDS + CHORD_SECONDS_A_PART * record.total + words

    def _close_the_lost(self, record: JobRecord, clock: float) -> None:
        job = record.job
        beats = self._presence.beats(job.hosts)
        now = self._ledger.now()
        known_closed = self._done.get(job.id, frozenset[str]())
        silent: set[str] = {*job.hosts} - {*beats} - known_closed
        if silent and clock - self._since < self._presence.ttl_seconds:
            # The store was away, and every sign of life went with it: let the living speak.
            beats |= {host: _unheard(host, now) for host in silent}
            silent = set()
        pressing = now >= record.deadline_at or record.cancelled_at is not None or bool(silent)
        if not pressing and clock - self._scanned.get(job.id, 0.0) < SCAN_SECONDS:
            return
        self._scanned[job.id] = clock
        last_seen = self._presence.last_seen(job.hosts)
        parts = self._ledger.parts(job.id)
        for part in parts:
            if part.state == "closed":
                continue
            report = verdict_on(record, part, beats.get(part.host), now, last_seen)
            if report is not None and self._ledger.close_part(self._billed(report), None).ours:
                sending.tell_chord(self._app, job.id, part.part)
        # A silent host whose parts are all closed is no reason to look again.
        still_open = {part.host for part in parts if part.state != "closed"}
        self._done[job.id] = frozenset(job.hosts) - still_open

    def _billed(self, report: HostReport) -> HostReport:
        """A report with what the part's own saved steps say that it took of a model."""
        steps = self._ledger.steps.load(report.job, report.part)
        charges = summed(step.charge for step in steps if step.charge is not None)
        if not charges:
            return report
        return report.model_copy(update={"charges": charges, "usage": Usage.of(charges)})


def verdict_on(
    record: JobRecord,
    part: PartRecord,
    beat: Beat | None,
    now: float,
    last_seen: Mapping[str, datetime],
) -> HostReport | None:
    """The report for a part that nobody will close, or None while somebody may. Pure."""
    if record.cancelled_at is not None and (
        part.state == "sent" or now - record.cancelled_at > CANCEL_SECONDS
    ):
        return _unanswered(record, part, StopReason.CANCELLED, "was cancelled")
    if beat is None:
        return dark_report(record.job.id, part.part, part.host, part.specialist, last_seen)
    if part.state == "running" and beat.instance and part.owner != beat.instance:
        return _unanswered(record, part, StopReason.LOST, "its worker restarted while it ran")
    if now >= record.deadline_at:
        began = "did not finish" if part.state == "running" else "was not begun"
        return _unanswered(record, part, StopReason.DEADLINE, f"{began} by the deadline")
    return None


def _unheard(host: str, now: float) -> Beat:
    """A stand-in for the sign of life of a host that could not give one."""
    return Beat(host=host, instance="", at=moment(now), load1=0.0, agents=0, capacity=0)


def dark_report(
    job: str, part: str, host: str, specialist: str, last_seen: Mapping[str, datetime]
) -> HostReport:
    """The report for a part on a host that gives no sign of life.

    When it was last seen stands in the report's table of hosts, not in the reason as well.
    """
    known = host in last_seen
    return HostReport(
        job=job,
        part=part,
        host=host,
        specialist=specialist,
        status=HostStatus.DARK,
        stop=StopReason.DARK,
        reason="its worker gives no sign of life" if known else "its worker never came",
    )


def _unanswered(record: JobRecord, part: PartRecord, stop: StopReason, reason: str) -> HostReport:
    return HostReport(
        job=record.job.id,
        part=part.part,
        host=part.host,
        specialist=part.specialist,
        status=HostStatus.FAILED,
        stop=stop,
        reason=reason,
    )


class ControlService:
    """The keeper at work beside control's tasks, for the life of its process."""

    def __init__(self, app: Celery, settings: Settings) -> None:
        client = connect(settings)
        self.ledger = Ledger(client, settings.result_ttl_seconds)
        self.presence = Presence(client, settings.presence_ttl_seconds, settings.forget_seconds)
        words_seconds = min(PROSE_SECONDS, settings.model_timeout_seconds)
        self._keeper = Keeper(
            app,
            self.ledger,
            self.presence,
            words_seconds if settings.has_model else 0.0,
            settings.distrust_percent,
        )
        self._instance = secrets.token_hex(6)
        self._name = settings.host
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._turn, name="hostswarm-keeper", daemon=True)

    def ready(self) -> None:
        """Begin to keep."""
        self._thread.start()

    def stopping(self) -> None:
        """Nothing: a synthesis takes milliseconds, or as long as a model may take for its words."""

    def stopped(self) -> None:
        """Keep no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(5.0)
        self.presence.leave_control(self._instance, self._name)

    def _turn(self) -> None:
        while True:
            try:
                self.presence.beat_control(self._instance, self._name)
                self._keeper.tick()
            except redis.RedisError as error:
                logger("control").warning("the keeper cannot reach the store: %s", error)
            except Exception:  # noqa: BLE001 - the keeper must not end while control lives
                logger("control").exception("the keeper stumbled")
            if self._stop.wait(TICK_SECONDS):
                return


def make_service(app: Celery, settings: Settings | None = None) -> ControlService:
    """The service of a control process."""
    return ControlService(app, settings or settings_of(app))
