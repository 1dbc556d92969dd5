"""A tool's programs give way to all else on the machine, with their children, and end by
themselves if nobody is left to end them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import psutil
import pytest

from tests.support.waiting import wait_until
from workers.tools.manners import Manners, bound_processor_time, give_way
from workers.tools.runner import run_argv
from workers.tools.spec import Completed

FORKS = """
import os, sys, time
def child():
    pid = os.fork()
    if pid == 0:
        sys.stdin.read()
        os._exit(0)
    return pid
print(child(), flush=True)
while os.getpriority(os.PRIO_PROCESS, 0) != int(sys.argv[1]):
    time.sleep(0.01)
print(child(), flush=True)
sys.stdin.read()
"""
"""Begins a child, and another once it has the niceness that it is told; prints who they are."""

PATIENT = """
import os, sys, time
end = time.monotonic() + 20
while os.getpriority(os.PRIO_PROCESS, 0) < int(sys.argv[1]) and time.monotonic() < end:
    time.sleep(0.01)
print(os.getpriority(os.PRIO_PROCESS, 0))
"""
"""Says which niceness it has; it may have begun a moment before it was given one."""

HOLDS = "import sys; sys.stdin.read()"

linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone knows of it")


@pytest.fixture
def program() -> Generator[subprocess.Popen[bytes]]:
    """A program in a session of its own, until the test ends."""
    argv = [sys.executable, "-S", "-c", HOLDS]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, start_new_session=True) as running:
        yield running
        running.kill()


def run(code: str, *words: str, manners: Manners) -> Completed:
    argv = (sys.executable, "-S", "-c", code, *words)
    return asyncio.run(run_argv(argv, 30.0, 1 << 20, manners))


def own_niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, 0)


def test_a_program_goes_at_low_priority() -> None:
    low = min(19, own_niceness() + 7)
    assert run(PATIENT, str(low), manners=Manners(niceness=7)).stdout == f"{low}\n"


def test_children_that_it_has_by_then_and_those_of_later_give_way_too() -> None:
    low = min(19, own_niceness() + 7)
    argv = [sys.executable, "-S", "-c", FORKS, str(low)]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, start_new_session=True) as running:
        assert running.stdout is not None
        before = int(running.stdout.readline())
        give_way(running.pid, 7)
        after = int(running.stdout.readline())
        for child in (before, after):
            assert os.getpriority(os.PRIO_PROCESS, child) == low
        os.killpg(running.pid, signal.SIGKILL)


def test_a_program_that_is_not_to_give_way_goes_as_the_worker_does(
    program: subprocess.Popen[bytes],
) -> None:
    assert give_way(program.pid, 0)
    assert os.getpriority(os.PRIO_PROCESS, program.pid) == own_niceness()


def test_the_lowest_priority_is_not_passed(program: subprocess.Popen[bytes]) -> None:
    give_way(program.pid, 100)
    assert os.getpriority(os.PRIO_PROCESS, program.pid) == 19


@linux
def test_disks_serve_it_last_and_never_not_at_all(program: subprocess.Popen[bytes]) -> None:
    give_way(program.pid, 10)
    assert psutil.Process(program.pid).ionice() == (psutil.IOPRIO_CLASS_BE, 7)


@linux
def test_its_session_gives_way_to_others_as_well(program: subprocess.Popen[bytes]) -> None:
    group = Path(f"/proc/{program.pid}/autogroup")
    if not group.exists():
        pytest.skip("this kernel has no autogroups")

    def lowered() -> bool:
        give_way(program.pid, 10)  # others may have set one within the last tenth of a second
        return group.read_text().endswith(" nice 10\n")

    wait_until("its group has the niceness", lowered)


def test_a_program_that_has_ended_already_is_left_alone() -> None:
    argv = [sys.executable, "-S", "-c", ""]
    with subprocess.Popen(argv, start_new_session=True) as gone:
        gone.wait()
    assert give_way(gone.pid, 10)
    bound_processor_time(gone.pid, 1.0)


@linux
def test_a_program_may_use_no_more_processor_time_than_its_call_may_last(
    program: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    bound_processor_time(program.pid, 1.5)
    limits = psutil.Process(program.pid).rlimit(psutil.RLIMIT_CPU)
    assert limits == (6, 6)
    bound_processor_time(program.pid, 600.0)
    assert psutil.Process(program.pid).rlimit(psutil.RLIMIT_CPU) == (6, 6)


@linux
def test_the_kernel_ends_one_that_nobody_else_will(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    argv = [sys.executable, "-S", "-c", "while True: pass"]
    with subprocess.Popen(argv, start_new_session=True) as runaway:
        bound_processor_time(runaway.pid, 0.1)
        assert runaway.wait(60) == -signal.SIGKILL


def test_each_program_bears_the_mark() -> None:
    code = "import os; print(os.environ['WHOSE'])"
    assert run(code, manners=Manners(mark=(("WHOSE", "alpha 7"),))).stdout == "alpha 7\n"
