"""What is started ends: by its own end, by Ctrl-C, by a signal, and by the kill that none hears."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager

import psutil
import pytest
from pydantic import SecretStr

from swarm_tasks.config import Settings
from swarm_tasks.embedded import running_store
from swarm_tasks.store.client import connect
from swarm_tasks.store.presence import Presence
from tests.support.commands import Asker, alive, family_of, nothing_runs, running, words_of
from tests.support.fleets import NAPPER, as_variables, specialist
from tests.support.waiting import wait_until

SECONDS = 61.5
"""How long the slow tool's `sleep` would take: no test waits for it."""

SLOW = specialist("slow", "child_nap", seconds=SECONDS)
OWN = {
    "specialists": {"slow": SLOW, "napper": NAPPER},
    "tool_modules": "tests.support.fake_tools",
    "heartbeat_seconds": "0.5",
}


@pytest.fixture
def own(asker: Asker) -> Asker:
    """Somebody with the fake tools."""
    asker.environment |= as_variables(OWN)
    return asker


@contextmanager
def in_mid_flight(own: Asker) -> Generator[tuple[subprocess.Popen[str], list[psutil.Process]]]:
    """An audit whose tool runs just now, and the whole family: store, worker, tool."""
    with running("audit", "--specialists", "slow", environment=own.environment) as process:

        def napping() -> list[psutil.Process]:
            family = family_of(process)
            return family if any(one.name() == "sleep" for one in family) else []

        family = wait_until("the tool runs", napping)
        names = {one.name() for one in family}
        assert "valkey-server" in names
        assert len(family) >= 5
        yield process, family


def gone(family: list[psutil.Process]) -> None:
    wait_until(f"all are gone but {alive(family)}", lambda: not alive(family), 15)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_audit_that_is_told_to_stop_takes_all_of_it_along_and_says_so(
    own: Asker, number: signal.Signals
) -> None:
    with in_mid_flight(own) as (process, family):
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=30)
        assert stdout == ""
        assert re.fullmatch(r"hostswarm: job \w{10} was cancelled\n", stderr)
        assert process.returncode == 1
        gone(family)
    nothing_runs(own.state)


def test_an_audit_that_is_killed_leaves_nothing_behind_but_what_was_written_down(
    own: Asker,
) -> None:
    with in_mid_flight(own) as (process, family):
        process.kill()
        # At once, while the first one's store may still be writing its last.
        done = own.run("audit", "--specialists", "napper", "--json")
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)["job"]
        assert report["status"] == "complete"
        gone(family)
    nothing_runs(own.state)
    assert own.run("show", report["id"], "--json").stdout == done.stdout
    newest, killed = json.loads(own.run("jobs", "--json").stdout)
    assert (newest["id"], newest["state"]) == (report["id"], "closed")
    # The next one's control may have closed it since: its host is another life of the same.
    assert (killed["specialists"], killed["total"]) == (1, 1)


@contextmanager
def up(own: Asker, *words: str) -> Generator[subprocess.Popen[str]]:
    """`hostswarm up` with hosts alpha and bravo, both of which have joined."""
    command = ("up", "--hosts", "alpha,bravo", "--no-flower", *words)
    with running(*command, environment=own.environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("Ready."):
                break
        assert process.poll() is None
        wait_until("both hosts have joined", lambda: set(instances(own)) == {"alpha", "bravo"})
        yield process


def instances(own: Asker) -> dict[str, str]:
    """Each host that is alive, and which life of its worker this is."""
    url = running_store(own.state, lasting=True)
    assert url is not None
    client = connect(Settings(broker_url=SecretStr(url)))
    try:
        views = Presence(client, ttl_seconds=1, forget_seconds=600).fleet()
    finally:
        client.close()
    return {view.host: view.beat.instance for view in views if view.beat is not None}


def test_a_fleet_of_one_machine_is_found_by_itself_and_mended_while_it_runs(own: Asker) -> None:
    # A name for this host in the environment is not the name of each of several workers.
    own.environment["HOSTSWARM_HOST"] = "elsewhere"
    with up(own) as process:
        words = ("audit", "--specialists", "napper", "--json")
        report = json.loads(own.run(*words).stdout)
        assert report["coverage"]["answered"] == ["alpha", "bravo"]
        assert own.run("doctor").returncode == 0

        second = own.run("up", "--no-flower")
        assert second.returncode == 1
        (line,) = second.stderr.splitlines()
        assert re.match(r"hostswarm: another hostswarm uses the store in .*: wait for it", line)

        before = instances(own)
        worker_of(process, "bravo").kill()
        wait_until(
            "bravo lives again", lambda: instances(own).get("bravo") not in (None, *before.values())
        )
        assert instances(own)["alpha"] == before["alpha"]
        assert json.loads(own.run(*words).stdout)["coverage"]["answered"] == ["alpha", "bravo"]

        family = family_of(process)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
        assert re.search(r"^worker-bravo ended with code \d+; it is started again$", stdout, re.M)
        assert stdout.endswith("Stopping …\n")
        assert (stderr, process.returncode) == ("", 0)
        assert alive(family) == []
    nothing_runs(own.state)


def worker_of(process: subprocess.Popen[str], host: str) -> psutil.Process:
    """The Python of a host's worker, not its guard."""
    return next(
        one
        for one in family_of(process)
        if f"worker@{host}" in words_of(one) and "python" in one.name()
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_fleet_s_end_ends_all_of_it_and_loses_no_report(
    own: Asker, number: signal.Signals
) -> None:
    with up(own) as process:
        report = own.run("audit", "--specialists", "napper", "--json")
        waits = own.run("audit", "--specialists", "slow", "--no-wait").stdout.strip()
        family = wait_until("the tool runs", lambda: napping_family(process))
        process.send_signal(number)
        process.communicate(timeout=30)
        assert process.returncode == (0 if number is signal.SIGTERM else -signal.SIGKILL)
        gone(family)
    nothing_runs(own.state)
    job = json.loads(report.stdout)["job"]["id"]
    assert own.run("show", job, "--json").stdout == report.stdout
    states = {one["id"]: one["state"] for one in json.loads(own.run("jobs", "--json").stdout)}
    assert states[job] == "closed"
    assert waits in states


def napping_family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The fleet's processes, once both hosts' slow tools are among them."""
    family = family_of(process)
    return family if sum(one.name() == "sleep" for one in family) >= 2 else []


def test_a_fleet_whose_store_is_killed_goes_on_with_all_that_it_knew(own: Asker) -> None:
    words = ("audit", "--specialists", "napper", "--json")
    with up(own) as process:
        before = own.run(*words)
        url = running_store(own.state, lasting=True)
        (store,) = (one for one in family_of(process) if one.name() == "valkey-server")
        store.kill()
        wait_until("it runs again", lambda: running_store(own.state, lasting=True) == url)
        job = json.loads(before.stdout)["job"]["id"]
        assert own.run("show", job, "--json").stdout == before.stdout
        wait_until("both hosts are back", lambda: set(instances(own)) == {"alpha", "bravo"})
        assert json.loads(own.run(*words).stdout)["coverage"]["answered"] == ["alpha", "bravo"]
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
        assert "store ended by itself; it is started again\nstore runs again\n" in stdout
        assert (stderr, process.returncode) == ("", 0)
    nothing_runs(own.state)


def test_a_worker_started_by_hand_ends_by_a_signal_and_leaves_the_fleet(own: Asker) -> None:
    with up(own):
        with running("worker", "--host", "charlie", environment=own.environment) as worker:
            wait_until("charlie has joined", lambda: "charlie" in instances(own))
            os.kill(worker.pid, signal.SIGTERM)
            worker.communicate(timeout=30)
            assert worker.returncode == 0
        assert set(instances(own)) == {"alpha", "bravo"}
