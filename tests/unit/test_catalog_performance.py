"""Performance: parsers on golden files, tools on this machine, rules on typed answers."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import NamedTuple

import pytest

from swarm_tasks.models.evidence import EvidenceStatus
from swarm_tasks.models.finding import Severity
from tests.support.golden import assert_golden, inputs
from tests.support.grading import graded, rule_called
from workers.rules.performance import RULES
from workers.tools.access import Machine, this_machine
from workers.tools.catalog import memory, performance
from workers.tools.catalog.memory import Memory, MemoryLimit, Swap
from workers.tools.catalog.performance import Cpu, Load
from workers.tools.registry import Outcome, Registry

REGISTRY = Registry(performance.TOOLS)
PARSERS = {
    "meminfo": memory.parse_meminfo,
    "arcstats": memory.parse_arcstats,
    "cgroup_stat": memory.parse_inactive_file,
    "psi": performance.parse_psi,
}


def call(tool: str, machine: Machine | None = None, **arguments: object) -> Outcome:
    return asyncio.run(REGISTRY.call(tool, arguments, machine or this_machine()))


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


class Times(NamedTuple):
    """A core's times as psutil gives them on Linux; guest time is part of user time."""

    user: float
    system: float
    idle: float
    iowait: float
    steal: float
    guest: float


def test_processor_time_is_shared_out_over_all_cores() -> None:
    before = [Times(10, 10, 10, 10, 10, 10), Times(0, 0, 0, 0, 0, 0)]
    after = [Times(11, 10, 10, 10, 10, 11), Times(0.25, 0.25, 0.25, 0.15, 0.1, 0)]
    seen = performance.cpu_from(before, after, 1.0, 2)
    assert seen.busy_percent == 80.0
    assert seen.user_percent == 62.5
    assert seen.system_percent == 12.5
    assert seen.iowait_percent == 7.5
    assert seen.steal_percent == 5.0
    assert seen.busiest_core_percent == 100.0


def test_a_counter_that_steps_back_counts_as_nothing() -> None:
    seen = performance.cpu_from([Times(0, 0, 0, 5, 0, 0)], [Times(1, 0, 1, 4.9, 0, 0)], 1.0, None)
    assert seen.iowait_percent == 0.0
    assert seen.busy_percent == 50.0


class MacTimes(NamedTuple):
    """A core's times as psutil gives them on macOS."""

    user: float
    nice: float
    system: float
    idle: float


def test_what_macos_does_not_account_for_is_none_and_not_zero() -> None:
    seen = performance.cpu_from([MacTimes(0, 0, 0, 0)], [MacTimes(1, 1, 1, 1)], 1.0, 1)
    assert seen.iowait_percent is None
    assert seen.steal_percent is None
    assert seen.busy_percent == 75.0


@pytest.mark.parametrize("tool", ["load", "memory", "swap"])
def test_it_answers_on_this_machine(tool: str) -> None:
    outcome = call(tool)
    assert outcome.status is EvidenceStatus.OK, outcome.reason
    assert outcome.source


def test_processors_are_sampled_over_the_window() -> None:
    outcome = call("cpu", window_seconds=0.1)
    assert isinstance(outcome.result, Cpu), outcome.reason
    assert outcome.result.cores == os.cpu_count()
    assert 0 <= outcome.result.busy_percent <= 100
    assert outcome.seconds >= 0.1


def test_pressure_answers_or_says_how_to_have_it() -> None:
    outcome = call("pressure")
    if outcome.status is not EvidenceStatus.OK:
        assert outcome.status is EvidenceStatus.UNAVAILABLE
        assert outcome.reason
        assert "psi=1" in outcome.remedy


def tree(root: Path, files: dict[str, str]) -> Machine:
    """A machine whose file system begins at `root` and holds `files`."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Machine(platform="linux", root=root)


MEMINFO = "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 200 kB\n"


def test_a_kernel_without_pressure_information_is_no_failure(tmp_path: Path) -> None:
    outcome = call("pressure", tree(tmp_path, {}))
    assert outcome.status is EvidenceStatus.UNAVAILABLE
    assert "psi=1" in outcome.remedy


def test_memory_that_the_zfs_cache_can_give_back_is_available(tmp_path: Path) -> None:
    arc = "1 1 1\nname type data\nc_min 4 102400\nsize 4 512000\n"
    machine = tree(tmp_path, {"proc/meminfo": MEMINFO, "proc/spl/kstat/zfs/arcstats": arc})
    answer = call("memory", machine).result
    assert isinstance(answer, Memory)
    assert answer.arc_reclaimable_bytes == 400 * 1024
    assert answer.used_percent == 40.0


@pytest.mark.parametrize(
    "files",
    [
        pytest.param(
            {
                "memory.max": "512000\n",
                "memory.current": "409600\n",
                "memory.stat": "anon 1\ninactive_file 102400\n",
            },
            id="version 2",
        ),
        pytest.param(
            {
                "memory/memory.limit_in_bytes": "512000\n",
                "memory/memory.usage_in_bytes": "409600\n",
                "memory/memory.stat": "inactive_file 0\ntotal_inactive_file 102400\n",
            },
            id="version 1",
        ),
    ],
)
def test_a_container_is_measured_against_its_own_limit(
    tmp_path: Path, files: dict[str, str]
) -> None:
    below = {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    answer = call("memory", tree(tmp_path, {"proc/meminfo": MEMINFO, **below})).result
    assert isinstance(answer, Memory)
    assert answer.container == MemoryLimit(limit_bytes=512000, used_bytes=307200, used_percent=60.0)


@pytest.mark.parametrize("limit", ["max\n", "9223372036854771712\n"])
def test_no_limit_is_no_container(tmp_path: Path, limit: str) -> None:
    files = {"proc/meminfo": MEMINFO, "sys/fs/cgroup/memory.max": limit}
    answer = call("memory", tree(tmp_path, files)).result
    assert isinstance(answer, Memory)
    assert answer.container is None


def test_a_machine_without_swap_has_none_used(tmp_path: Path) -> None:
    answer = call("swap", tree(tmp_path, {"proc/meminfo": MEMINFO})).result
    assert answer == Swap(total_bytes=0, used_bytes=0, free_bytes=0, used_percent=0.0)
    assert isinstance(answer, Swap)
    assert graded(rule_called("swap-used", RULES), answer) == {}


def cpu(busy: float, iowait: float | None, steal: float | None) -> Cpu:
    return Cpu(
        cores=4,
        physical_cores=2,
        window_seconds=1.0,
        busy_percent=busy,
        own_percent=0.0,
        others_percent=busy,
        user_percent=busy,
        system_percent=0.0,
        iowait_percent=iowait,
        steal_percent=steal,
        busiest_core_percent=busy,
    )


def used_memory(percent: float, container: float | None = None) -> Memory:
    limit = None
    if container is not None:
        limit = MemoryLimit(limit_bytes=100, used_bytes=round(container), used_percent=container)
    return Memory(
        total_bytes=1000,
        available_bytes=round(1000 - percent * 10),
        used_bytes=round(percent * 10),
        used_percent=percent,
        arc_reclaimable_bytes=0,
        container=limit,
    )


def load15(per_core: float) -> Load:
    return Load(
        cores=4,
        load1=0,
        load5=0,
        load15=per_core * 4,
        load1_per_core=0,
        load5_per_core=0,
        load15_per_core=per_core,
    )


CORES = "all 4 cores"
MINUTES = "15 min over 4 cores"
CRITICAL, WARNING = Severity.CRITICAL, Severity.WARNING


@pytest.mark.parametrize(
    ("rule", "answer", "severities"),
    [
        ("cpu-busy", cpu(50, 0, 0), {CORES: None}),
        ("cpu-busy", cpu(90, 0, 0), {CORES: WARNING}),
        ("cpu-busy", cpu(99, 0, 0), {CORES: CRITICAL}),
        ("cpu-iowait", cpu(1, 60, 0), {CORES: WARNING}),
        ("cpu-iowait", cpu(1, None, None), {}),
        ("cpu-steal", cpu(1, 0, 12), {CORES: WARNING}),
        ("cpu-steal", cpu(1, None, None), {}),
        ("load-per-core", load15(0.5), {MINUTES: None}),
        ("load-per-core", load15(2.5), {MINUTES: WARNING}),
        ("memory-used", used_memory(50), {"physical memory": None}),
        ("memory-used", used_memory(99), {"physical memory": CRITICAL}),
        (
            "memory-used",
            used_memory(10, container=95),
            {"physical memory": None, "container memory limit": WARNING},
        ),
        ("swap-used", memory.swap_from(100, 7), {"swap space": WARNING}),
        ("swap-used", memory.swap_from(100, 90), {"swap space": None}),
    ],
)
def test_answers_are_graded(
    rule: str, answer: Cpu | Load | Memory | Swap, severities: dict[str, Severity | None]
) -> None:
    assert graded(rule_called(rule, RULES), answer) == severities


def test_what_the_audit_itself_uses_is_no_alarm() -> None:
    seen = cpu(97.0, None, None).model_copy(update={"own_percent": 60.0, "others_percent": 37.0})
    assert graded(rule_called("cpu-busy", RULES), seen) == {"all 4 cores": None}
