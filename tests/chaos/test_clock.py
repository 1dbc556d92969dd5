"""A store whose own clock is set, by which all deadlines, leases and signs of life are told."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from orchestrator.service import Fleet
from swarm_tasks.embedded import server_binary
from swarm_tasks.guarded import Guarded
from swarm_tasks.models.job import AuditRequest
from tests.chaos.arena import FAKETIME
from tests.support.fleets import TestFleet, specialist
from tests.support.waiting import wait_until


def at_work(fleet: Fleet, job: str) -> list[str]:
    """The hosts that have a part of this job now."""
    return [part.host for part in fleet.ledger.parts(job) if part.state == "running"]


@pytest.mark.skipif(FAKETIME is None, reason="libfaketime is not installed")
@pytest.mark.parametrize("jump", ["+3600", "-3600"])
def test_a_store_whose_clock_is_set_ends_no_job(tmp_path: Path, jump: str) -> None:
    assert FAKETIME is not None
    clock = tmp_path / "clock"
    clock.write_text("+0", encoding="ascii")
    argv = (str(server_binary()), "--port", "0", "--unixsocket", str(tmp_path / "s"), "--save", "")
    faked = {
        "LANG": "C",
        "LD_PRELOAD": FAKETIME,
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with ExitStack() as stack:
        store = Guarded(argv, faked, tmp_path / "store.log")
        stack.callback(store.stop)
        wait_until("the store is up", (tmp_path / "s").exists)
        running = stack.enter_context(
            TestFleet(
                tmp_path,
                broker_url=f"unix://{tmp_path / 's'}",
                tool_modules=["tests.support.fake_tools"],
                specialists={"sleep": specialist("sleep", "nap", seconds=4.0)},
            )
        )
        running.start_control()
        running.start_workers("alpha", "bravo")
        fleet = running.fleet
        job = fleet.audit(AuditRequest(specialists=("sleep",), deadline_seconds=60)).id
        wait_until("both are at work", lambda: len(at_work(fleet, job)) == 2)
        clock.write_text(jump, encoding="ascii")
        report = fleet.wait(job)
        attempts = [part.attempt for part in fleet.ledger.parts(job)]
    assert report.coverage.answered == ("alpha", "bravo")
    assert attempts == [1, 1]
