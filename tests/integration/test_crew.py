"""The processes of `hostswarm up`: started again when they end, and given up when that is vain."""

from __future__ import annotations

import io
import signal
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from orchestrator.surfaces import up
from orchestrator.surfaces.up import Crew
from swarm_tasks.errors import StoreError
from tests.support.commands import words_of
from tests.support.waiting import wait_until

SLEEPER = ["/bin/sh", "-c", "echo started; exec sleep 60"]
FAILURE = ["/bin/sh", "-c", "echo cannot; exit 3"]


@contextmanager
def crew(logs: Path, **commands: list[str]) -> Generator[tuple[Crew, io.StringIO]]:
    """A crew of these, started; and what it says."""
    said = io.StringIO()
    plan = {name: (argv, {"PATH": "/usr/bin:/bin"}) for name, argv in commands.items()}
    made = Crew(plan, logs, Console(file=said, width=1000))
    made.start()
    try:
        yield made, said
    finally:
        made.stop()


def sleepers() -> list[psutil.Process]:
    family = psutil.Process().children(recursive=True)
    return [one for one in family if words_of(one) == ["sleep", "60"]]


def test_one_that_ends_is_started_again_and_the_others_are_left_alone(tmp_path: Path) -> None:
    with crew(tmp_path, first=SLEEPER, second=SLEEPER) as (made, said):
        before = wait_until("both run", lambda: sleepers() if len(sleepers()) == 2 else [])
        made.look_after()
        assert "ended" not in said.getvalue()
        before[0].send_signal(signal.SIGKILL)

        def again() -> bool:
            made.look_after()
            return len(set(sleepers()) - {before[0]}) == 2

        wait_until("it runs again", again)
        assert before[1].is_running()
        assert said.getvalue().count("ended with code 137; it is started again") == 1
    assert not sleepers()


def test_one_that_never_gets_to_its_feet_is_given_up_with_its_log(tmp_path: Path) -> None:
    def fails() -> str:
        try:
            made.look_after()
        except StoreError as error:
            return str(error)
        return ""

    with crew(tmp_path, vain=FAILURE) as (made, said):
        told = wait_until("it is given up", fails)
        assert told == f"vain ends again and again: see {tmp_path}/vain.log"
        assert said.getvalue().count("ended with code 3") == up.FALLS - 1
        assert (tmp_path / "vain.log").read_text() == "cannot\n" * up.FALLS


def test_the_fleet_goes_on_without_a_flower_that_cannot_begin(tmp_path: Path) -> None:
    def told() -> str:
        made.look_after()
        return said.getvalue() if "warning" in said.getvalue() else ""

    with crew(tmp_path, flower=FAILURE, worker=SLEEPER) as (made, said):
        warning = wait_until("it is given up", told).splitlines()[-1]
        assert warning.startswith("warning: flower ends again and again; the fleet goes on without")
        assert "HOSTSWARM_FLOWER_PORT" in warning
        assert "--no-flower" in warning
        made.look_after()
        assert len(sleepers()) == 1


def test_one_that_was_well_once_is_never_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(up, "SETTLED_SECONDS", 0.0)
    monkeypatch.setattr(up, "PAUSE_SECONDS", 0.05)
    flag = tmp_path / "broken"
    command = ["/bin/sh", "-c", f"test -e {flag} && exit 3; exec sleep 60"]
    with crew(tmp_path, worker=command) as (made, said):
        (running,) = wait_until("it runs", sleepers)
        made.look_after()
        monkeypatch.setattr(up, "SETTLED_SECONDS", 60.0)
        flag.touch()
        running.kill()

        def fallen() -> bool:
            made.look_after()
            return said.getvalue().count("ended with code") > up.FALLS

        wait_until("it has fallen more often than a new one may", fallen)
        flag.unlink()

        def back() -> bool:
            made.look_after()
            return bool(sleepers())

        wait_until("it is back", back)
