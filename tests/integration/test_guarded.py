"""A child under guard ends when it should, and says how it ended."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from swarm_tasks.guarded import Guarded
from tests.support.commands import words_of
from tests.support.waiting import wait_until

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('ready', flush=True)
time.sleep(60)
"""


def guarded(code: str, log: Path | None = None, grace_seconds: float = 10.0) -> Guarded:
    return Guarded((sys.executable, "-S", "-c", code), dict(os.environ), log, grace_seconds)


def child_of(guard: Guarded) -> psutil.Process:
    """The Python that the guard guards."""

    def found() -> psutil.Process | None:
        family = psutil.Process(guard.pid).children(recursive=True)
        return next((one for one in family if "-S" in words_of(one)), None)

    child = wait_until("the child runs", found)
    assert child is not None
    return child


@pytest.mark.parametrize("code", [0, 1, 7])
def test_its_exit_code_is_the_child_s(code: int) -> None:
    guard = guarded(f"raise SystemExit({code})")
    assert wait_until("it ended", lambda: guard.ended() is not None)
    assert guard.ended() == guard.stop() == code


def test_both_streams_of_the_child_are_added_to_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    code = "import sys; print('out', flush=True); print('err', file=sys.stderr)"
    guard = guarded(code, log)
    wait_until("it ended", lambda: guard.ended() is not None)
    guard.stop()
    assert log.read_text() == "before\nout\nerr\n"


def test_the_child_has_nothing_to_read(tmp_path: Path) -> None:
    log = tmp_path / "log"
    guard = guarded("import sys; print(repr(sys.stdin.read()))", log)
    wait_until("it ended", lambda: guard.ended() is not None)
    guard.stop()
    assert log.read_text() == "''\n"


def test_a_child_that_is_asked_to_stop_ends_by_the_gentle_signal() -> None:
    guard = guarded("import time; time.sleep(60)")
    child = child_of(guard)
    assert guard.ended() is None
    assert guard.stop() == 128 + signal.SIGTERM
    assert not child.is_running()


def test_a_child_that_will_not_stop_is_killed_after_its_grace(tmp_path: Path) -> None:
    log = tmp_path / "log"
    guard = guarded(STUBBORN, log, grace_seconds=0.5)
    wait_until("it ignores the signal", lambda: "ready" in log.read_text())
    assert guard.stop() == 128 + signal.SIGKILL


def test_a_shorter_grace_may_be_given_when_there_is_nothing_to_wait_for(tmp_path: Path) -> None:
    log = tmp_path / "log"
    guard = guarded(STUBBORN, log, grace_seconds=60)
    wait_until("it ignores the signal", lambda: "ready" in log.read_text())
    began = time.monotonic()
    assert guard.stop(grace_seconds=0.2) == 128 + signal.SIGKILL
    assert time.monotonic() - began < 30


def test_it_may_be_asked_twice() -> None:
    guard = guarded("import time; time.sleep(60)")
    guard.ask_to_stop()
    guard.ask_to_stop(grace_seconds=1)
    assert guard.stop() == guard.stop()


def test_a_signal_to_our_group_is_not_for_the_child() -> None:
    guard = guarded("import time; time.sleep(60)")
    child = child_of(guard)
    assert os.getsid(child.pid) != os.getsid(0)
    assert os.getpgid(child.pid) != os.getpgid(0)
    guard.stop()


def test_what_it_holds_is_held_until_the_child_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = (sys.executable, "-S", "-c", "import time; time.sleep(60)")
        guard = Guarded(command, dict(os.environ), hold=(lock.fileno(),))
        child_of(guard)
    assert not free(path), "we have closed it, and the child has it still"
    guard.stop()
    wait_until("it is free", lambda: free(path))


def free(path: Path) -> bool:
    """Whether nobody holds this lock."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
