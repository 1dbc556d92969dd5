"""The trust record and the acknowledgements in a real store."""

from __future__ import annotations

from datetime import datetime, timedelta

from swarm_tasks.models.base import now_utc
from swarm_tasks.models.finding import Acknowledgement, Severity
from swarm_tasks.models.tally import Tally
from swarm_tasks.store import keys, trust
from swarm_tasks.store.acks import Acks
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.trust import MOST_CLAIMS, MOST_SOURCES, TrustRecord
from tests.support.trusted import count_claims

LIAR = Tally(model="small model", specialist="storage", verified=4, refuted=5, unsupported=1)
HONEST = Tally(model="big", specialist="storage", verified=40, stale=2, unverifiable=3)


def test_claims_are_added_over_jobs_and_days_and_rules_are_not_among_them(client: Commands) -> None:
    record = TrustRecord(client)
    assert record.tallies() == ()
    rules = Tally(specialist="storage", verified=7)
    count_claims(client, [LIAR, HONEST, rules])
    count_claims(client, [LIAR, Tally(model="small model", specialist="network", opinions=2)])
    count_claims(client, [LIAR], now_utc() - timedelta(days=2))
    found = {(one.model, one.specialist): one for one in record.tallies()}
    assert set(found) == {
        ("small model", "storage"),
        ("small model", "network"),
        ("big", "storage"),
    }
    small = found["small model", "storage"]
    assert (small.verified, small.refuted, small.unsupported) == (12, 15, 3)
    assert found["small model", "network"].opinions == 2
    assert found["big", "storage"] == HONEST
    assert [one.verified for one in record.tallies(days=1) if one.model == "small model"] == [0, 8]
    lives = [client.ttl(key) for key in client.scan_iter(match=keys.TRUST.at(day="*"))]
    assert len(lives) == 2
    assert all(0 < life <= keys.TRUST_TTL_SECONDS for life in lives)


def test_whoever_was_wrong_too_often_is_doubted_for_that_alone(client: Commands) -> None:
    record = TrustRecord(client)
    right = Tally(model="small model", specialist="network", verified=9)
    count_claims(client, [LIAR, HONEST, right])
    (doubt,) = record.doubts(None, 10)
    assert (doubt.tally, doubt.wrong_percent, doubt.limit_percent) == (LIAR, 60, 10)
    asked = [("small model", "storage"), ("small model", "network"), ("unheard of", "storage")]
    assert record.doubts(asked, 10) == (doubt,)
    assert record.doubts([("big", "storage")], 10) == ()
    assert record.doubts(None, 100) == ()


def test_names_and_numbers_from_hosts_fill_the_record_no_further_than_it_may(
    client: Commands,
) -> None:
    many = len(trust.COUNTED) * MOST_SOURCES + 10
    sources = (f"m{number}" for number in range(many))
    count_claims(client, (Tally(model=one, specialist="storage", verified=1) for one in sources))
    count_claims(client, [Tally(model="one too many", specialist="storage", refuted=1)])
    count_claims(client, [Tally(model="m1", specialist="storage", verified=10**30)])
    kept = client.hgetall(keys.TRUST.at(day=now_utc().date().isoformat()))
    assert len(kept) == len(trust.COUNTED) * MOST_SOURCES
    assert kept["verified storage m1"] == str(MOST_CLAIMS + 1)
    assert "refuted storage one too many" not in kept


def test_a_model_with_an_odd_name_is_one_line_of_bounded_length(client: Commands) -> None:
    record = TrustRecord(client)
    odd = "evil\x1b[31m\nmodel " + "x" * 1000
    count_claims(client, [Tally(model=odd, specialist="storage", refuted=30)])
    count_claims(client, [Tally(model="m", specialist="not a name", refuted=30)])
    client.hset(keys.TRUST.at(day=now_utc().date().isoformat()), "verified", "nonsense")
    (tally,) = record.tallies()
    assert tally.model.startswith("evil[31m model xxx")
    assert len(tally.model) == trust.MODEL_LIMIT
    assert len(record.doubts([(odd, "storage")], 10)) == 1


def ack(mark: str, until: datetime, reason: str = "a new disk is on its way") -> Acknowledgement:
    return Acknowledgement(
        fingerprint=mark * 16,
        severity=Severity.WARNING,
        until=until,
        reason=reason,
        by="ada",
        at=now_utc(),
    )


def test_an_acknowledgement_stands_until_it_is_due_or_removed(client: Commands) -> None:
    acks, now = Acks(client), now_utc()
    assert acks.standing() == {}
    later, sooner = ack("a", now + timedelta(days=2)), ack("b", now + timedelta(hours=1))
    for one in (later, sooner, ack("c", now - timedelta(seconds=2))):
        acks.add(one)
    client.hset(keys.ACKS.at(), "d" * 16, '{"from": "a newer version"}')
    standing = acks.standing()
    assert list(standing) == ["b" * 16, "a" * 16]
    assert standing["a" * 16].reason == "a new disk is on its way"
    assert set(client.hgetall(keys.ACKS.at())) == {mark * 16 for mark in "abd"}
    acks.add(ack("a", now + timedelta(days=3), "it is late"))
    assert acks.standing()["a" * 16].reason == "it is late"
    assert acks.remove("a" * 16)
    assert not acks.remove("a" * 16)
    assert list(acks.standing()) == ["b" * 16]
