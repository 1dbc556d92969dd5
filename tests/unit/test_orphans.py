"""What a life of a worker left behind is known by its mark, and nobody else's is touched."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Generator

import pytest

from workers.orphans import MARK, Life, end_orphans, mark_of

Start = Callable[..., subprocess.Popen[bytes]]

HOLDS = "import sys; sys.stdin.read()"

LEAVES = """
import os, sys
if os.fork() == 0:
    os.environ.clear()
    os.execve(sys.executable, [sys.executable, "-S", "-c", sys.argv[1]], {})
sys.stdin.read()
"""
"""Begins a program that shows no mark."""

HOST = f"alpha-{os.getpid()}"


@pytest.fixture
def start() -> Generator[Start]:
    """Starts programs with an environment, until the test ends."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(mark: str | None, *code: str) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-S", "-c", *(code or (HOLDS,))]
        environment = {} if mark is None else {MARK: mark}
        one = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        running.append(one)
        return one

    yield begin
    for one in running:
        one.kill()
        one.communicate()


def former_life() -> str:
    """A worker's number and beginning, of one that is no more."""
    with subprocess.Popen([sys.executable, "-S", "-c", HOLDS], stdin=subprocess.PIPE) as worker:
        life = Life.of(worker.pid)
        assert life is not None
    return f"{life.pid} {life.began}"


def test_what_a_former_life_left_is_ended(start: Start) -> None:
    orphan = start(f"{HOST} {former_life()}")
    assert end_orphans(HOST) == 1
    assert orphan.wait(10) == -9


def test_children_in_its_session_end_with_it_although_they_show_no_mark(start: Start) -> None:
    orphan = start(f"{HOST} {former_life()}", LEAVES, f"print(1, flush=True)\n{HOLDS}")
    assert orphan.stdout is not None
    orphan.stdout.readline()
    assert end_orphans(HOST) == 2
    assert orphan.wait(10) == -9
    assert orphan.stdout.read() == b""  # nobody holds the pipe any more


@pytest.mark.parametrize(
    "mark",
    [
        None,
        f"{HOST}b {{gone}}",
        "bravo {gone}",
        f"{HOST} {{alive}}",
        HOST,
        f"{HOST} ",
        f"{HOST} 1",
        f"{HOST} one {{gone}}",
        "",
    ],
    # The marks differ from process to process, and names of tests must not.
    ids=range(9),
)
def test_what_is_another_s_lives(start: Start, mark: str | None) -> None:
    alive = mark_of(HOST)[1].partition(" ")[2]
    one = start(mark and mark.format(gone=former_life(), alive=alive))
    assert end_orphans(HOST) == 0
    assert one.poll() is None


def test_a_worker_whose_end_nobody_has_noticed_yet_is_over_as_well(start: Start) -> None:
    worker = start(None)
    life = Life.of(worker.pid)
    assert life is not None
    orphan = start(f"{HOST} {life.pid} {life.began}")
    assert end_orphans(HOST) == 0
    worker.kill()
    os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
    assert end_orphans(HOST) == 1
    assert orphan.wait(10) == -9


def test_a_number_that_was_given_again_is_another_life(start: Start) -> None:
    worker = start(None)
    life = Life.of(worker.pid)
    assert life is not None
    orphan = start(f"{HOST} {worker.pid} {int(life.began) - 1}")
    assert end_orphans(HOST) == 1
    assert orphan.wait(10) == -9
    assert worker.poll() is None


def test_the_mark_names_this_life() -> None:
    name, text = mark_of("alpha")
    life = Life.of(os.getpid())
    assert life is not None
    assert (name, text) == ("HOSTSWARM_TOOL", f"alpha {life.pid} {life.began}")
