"""A circuit opens, lets one probe in after its cool-down, and closes by itself."""

from __future__ import annotations

import pytest

from swarm_tasks.brain.circuit import Circuit, State


class Bench:
    """A circuit under a clock that only the test moves. Jitter is drawn at its most."""

    def __init__(self, draw: float = 1.0) -> None:
        self.now = 100.0
        self.circuit = Circuit(
            lambda: self.now,
            failures=3,
            cool_down_seconds=1.0,
            most_seconds=8.0,
            draw=lambda: draw,
        )

    def fail(self, times: int = 1) -> None:
        """Requests that fail, one after the other."""
        for _ in range(times):
            self.circuit.failed(self.circuit.enter())


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    bench = Bench()
    bench.fail(2)
    bench.circuit.succeeded()
    bench.fail(2)
    assert (bench.circuit.state, bench.circuit.lets_through) == (State.CLOSED, True)
    bench.fail()
    assert (bench.circuit.state, bench.circuit.lets_through) == (State.OPEN, False)
    assert bench.circuit.wait_seconds == 1.0


def test_a_final_failure_opens_it_at_once() -> None:
    bench = Bench()
    bench.circuit.failed(bench.circuit.enter(), final=True)
    assert bench.circuit.state is State.OPEN


def test_after_the_cool_down_one_probe_goes_in_and_closes_it() -> None:
    bench = Bench()
    bench.fail(3)
    bench.now += 1.0
    assert (bench.circuit.state, bench.circuit.lets_through) == (State.HALF_OPEN, True)
    bench.circuit.enter()
    assert (bench.circuit.state, bench.circuit.lets_through) == (State.HALF_OPEN, False)
    assert bench.circuit.wait_seconds == 0.0
    bench.circuit.succeeded()
    assert (bench.circuit.state, bench.circuit.lets_through) == (State.CLOSED, True)
    bench.fail(2)
    assert bench.circuit.state is State.CLOSED


def test_each_failed_probe_doubles_the_cool_down_up_to_its_most() -> None:
    bench = Bench()
    bench.fail(3)
    waits: list[float] = []
    for _ in range(6):
        waits.append(bench.circuit.wait_seconds)
        bench.now += bench.circuit.wait_seconds
        bench.fail()
    assert waits == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    bench.now += 8.0
    bench.circuit.enter()
    bench.circuit.succeeded()
    bench.fail(3)
    assert bench.circuit.wait_seconds == 1.0


@pytest.mark.parametrize(("draw", "seconds"), [(0.0, 0.5), (0.5, 0.75), (1.0, 1.0)])
def test_a_cool_down_is_shortened_by_half_at_most(draw: float, seconds: float) -> None:
    bench = Bench(draw)
    bench.fail(3)
    assert bench.circuit.wait_seconds == seconds


def test_a_hundred_requests_that_are_lost_together_open_it_once() -> None:
    bench = Bench()
    tickets = [bench.circuit.enter() for _ in range(100)]
    for ticket in tickets[:50]:
        bench.circuit.failed(ticket)
    bench.now += 1.0
    probe = bench.circuit.enter()
    for ticket in tickets[50:]:
        bench.circuit.failed(ticket)
    assert bench.circuit.state is State.HALF_OPEN
    bench.circuit.failed(probe)
    assert bench.circuit.wait_seconds == 2.0


def test_an_answer_that_comes_late_closes_it() -> None:
    bench = Bench()
    bench.circuit.enter()
    bench.fail(3)
    bench.circuit.succeeded()
    assert bench.circuit.state is State.CLOSED


def test_a_probe_that_is_given_up_makes_room_for_another() -> None:
    bench = Bench()
    early = bench.circuit.enter()
    bench.fail(3)
    bench.now += 1.0
    probe = bench.circuit.enter()
    bench.circuit.left(early)
    assert not bench.circuit.lets_through
    bench.circuit.left(probe)
    assert bench.circuit.lets_through
    bench.fail()
    assert bench.circuit.wait_seconds == 2.0
