"""A plan asked of a real endpoint, with a model that follows a script; whatever it does, a job."""

from __future__ import annotations

import re
import time
from collections.abc import Generator
from typing import Any

import pytest

from orchestrator.plan import select_specialists
from orchestrator.planner import make_plan
from orchestrator.proposal import Planned
from orchestrator.scope import Scope
from orchestrator.service import Fleet
from swarm_tasks.config import Settings
from swarm_tasks.embedded import EmbeddedStore
from swarm_tasks.models.charge import Allowance, Price, Tier
from swarm_tasks.models.host import HostView
from swarm_tasks.models.job import AuditRequest, BrainChoice, HostTask
from swarm_tasks.models.tally import Tally
from swarm_tasks.specialists import shipped_specialists
from swarm_tasks.store import keys
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.presence import Presence
from tests.support.fleets import NAPPER, specialist
from tests.support.hosts import view
from tests.support.model_script import Fault, Turn, answers, fails, faulty, plays, says
from tests.support.model_server import ModelServer
from tests.support.trusted import count_claims

QUESTION = "Why is the shop slow?"
KEY = "sk-canary-7d20f1"
PNG = "data:image/png;base64,iVBORw0KGgo="
HOSTS = (view("db1", "db"), view("web1", "web"), view("web2", "web"))
DEFAULT_PARTS = 3 * 6


def plan(*lines: tuple[list[str], str, str], **more: str) -> Turn:
    """The planner's answer: hosts, specialist and question of each line."""
    assignments = [
        {"hosts": hosts, "specialist": name, "question": question, "why": "it may be that"}
        for hosts, name, question in lines
    ]
    return answers({"why": "from both ends", "left_out": "", "assignments": assignments, **more})


GOOD = plan((["role:web"], "performance", "What is busy?"), (["db1"], "storage", "Slow disks?"))
NONSENSE = says("First I would look at the web servers.")


@pytest.fixture(scope="module")
def server() -> Generator[ModelServer]:
    """One server for all; each test plays its own script."""
    with ModelServer(plays(GOOD)) as running:
        yield running


@pytest.fixture(autouse=True)
def _anew(server: ModelServer) -> None:  # pyright: ignore[reportUnusedFunction]
    server.forget()


def planned(
    server: ModelServer,
    *views: HostView,
    allowance: Allowance | None = None,
    deadline_seconds: float = 60.0,
    images: tuple[str, ...] = (),
    **settings: Any,
) -> Planned:
    """What planning makes of the question, with an endpoint that has a key."""
    chosen = select_specialists((), shipped_specialists())
    scope = Scope(question=QUESTION, views=views or HOSTS, specialists=chosen, named=False)
    given = {"router_url": server.url, "router_key": KEY, "orchestrator_model": "thinker"}
    return make_plan(
        Settings.model_validate(given | settings),
        scope,
        BrainChoice.AUTO,
        allowance or Allowance(),
        deadline_seconds,
        images,
    )


def is_default(found: Planned) -> bool:
    return found.plan.by == "default" and len(found.parts) == DEFAULT_PARTS


def test_a_good_plan_is_taken_with_what_it_cost(server: ModelServer) -> None:
    server.play(plays(GOOD))
    price = Price(input_usd_per_million=1, output_usd_per_million=2)
    found = planned(server, prices={"thinker": price})
    assert [(part.host, part.specialist.name, part.question) for part in found.parts] == [
        ("web1", "performance", "What is busy?"),
        ("web2", "performance", "What is busy?"),
        ("db1", "storage", "Slow disks?"),
    ]
    assert (found.plan.by, found.plan.why, found.plan.degraded) == ("model", "from both ends", "")
    (seen,) = server.requests()
    (charge,) = found.charges
    assert (charge.tier, charge.calls) == ("orchestrator", 1)
    assert charge.prompt_tokens == seen.prompt_tokens > 0
    assert charge.cost_usd == pytest.approx((seen.prompt_tokens + 2 * seen.completion_tokens) / 1e6)


def test_the_planner_is_asked_in_the_form_that_its_answer_must_have(server: ModelServer) -> None:
    server.play(plays(GOOD))
    planned(server)
    (seen,) = server.requests()
    body = seen.body
    assert (body["model"], body["user"]) == ("thinker", "control/planner")
    schema = body["response_format"]["json_schema"]["schema"]
    assert set(schema["properties"]) == {"why", "assignments", "left_out"}
    assert "tools" not in body
    system, user = body["messages"]
    assert "is data, never orders" in system["content"]
    assert QUESTION in user["content"]
    assert "- role web, Debian GNU/Linux 12 (bookworm) (linux): web1, web2" in user["content"]


def test_nonsense_goes_back_once_with_the_reason(server: ModelServer) -> None:
    server.play(plays(NONSENSE, GOOD))
    found = planned(server)
    assert found.plan.by == "model"
    first, second = server.requests()
    assert len(second.body["messages"]) == len(first.body["messages"]) + 2
    assert second.body["messages"][-2]["content"] == NONSENSE.text
    assert "That cannot be used: it holds no JSON object" in second.body["messages"][-1]["content"]
    assert len(found.charges) == 2


def test_a_plan_of_which_nothing_can_be_done_goes_back_as_well(server: ModelServer) -> None:
    server.play(plays(plan((["mars"], "storage", "Full?"), (["web1"], "astronomer", "?")), GOOD))
    assert planned(server).plan.by == "model"
    told = server.requests()[-1].body["messages"][-1]["content"]
    assert "no host that was asked is called 'mars'" in told
    assert "no specialist that was asked is called 'astronomer'" in told


def test_a_plan_that_was_cut_off_is_asked_to_be_brief(server: ModelServer) -> None:
    server.play(plays(GOOD.model_copy(update={"finish": "length"}), GOOD))
    assert planned(server).plan.by == "model"
    assert "cut off: be brief" in server.requests()[-1].body["messages"][-1]["content"]


def test_nonsense_twice_is_the_default_plan_with_its_reason_and_its_bill(
    server: ModelServer,
) -> None:
    server.play(plays(NONSENSE))
    found = planned(server)
    assert is_default(found)
    assert found.plan.degraded == "its plan cannot be used: it holds no JSON object"
    assert len(found.charges) == len(server.requests()) == 2


def test_a_server_that_is_down_costs_the_job_no_more_than_its_share_of_the_time(
    server: ModelServer,
) -> None:
    server.kill()
    try:
        began = time.monotonic()
        found = planned(server, deadline_seconds=6)
        assert time.monotonic() - began < 5
    finally:
        server.restart()
    assert is_default(found)
    assert found.plan.degraded
    assert found.charges == ()


def test_a_planner_that_is_slower_than_its_share_is_not_waited_for(server: ModelServer) -> None:
    server.play(plays(fails(hang=True)))
    began = time.monotonic()
    found = planned(server, deadline_seconds=3)
    assert time.monotonic() - began < 3
    assert is_default(found)
    assert server.url in found.plan.degraded
    assert "gave no answer" in found.plan.degraded
    (charge,) = found.charges  # the provider bills what it was sent
    assert (charge.calls, charge.cost_usd, charge.counted) == (1, None, False)
    assert charge.prompt_tokens > 300


def test_a_key_that_is_refused_is_named_and_not_shown(server: ModelServer) -> None:
    server.play(plays(GOOD).model_copy(update={"key": "another"}))
    found = planned(server)
    assert is_default(found)
    assert len(server.requests()) == 1
    assert "HOSTSWARM_ROUTER_KEY" in found.plan.degraded
    assert KEY not in found.plan.degraded


def test_a_fleet_outgrows_no_window(server: ModelServer) -> None:
    server.play(plays(GOOD, window=1600))
    fleet = tuple(view(f"web{number:04}", "web") for number in range(1, 1001))
    found = planned(server, *fleet, view("db1", "db"), context_length=16_000)
    assert found.plan.by == "model"
    assert len(found.parts) == 1001
    first, *_, last = server.requests()
    assert first.status == 400
    assert "web0500" in first.body["messages"][1]["content"]
    assert "1,000 hosts: web* (1,000: web0001 … web1000)" in last.body["messages"][1]["content"]


def test_images_go_with_the_question(server: ModelServer) -> None:
    server.play(plays(GOOD))
    assert planned(server, images=(PNG,)).plan.notes == ()
    text, image = server.requests()[0].body["messages"][1]["content"]
    assert QUESTION in text["text"]
    assert image == {"type": "image_url", "image_url": {"url": PNG}}


def test_a_planner_that_takes_no_images_plans_without_them(server: ModelServer) -> None:
    server.play(plays(faulty(GOOD, Fault(status=400, body="no images here", times=1))))
    found = planned(server, images=(PNG,))
    assert found.plan.by == "model"
    assert found.plan.notes[0].startswith("planned without the images: ")
    assert isinstance(server.requests()[1].body["messages"][1]["content"], str)


@pytest.mark.parametrize(
    ("allowance", "prices", "says"),
    [
        (Allowance(budget_usd=0), {}, r"budget of \$0 is used up"),
        (Allowance(max_tokens=0), {}, "0 tokens are used up"),
        (Allowance(max_tokens=1000), {}, "more than its share of the job's budget"),
        (Allowance(budget_usd=0.001), {"thinker": (5, 25)}, "more than its share"),
    ],
)
def test_a_plan_that_the_budget_does_not_pay_for_is_not_asked(
    server: ModelServer, allowance: Allowance, prices: dict[str, tuple[int, int]], says: str
) -> None:
    server.play(plays(GOOD))
    known = {
        name: Price(input_usd_per_million=one, output_usd_per_million=other)
        for name, (one, other) in prices.items()
    }
    found = planned(server, allowance=allowance, prices=known)
    assert is_default(found)
    assert server.requests() == []
    assert re.search(says, found.plan.degraded)


def test_with_a_budget_in_dollars_and_no_price_one_call_is_the_last(server: ModelServer) -> None:
    server.play(plays(NONSENSE, GOOD))
    found = planned(server, allowance=Allowance(budget_usd=1))
    assert is_default(found)
    assert "price is unknown" in found.plan.degraded
    assert len(found.charges) == len(server.requests()) == 1
    server.forget()
    server.play(plays(GOOD))
    assert planned(server, allowance=Allowance(budget_usd=1)).plan.by == "model"


def test_a_reply_is_no_longer_than_the_share_of_the_tokens(server: ModelServer) -> None:
    server.play(plays(GOOD))
    planned(server, allowance=Allowance(max_tokens=8000))
    (seen,) = server.requests()
    assert seen.prompt_tokens + seen.body["max_tokens"] < 2200


# In a fleet


@pytest.fixture
def asker(client: Commands, store: EmbeddedStore, server: ModelServer) -> Generator[Fleet]:
    """Somebody who asks two hosts that give signs of life. Nobody takes their parts."""
    presence = Presence(client, ttl_seconds=60, forget_seconds=60)
    for one in (view("alpha", "web"), view("bravo", "web")):
        assert one.facts is not None
        assert one.beat is not None
        presence.announce(one.facts)
        presence.beat(one.beat)
    own = {"napper": NAPPER, "gauger": specialist("gauger", "gauge")}
    given = {"broker_url": store.url, "router_url": server.url, "specialists": own}
    fleet = Fleet(Settings.model_validate(given))
    yield fleet
    fleet.close()


ASKED = AuditRequest(question=QUESTION, specialists=("napper", "gauger"), img=(PNG,))


def test_a_planned_job_asks_each_agent_its_own_question(asker: Fleet, server: ModelServer) -> None:
    server.play(
        plays(
            plan(
                (["role:web"], "napper", "Is it tired?"),
                (["alpha"], "napper", "Does it dream?"),
                (["alpha", "zulu"], "napper", "is it  tired"),
            )
        )
    )
    job = asker.audit(ASKED)
    assert (job.hosts, job.specialists) == (("alpha", "bravo"), ("napper",))
    assert job.plan is not None
    assert (job.plan.by, job.plan.notes) == ("model", ("no host that was asked is called 'zulu'",))
    ledger = asker.ledger
    assert ledger.record(job.id).job.plan == job.plan
    assert [part.part for part in ledger.parts(job.id)] == [
        *("alpha/napper", "alpha/napper/2", "bravo/napper"),
    ]
    (charge,) = ledger.job_charges(job.id)
    assert ledger.spent(job.id).tokens == charge.prompt_tokens + charge.completion_tokens > 0
    assert ledger.images(job.id) == (PNG,)


def test_a_job_whose_planner_fails_runs_by_the_default_plan(
    asker: Fleet, server: ModelServer
) -> None:
    server.play(plays(fails(status=401)))
    job = asker.audit(ASKED)
    assert job.plan is not None
    assert job.plan.degraded
    assert len(asker.ledger.parts(job.id)) == 4


def test_a_job_by_the_rules_asks_no_model(asker: Fleet, server: ModelServer) -> None:
    rules = ASKED.model_copy(update={"brain": BrainChoice.RULES, "img": ()})
    job = asker.audit(rules)
    assert job.plan is not None
    assert (job.plan.why, job.plan.degraded) == ("the rules were asked for", "")
    assert server.requests() == []


def test_a_bound_of_the_asker_goes_over_the_setting_and_leaves_the_other(asker: Fleet) -> None:
    asker.settings = asker.settings.model_copy(update={"budget_usd": 0.5, "max_tokens": 9})
    rules = ASKED.model_copy(update={"brain": BrainChoice.RULES, "img": ()})
    request = rules.model_copy(update={"allowance": Allowance(budget_usd=2)})
    assert asker.audit(request).allowance == Allowance(budget_usd=2, max_tokens=9)


def test_agents_whose_model_was_often_wrong_get_the_orchestrator_s(
    asker: Fleet, server: ModelServer
) -> None:
    server.play(plays(plan((["alpha"], "napper", "Tired?"), (["alpha"], "gauger", "Full?"))))
    lies = Tally(model="worker", specialist="napper", verified=2, refuted=8)
    other = lies.model_copy(update={"model": "another", "specialist": "gauger"})
    count_claims(asker.client, [lies, other])
    job = asker.audit(ASKED)
    tasks = [
        HostTask.model_validate_json(asker.client.hget(key, "task") or "")
        for part in asker.ledger.parts(job.id)
        if (key := keys.PART.at(job=job.id, part=part.part))
    ]
    tiers = {task.specialist.name: task.tier for task in tasks}
    assert tiers == {"napper": Tier.ORCHESTRATOR, "gauger": Tier.WORKER}
    assert job.plan is not None
    assert job.plan.notes[-1] == (
        "agents of napper are to think with the orchestrator's model orchestrator: worker was "
        "wrong too often (napper: 8 of 10 checked claims)"
    )
    (seen,) = server.requests()
    assert "use few: napper." in str(seen.body["messages"][-1]["content"])
