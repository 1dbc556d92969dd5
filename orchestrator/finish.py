"""Ends a job whose parts are all closed: what other hosts have to measure is asked, the report is
made, told in words, and stored."""

from __future__ import annotations

import gc
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

import redis
from pydantic import ValidationError

from orchestrator.across.readings import Peers
from orchestrator.checks import Checks, without_asking
from orchestrator.joining import Known
from orchestrator.prose import Purse, tell, wants_words
from orchestrator.settle import Folded, tallies_of
from orchestrator.synthesis import Circumstances, bare_report, hosts_of, synthesize
from orchestrator.told import Told, with_words
from swarm_tasks.config import Settings
from swarm_tasks.errors import JobError
from swarm_tasks.log import logger
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.job import ANY_HOST, BrainChoice
from swarm_tasks.models.report import HostReport, HostStatus, Report, StopReason
from swarm_tasks.models.tally import Tally, by_source
from swarm_tasks.store.acks import Acks
from swarm_tasks.store.last_audits import LastAudits
from swarm_tasks.store.ledger import Ledger
from swarm_tasks.store.presence import Presence
from swarm_tasks.store.records import JobRecord, PartRecord
from swarm_tasks.store.trust import TrustRecord, increments

CLOSING_SECONDS = 0.5
"""Of a job's time, what is kept to close it after a model was asked for words."""

DISTRUST_PERCENT: float = Settings.model_fields["distrust_percent"].default
"""As the settings have it, for who knows none."""


def finish(
    ledger: Ledger,
    presence: Presence,
    job: str,
    settings: Settings | None = None,
    checks: Checks | None = None,
    distrust_percent: float = DISTRUST_PERCENT,
    by: str = "an asker",
) -> None:
    """Make a job's report and close it; nothing if it is closed already, or a control is at it.

    Args:
        settings: Whose model writes the summary, where the job wants one. None asks no model: so
            does a keeper, which ends a job because nobody else did in time.
        checks: The way to the hosts; None asks none of them to measure what others say of it.
        distrust_percent: The share of checked claims of a model that may be wrong.
        by: Who does it, as it stands among the controls that are alive.

    Raises:
        JobError: Some of its parts are not closed.
        UnknownName: There is no such job.
    """
    record = ledger.record(job)
    if record.state == "closed":
        return
    if ledger.recount(job) < record.total:
        raise JobError(f"job {job} still has parts that are not closed")
    if not ledger.begin_end(job, by):
        return
    try:
        _end(Store(ledger, presence, distrust_percent), record, settings, checks)
    except BaseException:
        ledger.leave_end(job, by)
        raise


def _end(store: Store, record: JobRecord, settings: Settings | None, checks: Checks | None) -> None:
    """Make a job's report, and close the job with it."""
    ledger, job = store.ledger, record.job.id
    with no_cycles_sought():
        parts = _read(ledger, record)
    tallies: tuple[Tally, ...] = ()
    try:
        report, tallies = _joined(store, record, parts, settings, checks)
    except redis.RedisError:
        raise
    except Exception as error:  # noqa: BLE001 - nothing that hosts answer may keep a job open
        logger("control").exception("job %s: its parts could not be joined", job)
        around = Circumstances(finished=now_utc(), cancelled=record.cancelled_at is not None)
        with suppress(ValueError):
            around = replace(around, charges=ledger.job_charges(job))
        reason = f"the answers could not be joined ({type(error).__name__})"
        report = bare_report(record.job, parts, around, reason)
    if ledger.close_job(report, increments(tallies)):
        with store.forgiving("nobody notes what it said of its hosts", job):
            LastAudits(ledger.client, store.presence.forget_seconds).keep(report)


@dataclass(frozen=True, slots=True)
class Store:
    """What the store knows beside the parts' reports."""

    ledger: Ledger
    presence: Presence
    distrust_percent: float

    def known(self, job: str, parts: Sequence[HostReport]) -> Known:
        """What is acknowledged, and which of the models that thought here are doubted."""
        known = Known()
        with self.forgiving("nothing counts as acknowledged", job):
            known = replace(known, acknowledged=Acks(self.ledger.client).standing())
        used = {
            (one.model, one.specialist) for part in parts for one in tallies_of(part) if one.model
        }
        if used:
            with self.forgiving("no model is doubted", job):
                record = TrustRecord(self.ledger.client)
                known = replace(known, doubts=record.doubts(used, self.distrust_percent))
        return known

    @contextmanager
    def forgiving(self, without: str, job: str) -> Generator[None]:
        """Let an error of the store cost no report.

        Args:
            without: What the report then goes without.
        """
        try:
            yield
        except redis.RedisError as error:
            logger("control").warning("job %s: %s: %s", job, without, error)


def _read(ledger: Ledger, record: JobRecord) -> list[HostReport]:
    """What the parts answered. One that cannot be read, as another version may have written it,
    failed: it does not keep the others from being read."""
    job = record.job
    hosts = frozenset(job.hosts)
    known = {part.part: part for part in ledger.parts(job.id)}
    reports: list[HostReport] = []
    for name, text in ledger.report_texts(job.id).items():
        part = known[name]
        try:
            report = HostReport.model_validate_json(text)
            if part.bound and report.host not in hosts:
                raise ValueError("it names a host that was not asked")
            if forged := _forged(report, part):
                raise ValueError(forged)
        except ValueError as error:
            why = f"its report cannot be read: {_first(error)}"
            logger("control").warning("job %s, part %s: %s", job.id, name, why)
            report = HostReport(
                job=job.id,
                part=name,
                host=part.host or ANY_HOST,
                specialist=part.specialist,
                status=HostStatus.FAILED,
                stop=StopReason.ERROR,
                reason=why,
            )
        reports.append(report)
    return reports


def _forged(report: HostReport, part: PartRecord) -> str:
    """What of a report is not the part's own to say; empty if all is.

    A part for any host is that host's which the ledger gave it to. Where it gave it to none, a host
    may still say in its own name that the part could not be begun.
    """
    host = part.host or ANY_HOST
    told = report.findings or report.evidence or report.status is not HostStatus.FAILED
    if not part.host and not told:
        host = report.host
    if (report.part, report.host, report.specialist) != (part.part, host, part.specialist):
        return "it is the report of another part"
    if any(finding.host != host for finding in report.findings):
        return "it speaks for another host"
    if any(item.host != host for item in report.evidence):
        return "it has evidence of another host"
    if any(tally.specialist != part.specialist for tally in report.tallies):
        return "it counts claims of another specialist"
    return ""


def _first(error: ValueError) -> str:
    """The first thing that is wrong, in a few words."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))[:80]
    return f"{place}: {first['msg']}" if place else first["msg"]


def _joined(
    store: Store,
    record: JobRecord,
    parts: Sequence[HostReport],
    settings: Settings | None,
    checks: Checks | None,
) -> tuple[Report, tuple[Tally, ...]]:
    """The report, in a model's words where the job wants any, and what each part counted."""
    ledger = store.ledger
    if checks is None:
        settled = without_asking(parts, "no host could be asked to measure it")
    else:
        settled = checks.settle(record, parts, CLOSING_SECONDS)
    parts = settled.parts
    known = store.known(record.job.id, parts)
    if ledger.cancelled((record.job.id,)):
        record = ledger.record(record.job.id)
    around = _circumstances(store, record, settled, known)
    with no_cycles_sought():
        report = synthesize(record.job, parts, around)
    if wants_words(record.job, report):
        told = _told(ledger, record, report, parts, settings)
        if ledger.cancelled((record.job.id,)):
            record = ledger.record(record.job.id)
            report = synthesize(record.job, parts, _circumstances(store, record, settled, known))
        elif told is not None:
            report = with_words(report, record.job, told, now_utc())
    return report, tuple(one for part in parts for one in by_source(tallies_of(part)))


def _circumstances(store: Store, record: JobRecord, settled: Folded, known: Known) -> Circumstances:
    """What is known beside the parts' reports."""
    presence = store.presence
    hosts = hosts_of(record.job, settled.parts)
    asked = set(hosts)
    facts = {
        view.host: view.facts
        for view in presence.fleet()
        if view.facts is not None and view.host in asked
    }
    return Circumstances(
        finished=now_utc(),
        cancelled=record.cancelled_at is not None,
        last_seen=presence.last_seen(hosts),
        platforms={host: one.os for host, one in facts.items()},
        peers=Peers(
            roles={host: one.role for host, one in facts.items() if one.role},
            platforms={host: one.platform for host, one in facts.items()},
        ),
        charges=store.ledger.job_charges(record.job.id),
        known=known,
        measured=settled.evidence,
        anew=settled.anew,
        unmeasured=settled.unmeasured,
    )


def _told(
    ledger: Ledger,
    record: JobRecord,
    report: Report,
    parts: Sequence[HostReport],
    settings: Settings | None,
) -> Told | None:
    """What a model says of a report that wants words; None where nobody could expect any."""
    job = record.job
    if settings is None:
        # Where models thought on the hosts, one was to join their answers too.
        missed = "the job was ended by control's keeper, which asks no model"
        return Told(degraded=missed) if report.charges else None
    if not settings.has_model:
        missed = "control has no model"
        return Told(degraded=missed) if job.brain is BrainChoice.LLM else None

    def refused() -> str:
        spent = ledger.spent(job.id)
        return job.allowance.exceeded(spent.tokens, spent.cost_usd)

    purse = Purse(
        refused,
        charge=lambda charge: ledger.charge_job(job.id, charge),
        given_up=lambda: bool(ledger.cancelled((job.id,))),
    )
    left = record.deadline_at - ledger.now() - CLOSING_SECONDS
    return tell(report, parts, settings, left, purse)


@contextmanager
def no_cycles_sought() -> Generator[None]:
    """While this lasts, Python's search for cyclic garbage rests.

    Reports are trees, so there is nothing to find, but the search walks all of them again and
    again while they are read: a part of 6,000 would cost twice as much as one of 1,000.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
