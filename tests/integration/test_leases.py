"""Leases in a real store: who may begin a part, who keeps it, and who may close it."""

from __future__ import annotations

from typing import Any

import pytest

from swarm_tasks.store import keys
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.leases import (
    LONGEST_LEASE_SECONDS,
    MOST_ATTEMPTS,
    Held,
    Lease,
    Refusal,
    named,
    task_id,
)
from swarm_tasks.store.ledger import Closing, Ledger
from tests.support.jobs import answered, open_job

JOB = "abcdefgh"
PART = "alpha/napper"
MEMBER = task_id(JOB, PART)
LEASE_SECONDS = 60.0


@pytest.fixture
def ledger(client: Commands) -> Ledger:
    return open_job(client, JOB, "alpha", "bravo")


def take(ledger: Ledger, owner: str = "one", host: str = "alpha") -> Lease | Refusal:
    return ledger.leases.take(JOB, PART, owner, host, LEASE_SECONDS)


def taken(ledger: Ledger, owner: str = "one", host: str = "alpha") -> Lease:
    lease = take(ledger, owner, host)
    assert isinstance(lease, Lease), lease
    return lease


def write(ledger: Ledger, **fields: Any) -> None:
    ledger.client.hset(keys.PART.at(job=JOB, part=PART), mapping=fields)


def waiting(ledger: Ledger) -> set[str]:
    return set(ledger.leases.waiting(ledger.now() + 3600))


def run_out(ledger: Ledger) -> None:
    """End a lease that nobody has renewed, as time would."""
    past = ledger.now() - 1
    write(ledger, lease_until=past)
    ledger.client.zadd(keys.LEASES.at(), {MEMBER: past})


def test_a_part_waits_until_it_is_begun_and_runs_until_it_is_closed(ledger: Ledger) -> None:
    assert waiting(ledger) == {MEMBER, task_id(JOB, "bravo/napper")}
    lease = taken(ledger)
    assert lease.attempt == 1
    assert lease.deadline_at == pytest.approx(lease.now + 600, abs=5)
    assert waiting(ledger) == {task_id(JOB, "bravo/napper")}
    assert ledger.leases.over(ledger.now() + LEASE_SECONDS + 1) == (MEMBER,)
    assert ledger.close_part(answered(JOB, "alpha"), lease.attempt) is Closing.CLOSED
    assert ledger.leases.over(ledger.now() + 3600) == ()
    assert ledger.record(JOB).closed == 1


REFUSED: dict[str, tuple[dict[str, Any], Refusal]] = {
    "held by another host": ({"holder": "alpha"}, Refusal.ELSEWHERE),
    "its message came twice": ({"owner": "two", "holder": "bravo"}, Refusal.OURS),
    "closed": ({"state": "closed"}, Refusal.CLOSED),
    "begun too often": ({"state": "sent", "attempt": MOST_ATTEMPTS}, Refusal.TOO_OFTEN),
    "no number of an attempt": ({"attempt": "many"}, Refusal.UNREADABLE),
    "no such state": ({"state": "asleep"}, Refusal.UNREADABLE),
}


@pytest.mark.parametrize("fields, why", REFUSED.values(), ids=REFUSED.keys())
def test_a_part_that_is_another_s_is_not_begun(
    ledger: Ledger, fields: dict[str, Any], why: Refusal
) -> None:
    taken(ledger)
    write(ledger, **fields)
    assert take(ledger, "two", "bravo") is why


def test_a_part_of_a_job_that_ended_was_cancelled_or_is_gone_is_not_begun(
    ledger: Ledger,
) -> None:
    ledger.cancel(JOB)
    assert take(ledger) is Refusal.CANCELLED
    write(ledger, state="closed")
    ledger.client.hset(keys.JOB.at(job=JOB), "state", "closed")
    assert take(ledger) is Refusal.OVER
    ledger.client.delete(keys.JOB.at(job=JOB))
    assert take(ledger) is Refusal.FORGOTTEN
    assert ledger.leases.take(JOB, "alpha/other", "one", "alpha", 1.0) is Refusal.FORGOTTEN


def test_what_a_former_life_of_the_same_host_held_is_taken_over_at_once(ledger: Ledger) -> None:
    before = taken(ledger, "one")
    lease = taken(ledger, "another life")
    assert lease.attempt == before.attempt + 1
    assert ledger.close_part(answered(JOB, "alpha"), before.attempt) is Closing.TAKEN
    assert ledger.close_part(answered(JOB, "alpha"), lease.attempt) is Closing.CLOSED


def test_a_lease_that_is_over_is_another_host_s_to_take(ledger: Ledger) -> None:
    taken(ledger)
    run_out(ledger)
    assert taken(ledger, "two", "bravo").attempt == 2


def test_a_lease_from_the_future_is_none(ledger: Ledger) -> None:
    taken(ledger)
    far = ledger.now() + 10 * LONGEST_LEASE_SECONDS
    write(ledger, lease_until=far)
    ledger.client.zadd(keys.LEASES.at(), {MEMBER: far})
    assert ledger.leases.over(ledger.now()) == (MEMBER,)
    assert ledger.leases.put_back(JOB, PART, None, "from the future")
    assert taken(ledger, "two", "bravo").attempt == 2


def test_renewing_keeps_a_lease_and_tells_what_is_another_s(ledger: Ledger) -> None:
    lease = taken(ledger)
    other = ledger.leases.take(JOB, "bravo/napper", "one", "bravo", 1.0)
    assert isinstance(other, Lease)
    ledger.leases.take(JOB, "bravo/napper", "a later life", "bravo", 1.0)
    mine, lost = Held(JOB, PART, lease.attempt), Held(JOB, "bravo/napper", other.attempt)
    renewed = ledger.leases.renew([mine, lost], "one", 300.0)
    assert renewed == {mine: True, lost: False}
    assert MEMBER not in ledger.leases.over(ledger.now() + 250)
    assert ledger.leases.renew([], "one", 300.0) == {}


def test_only_a_lease_that_is_over_is_put_back_by_others(ledger: Ledger) -> None:
    lease = taken(ledger)
    assert not ledger.leases.put_back(JOB, PART, None, "silence")
    assert not ledger.leases.put_back(JOB, PART, lease.attempt + 1, "not its own")
    run_out(ledger)
    assert ledger.leases.put_back(JOB, PART, None, "silence")
    assert not ledger.leases.put_back(JOB, PART, None, "silence")
    record = ledger.part_records([MEMBER])[MEMBER]
    assert (record.state, record.attempt, record.returns) == ("sent", 1, 1)
    assert MEMBER in waiting(ledger)


def test_its_runner_may_give_a_part_back_before_its_lease_is_over(ledger: Ledger) -> None:
    lease = taken(ledger)
    assert ledger.leases.put_back(JOB, PART, lease.attempt, "its worker was stopped")
    assert taken(ledger, "two").attempt == 2


def test_who_was_silent_goes_on_with_a_part_that_nobody_has_begun_since(ledger: Ledger) -> None:
    lease = taken(ledger)
    run_out(ledger)
    assert ledger.leases.put_back(JOB, PART, None, "silence")
    held = Held(JOB, PART, lease.attempt)
    assert ledger.leases.renew([held], "one", LEASE_SECONDS) == {held: True}
    assert MEMBER not in waiting(ledger)
    assert take(ledger, "two", "bravo") is Refusal.ELSEWHERE
    assert ledger.close_part(answered(JOB, "alpha"), lease.attempt) is Closing.CLOSED


def test_a_late_result_counts_while_nobody_else_has_begun_the_part(ledger: Ledger) -> None:
    lease = taken(ledger)
    run_out(ledger)
    ledger.leases.put_back(JOB, PART, None, "silence")
    assert ledger.close_part(answered(JOB, "alpha"), lease.attempt) is Closing.CLOSED
    assert ledger.record(JOB).closed == 1


def test_a_part_closes_once_also_where_the_answer_is_lost(ledger: Ledger) -> None:
    lease = taken(ledger)
    report = answered(JOB, "alpha")
    assert ledger.close_part(report, lease.attempt) is Closing.CLOSED
    assert ledger.close_part(report, lease.attempt) is Closing.BEFORE
    assert ledger.close_part(report, lease.attempt + 1) is Closing.ANOTHER
    assert ledger.close_part(report, None) is Closing.ANOTHER
    assert ledger.record(JOB).closed == 1


def test_an_entry_that_is_broken_says_so_and_keeps_no_other_from_being_read(
    ledger: Ledger,
) -> None:
    write(ledger, attempt="-")
    ledger.client.delete(keys.PART.at(job=JOB, part="bravo/napper"))
    alpha, bravo = ledger.parts(JOB)
    assert alpha.broken.startswith("attempt: ")
    assert (bravo.host, bravo.specialist, bravo.broken) == ("bravo", "napper", "it is gone")


def test_a_count_that_was_tampered_with_is_counted_anew(ledger: Ledger) -> None:
    ledger.close_part(answered(JOB, "alpha"), None)
    ledger.client.hset(keys.JOB.at(job=JOB), "closed", 2)
    assert ledger.recount(JOB) == 1
    assert ledger.record(JOB).closed == 1


def test_a_task_s_id_names_its_job_and_part() -> None:
    assert named(task_id("abcdefgh", "alpha/storage/2")) == ("abcdefgh", "alpha/storage/2")
