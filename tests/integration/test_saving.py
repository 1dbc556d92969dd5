"""Steps in a real store: kept once, in order, by whoever runs the part, and counted once."""

from __future__ import annotations

import asyncio

import pytest

from swarm_tasks.brain.base import Asked, Mind, Reply, Step
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.charge import Charge, Tier
from swarm_tasks.models.job import HostTask, Job, Specialist
from swarm_tasks.store import keys
from swarm_tasks.store.bill import Spent
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.leases import Lease
from swarm_tasks.store.ledger import Ledger
from swarm_tasks.store.steps import PartSteps
from workers.saving import StepKeeper, StepWriter

JOB, PART = "abcdefgh", "alpha/napper"
TASK = HostTask(
    job=JOB,
    part=PART,
    host="alpha",
    specialist=Specialist(name="napper", title="", prompt="", tools=("nap",)),
    deadline_at=0,
)


def step(number: int, cost_usd: float | None = 0.01) -> Step:
    charge = Charge(tier=Tier.WORKER, model="m", prompt_tokens=90, cost_usd=cost_usd)
    return Step(by=Mind.MODEL, said=f"step {number}", problem="none", charge=charge)


def steps(attempt: int, position: int, *several: Step) -> PartSteps:
    return PartSteps.of(JOB, PART, attempt, position, several)


@pytest.fixture
def ledger(client: Commands) -> Ledger:
    """A ledger with one part that is running, by its first attempt."""
    found = Ledger(client, 3600)
    job = Job(
        id=JOB,
        hosts=("alpha",),
        specialists=("napper",),
        created=now_utc(),
        deadline_seconds=60,
    )
    found.open(job, (TASK,), found.now() + 60)
    assert isinstance(found.leases.take(JOB, PART, "one", "alpha", 60.0), Lease)
    return found


def said(ledger: Ledger) -> list[str]:
    return [one.said for one in ledger.steps.load(JOB, PART)]


def test_a_script_that_is_sent_again_neither_keeps_nor_counts_twice(ledger: Ledger) -> None:
    two = steps(1, 0, step(1), step(2))
    assert ledger.steps.save([two]) == [True]
    assert ledger.steps.save([two, steps(1, 2, step(3))]) == [False, True]
    assert said(ledger) == ["step 1", "step 2", "step 3"]
    spent = ledger.spent(JOB)
    assert (spent.tokens, spent.calls) == (270, 3)
    assert spent.cost_usd == pytest.approx(0.03)


def test_behind_a_gap_nothing_is_kept_but_all_is_counted(ledger: Ledger) -> None:
    assert ledger.steps.save([steps(1, 0, step(1)), steps(1, 2, step(3))]) == [True, False]
    assert said(ledger) == ["step 1"]
    assert ledger.spent(JOB).tokens == 180


def test_an_attempt_that_was_overtaken_keeps_nothing_more(ledger: Ledger) -> None:
    ledger.steps.save([steps(1, 0, step(1))])
    assert isinstance(ledger.leases.take(JOB, PART, "two", "alpha", 60.0), Lease)
    assert ledger.steps.save([steps(1, 1, step(2)), steps(2, 1, step(3))]) == [False, True]
    assert said(ledger) == ["step 1", "step 3"]
    assert ledger.spent(JOB).calls == 3


def test_a_price_that_is_unknown_once_makes_the_whole_unknown(ledger: Ledger) -> None:
    ledger.steps.save([steps(1, 0, step(1), step(2, cost_usd=None))])
    assert ledger.spent(JOB).cost_usd is None


def test_steps_that_cannot_be_read_are_dropped(ledger: Ledger) -> None:
    ledger.steps.save([steps(1, 0, step(1))])
    ledger.client.rpush(keys.STEPS.at(job=JOB, part=PART), '{"of": "another version"}')
    assert said(ledger) == []
    assert ledger.steps.save([steps(1, 0, step(1))]) == [True]


def test_what_the_writer_was_given_is_written_before_it_tells_what_was_spent(
    ledger: Ledger,
) -> None:
    writer = StepWriter(ledger)
    keeper = StepKeeper(writer, TASK, attempt=1)
    keeper.put([step(1)])
    # Half a surrogate pair cannot be written down; it costs its own step only.
    odd = Reply(asked=Asked(tool="nap", arguments={"note": "\ud83d"}))
    keeper.put([Step(by=Mind.MODEL, replies=(odd,))])
    keeper.put([step(2), step(3)])
    spent = asyncio.run(keeper.spent())
    writer.close()
    assert spent == Spent(tokens=270, cost_usd=spent.cost_usd if spent else None, calls=3)
    assert said(ledger) == ["step 1", "step 2", "step 3"]


def test_steps_that_the_store_refuses_are_lost_alone(ledger: Ledger) -> None:
    writer = StepWriter(ledger)
    key = keys.STEPS.at(job=JOB, part=PART)
    ledger.client.set(key, "not a list")
    refused = StepKeeper(writer, TASK, attempt=1)
    refused.put([step(1)])
    asyncio.run(refused.spent())
    ledger.client.delete(key)
    StepKeeper(writer, TASK, attempt=1).put([step(2)])
    writer.close()
    assert said(ledger) == ["step 2"]
