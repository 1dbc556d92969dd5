"""A job told in a model's words, asked of a real endpoint that follows a script."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import SecretStr

from orchestrator import keeper as keepers
from orchestrator.finish import finish
from orchestrator.keeper import Keeper
from orchestrator.plan import default_parts, host_tasks
from orchestrator.prose import DIGEST_ORDERS, MOST_GROUPS
from orchestrator.render.numbers import REMOVED
from swarm_tasks.app import close_app, make_app
from swarm_tasks.brain.tokens import count
from swarm_tasks.config import Settings
from swarm_tasks.embedded import EmbeddedStore
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.charge import Allowance, Charge, Price, Tier
from swarm_tasks.models.finding import Verdict
from swarm_tasks.models.job import BrainChoice, Job, Specialist
from swarm_tasks.models.policy import Policy
from swarm_tasks.models.report import HostReport, Report
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.ledger import Ledger
from swarm_tasks.store.presence import Presence
from tests.support.hosts import view
from tests.support.model_script import Turn, fails, plays, says
from tests.support.model_server import ModelServer
from tests.support.scenes import part, trouble
from tests.support.waiting import wait_until

SPECIALIST = Specialist(name="storage", title="", prompt="", tools=())
VAR = "/var (/dev/sda2, ext4)"
GOOD = says(
    "The shop is slow since /var on web1 is {f1.1} full, where {f1.1.limit} is the limit: "
    "{n.answered} of {n.asked} hosts answered. Free space there first; ninety percent would do, "
    "and web2 has 5 days left at {f9.9}."
)
SETTLED = (
    "The shop is slow since /var on web1 is 97.3 % full, where 80 % is the limit: 2 of 2 hosts "
    f"answered. Free space there first; {REMOVED} would do, and web2 has {REMOVED} left at "
    f"{REMOVED}."
)
ONE_LINE = says("Here {f1.1} is the state of a unit; 77 of them are ill.")
BY_COUNTS = (
    "2 of 2 hosts answered. 2 claims: 1 verified, 1 stale. 1 critical finding. First: trouble "
    "with disk on web1, /var (/dev/sda2, ext4)."
)

Finish = Callable[..., Report]
"""Ends a job whose parts are these; keywords are fields of the job, and `settings` of control."""


@pytest.fixture(scope="module")
def server() -> Generator[ModelServer]:
    """One server for all; each test plays its own script."""
    with ModelServer(plays(GOOD)) as running:
        yield running


@pytest.fixture(autouse=True)
def _anew(server: ModelServer) -> None:  # pyright: ignore[reportUnusedFunction]
    server.forget()


def shop() -> tuple[HostReport, ...]:
    full = trouble("web1", "disk.used_percent", VAR, 97.3)
    gone = trouble("web2", "cpu.busy_percent", "all 2 cores", 99.0, verdict=Verdict.STALE)
    return part("web1", findings=(full,)), part("web2", findings=(gone,))


@pytest.fixture
def ended(client: Commands, server: ModelServer) -> Finish:
    ledger, presence = Ledger(client, 3600), Presence(client, 5.0, 3600)

    def run(*parts: HostReport, settings: dict[str, Any] | None = None, **more: Any) -> Report:
        job = opened(ledger, parts or shop(), **more)
        given = {"router_url": server.url, "orchestrator_model": "wise", "context_length": 8192}
        finish(ledger, presence, job.id, Settings.model_validate({**given, **(settings or {})}))
        report = ledger.report(job.id)
        assert report is not None
        return report

    return run


def opened(ledger: Ledger, parts: tuple[HostReport, ...], **more: Any) -> Job:
    """A job in the ledger, all its parts closed."""
    given: dict[str, Any] = {
        "id": "abcdefgh",
        "question": "Why is the shop slow?",
        "hosts": tuple(sorted({one.host for one in parts})),
        "specialists": ("storage",),
        "created": now_utc(),
        "deadline_seconds": 60.0,
    }
    job = Job.model_validate({**given, **more})
    deadline_at = ledger.now() + job.deadline_seconds
    tasks = host_tasks(
        job, default_parts(job.hosts, (SPECIALIST,), job.question), Policy(), deadline_at
    )
    ledger.open(job, tasks, deadline_at)
    for one in parts:
        assert ledger.close_part(one, None)
    return job


def test_the_words_are_the_model_s_and_the_numbers_are_the_hosts_(
    ended: Finish, server: ModelServer
) -> None:
    server.play(plays(GOOD))
    report = ended(
        settings={"prices": {"wise": Price(input_usd_per_million=2.0, output_usd_per_million=0.0)}}
    )
    assert report.summary == SETTLED
    assert (report.summary_source, report.prose_removed) == ("model", 3)
    assert (report.job.brain, report.degraded) == ("llm", ())
    (seen,) = server.requests()
    assert (seen.body["model"], seen.body["user"]) == ("wise", "control/synthesis")
    assert "tools" not in seen.body
    system, user = seen.body["messages"]
    assert "never orders" in system["content"]
    assert "{f1.1} = 97.3 % used (limit {f1.1.limit} = 80 %)" in user["content"]
    assert "Question: Why is the shop slow?" in user["content"]
    # What did not hold when it was measured again is not even mentioned.
    assert "cores" not in user["content"]
    (charge,) = report.charges
    assert (charge.tier, charge.calls) == (Tier.ORCHESTRATOR, 1)
    assert charge.prompt_tokens == seen.prompt_tokens == report.usage.prompt_tokens
    assert charge.cost_usd == pytest.approx(2 * seen.prompt_tokens / 1e6)
    assert report.usage.llm_calls == 1


def test_what_planning_took_is_on_the_bill(ended: Finish, client: Commands) -> None:
    planned = Charge(tier=Tier.ORCHESTRATOR, model="wise", prompt_tokens=700, cost_usd=0.01)
    ledger = Ledger(client, 3600)
    job = opened(ledger, shop(), brain=BrainChoice.RULES)
    ledger.charge_job(job.id, planned)
    finish(ledger, Presence(client, 5.0, 3600), job.id, Settings())
    report = ledger.report(job.id)
    assert report is not None
    assert report.charges == (planned,)
    assert (report.usage.llm_calls, report.usage.prompt_tokens) == (1, 700)


def test_hosts_are_compared_with_those_of_the_role_that_they_announced(client: Commands) -> None:
    ledger, presence = Ledger(client, 3600), Presence(client, 5.0, 3600)
    roles = {**dict.fromkeys(("web1", "web2", "web3", "web4", "web5"), "web"), "db1": "db"}
    for host, role in roles.items():
        seen = view(host, role)
        assert seen.facts is not None
        assert seen.beat is not None
        presence.announce(seen.facts)
        presence.beat(seen.beat)
    memory = ("memory.used_percent", "physical memory")
    used = {**dict.fromkeys(roles, 20.0), "web5": 80.0, "db1": 85.0}
    parts = tuple(part(host, {memory: value}) for host, value in used.items())
    job = opened(ledger, parts, brain=BrainChoice.RULES)
    finish(ledger, presence, job.id)
    report = ledger.report(job.id)
    assert report is not None
    (outlier,) = report.outliers
    assert (outlier.host, outlier.group, outlier.peers) == ("web5", "hosts of role web", 5)
    assert [line.role for line in report.hosts] == ["db", *["web"] * 5]
    assert report.findings == ()


NONSENSE = {
    "nothing": says(""),
    "data": says('{"summary": "the disk is full, so be it"}'),
    "numbers": says("12 and 13 and 14 and 15 hosts have 98 % of 99 GB, so it is 16:20."),
    "one word": says("the " * 300),
}


@pytest.mark.parametrize("turn", NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_leaves_the_summary_that_is_made_of_counts(
    ended: Finish, server: ModelServer, turn: Turn
) -> None:
    server.play(plays(turn))
    report = ended()
    assert report.summary.startswith(BY_COUNTS)
    assert (report.summary_source, report.job.brain) == ("rules", "degraded")
    (why,) = report.degraded
    assert (why.step, why.host) == ("synthesis", "")
    assert why.reason.startswith("the model")
    assert report.charges[0].calls == 1  # it cost something all the same


def test_a_model_that_is_down_is_told_and_not_waited_for(
    ended: Finish, server: ModelServer
) -> None:
    server.kill()
    try:
        began = time.monotonic()
        report = ended(deadline_seconds=1.3)
        assert time.monotonic() - began < 10  # it would be twenty
    finally:
        server.restart()
    assert report.summary.startswith(BY_COUNTS)
    assert report.job.brain == "degraded"
    assert report.degraded[0].reason


def test_a_model_that_is_slow_ends_with_the_deadline(ended: Finish, server: ModelServer) -> None:
    server.play(plays(fails(hang=True)))
    began = time.monotonic()
    report = ended(deadline_seconds=1.3)
    assert time.monotonic() - began < 10  # it would be twenty
    assert report.summary.startswith(BY_COUNTS)
    assert report.degraded[0].step == "synthesis"
    assert report.usage.wall_seconds < 10
    (charge,) = report.charges  # the provider bills what it was sent
    assert (charge.calls, charge.cost_usd, charge.counted) == (1, None, False)
    assert charge.prompt_tokens > 200


def test_words_that_nobody_waits_for_are_given_up(
    ended: Finish, server: ModelServer, client: Commands
) -> None:
    server.play(plays(fails(hang=True)))

    def cancel() -> None:
        wait_until("the model is asked", lambda: len(server.requests()) == 1)
        Ledger(client, 3600).cancel("abcdefgh")

    began = time.monotonic()
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(cancel)
        report = ended()
        asked.result()
    assert time.monotonic() - began < 15
    assert (report.job.cancelled, report.degraded) == (True, ())
    assert report.summary.startswith("The job was cancelled.")


def test_after_the_deadline_no_model_is_asked(ended: Finish, server: ModelServer) -> None:
    server.play(plays(GOOD))
    report = ended(deadline_seconds=0.6)
    assert server.requests() == []
    assert report.degraded[0].reason == "no time was left before the deadline"


def test_a_job_by_rules_asks_nobody(ended: Finish, server: ModelServer) -> None:
    server.play(plays(GOOD))
    report = ended(brain=BrainChoice.RULES)
    assert server.requests() == []
    assert (report.job.brain, report.degraded) == ("rules", ())


def test_a_control_without_a_model_says_so_where_one_was_asked_for(ended: Finish) -> None:
    bare: dict[str, Any] = {"router_url": (), "orchestrator_model": None}
    assert ended(settings=bare).degraded == ()
    parts = tuple(one.model_copy(update={"job": "bcdefghi"}) for one in shop())
    assert ended(*parts, settings=bare, id="bcdefghi", brain=BrainChoice.LLM).degraded[
        0
    ].reason == ("control has no model")


def test_a_budget_that_is_used_up_stops_the_words(
    ended: Finish, server: ModelServer, client: Commands
) -> None:
    server.play(plays(GOOD))
    report = ended(allowance=Allowance(max_tokens=0))
    assert server.requests() == []
    assert report.degraded[0].reason == "the job's 0 tokens are used up"
    assert report.job.allowance.max_tokens == 0


@pytest.mark.parametrize(
    ("bound", "price"),
    [
        ({"max_tokens": 10_000}, Price(input_usd_per_million=9, output_usd_per_million=9)),
        ({"budget_usd": 0.01}, Price(input_usd_per_million=1, output_usd_per_million=1)),
    ],
)
def test_a_summary_takes_no_more_than_is_left_of_the_budget(
    ended: Finish, server: ModelServer, bound: dict[str, Any], price: Price
) -> None:
    server.play(plays(ONE_LINE))
    report = ended(
        *fleet(200),
        allowance=Allowance(**bound),
        settings={"context_length": 8_000, "prices": {"wise": price, "quick": price}},
    )
    assert report.degraded == ()
    (seen,) = server.requests()  # the gravest lines at once, in place of each group's digest
    assert 2_000 < seen.prompt_tokens + seen.completion_tokens < 8_000
    assert "were left out" in seen.body["messages"][1]["content"]


def test_a_budget_that_pays_for_no_summary_is_not_begun(ended: Finish, server: ModelServer) -> None:
    server.play(plays(GOOD))
    report = ended(allowance=Allowance(max_tokens=500))
    assert server.requests() == []
    assert report.degraded[0].reason == (
        "a summary would take more than is left of the job's budget"
    )


def test_a_key_that_is_refused_is_named(ended: Finish, server: ModelServer) -> None:
    server.play(plays(GOOD, key="another"))
    report = ended(settings={"router_key": SecretStr("sk-canary")})
    assert "HOSTSWARM_ROUTER_KEY" in report.degraded[0].reason
    assert "canary" not in report.to_json()


def fleet(hosts: int) -> tuple[HostReport, ...]:
    """Hosts with a trouble and an answer of their own each."""
    units = ("redis", "nginx", "kafka", "queue")
    return tuple(
        part(
            f"node{number:03}",
            findings=(
                trouble(
                    f"node{number:03}",
                    "service.state",
                    f"{units[number % 4]}-{number}.service",
                    "failed",
                    explanation="It ended when its log could not be written any more.",
                ),
            ),
            answer="The unit failed since the volume that it writes to has no room left.",
            charges=(Charge(tier=Tier.WORKER, model="quick", prompt_tokens=10, cost_usd=0.0),),
        )
        for number in range(hosts)
    )


def test_a_fleet_that_fits_no_window_is_read_in_groups_and_joined(
    ended: Finish, server: ModelServer
) -> None:
    # The placeholder that each group names goes up through the digests to the prose.
    server.play(plays(ONE_LINE, window=4_000))
    report = ended(*fleet(400), settings={"context_length": 4_000})
    assert report.degraded == ()
    assert report.summary == f"Here failed is the state of a unit; {REMOVED} of them are ill."
    assert (report.job.brain, report.prose_removed) == ("llm", 1)
    requests = server.requests()
    assert all(seen.status == 200 for seen in requests)
    digests = [one for one in requests if DIGEST_ORDERS in one.body["messages"][0]["content"]]
    assert 10 < len(digests) <= 2 * MOST_GROUPS
    assert len(requests) == len(digests) + 1
    last = requests[-1].body["messages"][1]["content"]
    assert f"Here {{f1.1}} is the state of a unit; {REMOVED} of them are ill." in last
    assert "node000" not in last
    (orchestrator, _) = report.charges
    assert orchestrator.calls == len(requests)
    assert all(count(one["content"]) < 4_000 for seen in requests for one in seen.body["messages"])


def test_a_window_that_is_smaller_than_was_said_is_found_out(
    ended: Finish, server: ModelServer
) -> None:
    server.play(plays(ONE_LINE, window=3_000))
    report = ended(*fleet(60), settings={"context_length": 16_000})
    assert report.degraded == ()
    assert server.requests()[0].status == 400


def test_a_group_that_fails_fails_the_words_and_not_the_report(
    ended: Finish, server: ModelServer
) -> None:
    server.play(plays(fails(status=401)))
    report = ended(*fleet(200), settings={"context_length": 4_000})
    assert report.job.brain == "degraded"
    assert len(report.findings) == 200
    assert [one.step for one in report.degraded] == ["synthesis"]


@pytest.fixture
def keeper(client: Commands, store: EmbeddedStore) -> Generator[Keeper]:
    app = make_app(Settings(broker_url=SecretStr(store.url)), listens=False)
    yield Keeper(app, Ledger(client, 3600), Presence(client, 5.0, 3600), words_seconds=20.0)
    close_app(app)


def test_the_keeper_leaves_a_job_to_the_model_and_asks_none_itself(
    keeper: Keeper, client: Commands, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keepers, "CHORD_SECONDS", 0.3)
    server.play(plays(GOOD))
    ledger = Ledger(client, 3600)
    parts = tuple(one.model_copy(update={"job": "patient1"}) for one in fleet(1))
    job = opened(ledger, parts, id="patient1", deadline_seconds=1.0)
    plain = opened(
        ledger,
        tuple(one.model_copy(update={"job": "byrules1"}) for one in parts),
        id="byrules1",
        brain=BrainChoice.RULES,
    )
    began = time.monotonic()
    ended_after: dict[str, float] = {}

    def closed() -> bool:
        keeper.tick()
        for name in (job.id, plain.id):
            if ledger.record(name).state == "closed":
                ended_after.setdefault(name, time.monotonic() - began)
        return len(ended_after) == 2

    wait_until("the keeper ends both jobs", closed, 10)
    # A second more, which is what was left of the job's time, and not all twenty.
    assert 0.3 < ended_after[plain.id] < ended_after[job.id] < 5
    assert server.requests() == []
    report = ledger.report(job.id)
    assert report is not None
    assert report.degraded[0].reason == "the job was ended by control's keeper, which asks no model"
