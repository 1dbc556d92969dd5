"""What is tried again, when, and where: delays, `Retry-After`, endpoints and rounds."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from swarm_tasks.brain.circuit import Circuit
from swarm_tasks.brain.endpoints import Endpoint, Endpoints
from swarm_tasks.brain.place import Place
from swarm_tasks.brain.retry import Again, Patience, is_worth_it, retry_after
from swarm_tasks.brain.trial import Trial
from swarm_tasks.errors import ModelRefused, ModelUnreachable

NOW = datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
def test_some_statuses_are_worth_another_try(status: int) -> None:
    assert is_worth_it(status)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422, 451, 501])
def test_others_are_not(status: int) -> None:
    assert not is_worth_it(status)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0.25", 0.25),
        ("-3", 0.0),
        ("Sat, 21 Nov 2026 10:01:30 GMT", 90.0),
        ("Saturday, 21-Nov-26 10:01:30 GMT", 90.0),
        ("Sat, 21 Nov 2026 09:00:00 GMT", 0.0),
        ("Sat, 21 Nov 2026 10:01:30", 90.0),
        ("soon", None),
        ("inf", None),
        ("nan", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds


def test_delays_have_full_jitter_below_a_bound_that_doubles() -> None:
    patience = Patience(base_seconds=0.5, most_seconds=8.0)
    most = [patience.delay(number, lambda: 1.0) for number in (1, 2, 3, 4, 5, 6, 1000)]
    assert most == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert patience.delay(5, lambda: 0.0) == 0.0


class Bench:
    """Endpoints under a clock that only the test moves, and a call of them."""

    def __init__(self, size: int, seconds: float = 60.0, **patience: float) -> None:
        self.now = 0.0
        self.patience = Patience(**patience)  # pyright: ignore[reportArgumentType]
        self.endpoints = Endpoints(
            [
                Endpoint(url, Place.of(url, ""), Circuit(lambda: self.now, draw=lambda: 1.0))
                for url in (f"http://{name}/v1" for name in "abc"[:size])
            ]
        )
        self.trial = self.call(seconds)

    def call(self, seconds: float = 60.0) -> Trial:
        """Another call."""
        return Trial(self.endpoints, self.patience, self.now, self.now + seconds, lambda: 1.0)

    def lose(self, endpoint: Endpoint, reason: str = "fails", sick: bool = True) -> None:
        """An endpoint fails the call."""
        ticket = endpoint.circuit.enter()
        if sick:
            endpoint.circuit.failed(ticket)
        self.trial.lost(endpoint, Again(reason, sick), self.now)

    def shut(self, endpoint: Endpoint) -> None:
        """An endpoint's circuit opens."""
        endpoint.circuit.failed(endpoint.circuit.enter(), final=True)


def test_the_least_busy_is_asked_and_equals_take_turns() -> None:
    bench = Bench(3)
    first, second, third = bench.endpoints.all
    assert {bench.endpoints.least_busy() for _ in range(3)} == {first, second, third}
    first.in_flight, second.in_flight, third.in_flight = 4, 2, 3
    assert {bench.endpoints.least_busy() for _ in range(3)} == {second}
    bench.shut(second)
    assert bench.endpoints.least_busy() is third
    assert bench.endpoints.least_busy([third]) is first
    assert bench.endpoints.least_busy([third, first]) is None


def test_another_endpoint_is_asked_at_once_and_all_again_after_a_pause() -> None:
    bench = Bench(2)
    one = bench.trial.next(bench.now)
    assert one is not None
    bench.lose(one)
    other = bench.trial.next(bench.now)
    assert other not in (None, one)
    bench.lose(other)  # pyright: ignore[reportArgumentType]
    assert bench.trial.next(bench.now) is None
    assert bench.trial.pause(bench.now) == 0.5
    assert bench.trial.next(bench.now) is not None


def test_one_of_two_has_half_of_the_time_and_the_last_has_what_is_left() -> None:
    bench = Bench(2, seconds=60.0)
    first, second = bench.endpoints.all
    assert bench.trial.until(first, 0.0) == 30.0
    bench.lose(first)
    assert bench.trial.until(second, 30.0) == 60.0
    bench.shut(second)
    assert bench.call().until(first, 0.0) == 60.0


def test_a_new_call_is_refused_at_once_where_all_circuits_are_open() -> None:
    bench = Bench(2)
    for one in bench.endpoints.all:
        one.trouble = "refuses connections"
        bench.shut(one)
    with pytest.raises(ModelUnreachable) as told:
        bench.trial.pause(bench.now)
    assert told.value.message == (
        "http://a/v1 refuses connections; http://b/v1 refuses connections, "
        "and is tried again in 1 s"
    )


def test_a_call_that_is_under_way_waits_for_the_circuit() -> None:
    bench = Bench(1)
    (one,) = bench.endpoints.all
    bench.lose(one)
    bench.shut(one)
    assert bench.trial.pause(bench.now) == 1.0
    bench.now += 1.0
    assert bench.trial.next(bench.now) is one


def test_patience_ends_after_so_many_rounds() -> None:
    bench = Bench(1, rounds=3)
    (one,) = bench.endpoints.all
    for _ in range(2):
        bench.lose(one)
        bench.now += bench.trial.pause(bench.now)
    bench.lose(one, "breaks off the connection")
    with pytest.raises(ModelUnreachable, match=r"a/v1 breaks off .* \(tried 3 times in 1\.5 s\)"):
        bench.trial.pause(bench.now)


def test_patience_ends_for_one_who_waits_on_the_probe_of_another_too() -> None:
    bench = Bench(1, rounds=3)
    (one,) = bench.endpoints.all
    bench.shut(one)
    bench.now += 1.0
    one.circuit.enter()
    for _ in range(2):
        assert bench.trial.next(bench.now) is None
        bench.now += bench.trial.pause(bench.now)
    with pytest.raises(ModelUnreachable):
        bench.trial.pause(bench.now)


def test_waiting_that_is_asked_for_is_honoured_and_costs_no_patience() -> None:
    bench = Bench(1, rounds=2, seconds=100.0, most_seconds=5.0)
    (one,) = bench.endpoints.all
    for _ in range(8):
        bench.trial.lost(one, Again("limits the rate", False, 5.0), bench.now)
        assert bench.trial.next(bench.now) is None
        seconds = bench.trial.pause(bench.now)
        assert 5.0 <= seconds <= 5.5
        bench.now += seconds
        assert bench.trial.next(bench.now) is one


def test_one_who_is_asked_to_wait_a_moment_waits_longer_each_time_and_to_the_end() -> None:
    bench = Bench(1, seconds=10.0)
    (one,) = bench.endpoints.all
    pauses: list[float] = []
    with pytest.raises(ModelUnreachable, match=r"tried \d\d times"):
        while True:
            bench.trial.lost(one, Again("limits the rate", False, 0.001), bench.now)
            pauses.append(bench.trial.pause(bench.now))
            bench.now += pauses[-1]
            assert len(pauses) < 30
    assert pauses[:3] == [0.5, 1.0, 2.0]
    assert bench.now > 9.9


def test_one_who_is_asked_to_wait_longer_than_there_is_time_gives_up_at_once() -> None:
    bench = Bench(1, seconds=60.0)
    (one,) = bench.endpoints.all
    bench.trial.lost(one, Again("limits the rate of requests (429)", False, 120.0), bench.now)
    with pytest.raises(ModelUnreachable) as told:
        bench.trial.pause(bench.now)
    assert told.value.message == (
        "http://a/v1 limits the rate of requests (429), and asks to wait 120 s, "
        "more than the 60.0 s that are left"
    )


def test_an_endpoint_that_asks_for_rest_is_left_out_while_another_is_there() -> None:
    bench = Bench(2)
    first, second = bench.endpoints.all
    bench.trial.lost(first, Again("limits the rate", False, 30.0), bench.now)
    bench.lose(second)
    bench.now += bench.trial.pause(bench.now)
    assert bench.trial.next(bench.now) is second


def test_one_that_asks_a_call_for_rest_is_left_alone_by_all_while_another_is_there() -> None:
    bench = Bench(2, seconds=200.0)
    first, second = bench.endpoints.all
    bench.trial.lost(first, Again("limits the rate", False, 120.0), bench.now)
    second.in_flight = 7
    for _ in range(4):
        assert bench.call().next(bench.now) is second
    assert bench.call().until(second, bench.now) == 60.0
    call = bench.call()
    call.lost(second, Again("limits the rate", False, 1.0), bench.now)
    assert call.next(bench.now) is first  # none but this is left
    bench.now += 60.0
    assert {bench.call().next(bench.now) for _ in range(4)} == {first}


def test_no_round_begins_after_the_end() -> None:
    bench = Bench(1, seconds=0.4)
    bench.lose(bench.endpoints.all[0])
    with pytest.raises(ModelUnreachable, match="tried once"):
        bench.trial.pause(bench.now)


def test_where_all_refuse_the_first_refusal_is_told() -> None:
    bench = Bench(2)
    first, second = bench.endpoints.all
    bench.trial.refused(first, ModelRefused("first"))
    assert bench.trial.next(bench.now) is second
    bench.trial.refused(second, ModelRefused("second"))
    with pytest.raises(ModelRefused, match="first"):
        bench.trial.pause(bench.now)
