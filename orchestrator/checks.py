"""Asks hosts to measure what others said of them, all at once, and waits for what they answer."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from orchestrator import dispatch, settle
from orchestrator.contradict import Place
from orchestrator.settle import Answer, Folded, Question
from swarm_tasks.contracts import ClaimCheck, ClaimsChecked
from swarm_tasks.log import logger
from swarm_tasks.models.evidence import Evidence
from swarm_tasks.models.job import BrainChoice
from swarm_tasks.models.report import HostReport
from swarm_tasks.store import keys
from swarm_tasks.store.ledger import Ledger
from swarm_tasks.store.presence import Presence
from swarm_tasks.store.records import JobRecord

CHECK_SECONDS = 10.0
"""The longest that a report waits for hosts to measure what others said of them."""

QUICK_SECONDS = 1.5
"""The same where no model thought, so that only readings of the rules can be in doubt, and for a
keeper, who has other jobs to look after. Less than a keeper waits before it ends a job itself."""

LEAST_SECONDS = 0.2
"""With less time left, no host is asked."""

SLICE_SECONDS = 1.0
"""How long one wait for an answer lasts, before it is looked whether the job was cancelled."""

LEAST_WAIT_SECONDS = 0.01
"""A wait of less than a millisecond is none to some stores, and that is a wait without end."""

MOST_HOSTS = 200
"""How many hosts are asked for one job: their answers are read one after the other."""

CANCELLED = "the job was cancelled"
NO_TIME = "there was no time left to have it measured there"


@dataclass(frozen=True, slots=True)
class Checks:
    """The way to the hosts of one job.

    Args:
        app: What sends.
        seconds: How long their answers are waited for; the job's deadline may make it less.
    """

    app: Celery
    ledger: Ledger
    presence: Presence
    seconds: float = CHECK_SECONDS

    def settle(self, record: JobRecord, parts: Sequence[HostReport], closing: float) -> Folded:
        """The parts with what other hosts measured for them. What nobody could measure says why.

        Args:
            closing: Seconds before the deadline that are kept for what comes after.

        Raises:
            redis.RedisError: The store is away.
        """
        parts = settle.without_hearsay(parts)
        asked, told = settle.questions(parts)
        if not asked:
            return settle.folded(parts, told)
        most = QUICK_SECONDS if record.job.brain is BrainChoice.RULES else CHECK_SECONDS
        left = record.deadline_at - self.ledger.now() - closing
        seconds = min(self.seconds, most, left)
        waiting: dict[str, Question] = {}
        # Who lets any host answer asks the whole fleet.
        hosts = record.job.hosts or tuple(view.host for view in self.presence.fleet())
        alive = self.presence.beats(hosts)
        for question in asked:
            reason = _unable(record, hosts, question.host, alive, seconds, len(waiting))
            call = "" if reason else self._send(record.job.id, question, seconds)
            if call:
                waiting[call] = question
            else:
                reason = reason or "the question could not be sent to it"
                told |= settle.unasked(question, reason)
        known = frozenset(item.call_id for part in parts for item in part.evidence)
        heard, evidence = self._heard(record.job.id, waiting, seconds, known)
        return settle.folded(parts, told | heard, evidence)

    def _send(self, job: str, question: Question, seconds: float) -> str:
        """Ask one host; the call's name, or nothing where it could not be sent."""
        check = ClaimCheck(
            call=secrets.token_hex(8),
            job=job,
            host=question.host,
            claims=question.claims,
            expires_at=self.ledger.now() + seconds,
        )
        try:
            dispatch.send_check(self.app, check)
        except (OperationalError, redis.RedisError, OSError) as error:
            logger("control").warning("job %s: %s was not asked: %s", job, question.host, error)
            return ""
        return check.call

    def _heard(
        self, job: str, waiting: Mapping[str, Question], seconds: float, known: frozenset[str]
    ) -> tuple[dict[Place, Answer], list[Evidence]]:
        """All answers that come in time; what is left says that none came."""
        told: dict[Place, Answer] = {}
        evidence: list[Evidence] = []
        left = {keys.ANSWER.at(call=call): question for call, question in waiting.items()}
        end = time.monotonic() + seconds
        reason = f"did not answer within {seconds:.2g} s"
        while left and (now := time.monotonic()) < end:
            wait = wait_seconds(end - now, SLICE_SECONDS)
            got = self.ledger.client.blpop([*left], timeout=wait)
            if got is not None:
                question = left.pop(got[0])
                answered, measured = _read(job, question, got[1], known)
                known |= {item.call_id for item in measured}
                told |= answered
                evidence += measured
            elif self.ledger.cancelled((job,)):
                reason = f"did not answer before {CANCELLED}"
                break
        for question in left.values():
            told |= settle.unasked(question, f"{question.host} {reason}")
        return told, evidence


def without_asking(parts: Sequence[HostReport], reason: str) -> Folded:
    """The parts where no host can be asked: the claims that would have needed it say why."""
    parts = settle.without_hearsay(parts)
    asked, told = settle.questions(parts)
    for question in asked:
        told |= settle.unasked(question, reason)
    return settle.folded(parts, told)


def _unable(
    record: JobRecord,
    hosts: Sequence[str],
    host: str,
    alive: Mapping[str, object],
    seconds: float,
    sent: int,
) -> str:
    """Why a host is not asked; empty where it is."""
    if host not in hosts:
        return f"{host} was not asked in this job" if record.job.hosts else f"{host} is not known"
    if record.cancelled_at is not None:
        return CANCELLED
    if host not in alive:
        return f"{host} gives no sign of life"
    if seconds < LEAST_SECONDS:
        return NO_TIME
    return "" if sent < MOST_HOSTS else "too many hosts were to be asked"


def _read(
    job: str, question: Question, text: str, known: frozenset[str]
) -> tuple[dict[Place, Answer], Sequence[Evidence]]:
    """One host's answer; one that cannot be read is none."""
    try:
        checked = ClaimsChecked.model_validate_json(text)
    except ValueError as error:
        logger("control").warning("job %s: the answer of %s: %.300s", job, question.host, error)
        return settle.unasked(question, f"the answer of {question.host} cannot be read"), ()
    return settle.answers(question, checked, known)


def wait_seconds(left_seconds: float, slice_seconds: float) -> float:
    """How long to let the store wait for an answer: what is left, in slices, and never too little
    for the store to take it for a time."""
    return max(min(left_seconds, slice_seconds), LEAST_WAIT_SECONDS)
