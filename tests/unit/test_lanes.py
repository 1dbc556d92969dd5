"""The pool of a host's worker by itself: which task begins when, and what no error may cost it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Any, cast

import pytest
from celery import Celery

from swarm_tasks.gates import gates_of
from swarm_tasks.transport import MESSAGING
from tests.support.waiting import wait_until
from workers.begun import Begun, BegunTask, ErrandTask
from workers.pool import ERRANDS, OTHERS, THREADS, AgentPool


class Workplace:
    """A pool with one place for an agent, its tasks, and Celery's tracer in short.

    `agent` and `errand` go on until what they are given is set; `other` waits for it in its thread.
    `exits` asks for the end of the process as it begins.
    """

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.open: dict[str, Future[None]] = {}
        self.app = cast(Any, Celery("lanes", set_as_current=False, amqp=MESSAGING))
        for name, base in (("agent", BegunTask), ("errand", ErrandTask)):
            self.app.task(self._goes_on, name=name, base=base, shared=False)
        self.app.task(self._waits, name="other", shared=False)
        self.app.task(self._exits, name="exits", base=BegunTask, shared=False)
        self.pool = AgentPool(limit=1, app=self.app)
        self.pool.on_start()

    def send(self, task: str, name: str) -> None:
        """Have a task run under a name of its own."""
        if task != "exits":
            self.open[name] = Future()
        request: dict[str, Any] = {"args": (name,), "kwargs": {}}

        def done(_: object) -> None:
            self.ended.append(name)

        self.pool.on_apply(
            self._trace,
            (task, name, request, b"", "", ""),
            callback=done,
        )

    def end(self, *names: str) -> None:
        """End what goes on."""
        for name in names:
            self.open.pop(name).set_result(None)

    def _goes_on(self, name: str) -> Begun[str]:
        self.begun.append(name)
        return Begun(lambda: name, self.open[name])

    def _waits(self, name: str) -> str:
        self.begun.append(name)
        self.open[name].result(30)
        return name

    def _exits(self, name: str) -> Begun[str]:
        raise SystemExit(name)

    def _trace(self, task: str, name: str, request: dict[str, Any], *_: object) -> object:
        """As Celery's: an error of the body is an outcome, but what ends a process is raised."""
        try:
            return self.app.tasks[task](*request["args"])
        except Exception as error:  # noqa: BLE001 - as the tracer
            return error


@pytest.fixture
def place() -> Generator[Workplace]:
    made = Workplace()
    yield made
    made.end(*made.open)
    stop = threading.Thread(target=made.pool.on_stop, daemon=True)
    stop.start()
    stop.join(20)
    assert not stop.is_alive(), "the pool waits for something that will not end"


def all_ended(place: Workplace, *names: str) -> Callable[[], bool]:
    return lambda: {*names} <= {*place.ended}


def test_errands_and_other_tasks_begin_while_every_agent_s_place_is_taken(place: Workplace) -> None:
    names = ["a", "b", "c"]
    for name in names:
        place.send("agent", name)
    place.send("other", "report")
    place.send("errand", "check")
    wait_until("all have begun", lambda: {"a", "report", "check"} <= {*place.begun})
    place.end("check", "report")
    wait_until("they end", all_ended(place, "check", "report"))
    assert [name for name in place.begun if name in names] == ["a"]
    for name in names:
        wait_until("it is its turn", lambda name=name: name in place.begun)
        place.end(name)
    wait_until("all end", all_ended(place, *names))
    assert [name for name in place.begun if name in names] == names


@pytest.mark.parametrize(("task", "most"), [("errand", ERRANDS), ("other", OTHERS)])
def test_what_goes_on_beside_the_agents_has_a_bound(place: Workplace, task: str, most: int) -> None:
    names = [f"{task}{number}" for number in range(most + 1)]
    for name in names:
        place.send(task, name)
    wait_until("all places are taken", lambda: len(place.begun) == most)
    # Whatever is to begin now does so before an agent that came later.
    place.send("agent", "a")
    wait_until("an agent begins", lambda: "a" in place.begun)
    assert names[-1] not in place.begun
    place.end(names[0])
    wait_until("the last has a place", lambda: names[-1] in place.begun)


def test_tasks_that_would_end_the_process_cost_no_thread_and_no_place(place: Workplace) -> None:
    place.pool.grow(THREADS)
    names = [f"bad{number}" for number in range(2 * THREADS)]
    for name in names:
        place.send("exits", name)
    wait_until("all ended", all_ended(place, *names))
    place.send("agent", "a")
    wait_until("another begins", lambda: "a" in place.begun)
    assert place.pool.info["under-way"] == 1


def test_a_machine_that_has_no_thread_left_has_the_task_done_by_the_pool_s_own(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        place.send("other", "report")
        wait_until("it runs", lambda: "report" in place.begun)
    place.end("report")
    wait_until("it ended", all_ended(place, "report"))
    assert place.pool.info["under-way"] == 0


def test_a_pool_that_is_to_begin_no_more_drops_what_waits_and_what_comes(place: Workplace) -> None:
    place.send("agent", "a")
    place.send("agent", "b")
    wait_until("the first has begun", lambda: "a" in place.begun)
    place.pool.begin_no_more()
    place.send("errand", "check")
    assert place.pool.info["waiting"] == 0
    place.end("a")
    place.pool.on_stop()
    assert place.begun == ["a"]


class Bell:
    """Told whenever there is room."""

    def __init__(self, place: Workplace) -> None:
        self.rung = 0
        gates = gates_of(place.app)
        gates.guard(("parts",), lambda: place.pool.room)
        gates.listen(self)

    def wake(self) -> None:
        self.rung += 1


def test_there_is_room_while_an_agent_that_came_would_begin_at_once(place: Workplace) -> None:
    bell = Bell(place)
    assert place.pool.room
    place.send("errand", "check")
    place.send("other", "report")
    assert place.pool.room
    place.send("agent", "a")
    assert not place.pool.room
    assert bell.rung == 0
    place.pool.grow()
    assert place.pool.room
    place.pool.shrink()
    assert not place.pool.room
    rung = bell.rung
    place.end("a")
    wait_until("whoever waits is told", lambda: bell.rung > rung)
    assert place.pool.room


def test_nobody_is_told_of_a_place_that_one_who_waits_takes(place: Workplace) -> None:
    bell = Bell(place)
    place.send("agent", "a")
    place.send("agent", "b")
    place.end("a")
    wait_until("its place is taken", lambda: "b" in place.begun)
    assert bell.rung == 0
    place.end("b")
    wait_until("whoever waits is told", lambda: bell.rung)


def test_fewer_agents_may_be_allowed_for_a_while_but_never_none(place: Workplace) -> None:
    place.pool.grow(2)
    place.pool.allow(0)
    place.send("agent", "a")
    assert not place.pool.room
    place.send("agent", "b")
    place.end("a")
    wait_until("one after the other", lambda: "b" in place.begun)
    bell = Bell(place)
    place.pool.allow(99)
    assert bell.rung
    place.send("agent", "c")
    assert place.pool.room
    place.send("agent", "d")
    wait_until("as many as there are places", lambda: {"c", "d"} <= {*place.begun})
    assert not place.pool.room


def test_a_pool_that_drains_or_is_to_end_has_no_room_and_goes_on_with_errands(
    place: Workplace,
) -> None:
    bell = Bell(place)
    place.pool.drain(True)
    assert not place.pool.room
    assert bell.rung == 0
    place.send("errand", "check")
    wait_until("errands are done", lambda: "check" in place.begun)
    place.pool.drain(False)
    assert bell.rung == 1
    place.pool.begin_no_more()
    assert not place.pool.room
