"""The keeper against a real store: patient after a silence, and not to be stopped by one job."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from typing import Any

import pytest
from pydantic import SecretStr

from orchestrator.finish import finish
from orchestrator.keeper import ControlService, Keeper
from orchestrator.plan import default_parts, host_tasks
from swarm_tasks import routing
from swarm_tasks.app import close_app, make_app
from swarm_tasks.config import Settings
from swarm_tasks.embedded import EmbeddedStore
from swarm_tasks.errors import JobError
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.job import Job
from swarm_tasks.models.policy import Policy
from swarm_tasks.models.tally import MOST_COUNTED, Tally
from swarm_tasks.store import keys
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.ledger import LONGEST_ENDING_SECONDS, Ledger
from swarm_tasks.store.presence import Presence, control_member
from swarm_tasks.store.trust import MOST_CLAIMS, TrustRecord
from tests.support import scenes
from tests.support.claims import claimed, said
from tests.support.jobs import NAPPER, answered, open_job
from tests.support.waiting import wait_until

TTL_SECONDS = 1.0


@pytest.fixture
def keeper(client: Commands, store: EmbeddedStore) -> Generator[Keeper]:
    app = make_app(Settings(broker_url=SecretStr(store.url)), listens=False)
    yield Keeper(app, Ledger(client, 3600), Presence(client, TTL_SECONDS, 3600))
    close_app(app)


def test_a_job_that_cannot_be_read_does_not_keep_it_from_the_others(
    keeper: Keeper, client: Commands
) -> None:
    for job in ("aaaaaaaa", "bbbbbbbb"):
        ledger = open_job(client, job)
        ledger.close_part(answered(job, "alpha"), None)
    client.hset(keys.JOB.at(job="aaaaaaaa"), "job", '{"from": "another version"}')

    def closed() -> bool:
        keeper.tick()
        return client.hget(keys.JOB.at(job="bbbbbbbb"), "state") == "closed"

    wait_until("the other job is ended", closed, 10)


def test_a_synthesis_that_never_came_is_sent_again_where_a_control_is_there(
    keeper: Keeper, client: Commands
) -> None:
    Presence(client, 60.0, 3600).beat_control("an instance", "home")
    ledger = open_job(client, "aaaaaaaa")
    ledger.close_part(answered("aaaaaaaa", "alpha"), None)

    def sent() -> int:
        keeper.tick()
        return client.llen(routing.CONTROL)

    assert wait_until("the synthesis is sent again", sent, 10) == 1
    assert ledger.record("aaaaaaaa").state == "open"


def test_one_control_at_a_time_makes_a_job_s_report(client: Commands) -> None:
    presence = Presence(client, 60.0, 3600)
    presence.beat_control("one", "home")
    ledger = open_job(client, "aaaaaaaa")
    ledger.close_part(answered("aaaaaaaa", "alpha"), None)
    assert ledger.begin_end("aaaaaaaa", control_member("one", "home"))
    finish(ledger, presence, "aaaaaaaa", by=control_member("two", "away"))
    assert ledger.is_being_ended("aaaaaaaa")
    assert ledger.record("aaaaaaaa").state == "open"
    presence.leave_control("one", "home")
    finish(ledger, presence, "aaaaaaaa", by=control_member("two", "away"))
    assert ledger.record("aaaaaaaa").state == "closed"


def test_a_control_that_is_stuck_with_a_report_gives_way_to_another(
    keeper: Keeper, client: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.keeper.CHORD_SECONDS", -1.0)  # no patience with the chord
    presence = Presence(client, 60.0, 3600)
    presence.beat_control("one", "home")
    ledger = open_job(client, "aaaaaaaa")
    ledger.close_part(answered("aaaaaaaa", "alpha"), None)
    assert ledger.begin_end("aaaaaaaa", control_member("one", "home"))
    keeper.tick()
    assert client.llen(routing.CONTROL) == 0
    since = ledger.now() - LONGEST_ENDING_SECONDS - 1
    client.hset(keys.JOB.at(job="aaaaaaaa"), "ended_since", repr(since))
    keeper.tick()
    assert client.llen(routing.CONTROL) == 1
    finish(ledger, presence, "aaaaaaaa", by=control_member("two", "away"))
    assert ledger.record("aaaaaaaa").state == "closed"


def test_a_control_gives_signs_of_life_however_long_it_is_at_one_job(
    client: Commands, store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_it, go_on = threading.Event(), threading.Event()

    def tick(_: Keeper) -> None:
        at_it.set()
        go_on.wait(30)

    def sign() -> float:
        signs: dict[str, float] = dict(client.zrange(keys.CONTROLS.at(), 0, -1, withscores=True))
        return max(signs.values(), default=0.0)

    monkeypatch.setattr(Keeper, "tick", tick)
    settings = Settings(broker_url=SecretStr(store.url), heartbeat_seconds=0.1)
    app = make_app(settings, listens=False)
    service = ControlService(app, settings)
    service.ready()
    try:
        assert at_it.wait(10)
        first = sign()
        assert first
        wait_until("it gives another sign", lambda: sign() > first, 10)
    finally:
        go_on.set()
        service.stopped()
        close_app(app)
    assert not sign()


def test_a_job_with_a_part_that_is_open_has_no_end_whatever_its_count_says(
    client: Commands,
) -> None:
    ledger = open_job(client, "aaaaaaaa", "alpha", "bravo")
    ledger.close_part(answered("aaaaaaaa", "alpha"), None)
    client.hset(keys.JOB.at(job="aaaaaaaa"), "closed", 2)
    with pytest.raises(JobError, match="not closed"):
        finish(ledger, Presence(client, TTL_SECONDS, 3600), "aaaaaaaa")
    assert ledger.record("aaaaaaaa").closed == 1


def test_a_part_that_cannot_be_read_failed_and_the_job_ends(client: Commands) -> None:
    ledger = open_job(client, "dddddddd", "alpha", "bravo", "charlie")
    for host in ("alpha", "bravo", "charlie"):
        ledger.close_part(answered("dddddddd", host), None)
    newer = answered("dddddddd", "bravo").model_dump_json()[:-1] + ',"newer":1}'
    client.hset(keys.PART.at(job="dddddddd", part="bravo/napper"), "report", newer)
    forged = answered("dddddddd", "mallory").model_dump_json()
    client.hset(keys.PART.at(job="dddddddd", part="charlie/napper"), "report", forged)
    finish(ledger, Presence(client, TTL_SECONDS, 3600), "dddddddd")
    report = ledger.report("dddddddd")
    assert report is not None
    assert report.coverage.answered == ("alpha",)
    assert report.coverage.failed == ("bravo", "charlie")
    reasons = {line.host: line.reason for line in report.hosts}
    assert reasons["bravo"].startswith("its report cannot be read: newer: ")
    assert "was not asked" in reasons["charlie"]


EVIDENCE = scenes.answer("bravo", "disk.used_percent", {"x": 1.0})
TALLY = Tally(model="m", specialist="napper", refuted=1)
FORGED: dict[str, tuple[dict[str, Any], str]] = {
    "alpha": ({"host": "bravo"}, "it is the report of another part"),
    "bravo": ({"part": "alpha/napper"}, "it is the report of another part"),
    "charlie": ({"specialist": "network"}, "it is the report of another part"),
    "delta": ({"evidence": (EVIDENCE,)}, "it has evidence of another host"),
    "echo": ({"findings": (said("bravo", claimed()),)}, "it speaks for another host"),
    "foxtrot": (
        {"tallies": (TALLY.model_copy(update={"specialist": "network"}),)},
        "it counts claims of another specialist",
    ),
    "golf": ({"tallies": (TALLY,) * 30}, "tallies: Tuple should have at most 20 items"),
    "hotel": (
        {"measured": ({"metric": "service.state", "subject": "s", "value": "x" * 400},)},
        "measured.0.value.",
    ),
}


def test_a_part_says_nothing_for_another_host_part_or_specialist(client: Commands) -> None:
    ledger = open_job(client, "gggggggg", *FORGED, "india")
    for host in (*FORGED, "india"):
        ledger.close_part(answered("gggggggg", host), None)
    for host, (changed, _) in FORGED.items():
        given = answered("gggggggg", host).model_dump(mode="json") | changed
        text = json.dumps(given, default=lambda one: one.model_dump(mode="json"))
        client.hset(keys.PART.at(job="gggggggg", part=f"{host}/napper"), "report", text)
    finish(ledger, Presence(client, TTL_SECONDS, 3600), "gggggggg")
    report = ledger.report("gggggggg")
    assert report is not None
    assert report.coverage.answered == ("india",)
    reasons = {line.host: line.reason for line in report.hosts}
    for host, (_, reason) in FORGED.items():
        assert reasons[host].startswith(f"its report cannot be read: {reason}"), reasons[host]


def test_what_one_host_counts_voids_no_report_and_weighs_no_more_than_an_answer(
    client: Commands,
) -> None:
    ledger = open_job(client, "hhhhhhhh", "alpha", "bravo")
    many = TALLY.model_copy(update={"refuted": 10**300, "rejected": 10**5})
    ledger.close_part(answered("hhhhhhhh", "alpha", tallies=(many, many)), None)
    ledger.close_part(answered("hhhhhhhh", "bravo", tallies=(TALLY,)), None)
    finish(ledger, Presence(client, TTL_SECONDS, 3600), "hhhhhhhh")
    report = ledger.report("hhhhhhhh")
    assert report is not None
    assert report.coverage.answered == ("alpha", "bravo")
    assert report.claims.refuted == 2 * MOST_COUNTED + 1
    (tally,) = TrustRecord(client).tallies()
    assert (tally.refuted, tally.rejected) == (MOST_CLAIMS + 1, MOST_CLAIMS)


def test_a_job_whose_parts_cannot_be_joined_ends_with_a_bare_report(client: Commands) -> None:
    ledger = open_job(client, "eeeeeeee", "alpha", "bravo")
    dearest = {"tier": "worker", "model": "m", "cost_usd": 1.7e308}
    for host in ("alpha", "bravo"):  # together they cost more than a number holds
        ledger.close_part(answered("eeeeeeee", host, charges=(dearest,)), None)
    finish(ledger, Presence(client, TTL_SECONDS, 3600), "eeeeeeee")
    report = ledger.report("eeeeeeee")
    assert report is not None
    assert (report.job.status, report.coverage.failed) == ("failed", ("alpha", "bravo"))
    assert (report.usage.llm_calls, report.usage.cost_usd) == (2, None)
    assert [one.step for one in report.degraded] == ["synthesis"]
    assert ledger.record("eeeeeeee").state == "closed"


def test_a_job_whose_life_is_over_is_no_longer_open(keeper: Keeper, client: Commands) -> None:
    ledger = open_job(client, "aaaaaaaa")
    client.delete(keys.JOB.at(job="aaaaaaaa"))
    keeper.tick()
    assert ledger.open_jobs() == ()


def test_a_job_outlives_its_deadline_however_short_results_are_kept(client: Commands) -> None:
    ledger = Ledger(client, 60)
    asked = Job(
        id="cccccccc",
        hosts=("alpha",),
        specialists=("napper",),
        created=now_utc(),
        deadline_seconds=7200,
    )
    deadline_at = ledger.now() + 7200
    ledger.open(
        asked,
        host_tasks(asked, default_parts(("alpha",), (NAPPER,), ""), Policy(), deadline_at),
        deadline_at,
    )
    assert client.ttl(keys.JOB.at(job="cccccccc")) > 7200
    assert client.ttl(keys.PART.at(job="cccccccc", part="alpha/napper")) > 7200
    ledger.drop_open("cccccccc")
