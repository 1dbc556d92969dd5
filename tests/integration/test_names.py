"""A host's name is one machine's, and one worker's on it: whoever comes second is told so."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from swarm_tasks.config import Settings
from swarm_tasks.embedded import EmbeddedStore
from swarm_tasks.errors import SettingsError
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.host import Beat, HostFacts
from swarm_tasks.store import keys
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.names import HELD_SECONDS, Claim, Names, Ours, Taken
from swarm_tasks.store.presence import Presence
from tests.support.hosts import view
from workers.naming import OwnName

TTL_SECONDS = 30.0
"""Nobody passes for dead because a thread came late on a busy machine."""

SOON_SECONDS = 1.5
"""How long the last sign of a life lasts whose end is waited for."""

FORGET_SECONDS = 3600


@pytest.fixture
def presence(client: Commands) -> Presence:
    return Presence(client, TTL_SECONDS, FORGET_SECONDS)


@pytest.fixture
def names(client: Commands) -> Names:
    return Names(client, TTL_SECONDS, FORGET_SECONDS)


def beat_of(instance: str, host: str = "alpha") -> Beat:
    return Beat(host=host, instance=instance, at=now_utc(), load1=0, agents=0, capacity=1)


def grows_older(client: Commands, seconds: float, host: str = "alpha") -> None:
    """Set back all that is known of when a host was heard of."""
    (score,) = client.zmscore(keys.HOSTS.at(), [host])
    assert score is not None
    client.zadd(keys.HOSTS.at(), {host: score - seconds})
    client.delete(keys.BEAT.at(host=host))
    answer = client.hget(keys.MACHINES.at(), host)
    assert answer is not None
    since = answer.partition('"since":"')[2].partition('"')[0]
    aged = answer.replace(since, str(float(since) - seconds))
    client.hset(keys.MACHINES.at(), host, aged)


def taken(answer: Ours | Taken) -> Taken:
    assert isinstance(answer, Taken)
    return answer


# The rule, in the store


def test_a_name_of_a_machine_that_lives_is_no_other_machine_s(
    names: Names, presence: Presence
) -> None:
    assert names.claim(Claim("alpha", "m1", "i1")) == Ours(None)
    # Not before its first sign of life either.
    assert taken(names.claim(Claim("alpha", "m2", "i2"))).elsewhere
    assert presence.beat(beat_of("i1"), "m1").ours
    refused = taken(names.claim(Claim("alpha", "m2", "i2")))
    assert refused.elsewhere
    assert refused.binding is not None
    assert refused.binding.machine_id == "m1"
    assert refused.silent_seconds < HELD_SECONDS
    assert names.claim(Claim("bravo", "m2", "i2")) == Ours(None)


def test_a_machine_that_fell_silent_keeps_its_name_for_a_while(
    names: Names, presence: Presence, client: Commands
) -> None:
    names.claim(Claim("alpha", "m1", "i1"))
    presence.beat(beat_of("i1"), "m1")
    grows_older(client, HELD_SECONDS / 2)
    refused = taken(names.claim(Claim("alpha", "m2", "i2")))
    assert (refused.elsewhere, refused.sign) == (True, "")
    assert refused.silent_seconds >= HELD_SECONDS / 2
    # A box that was set up anew needs no person.
    grows_older(client, HELD_SECONDS / 2)
    answer = names.claim(Claim("alpha", "m2", "i2"))
    assert isinstance(answer, Ours)
    assert answer.before is not None
    assert answer.before.machine_id == "m1"


def test_a_machine_that_left_in_order_leaves_its_name_behind(
    names: Names, presence: Presence
) -> None:
    names.claim(Claim("alpha", "m1", "i1"))
    presence.beat(beat_of("i1"), "m1")
    presence.leave("alpha", "i1")
    assert isinstance(names.claim(Claim("alpha", "m2", "i2")), Ours)
    presence.leave("alpha", "i1")  # said twice, and of a former life
    assert taken(names.claim(Claim("alpha", "m3", "i3"))).elsewhere


def test_a_life_that_comes_back_to_find_its_name_another_s_is_told(
    names: Names, presence: Presence, client: Commands
) -> None:
    names.claim(Claim("alpha", "m1", "i1"))
    presence.beat(beat_of("i1"), "m1")
    grows_older(client, HELD_SECONDS)
    names.claim(Claim("alpha", "m2", "i2"))
    presence.beat(beat_of("i2"), "m2")
    assert not presence.beat(beat_of("i1"), "m1").ours
    assert presence.beats(("alpha",))["alpha"].instance == "i2"


def test_a_life_that_is_known_to_be_over_is_not_waited_for(
    names: Names, presence: Presence
) -> None:
    names.claim(Claim("alpha", "m1", "i1"))
    presence.beat(beat_of("i1"), "m1")
    assert not taken(names.claim(Claim("alpha", "m1", "i2"))).elsewhere
    assert isinstance(names.claim(Claim("alpha", "m1", "i2", former="i1")), Ours)
    # A container that was made anew with the same files has another machine's id at worst.
    assert isinstance(names.claim(Claim("alpha", "m9", "i3", former="i2")), Ours)


def test_a_host_that_is_forgotten_has_no_hold_on_its_name(
    names: Names, presence: Presence, client: Commands
) -> None:
    for host in ("alpha", "bravo", "charlie", "delta"):
        names.claim(Claim(host, "m1", f"i-{host}"))
        if host != "delta":
            presence.beat(beat_of(f"i-{host}", host), "m1")
    assert presence.forget("alpha")
    presence.keep_only({"charlie", "delta"})
    assert set(client.hgetall(keys.MACHINES.at())) == {"charlie", "delta"}
    grows_older(client, FORGET_SECONDS, "charlie")
    assert presence.fleet() == ()
    # One that was just claimed has its name until it has had the time to give a sign.
    names.claim(Claim("echo", "m1", "i-echo"))
    client.hset(keys.MACHINES.at(), "delta", "{half a b")
    names.claim(Claim("foxtrot", "m1", "i-foxtrot"))
    assert set(client.hgetall(keys.MACHINES.at())) == {"delta", "echo", "foxtrot"}
    assert presence.fleet() == ()
    assert set(client.hgetall(keys.MACHINES.at())) == {"echo", "foxtrot"}
    Presence(client, TTL_SECONDS, 0).fleet()
    assert client.hgetall(keys.MACHINES.at()) == {}


def test_a_name_is_held_no_longer_than_its_host_is_remembered(
    names: Names, presence: Presence, client: Commands
) -> None:
    hasty = Names(client, TTL_SECONDS, 60)
    names.claim(Claim("alpha", "m1", "i1"))
    presence.beat(beat_of("i1"), "m1")
    grows_older(client, 61)
    assert isinstance(names.claim(Claim("alpha", "m2", "i2")), Taken)
    assert isinstance(hasty.claim(Claim("alpha", "m2", "i2")), Ours)


def test_a_claim_looks_at_its_own_name_only(names: Names, client: Commands) -> None:
    client.hset(keys.MACHINES.at(), "bravo", "{half a b")
    names.claim(Claim("alpha", "m1", "i1"))
    assert client.hget(keys.MACHINES.at(), "bravo") == "{half a b"


# What is said in words of another version


def test_a_sign_of_life_that_cannot_be_read_hides_no_host(
    presence: Presence, client: Commands, caplog: pytest.LogCaptureFixture
) -> None:
    for host in ("alpha", "bravo", "charlie", "delta"):
        presence.beat(beat_of(f"i-{host}", host))
    newer = json.loads(beat_of("i-bravo", "bravo").model_dump_json()) | {"mood": "fine"}
    client.set(keys.BEAT.at(host="bravo"), json.dumps(newer))
    client.set(keys.BEAT.at(host="charlie"), '{"host": "charlie", "instance": "i-charlie"}')
    client.set(keys.BEAT.at(host="delta"), "{half a b")
    for _ in range(2):
        beats = presence.beats(("alpha", "bravo", "charlie", "delta", "echo"))
        lives = {host: beat.instance for host, beat in beats.items()}
        assert lives == {
            "alpha": "i-alpha",
            "bravo": "i-bravo",
            "charlie": "i-charlie",
            "delta": "",
        }
        assert [beat.capacity for beat in beats.values()] == [1, 1, 0, 0]
    assert [one.alive for one in presence.fleet()] == [True] * 4
    told = [one.getMessage() for one in caplog.records if "sign of life of" in one.getMessage()]
    assert len(told) == 3
    assert "the sign of life of bravo cannot be read as a whole: mood: " in told[0]


def test_facts_that_cannot_be_read_are_no_facts_and_hide_no_host(
    presence: Presence, client: Commands, caplog: pytest.LogCaptureFixture
) -> None:
    known = facts("m1", "i1").model_dump(mode="json")
    newer = {"ports": [{"number": 22, "protocol": "quic"}], "mood": "fine"}
    said = {
        "alpha": json.dumps(known),
        "bravo": json.dumps(known | {"host": "bravo"} | newer),
        "charlie": json.dumps(known | {"cpus": "many"}),
        "delta": "{half a b",
    }
    for host, text in said.items():
        presence.beat(beat_of("i1", host))
        client.set(keys.FACTS.at(host=host), text)
    views = presence.fleet()
    assert [one.facts is not None for one in views] == [True, True, False, False]
    bravo = views[1].facts
    assert bravo is not None
    assert [port.number for port in bravo.ports] == [22]
    assert "the facts of charlie cannot be read as a whole: cpus: " in caplog.text


def test_a_binding_that_was_tampered_with_binds_nobody(
    names: Names, presence: Presence, client: Commands
) -> None:
    for text in ("{half a b", "[]", '"m1"', "null", "7"):
        client.hset(keys.MACHINES.at(), "alpha", text)
        assert isinstance(names.claim(Claim("alpha", "m2", "i2")), Ours), text
        client.hset(keys.MACHINES.at(), "alpha", text)
        assert presence.beat(beat_of("i2"), "m2").ours, text
        presence.leave("alpha", "i2")


# The rule, as a worker goes by it


def settings(store: EmbeddedStore, state: Path, host: str = "alpha") -> Settings:
    return Settings(broker_url=SecretStr(store.url), state_dir=state, host=host)


def facts(machine_id: str, instance: str) -> HostFacts:
    known = view("alpha").facts
    assert known is not None
    return known.model_copy(update={"machine_id": machine_id, "instance": instance})


@contextmanager
def alive(presence: Presence, instance: str, machine_id: str) -> Generator[None]:
    """A worker that gives signs of life meanwhile."""
    stop = threading.Event()

    def beats() -> None:
        while not stop.wait(0.1):
            presence.beat(beat_of(instance), machine_id)

    presence.beat(beat_of(instance), machine_id)
    thread = threading.Thread(target=beats)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_the_second_machine_is_refused_in_one_line_that_says_how_to_mend_it(
    names: Names, presence: Presence, client: Commands, store: EmbeddedStore, tmp_path: Path
) -> None:
    first = OwnName(names, settings(store, tmp_path / "1"), facts("m1", "i1"))
    second = OwnName(names, settings(store, tmp_path / "2"), facts("m2", "i2"))
    first.claim()
    with alive(presence, "i1", "m1"), pytest.raises(SettingsError) as refused:
        second.claim()
    assert "alpha is the name of another machine (id m1, this one is m2), last seen 2" in str(
        refused.value
    )
    assert refused.value.remedy == "give this machine another HOSTSWARM_HOST"
    second.let_go()
    presence.silence("alpha")
    grows_older(client, 60.0)
    with pytest.raises(SettingsError, match=r"start again in 2[34]\d s, or now after") as refused:
        second.claim()
    assert "hostswarm hosts --forget alpha" in refused.value.remedy
    presence.forget("alpha")
    second.let_go()
    second.claim()
    for one in (first, second):
        one.let_go()


def test_a_second_worker_of_a_name_on_one_machine_is_refused_at_once(
    names: Names, store: EmbeddedStore, tmp_path: Path
) -> None:
    first = OwnName(names, settings(store, tmp_path), facts("m1", "i1"))
    first.claim()
    second = OwnName(names, settings(store, tmp_path), facts("m1", "i2"))
    with pytest.raises(SettingsError, match="another worker called alpha is alive"):
        second.claim()
    other = OwnName(names, settings(store, tmp_path, "bravo"), facts("m1", "i3"))
    other.claim()
    for one in (first, other):
        one.let_go()


def test_a_second_worker_that_shares_no_files_is_refused_once_the_first_has_moved(
    names: Names,
    presence: Presence,
    client: Commands,
    store: EmbeddedStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = OwnName(names, settings(store, tmp_path / "1"), facts("m1", "i1"))
    first.claim()
    second = OwnName(names, settings(store, tmp_path / "2"), facts("m1", "i2"))
    with (
        alive(presence, "i1", "m1"),
        pytest.raises(SettingsError, match="another worker called alpha is alive"),
    ):
        second.claim()
    # It has died without a word: its last sign ends, and the name is free.
    second.let_go()
    names.ttl_seconds = SOON_SECONDS
    claims: list[Claim] = []
    ask = names.claim

    def counted(claim: Claim) -> Ours | Taken:
        claims.append(claim)
        return ask(claim)

    monkeypatch.setattr(names, "claim", counted)
    Presence(client, SOON_SECONDS, FORGET_SECONDS).beat(beat_of("i1"), "m1")
    second.claim()
    assert 1 < len(claims) < 6  # a fleet that waits so does not keep its store busy
    for one in (first, second):
        one.let_go()


def test_a_worker_that_was_killed_has_its_name_again_at_once(
    names: Names, client: Commands, store: EmbeddedStore, tmp_path: Path
) -> None:
    names.ttl_seconds = 3600.0  # whoever waits for a sign to end never gets there
    lasting = Presence(client, 3600.0, FORGET_SECONDS)
    for life in ("i1", "i2", "i3"):
        own = OwnName(names, settings(store, tmp_path), facts("m1", life))
        own.claim()
        lasting.beat(beat_of(life), "m1")
        own.let_go()  # as its process's end does


def test_a_copy_of_a_disk_does_not_pass_for_a_former_life(
    names: Names,
    presence: Presence,
    store: EmbeddedStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = OwnName(names, settings(store, tmp_path), facts("m1", "i1"))
    first.claim()
    first.let_go()
    copy = OwnName(names, settings(store, tmp_path), facts("m1", "i2"))
    monkeypatch.setattr("workers.naming.boot_id", lambda: "another boot")
    with (
        alive(presence, "i1", "m1"),
        pytest.raises(SettingsError, match="another worker called alpha is alive"),
    ):
        copy.claim()
    copy.let_go()


def test_a_name_that_a_store_set_back_gives_to_a_former_life_is_taken_back(
    names: Names, presence: Presence, store: EmbeddedStore, tmp_path: Path, client: Commands
) -> None:
    names.claim(Claim("alpha", "m1", "i1"))
    before = client.hget(keys.MACHINES.at(), "alpha")
    assert before is not None
    names.ttl_seconds = 0.3
    Presence(client, 0.3, FORGET_SECONDS).beat(beat_of("i1"), "m1")
    own = OwnName(names, settings(store, tmp_path), facts("m1", "i2"))
    own.claim()
    client.hset(keys.MACHINES.at(), "alpha", before)
    grows_older(client, 60)
    assert not presence.beat(beat_of("i2"), "m1").ours
    assert own.claim_again()
    assert presence.beat(beat_of("i2"), "m1").ours
    own.let_go()


def test_where_nothing_can_be_locked_the_store_decides_alone(
    names: Names, store: EmbeddedStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "names").write_text("no directory")
    own = OwnName(names, settings(store, tmp_path), facts("m1", "i1"))
    own.claim()
    assert "cannot be locked" in caplog.text
    own.let_go()
