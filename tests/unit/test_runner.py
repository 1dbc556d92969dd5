"""Programs are run without a shell, bounded in time and output, and never outlive their call."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Generator
from pathlib import Path

import psutil
import pytest

from swarm_tasks.errors import ToolFailed, ToolTimeout
from tests.support.commands import words_of
from tests.support.waiting import wait_until
from workers.tools.runner import ENVIRONMENT, find_program, run_argv
from workers.tools.spec import Completed

MEGABYTE = 1 << 20

FORK = """
import os, sys, time
if os.fork() == 0:
    {before}
    open(sys.argv[1], 'w').write(str(os.getpid()))
    time.sleep(60)
{after}
"""
"""A program that leaves a child behind, which writes its process id to a file."""


def run(*argv: str, output_limit_bytes: int = MEGABYTE) -> Completed:
    return asyncio.run(run_argv(argv, 10.0, output_limit_bytes))


def python(
    code: str, *more: str, timeout_seconds: float = 10.0, output_limit_bytes: int = MEGABYTE
) -> Completed:
    argv = (sys.executable, "-S", "-c", code, *more)
    return asyncio.run(run_argv(argv, timeout_seconds, output_limit_bytes))


@pytest.fixture
def stray(tmp_path: Path) -> Generator[Path]:
    """Where a program says which process it left; that is ended after the test."""
    path = tmp_path / "pid"
    yield path
    process = process_in(path)
    if process is not None:
        process.send_signal(signal.SIGKILL)


def ours_running() -> list[psutil.Process]:
    """The programs of these tests that still run: Python without its site packages."""
    return [child for child in psutil.Process().children() if "-S" in words_of(child)]


def process_in(path: Path) -> psutil.Process | None:
    try:
        process = psutil.Process(int(path.read_text()))
    except (OSError, ValueError, psutil.NoSuchProcess):
        return None
    return None if process.status() == psutil.STATUS_ZOMBIE else process


def test_a_program_s_answer_is_kept_apart_by_stream() -> None:
    done = python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert (done.stdout, done.stderr, done.code) == ("out\n", "err\n", 3)
    assert not done.truncated


def test_a_program_that_dies_by_a_signal_says_so() -> None:
    assert python("import os; os.kill(os.getpid(), 9)").code == -signal.SIGKILL


@pytest.mark.parametrize(
    "words",
    [
        ("; echo pwned",),
        ("$(echo pwned)",),
        ("`echo pwned`",),
        ("a && echo pwned", "| echo pwned"),
        ("> /dev/full", "*", "~", "$HOME"),
        ("line\nbreak", "'quote\"", "\\"),
        ("",),
    ],
)
def test_no_shell_reads_the_words(words: tuple[str, ...]) -> None:
    code = "import json, sys; print(json.dumps(sys.argv[1:]))"
    assert python(code, *words).stdout.strip() == json.dumps(list(words))


def test_the_environment_is_fixed_whatever_the_caller_s_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOSTSWARM_BROKER_URL", "redis://:hunter2@127.0.0.1")
    monkeypatch.setenv("LD_PRELOAD", "/nowhere.so")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    printed = run("/usr/bin/env").stdout.splitlines()
    assert sorted(printed) == sorted(f"{name}={value}" for name, value in ENVIRONMENT.items())


def test_it_runs_at_the_root_with_nothing_to_read_and_nothing_inherited() -> None:
    # A socket of ours that a program must not get hold of.
    with socket.socket() as ours:
        os.set_inheritable(ours.fileno(), True)
        code = (
            "import os, sys; print(os.getcwd()); print(repr(sys.stdin.read()));"
            "print(sorted(int(fd) for fd in os.listdir('/dev/fd') if int(fd) > 2 and "
            "os.path.exists(f'/dev/fd/{fd}')))"
        )
        assert python(code).stdout.splitlines() == ["/", "''", "[]"]


def test_a_program_that_is_not_there_is_told() -> None:
    with pytest.raises(ToolFailed, match="/nowhere/at/all could not be started: No such file"):
        run("/nowhere/at/all")


def test_programs_are_found_on_the_fixed_path_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = tmp_path / "sleep"
    planted.write_text("#!/bin/sh\n")
    planted.chmod(0o755)
    other = tmp_path / "only-here"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = find_program("sleep")
    assert found is not None
    assert Path(found).is_absolute()
    assert Path(found) != planted
    assert find_program("only-here") is None


def test_when_its_time_is_up_the_program_and_its_children_are_killed(stray: Path) -> None:
    code = FORK.format(before="", after="time.sleep(60)")
    with pytest.raises(ToolTimeout, match=r"did not end within 2 s"):
        python(code, str(stray), timeout_seconds=2.0)
    assert stray.exists()
    wait_until("the child is gone", lambda: process_in(stray) is None)


def test_a_program_that_ignores_the_gentle_signal_is_killed_all_the_same() -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    with pytest.raises(ToolTimeout):
        python(code, timeout_seconds=0.5)
    assert not ours_running()


def test_what_a_program_leaves_behind_goes_with_it(stray: Path) -> None:
    wait = "while not os.path.exists(sys.argv[1]): time.sleep(0.01)"
    code = FORK.format(before="os.close(1); os.close(2)", after=f"{wait}\nprint('done')")
    assert python(code, str(stray)).stdout == "done\n"
    wait_until("the child is gone", lambda: process_in(stray) is None)


def test_a_grandchild_that_fled_to_a_session_of_its_own_hangs_nobody(stray: Path) -> None:
    code = FORK.format(before="os.setsid()", after="time.sleep(60)")
    began = time.monotonic()
    with pytest.raises(ToolTimeout):
        python(code, str(stray), timeout_seconds=2.0)
    assert time.monotonic() - began < 30
    assert process_in(stray) is not None  # it is out of reach, and holds the pipes still


def test_output_past_the_limit_is_not_read_and_ends_the_program() -> None:
    code = "import sys\nwhile True: sys.stdout.write('x' * 65536)"
    done = python(code, output_limit_bytes=100_000)
    assert done.truncated
    assert done.stdout == "x" * 100_000
    assert done.code == -signal.SIGKILL


def test_output_is_capped_while_it_streams_and_not_once_it_is_all_there() -> None:
    before = psutil.Process().memory_info().rss
    done = run("/bin/cat", "/dev/zero", output_limit_bytes=4096)
    assert done.truncated
    assert len(done.stdout) == 4096
    assert psutil.Process().memory_info().rss - before < 100 * MEGABYTE


def test_a_flood_on_the_other_stream_is_capped_too() -> None:
    code = "import sys\nprint('first', flush=True)\nwhile True: sys.stderr.write('x' * 65536)"
    done = python(code, output_limit_bytes=10_000)
    assert done.truncated
    assert (done.stdout, len(done.stderr)) == ("first\n", 10_000)


def test_output_of_exactly_the_limit_is_whole() -> None:
    done = python("print('x' * 99_999)", output_limit_bytes=100_000)
    assert not done.truncated
    assert done.code == 0
    assert len(done.stdout) == 100_000


def test_bytes_that_are_no_text_are_replaced() -> None:
    done = python("import sys; sys.stdout.buffer.write(b'a\\xff\\x00b')")
    assert done.stdout == "a\ufffd\x00b"


def test_cancelling_the_caller_kills_the_program(stray: Path) -> None:
    code = FORK.format(before="", after="time.sleep(60)")

    async def cancelled() -> None:
        running = asyncio.ensure_future(
            run_argv((sys.executable, "-S", "-c", code, str(stray)), 60.0, MEGABYTE)
        )
        await asyncio.to_thread(wait_until, "it runs", lambda: process_in(stray))
        running.cancel()
        await running

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    wait_until("the child is gone", lambda: process_in(stray) is None)
    assert not ours_running()


def test_many_programs_run_at_the_same_time() -> None:
    async def all_of_them() -> list[Completed]:
        argv = (sys.executable, "-S", "-c", "import os; print(os.getpid())")
        return await asyncio.gather(*(run_argv(argv, 30.0, MEGABYTE) for _ in range(12)))

    done = asyncio.run(all_of_them())
    assert len({one.stdout for one in done}) == 12
