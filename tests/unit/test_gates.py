"""Gates and lanes: what a take looks at, and who is told when that changes."""

from __future__ import annotations

from collections import Counter
from itertools import count
from typing import Any

from celery import Celery

from swarm_tasks.app import make_app
from swarm_tasks.config import Settings
from swarm_tasks.gates import Gates, gates_of
from swarm_tasks.transport.lanes import OTHERS_FIRST_EVERY, lane_order


class Waiting:
    """Whoever waits for a gate, and counts how often it was told."""

    def __init__(self) -> None:
        self.told = 0

    def wake(self) -> None:
        self.told += 1


def test_only_guarded_queues_are_ever_shut() -> None:
    gates = Gates()
    assert not gates.shut()
    room = [True]
    gates.guard(("host.a", "swarm"), lambda: room[0])
    assert not gates.shut()
    room[0] = False
    assert gates.shut() == {"host.a", "swarm"}


def test_those_who_wait_are_told_of_an_open_gate_only_and_for_as_long_as_they_live() -> None:
    gates, room, waiting = Gates(), [False], Waiting()
    gates.guard(("swarm",), lambda: room[0])
    gates.listen(waiting)
    gates.changed()
    assert waiting.told == 0
    room[0] = True
    gates.changed()
    assert waiting.told == 1
    other = Waiting()
    gates.listen(other)
    del other
    gates.changed()
    assert waiting.told == 2


def test_each_app_has_gates_of_its_own_that_all_its_connections_know() -> None:
    settings = Settings.model_validate({"broker_url": "redis://127.0.0.1:1/0"})
    one, other = make_app(settings), make_app(settings)
    assert gates_of(one) is gates_of(one)
    assert gates_of(one) is not gates_of(other)
    connection: Any = one.connection_for_read()
    assert connection.station is connection.clone().station
    assert connection.station.gates is gates_of(one)
    gates_of(Celery("plain", set_as_current=False)).changed()


def shares(full: set[int], takes: int) -> Counter[int]:
    """From which lane so many takes come, where these lanes never run dry."""
    return Counter(
        next(lane for lane in lane_order(take, (0, 1, 2, 3)) if lane in full)
        for take in range(takes)
    )


def test_seven_of_eight_takes_are_of_the_first_lane_and_no_other_starves() -> None:
    round_ = 3 * OTHERS_FIRST_EVERY
    assert shares({0, 1, 2, 3}, round_) == {0: round_ - 3, 1: 1, 2: 1, 3: 1}
    assert shares({0, 3}, round_) == {0: round_ - 3, 3: 3}
    assert shares({1, 2}, round_)[1] > shares({1, 2}, round_)[2] > 0


def test_a_take_looks_into_every_lane() -> None:
    for lanes in ((0,), (0, 1), (0, 1, 2, 3)):
        for take in range(40):
            assert sorted(lane_order(take, lanes)) == list(lanes)


def test_lanes_have_their_turns_in_front_one_after_the_other() -> None:
    special = (take for take in count() if lane_order(take, (0, 1, 2, 3))[0] != 0)
    firsts = [lane_order(next(special), (0, 1, 2, 3))[0] for _ in range(6)]
    assert firsts == [3, 2, 1, 3, 2, 1]
