"""The command line as people, scripts and other programs use it."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from swarm_tasks.embedded import EmbeddedStore
from swarm_tasks.store.commands import Commands
from tests.support.commands import HOSTSWARM, Asker
from tests.support.fleets import TestFleet, as_variables, run_cli, specialist
from tests.support.waiting import wait_until

VERBS = (
    *("audit", "up", "worker", "control", "beat", "flower", "hosts", "jobs", "show", "watch"),
    *("cancel", "trust", "ack", "diff", "tools", "tool", "doctor"),
)
COLOUR = re.compile(r"\x1b\[(?:[0-9;]*;)?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])[;m]")
QUICK = ("audit", "--specialists", "napper")
"""An audit that takes no time, on every host of the fleet."""

NODES = "worker@alpha,worker@bravo,worker@charlie"

CELERY = (sys.executable, "-m", "celery", "-A", "swarm_tasks")


@pytest.fixture
def there(asker: Asker, fleet: TestFleet) -> Asker:
    """Somebody with a fleet of three."""
    return asker.on(fleet)


def printed(asker: Asker, *words: str) -> str:
    """What the command prints; it must go well."""
    done = asker.run(*words)
    assert (done.stderr, done.returncode) == ("", 0)
    return done.stdout


def job_of(asker: Asker) -> str:
    """A job that has ended."""
    report: dict[str, Any] = json.loads(printed(asker, *QUICK, "--json"))
    return report["job"]["id"]


def test_help_names_every_verb_and_an_example(asker: Asker) -> None:
    text = printed(asker, "--help")
    for verb in VERBS:
        assert re.search(rf"^│? *{verb} ", text, re.M), verb
    assert "hostswarm audit --hosts 'web*' --html report.html" in text
    assert asker.run().returncode == 2


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_says_what_it_does_and_shows_how(asker: Asker, verb: str) -> None:
    lines = [line.strip() for line in printed(asker, verb, "-h").splitlines() if line.strip()]
    assert lines[0].startswith(f"Usage: hostswarm {verb}")
    assert re.match(r"[A-Z].*", lines[1])
    assert any(f"hostswarm {verb}" in line for line in lines[lines.index("Examples:") :])


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_may_complete_verbs(asker: Asker, shell: str) -> None:
    asker.environment["_HOSTSWARM_COMPLETE"] = f"source_{shell}"
    script = asker.run()
    assert script.returncode == 0
    assert f"_HOSTSWARM_COMPLETE=complete_{shell}" in script.stdout
    asker.environment |= {
        "_HOSTSWARM_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": "hostswarm au",
        "COMP_CWORD": "1",
        "_TYPER_COMPLETE_ARGS": "hostswarm au",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    assert "audit" in asker.run().stdout


def test_listings_are_whole_lines_of_plain_text_where_there_is_no_terminal(there: Asker) -> None:
    job = job_of(there)
    question = "is it " + "very " * 30 + "slow?"
    printed(there, *QUICK, question)
    hosts = printed(there, "hosts").splitlines()
    assert [line.split()[0] for line in hosts] == ["host", "alpha", "bravo", "charlie"]
    assert [line.split()[1] for line in hosts[1:]] == ["alive"] * 3
    jobs = printed(there, "jobs", "--limit", "2").splitlines()
    assert len(jobs) == 3
    assert jobs[1].rstrip().endswith(question[:60].strip())
    assert jobs[2].split()[0] == job
    tools = printed(there, "tools").splitlines()
    assert len(tools) == 1 + len(json.loads(printed(there, "tools", "--json")))
    for text in (printed(there, "show", job), printed(there, "doctor"), *hosts, *jobs, *tools):
        assert "\x1b" not in text
        assert "\r" not in text


@contextmanager
def terminal() -> Generator[tuple[int, int]]:
    """A terminal's two ends: ours and a program's."""
    ours, theirs = pty.openpty()
    try:
        yield ours, theirs
    finally:
        os.close(ours)


def on_a_terminal(asker: Asker, *words: str) -> str:
    """What a person at a terminal sees."""
    with terminal() as (ours, theirs):
        environment = {**asker.environment, "TERM": "xterm-256color", "COLUMNS": "100"}
        with subprocess.Popen((HOSTSWARM, *words), env=environment, stdout=theirs, stderr=theirs):
            os.close(theirs)
            seen = b""
            try:
                while chunk := os.read(ours, 65536):
                    seen += chunk
            except OSError:  # Linux says so when the other end is closed
                pass
    return seen.decode()


def test_a_terminal_gets_colours_unless_it_asks_for_none(there: Asker) -> None:
    assert COLOUR.search(on_a_terminal(there, "hosts"))
    there.environment["NO_COLOR"] = "1"
    for words in (("hosts",), QUICK, ("doctor",)):
        seen = on_a_terminal(there, *words)
        assert seen
        assert not COLOUR.search(seen)


def test_every_listing_is_json_for_a_script(there: Asker) -> None:
    job = job_of(there)
    hosts = json.loads(printed(there, "hosts", "--json"))
    assert [one["host"] for one in hosts] == ["alpha", "bravo", "charlie"]
    jobs = json.loads(printed(there, "jobs", "--json", "--limit", "1"))
    assert [one["id"] for one in jobs] == [job]
    assert json.loads(printed(there, "show", job, "--json"))["job"]["id"] == job
    events = [json.loads(line) for line in printed(there, "watch", job, "--json").splitlines()]
    assert (events[0]["kind"], events[-1]["kind"]) == ("job_opened", "job_closed")
    cancelled = json.loads(printed(there, "cancel", job, "--json"))
    assert cancelled == {"job": job, "cancelled": False}
    tools = json.loads(printed(there, "tools", "--json"))
    assert all(set(one) >= {"name", "summary", "arguments", "available"} for one in tools)
    checks = json.loads(printed(there, "doctor", "--json"))
    assert {one["state"] for one in checks} == {"ok"}
    here = json.loads(printed(there, "tool", "load", "--json"))
    assert (here["tool"], here["status"]) == ("load", "ok")
    far = printed(there, "tool", "nap", "seconds=0", "--host", "bravo", "--json")
    assert (json.loads(far)["host"], json.loads(far)["data"]) == ("bravo", {"slept_seconds": 0.0})


def test_a_job_may_be_left_alone_and_watched_later(there: Asker) -> None:
    job = printed(there, *QUICK, "--no-wait").strip()
    done = there.run("watch", job)
    assert done.returncode == 0
    assert re.search(r"^\d\d:\d\d:\d\d job job closed complete$", done.stderr, re.M)
    assert "3 of 3 hosts answered" in done.stdout


@pytest.mark.parametrize(
    ("level", "more", "code"),
    [
        ("10", {}, 0),
        ("90", {}, 1),
        ("99", {}, 2),
        ("10", {"EXPECTED_HOSTS": "zulu"}, 3),
    ],
)
def test_monitoring_gets_the_exit_code_that_it_knows(
    there: Asker, tmp_path: Path, level: str, more: dict[str, str], code: int
) -> None:
    gauge = tmp_path / "gauge"
    gauge.write_text(level)
    watching = there.with_variables(**more)
    own = {"gauges": specialist("gauges", "gauge", path=str(gauge))}
    watching.environment |= as_variables({"specialists": own})
    done = watching.run("audit", "--specialists", "gauges", "--json", "--exit-code")
    assert (done.stderr, done.returncode) == ("", code)
    job = json.loads(done.stdout)["job"]["id"]
    if code == 2:
        assert watching.run("show", job, "--exit-code").returncode == code
        assert watching.run("show", job).returncode == 0


def celery(asker: Asker, *words: str) -> str:
    """What Celery's own command says."""
    done = subprocess.run(
        (*CELERY, *words),
        env=asker.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_celery_s_own_command_sees_the_fleet(there: Asker) -> None:
    # Where nodes are named, Celery waits no longer than until all of them have answered.
    named = ("--timeout", "20", "--destination", NODES)
    answers = json.loads(celery(there, "inspect", "ping", *named, "--json"))
    assert answers == {name: {"ok": "pong"} for name in NODES.split(",")}
    assert "3 nodes online" in celery(there, "status", *named)
    queues = json.loads(celery(there, "inspect", "active_queues", *named, "--json"))
    mine = {"host.alpha", "host.alpha.errands", "swarm"}
    assert {one["name"] for one in queues["worker@alpha"]} == mine


def test_a_worker_started_with_celery_s_own_command_joins(there: Asker, fleet: TestFleet) -> None:
    by_hand = there.with_variables(HOST="delta", HEARTBEAT_SECONDS="0.5")
    by_hand.environment |= as_variables({"tool_modules": "tests.support.fake_tools"})
    words = ("worker", "--pool", "threads", "-Q", "host.delta,swarm", "-n", "worker@delta")
    with subprocess.Popen(
        (*CELERY, *words),
        env=by_hand.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as worker:
        try:
            wait_until("delta has joined", lambda: fleet.fleet.presence.beats(("delta",)))
            report = json.loads(printed(there, *QUICK, "--hosts", "delta", "--json"))
            assert report["coverage"]["answered"] == ["delta"]
        finally:
            worker.terminate()
    printed(there, "hosts", "--forget", "delta")


def test_doctor_names_what_is_missing_and_the_command_that_mends_it(
    asker: Asker, store: EmbeddedStore, client: Commands
) -> None:
    alone = asker.with_variables(BROKER_URL=store.url, AGENTZ="3")
    done = alone.run("doctor")
    assert done.returncode == 1
    lines = [re.split(r"\s+", line.strip(), maxsplit=2) for line in done.stdout.splitlines()]
    told = {
        (state, name): lines[index + 1][1:]
        for index, (state, name, *_) in enumerate(lines)
        if state in ("broken", "warning")
    }
    assert told == {
        ("warning", "settings"): ["check", "its spelling, or unset it"],
        ("broken", "control"): ["hostswarm", "control"],
        ("broken", "hosts"): ["hostswarm", "worker"],
    }
    assert "HOSTSWARM_AGENTZ means nothing" in done.stdout
    checks = json.loads(alone.run("doctor", "--json").stdout)
    assert {one["name"] for one in checks if one["state"] == "broken"} == {"control", "hosts"}


def test_doctor_of_a_machine_without_a_fleet_is_content(asker: Asker) -> None:
    text = printed(asker, "doctor")
    assert {line.split()[0] for line in text.splitlines()} == {"ok"}
    assert not asker.state.exists()


def test_health_is_for_health_checks(there: Asker) -> None:
    assert there.with_variables(HOST="alpha").run("health", "worker").returncode == 0
    assert there.run("health", "control").returncode == 0
    gone = there.with_variables(HOST="zulu").run("health", "worker")
    assert (gone.returncode, gone.stderr) == (1, "hostswarm: no sign of life of worker zulu\n")
    assert there.run("health", "beat").returncode == 2


def test_a_settings_file_that_is_named_holds_for_the_host_s_own_program(
    asker: Asker, tmp_path: Path
) -> None:
    config = tmp_path / "own.toml"
    config.write_text('tool_modules = ["tests.support.fake_tools"]\nhost = "named"\n')
    names = [
        one["name"]
        for one in json.loads(printed(asker, "--config", str(config), "tools", "--json"))
    ]
    assert "nap" in names
    words = ("--config", str(config), "tool", "nap", "seconds=0", "--json")
    assert json.loads(printed(asker, *words))["host"] == "named"


def test_ctrl_c_before_anything_has_begun_leaves_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt\n")
    done = run_cli("jobs", environment={"PYTHONPATH": str(tmp_path)})
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
