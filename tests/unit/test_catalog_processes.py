"""Processes: parsers on golden files, tools on real processes, rules on typed answers."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from swarm_tasks.models.evidence import EvidenceStatus
from swarm_tasks.models.finding import Severity
from tests.support.golden import assert_golden, inputs
from tests.support.grading import graded, rule_called
from workers.rules.processes import RULES
from workers.tools.access import this_machine
from workers.tools.catalog import capacity, processes
from workers.tools.catalog.capacity import FdUsage, Pids
from workers.tools.catalog.processes import ProcessDetail, Snapshot, TopProcesses, Use
from workers.tools.catalog.shown import shown
from workers.tools.registry import Outcome, Registry

REGISTRY = Registry(processes.TOOLS)
PARSERS = {
    "file_nr": capacity.parse_file_nr,
    "sysctl_files": capacity.parse_sysctl_files,
    "loadavg": capacity.parse_tasks,
}

SECRET = "--password=correct-horse"


def call(tool: str, **arguments: object) -> Outcome:
    return asyncio.run(REGISTRY.call(tool, arguments, this_machine()))


@pytest.mark.parametrize(
    ("parser", "source"),
    [
        pytest.param(parser, source, id=f"{parser}-{source.stem}")
        for parser in PARSERS
        for source in inputs(parser)
    ],
)
def test_output_is_parsed(parser: str, source: Path) -> None:
    assert_golden(PARSERS[parser](source.read_text()), source)


@pytest.fixture(scope="module")
def busy() -> Iterator[subprocess.Popen[bytes]]:
    """A process that counts as fast as it can, with a secret among its arguments."""
    program = "print(flush=True)\nwhile True: pass"
    with subprocess.Popen(
        [sys.executable, "-c", program, SECRET],
        env={"TOKEN": SECRET},
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_what_uses_the_processor_stands_at_the_top(busy: subprocess.Popen[bytes]) -> None:
    outcome = call("top_processes", sort="cpu", n=5)
    assert isinstance(outcome.result, TopProcesses), outcome.reason
    mine = [one for one in outcome.result.processes if one.pid == busy.pid]
    assert mine
    assert mine[0].cpu_percent is not None
    assert mine[0].cpu_percent > 10
    assert mine[0].name.startswith("python")
    assert mine[0].user == psutil.Process().username()
    assert SECRET not in outcome.result.model_dump_json()


def test_one_process_is_seen_closely_without_its_secrets(busy: subprocess.Popen[bytes]) -> None:
    outcome = call("process", pid=busy.pid)
    assert isinstance(outcome.result, ProcessDetail), outcome.reason
    assert outcome.result.parents[0].pid == os.getpid()
    assert outcome.result.threads == 1
    assert outcome.result.open_fds == 3
    assert outcome.result.connections == 0
    assert SECRET not in outcome.result.model_dump_json()


def test_a_processs_sockets_and_children_are_counted(busy: subprocess.Popen[bytes]) -> None:
    with socket.create_server(("127.0.0.1", 0)):
        outcome = call("process", pid=os.getpid())
    assert isinstance(outcome.result, ProcessDetail), outcome.reason
    assert outcome.result.connections is not None
    assert outcome.result.connections >= 1
    assert outcome.result.children >= 1


def test_a_process_that_is_not_there_is_a_failure_with_its_number() -> None:
    with subprocess.Popen(["/bin/true"]) as process:
        process.wait()
    outcome = call("process", pid=process.pid)
    assert outcome.status is EvidenceStatus.FAILED
    assert str(process.pid) in outcome.reason


@pytest.mark.parametrize("pid", [0, -1, 4_194_305, "1; reboot", None])
def test_a_process_id_is_a_small_positive_number(pid: object) -> None:
    outcome = call("process", pid=pid)
    assert outcome.status is EvidenceStatus.FAILED
    assert "pid" in outcome.reason


def test_a_zombie_is_counted_under_the_parent_that_left_it() -> None:
    program = "import os\nif not os.fork(): os._exit(0)\nprint(flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        zombie = psutil.Process(parent.pid).children()[0]
        deadline = time.monotonic() + 5
        while zombie.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
            os.sched_yield()  # the parent may speak before the child has ended
        outcome, detail = call("pids"), call("process", pid=zombie.pid)
        parent.kill()
    assert isinstance(outcome.result, Pids), outcome.reason
    assert outcome.result.zombies >= 1
    assert parent.pid in {one.pid for one in outcome.result.zombie_parents}
    assert isinstance(detail.result, ProcessDetail), detail.reason
    assert detail.result.status == psutil.STATUS_ZOMBIE


def test_file_handles_are_counted_on_this_machine() -> None:
    outcome = call("fd_usage")
    assert isinstance(outcome.result, FdUsage), outcome.reason
    assert outcome.result.used > 0


def test_disk_traffic_is_told_or_said_to_be_unknown_here() -> None:
    outcome = call("top_processes", sort="io", n=3)
    if outcome.status is EvidenceStatus.UNAVAILABLE:
        assert outcome.reason
        return
    assert isinstance(outcome.result, TopProcesses), outcome.reason
    assert len(outcome.result.processes) <= 3


def test_the_greatest_come_first() -> None:
    sizes = [3, 9, 5, 1]
    uses = [
        Use(Snapshot(pid, "job", 1.0, 0.0, size, None, None), 0.0, None, None)
        for pid, size in enumerate(sizes)
    ]
    assert [use.process.rss_bytes for use in processes.most(uses, "memory", 3)] == [9, 5, 3]


def snapshot(started_at: float, cpu_seconds: float) -> Snapshot:
    return Snapshot(7, "job", started_at, cpu_seconds, 4096, None, None)


def test_a_process_id_that_was_given_away_is_another_process() -> None:
    same = processes.use_between(snapshot(1.0, 50.0), snapshot(1.0, 50.2), 0.5)
    other = processes.use_between(snapshot(1.0, 50.0), snapshot(2.0, 0.1), 0.5)
    assert same.cpu == pytest.approx(0.4)
    assert other.cpu == pytest.approx(0.2)
    assert same.read is None


def test_who_uses_nothing_is_not_among_the_greatest() -> None:
    idle = processes.use_between(snapshot(1.0, 5.0), snapshot(1.0, 5.0), 0.5)
    assert processes.most([idle], "cpu", 10) == []
    assert processes.most([idle], "memory", 10) == [idle]


@pytest.mark.parametrize(
    ("name", "looks"),
    [
        ("nginx", "nginx"),
        ("a\x1b[2Jb", "a?[2Jb"),
        ("one\ntwo", "one?two"),
        ("\udcff", "?"),
        ("\u202egpj", "?gpj"),
        ("x" * 100, "x" * 64),
    ],
)
def test_a_name_is_shown_on_one_line_of_printable_characters(name: str, looks: str) -> None:
    assert shown(name, 64) == looks


CRITICAL, WARNING = Severity.CRITICAL, Severity.WARNING


@pytest.mark.parametrize(
    ("used", "severity"), [(50, None), (89, None), (91, WARNING), (96, CRITICAL)]
)
def test_process_ids_in_use_are_graded(used: int, severity: Severity | None) -> None:
    answer = capacity.pids_from(used, 100, {1: (0, "init", False), 2: (1, "job", True)})
    assert answer.zombies == 1
    rule = rule_called("pids-used", RULES)
    assert graded(rule, answer) == {"process ids": severity}
    (reading,) = rule.readings(answer)
    assert "init (1)" in reading.detail


@pytest.mark.parametrize(("used", "severity"), [(10, None), (75, WARNING), (95, CRITICAL)])
def test_file_handles_in_use_are_graded(used: int, severity: Severity | None) -> None:
    answer = capacity.fd_usage_from(used, 100)
    assert graded(rule_called("fds-used", RULES), answer) == {"file handles": severity}
