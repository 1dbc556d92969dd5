"""The command as a process of its own: started, watched, signalled, and seen to be gone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.support.fleets import NAPPER, REPOSITORY, TestFleet, as_variables, run_cli
from tests.support.waiting import wait_until

HOSTSWARM = str(Path(sys.executable).parent / "hostswarm")


def environment_of(state: Path, **more: str) -> dict[str, str]:
    """An environment with no settings but these, and the fake tools to be found."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("HOSTSWARM_")}
    return {
        **clean,
        "PYTHONPATH": str(REPOSITORY),
        "HOSTSWARM_STATE_DIR": str(state),
        **{f"HOSTSWARM_{name}": value for name, value in more.items()},
    }


@contextmanager
def running(
    *words: str, environment: Mapping[str, str], stdout: int | None = subprocess.PIPE
) -> Generator[subprocess.Popen[str]]:
    """The command in a session of its own, as a service manager or a terminal starts it.

    It is killed at the end if it still runs.
    """
    with subprocess.Popen(
        (HOSTSWARM, *words),
        env=dict(environment),
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def family_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The process and all that it started, whatever session they moved to."""
    head = psutil.Process(process.pid)
    return [head, *head.children(recursive=True)]


def words_of(process: psutil.Process) -> list[str]:
    """Its command line; nothing once it has ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def alive(family: list[psutil.Process]) -> list[str]:
    """Those that still run, as a person would want to read it."""
    left: list[str] = []
    for one in family:
        try:
            if one.is_running() and one.status() != psutil.STATUS_ZOMBIE:
                left.append(f"{one.pid} {' '.join(one.cmdline())[:120]}")
        except psutil.NoSuchProcess:
            continue
    return left


def processes_of(state: Path) -> list[str]:
    """Every process that has this state directory in its environment or on its command line."""
    found: list[str] = []
    for process in psutil.process_iter():
        try:
            words, environment = process.cmdline(), process.environ()
        except psutil.Error:
            continue
        given = environment.get("HOSTSWARM_STATE_DIR") == str(state)
        if given or any(str(state) in word for word in words):
            found.append(f"{process.pid} {' '.join(words)[:120]}")
    return found


def nothing_runs(state: Path) -> None:
    """Wait until nothing is left that belongs to this state directory.

    Raises:
        AssertionError: Something stays.
    """
    wait_until(f"nothing of {state} runs", lambda: not processes_of(state), 15)


class Asker:
    """Somebody at a command line with an environment of their own."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.environment = environment_of(state)

    def with_variables(self, **more: str) -> Asker:
        """The same with more settings."""
        other = Asker(self.state)
        other.environment = self.environment | {f"HOSTSWARM_{k}": v for k, v in more.items()}
        return other

    def on(self, fleet: TestFleet) -> Asker:
        """The same with a fleet, and a specialist that is quick: `napper`."""
        other = self.with_variables(BROKER_URL=fleet.url)
        other.environment |= as_variables({"specialists": {"napper": NAPPER}})
        return other

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        return run_cli(*words, environment=self.environment, cwd=self.state.parent)

    def refused(self, *words: str, code: int = 2, says: str) -> str:
        """Run the command, which must refuse in one line; that line."""
        done = self.run(*words)
        assert done.stdout == ""
        return self.told(done, code, says)

    def told(self, done: subprocess.CompletedProcess[str], code: int, says: str) -> str:
        """See that what went wrong was told in one line, and that nothing is left running."""
        assert "Traceback" not in done.stderr
        (line,) = done.stderr.splitlines()
        assert line.startswith("hostswarm: ")
        assert re.search(says, line), line
        assert done.returncode == code
        nothing_runs(self.state)
        return line
