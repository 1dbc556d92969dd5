"""Claims about other hosts are measured there: a real store and control, hosts that are played."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, ClassVar, cast

import pytest
import redis
from celery import Celery
from pydantic import SecretStr

from orchestrator.checks import Checks
from orchestrator.finish import finish
from orchestrator.keeper import Keeper
from orchestrator.plan import Part, default_parts, host_tasks
from swarm_tasks import contracts, routing
from swarm_tasks.app import close_app, make_app
from swarm_tasks.config import Settings
from swarm_tasks.contracts import ClaimCheck, ClaimsChecked
from swarm_tasks.embedded import EmbeddedStore
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.event import EventKind
from swarm_tasks.models.finding import (
    Acknowledgement,
    Claim,
    EvidenceRef,
    Finding,
    Severity,
    Verdict,
)
from swarm_tasks.models.host import Beat
from swarm_tasks.models.job import BrainChoice, Job, Specialist
from swarm_tasks.models.policy import Policy
from swarm_tasks.models.report import HostReport, Report
from swarm_tasks.models.tally import Tally
from swarm_tasks.store import keys
from swarm_tasks.store.acks import Acks
from swarm_tasks.store.client import PATIENTLY
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.leases import Lease
from swarm_tasks.store.ledger import Ledger
from swarm_tasks.store.presence import Presence
from swarm_tasks.store.trust import TrustRecord
from tests.support.claims import VAR, claimed, said
from tests.support.scenes import answer, part
from tests.support.trusted import count_claims
from tests.support.waiting import wait_until

SPECIALIST = Specialist(name="storage", title="", prompt="", tools=())
MODEL: dict[str, Any] = {"source": "model", "model": "quick", "severity": Severity.INFO}
VERIFIED, REFUTED, UNVERIFIABLE = Verdict.VERIFIED, Verdict.REFUTED, Verdict.UNVERIFIABLE

Play = Callable[[ClaimCheck], str]
"""What a host answers, as text; nothing for no answer."""


class PlayedHosts:
    """Hosts that give signs of life and answer `swarm.check` as a test wants; no worker."""

    def __init__(self, app: Celery, client: Commands, *hosts: str) -> None:
        self.asked: list[ClaimCheck] = []
        self.play: dict[str, Play] = {}
        self._app: Any = app
        self._client = client
        self._hosts = hosts
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> PlayedHosts:
        presence = Presence(self._client, 60.0, 3600)
        for host in self._hosts:
            moment = now_utc()
            beat = Beat(host=host, instance=host, at=moment, load1=0.0, agents=0, capacity=9)
            presence.beat(beat)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)

    def _serve(self) -> None:
        with self._app.connection_for_read() as connection:
            queues = [connection.SimpleQueue(routing.errand_queue(host)) for host in self._hosts]
            while not self._stop.is_set():
                for queue in queues:
                    self._take(queue)
                self._stop.wait(0.01)
            for queue in queues:
                queue.close()

    def _take(self, queue: Any) -> None:
        try:
            message = queue.get_nowait()
        except queue.Empty:
            return
        message.ack()
        assert message.headers["task"] == contracts.CHECK
        (payload,), _, _ = message.payload
        check = ClaimCheck.model_validate(payload)
        self.asked.append(check)
        told = self.play.get(check.host, lambda _: "")(check)
        if told:
            self._client.rpush(keys.ANSWER.at(call=check.call), told)


@pytest.fixture
def app(store: EmbeddedStore) -> Generator[Celery]:
    made = make_app(Settings(broker_url=SecretStr(store.url)), listens=False)
    yield made
    close_app(made)


@pytest.fixture
def hosts(app: Celery, client: Commands) -> Generator[PlayedHosts]:
    with PlayedHosts(app, client, "web1", "web2", "web3") as played:
        yield played


class Control:
    """Ends jobs as control does, and as a keeper does."""

    def __init__(self, app: Celery, client: Commands) -> None:
        self.app = app
        self.client = client
        self.ledger, self.presence = Ledger(client, 3600), Presence(client, 60.0, 3600)

    def opened(self, *parts: HostReport, **more: Any) -> Job:
        """A job whose parts are all closed."""
        given: dict[str, Any] = {
            "id": "abcdefgh",
            "hosts": tuple(sorted({one.host for one in parts})),
            "specialists": ("storage",),
            "created": now_utc(),
            "deadline_seconds": 60.0,
        }
        job = Job.model_validate({**given, **more})
        deadline_at = self.ledger.now() + job.deadline_seconds
        wanted = default_parts(job.hosts, (SPECIALIST,), job.question)
        self.ledger.open(job, host_tasks(job, wanted, Policy(), deadline_at), deadline_at)
        for one in parts:
            assert self.ledger.close_part(one, None)
        return job

    def ended(self, *parts: HostReport, seconds: float = 10.0, **more: Any) -> Report:
        """The report of such a job."""
        job = self.opened(*parts, **more)
        checks = Checks(self.app, self.ledger, self.presence, seconds)
        finish(self.ledger, self.presence, job.id, checks=checks)
        return self.report(job.id)

    def report(self, job: str) -> Report:
        found = self.ledger.report(job)
        assert found is not None
        return found


@pytest.fixture
def control(app: Celery, client: Commands) -> Control:
    return Control(app, client)


def about(host: str, **more: Any) -> Claim:
    return claimed(host=host, subject="/var", observed=None, **more)


def asking(*claims: Claim, host: str = "web1") -> HostReport:
    finding = said(host, *claims, **MODEL)
    tally = Tally.of(claims, model="quick", specialist="storage", opinions=1)
    return part(host, findings=(finding,), tallies=(tally,))


def measuring(verdict: Verdict, value: float) -> Play:
    """A host on which everything is this full."""

    def play(check: ClaimCheck) -> str:
        taken = answer(check.host, "disk.used_percent", {"x": value}, f"{check.host}/{check.call}")
        ref = EvidenceRef(call_id=taken.call_id, pointer="/x", sha256=taken.sha256())
        changed = {
            "subject": VAR,
            "verdict": verdict,
            "remeasured": value,
            "remeasured_at": now_utc(),
            "evidence": (ref,),
        }
        claims = tuple(claim.model_copy(update=changed) for claim in check.claims)
        return ClaimsChecked(claims=claims, evidence=(taken,)).model_dump_json()

    return play


def only(report: Report) -> Finding:
    (finding,) = [one for one in report.findings if one.source == "model"]
    return finding


def test_each_host_measures_what_another_says_of_it_and_the_report_has_both_verdicts(
    control: Control, hosts: PlayedHosts
) -> None:
    hosts.play = {"web2": measuring(VERIFIED, 97.0), "web3": measuring(REFUTED, 12.0)}
    made = control.ended(
        asking(about("web2"), about("web3")), part("web2"), part("web3"), brain=BrainChoice.AUTO
    )
    assert {check.host: len(check.claims) for check in hosts.asked} == {"web2": 1, "web3": 1}
    finding = only(made)
    assert finding.verdict is REFUTED
    assert [(one.host, one.verdict, one.remeasured) for one in finding.claims] == [
        ("web2", VERIFIED, 97.0),
        ("web3", REFUTED, 12.0),
    ]
    assert (made.claims.verified, made.claims.refuted, made.claims.unverifiable) == (1, 1, 0)
    known = {item.call_id: item for item in made.evidence}
    for claim in finding.claims:
        (ref,) = claim.evidence
        assert known[ref.call_id].host == claim.host
        assert known[ref.call_id].sha256() == ref.sha256
    assert made.usage.tool_calls == 2
    assert "2 claims: 1 refuted, 1 verified" in made.summary


def test_a_claim_of_an_answer_for_any_host_is_measured_on_a_host_that_took_no_question(
    control: Control, hosts: PlayedHosts
) -> None:
    hosts.play = {"web2": measuring(VERIFIED, 97.0)}
    job = Job(id="abcdefgh", specialists=("storage",), created=now_utc(), deadline_seconds=60.0)
    deadline_at = control.ledger.now() + job.deadline_seconds
    tasks = host_tasks(job, (Part("", SPECIALIST, "?"),), Policy(), deadline_at)
    control.ledger.open(job, tasks, deadline_at)
    lease = control.ledger.leases.take(job.id, tasks[0].part, "life", "web1", 5.0)
    assert isinstance(lease, Lease)
    taken = asking(about("web2"), about("web9")).model_copy(update={"part": tasks[0].part})
    assert control.ledger.close_part(taken, lease.attempt).ours
    finish(
        control.ledger,
        control.presence,
        job.id,
        checks=Checks(control.app, control.ledger, control.presence, 10.0),
    )
    made = control.report(job.id)
    assert [(one.host, one.verdict, one.reason) for one in only(made).claims] == [
        ("web2", VERIFIED, ""),
        ("web9", Verdict.UNVERIFIABLE, "web9 is not known"),
    ]
    assert made.coverage.asked == ("web1",)
    assert {item.host for item in made.evidence} >= {"web2"}


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("web9", "web9 was not asked in this job"),
        ("web4", "web4 gives no sign of life"),
        ("web2", "web2 did not answer within 0.3 s"),
        ("web3", "the answer of web3 cannot be read"),
    ],
)
def test_what_cannot_be_measured_there_says_why(
    control: Control, hosts: PlayedHosts, host: str, reason: str
) -> None:
    hosts.play = {"web3": lambda _: '{"claims": "none"}'}
    others = [part(name) for name in ("web2", "web3", "web4")]
    made = control.ended(asking(about(host)), *others, seconds=0.3)
    (claim,) = only(made).claims
    assert (claim.verdict, claim.reason) == (UNVERIFIABLE, reason)
    assert only(made).opinion
    assert made.job.status == "complete"


def test_a_forged_measurement_of_another_host_gives_way_to_what_is_measured_there(
    control: Control, hosts: PlayedHosts
) -> None:
    hosts.play = {"web2": measuring(VERIFIED, 97.0)}
    forged = about("web2", verdict=REFUTED, remeasured=12.0)
    made = control.ended(asking(forged), part("web2"), brain=BrainChoice.AUTO)
    (claim,) = only(made).claims
    assert (claim.verdict, claim.remeasured) == (VERIFIED, 97.0)
    assert (made.claims.verified, made.claims.refuted) == (1, 0)


def test_all_hosts_are_waited_for_together(control: Control, hosts: PlayedHosts) -> None:
    measure = measuring(VERIFIED, 97.0)

    def answer_for_both(check: ClaimCheck) -> str:
        """What web2 was asked is answered only once web3 was asked too."""
        first = hosts.asked[0]
        control.client.rpush(keys.ANSWER.at(call=first.call), measure(first))
        return measure(check)

    hosts.play = {"web3": answer_for_both}
    made = control.ended(asking(about("web2"), about("web3")), part("web2"), part("web3"))
    assert [check.host for check in hosts.asked] == ["web2", "web3"]
    assert {claim.verdict for claim in only(made).claims} == {VERIFIED}


def test_after_the_deadline_nobody_is_asked(control: Control, hosts: PlayedHosts) -> None:
    hosts.play = {"web2": measuring(VERIFIED, 97.0)}
    made = control.ended(asking(about("web2")), part("web2"), deadline_seconds=0.5)
    (claim,) = only(made).claims
    assert claim.reason == "there was no time left to have it measured there"
    assert hosts.asked == []


def test_a_job_that_was_cancelled_asks_nobody(control: Control, hosts: PlayedHosts) -> None:
    job = control.opened(asking(about("web2")), part("web2"))
    control.ledger.cancel(job.id)
    checks = Checks(control.app, control.ledger, control.presence)
    finish(control.ledger, control.presence, job.id, checks=checks)
    assert only(control.report(job.id)).claims[0].reason == "the job was cancelled"
    assert hosts.asked == []


def test_agents_that_contradict_each_other_are_settled_by_a_measurement(
    control: Control, hosts: PlayedHosts
) -> None:
    def play(check: ClaimCheck) -> str:
        low = measuring(VERIFIED, 12.5)(check)
        told = ClaimsChecked.model_validate_json(low)
        claims = tuple(
            claim if claim.comparator == "<=" else claim.model_copy(update={"verdict": REFUTED})
            for claim in told.claims
        )
        return told.model_copy(update={"claims": claims}).model_dump_json()

    hosts.play = {"web1": play}
    high = claimed(observed=97.0, verdict=VERIFIED, remeasured=97.0)
    low = claimed(comparator="<=", value=20.0, observed=12.0)
    mine = part("web1", findings=(said("web1", high),))
    theirs = said("web1", low, specialist="services", **MODEL)
    job = Job(
        id="abcdefgh",
        hosts=("web1",),
        specialists=("storage", "services"),
        created=now_utc(),
        deadline_seconds=60.0,
    )
    deadline_at = control.ledger.now() + 60.0
    specialists = (SPECIALIST, SPECIALIST.model_copy(update={"name": "services"}))
    wanted = default_parts(job.hosts, specialists, job.question)
    control.ledger.open(job, host_tasks(job, wanted, Policy(), deadline_at), deadline_at)
    assert control.ledger.close_part(mine, None)
    other = part("web1", part="web1/services", specialist="services", findings=(theirs,))
    assert control.ledger.close_part(other, None)
    checks = Checks(control.app, control.ledger, control.presence)
    finish(control.ledger, control.presence, job.id, checks=checks)
    made = control.report(job.id)
    (one,) = made.contradictions
    assert (one.host, one.subject, one.value) == ("web1", VAR, 12.5)
    assert {finding.source: finding.verdict for finding in made.findings} == {
        "model": VERIFIED,
        "rules": Verdict.STALE,
    }
    assert not any(finding.alarms for finding in made.findings)


def test_a_keeper_has_claims_measured_too(control: Control, hosts: PlayedHosts) -> None:
    hosts.play = {"web2": measuring(VERIFIED, 97.0)}
    job = control.opened(asking(about("web2")), part("web2"))
    keeper = Keeper(control.app, control.ledger, control.presence)

    def ended() -> bool:
        keeper.look_after(job.id)
        return control.ledger.record(job.id).state == "closed"

    wait_until("the keeper has ended the job", ended)
    assert only(control.report(job.id)).counts


def test_without_a_way_to_the_hosts_the_report_comes_all_the_same(
    control: Control, hosts: PlayedHosts
) -> None:
    job = control.opened(asking(about("web2")), part("web2"))
    finish(control.ledger, control.presence, job.id)
    (claim,) = only(control.report(job.id)).claims
    assert claim.reason == "no host could be asked to measure it"
    assert hosts.asked == []


class TogetherLedger(Ledger):
    """A ledger whose finishers read a job's parts at the same time, while it is open."""

    both = threading.Barrier(2, timeout=20)

    def report_texts(self, job: str) -> dict[str, str]:
        self.both.wait()
        return super().report_texts(job)


SocketConnection: Any = redis.UnixDomainSocketConnection


class DeafConnection(SocketConnection):
    """A connection that breaks once it has closed a job, before the answer to that is heard."""

    lost: ClassVar[list[int]] = []

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        SocketConnection.send_packed_command(self, command, check_health)
        if not self.lost and EventKind.JOB_CLOSED.encode() in b"".join(command):
            self.lost.append(self.read_response())
            self.disconnect()
            raise redis.ConnectionError("the answer was lost")


def wrong_once(control: Control) -> Job:
    """A job in which a model was wrong, and nobody is to be asked."""
    return control.opened(asking(claimed(verdict=REFUTED, remeasured=12.0)))


def on_record(control: Control) -> tuple[str, str, int, int]:
    (tally,) = TrustRecord(control.client).tallies()
    return tally.model, tally.specialist, tally.refuted, tally.made


def test_what_became_of_claims_goes_on_record_once_however_many_end_the_job(
    control: Control,
) -> None:
    job = wrong_once(control)
    ledger = TogetherLedger(control.client, 3600)
    with ThreadPoolExecutor(2) as pool:
        ends = [pool.submit(finish, ledger, control.presence, job.id) for _ in range(2)]
        for end in ends:
            end.result(30)
    assert on_record(control) == ("quick", "storage", 1, 1)


def test_what_became_of_claims_goes_on_record_once_where_the_answer_to_that_is_lost(
    control: Control, store: EmbeddedStore
) -> None:
    job = wrong_once(control)
    made = cast(Any, redis.ConnectionPool).from_url
    options = {"connection_class": DeafConnection, "decode_responses": True, "retry": PATIENTLY}
    with closing(made(store.url, **options)) as pool, redis.Redis(connection_pool=pool) as deaf:
        finish(Ledger(cast(Commands, deaf), 3600), control.presence, job.id)
    assert DeafConnection.lost == [1]
    assert control.ledger.record(job.id).state == "closed"
    assert on_record(control) == ("quick", "storage", 1, 1)


def test_a_doubted_model_is_marked_and_the_report_says_so(
    control: Control, hosts: PlayedHosts
) -> None:
    bad = Tally(model="quick", specialist="storage", verified=5, refuted=15)
    other = Tally(model="unused", specialist="storage", refuted=20)
    count_claims(control.client, (bad, other))
    made = control.ended(asking(claimed(observed=97.0, verdict=VERIFIED, remeasured=97.0)))
    assert only(made).doubted
    assert [doubt.tally.model for doubt in made.doubts] == ["quick"]
    assert "quick is doubted as storage" in made.summary


def test_what_is_acknowledged_is_known_in_the_next_report(
    control: Control, hosts: PlayedHosts
) -> None:
    full = said("web1", claimed(observed=97.0, verdict=VERIFIED, remeasured=97.0))
    ack = Acknowledgement(
        fingerprint=full.fingerprint,
        severity=Severity.CRITICAL,
        until=now_utc().replace(year=2999),
        reason="known",
        at=now_utc(),
    )
    Acks(control.client).add(ack)
    (finding,) = control.ended(part("web1", findings=(full,))).findings
    assert finding.acknowledged is not None
    assert (finding.acknowledged.reason, finding.acknowledged.until.year) == ("known", 2999)
    assert not finding.alarms


@pytest.mark.parametrize("key", [keys.ACKS, keys.TRUST])
def test_a_store_that_cannot_tell_what_is_known_costs_no_report(
    control: Control, hosts: PlayedHosts, key: keys.Key
) -> None:
    today = now_utc().date().isoformat()
    name = key.at(day=today) if key is keys.TRUST else key.at()
    control.client.set(name, "no hash at all")
    made = control.ended(asking(claimed(observed=97.0, verdict=VERIFIED, remeasured=97.0)))
    assert only(made).counts
    assert made.doubts == ()
