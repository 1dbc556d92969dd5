"""Ends jobs whose parts are all closed, where Celery's chord has not."""

from __future__ import annotations

import threading
import time

import redis
from celery import Celery

from orchestrator.checks import CHECK_SECONDS, QUICK_SECONDS, Checks
from orchestrator.finish import DISTRUST_PERCENT, finish
from orchestrator.prose import PROSE_SECONDS
from swarm_tasks import sending
from swarm_tasks.app import instance_of, settings_of
from swarm_tasks.config import Settings
from swarm_tasks.errors import UnknownName
from swarm_tasks.log import logger
from swarm_tasks.models.job import BrainChoice
from swarm_tasks.store.client import connect
from swarm_tasks.store.ledger import Ledger
from swarm_tasks.store.presence import Presence, control_member
from swarm_tasks.store.records import JobHead, JobRecord
from swarm_tasks.watch.thread import WatchThread

TICK_SECONDS = 0.5

JOIN_SECONDS = 5.0
"""How long a control that ends waits for each of its threads."""

CHORD_SECONDS = 2.0
"""How long all parts of a job may be closed before its synthesis is sent again …"""

CHORD_SECONDS_A_PART = 0.002
"""… and longer for each part: a report of thousands takes seconds, and is not to be made twice."""


class Keeper:
    """Watches jobs for their end. Several may run at once: a job closes once.

    The chord sends the synthesis when its last part is counted. Whoever closed that part may have
    died before, or the message with a control: then it is sent again here. If that is of no use
    either, the job is ended here, without a model's words.

    Args:
        app: To send a synthesis again.
        ledger: Where jobs stand.
        presence: Who is there.
        words_seconds: How long the chord's body may wait for a model's words beside its work, and
            with that for hosts that check what others' models said of them; 0 without a model.
        distrust_percent: The share of checked claims of a model that may be wrong.
        by: Who keeps, as it stands among the controls that are alive.
    """

    def __init__(
        self,
        app: Celery,
        ledger: Ledger,
        presence: Presence,
        words_seconds: float = 0.0,
        distrust_percent: float = DISTRUST_PERCENT,
        by: str = "an asker",
    ) -> None:
        self._app = app
        self._words = words_seconds
        self._distrust_percent = distrust_percent
        self._checks = Checks(app, ledger, presence, QUICK_SECONDS)
        self._ledger = ledger
        self._presence = presence
        self._by = by
        self._end_at: dict[str, float] = {}
        self._sent_again: set[str] = set()

    def tick(self) -> None:
        """Look after every open job once."""
        jobs = self._ledger.open_jobs()
        heads = self._ledger.heads(jobs)
        for job in jobs:
            try:
                self._look_after(job, heads.get(job))
            except UnknownName:
                self._ledger.drop_open(job)  # its life ended before it was closed
            except redis.RedisError:
                raise
            except Exception:  # noqa: BLE001 - one job's trouble must not be all jobs'
                logger("control").exception("job %s could not be looked after", job)
        for gone in self._end_at.keys() - set(jobs):
            self._forget(gone)

    def look_after(self, job: str) -> None:
        """End one job, if all of it is closed and nobody else has ended it in time."""
        self._look_after(job, self._ledger.heads((job,)).get(job))

    def _look_after(self, job: str, head: JobHead | None) -> None:
        if head is None:
            self._ledger.record(job)
            return
        if head.state == "closed" or head.closed < head.total:
            self._forget(job)
            return
        clock = time.monotonic()
        if job not in self._end_at:
            self._end_at[job] = clock + self._grace_seconds(self._ledger.record(job))
        if clock < self._end_at[job]:
            return
        if self._ledger.is_being_ended(job):
            return
        if job not in self._sent_again and self._presence.controls():
            logger("control").warning("job %s: its synthesis is sent again", job)
            self._sent_again.add(job)
            self._end_at[job] = clock + self._grace_seconds(self._ledger.record(job))
            sending.send_synthesis(self._app, job)
            return
        logger("control").warning("job %s: the chord did not end it; ending it here", job)
        finish(
            self._ledger,
            self._presence,
            job,
            checks=self._checks,
            distrust_percent=self._distrust_percent,
            by=self._by,
        )

    def _forget(self, job: str) -> None:
        self._end_at.pop(job, None)
        self._sent_again.discard(job)

    def _grace_seconds(self, record: JobRecord) -> float:
        """How long from now the chord's body may take with a job whose parts are all closed."""
        words = 0.0
        if record.job.brain is not BrainChoice.RULES and record.cancelled_at is None:
            most = self._words + CHECK_SECONDS if self._words else 0.0
            words = min(most, max(record.deadline_at - self._ledger.now(), 0.0))
        return CHORD_SECONDS + CHORD_SECONDS_A_PART * record.total + words


class ControlService:
    """The keeper and the watch beside control's tasks, for the life of its process."""

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
            control_member(instance_of(app), settings.host),
        )
        self._watch = WatchThread(app, self.ledger, self.presence, settings.heartbeat_seconds)
        self._instance = instance_of(app)
        self._name = settings.host
        self._sign_seconds = min(TICK_SECONDS, settings.heartbeat_seconds)
        self._stop = threading.Event()
        self._there = threading.Event()
        # To end several jobs may take longer than a sign of life lasts: it has its own thread.
        self._threads = (
            threading.Thread(target=self._sign, name="hostswarm-control-sign", daemon=True),
            threading.Thread(target=self._turn, name="hostswarm-keeper", daemon=True),
        )

    def ready(self) -> None:
        """Give signs of life, and begin to keep."""
        for thread in self._threads:
            thread.start()
        self._watch.start()

    def stopping(self) -> None:
        """Nothing: a synthesis takes milliseconds, or as long as a model may take for its words."""

    def stopped(self) -> None:
        """Keep no more."""
        self._stop.set()
        self._there.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(JOIN_SECONDS)
        self._watch.stop()
        try:
            self.presence.leave_control(self._instance, self._name)
        except redis.RedisError as error:
            logger("control").warning("left without saying so: %s", error)

    def _sign(self) -> None:
        """Give signs of life, however long the keeper is at one job."""
        while True:
            try:
                self.presence.beat_control(self._instance, self._name)
                self._there.set()
            except redis.RedisError as error:
                self._there.clear()
                logger("control").warning("control could give no sign of life: %s", error)
            except Exception:  # noqa: BLE001 - a control without a sign is buried while it works
                logger("control").exception("the sign of life stumbled")
            if self._stop.wait(self._sign_seconds):
                return

    def _turn(self) -> None:
        """Keep, while this control is known to be there: else another takes over what it begins."""
        while True:
            self._there.wait()
            if self._stop.is_set():
                return
            try:
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
