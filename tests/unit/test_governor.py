"""A host that is strained takes on less, and comes back slowly; what counts as strain."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from workers import strain
from workers.governor import Governor, Lines, allowed_next, strained
from workers.strain import Strain

LINES = Lines(load_per_cpu=2.0, memory_percent=90.0)

IDLE = Strain(load_per_cpu=0.1, waited_percent=0.0, memory_percent=40.0)
OVER = Strain(load_per_cpu=3.0, waited_percent=90.0, memory_percent=40.0)
CLOSE = Strain(load_per_cpu=1.9, waited_percent=60.0, memory_percent=40.0)

PSI = "some avg10={cpu} avg60=0.00 avg300=0.00 total=1\n"


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (IDLE, ""),
        (OVER, "load 3.00 for each processor is over 2"),
        (CLOSE, ""),
        # The load of a minute ago, when nothing waits any more.
        (Strain(load_per_cpu=9.0, waited_percent=20.0, memory_percent=40.0), ""),
        # A kernel or a system without pressure: the load average is all there is.
        (Strain(load_per_cpu=9.0), "load 9.00 for each processor is over 2"),
        # A container with a quota: no load average is its own.
        (Strain(waited_percent=49.0), ""),
        (Strain(waited_percent=51.0), "its container waited for processors 51 % of the time"),
        (Strain(load_per_cpu=0.0, memory_percent=91.0), "memory in use 91 % is over 90 %"),
        (Strain(load_per_cpu=9.0, waited_percent=99.0, memory_percent=91.0), "memory in use 91"),
        (Strain(), ""),
    ],
)
def test_what_counts_as_strain(seen: Strain, why: str) -> None:
    said = strained(seen, LINES)
    assert said.startswith(why) if why else said == ""


@pytest.mark.parametrize(
    ("line", "enough"), [(0.5, 0.0), (1.0, 0.0), (1.5, 25.0), (2.0, 50.0), (8.0, 50.0)]
)
def test_how_much_must_wait_follows_from_the_line(line: float, enough: float) -> None:
    assert Lines(line, 90.0).waited_percent == enough


@pytest.mark.parametrize(
    ("now", "most", "seen", "then"),
    [
        (8, 8, OVER, 4),
        (3, 8, OVER, 1),
        (1, 8, OVER, 1),
        (4, 8, CLOSE, 4),  # neither over the line nor well below it
        (1, 8, IDLE, 2),
        (4, 8, IDLE, 5),
        (7, 8, IDLE, 8),
        (8, 8, IDLE, 8),
        (400, 1000, IDLE, 500),
        (900, 1000, IDLE, 1000),
        (1, 1, OVER, 1),
    ],
)
def test_how_many_may_run_after_a_look(now: int, most: int, seen: Strain, then: int) -> None:
    assert allowed_next(now, most, seen, LINES) == then


def test_agents_and_tools_are_held_back_and_let_go_and_each_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen = [IDLE, OVER, OVER, CLOSE, *[IDLE] * 9]
    agents: list[int] = []
    tools: list[int] = []
    looks = iter(seen)
    governor = Governor(LINES, 8, 6, lambda: next(looks), agents.append, tools.append)
    whys: list[str] = []
    with caplog.at_level(logging.INFO, logger="hostswarm.governor"):
        for _ in seen:
            governor.look()
            whys.append(governor.why)
    assert agents == [4, 2, 3, 4, 5, 6, 7, 8]
    assert tools == [3, 1, 2, 3, 4, 5, 6]
    assert governor.agents == 8
    reason = "load 3.00 for each processor is over 2"
    assert whys == ["", *[reason] * 8, "", "", "", ""]
    assert caplog.messages == [
        f"held back to fewer agents and tools at a time: {reason}",
        "no longer held back",
    ]


def test_a_single_agent_has_its_tools_one_at_a_time_on_a_strained_host() -> None:
    tools: list[int] = []
    governor = Governor(LINES, 1, 6, lambda: OVER, lambda _: None, tools.append)
    for _ in range(3):
        governor.look()
    assert tools == [3, 1]
    assert governor.why


def machine(root: Path, **files: str) -> Path:
    """A tree with these files of /proc and /sys, by the names that are used here."""
    places = {
        "meminfo": "proc/meminfo",
        "cpu": "proc/pressure/cpu",
        "io": "proc/pressure/io",
        "quota": "sys/fs/cgroup/cpu.max",
        "own_cpu": "sys/fs/cgroup/cpu.pressure",
        "own_io": "sys/fs/cgroup/io.pressure",
        "limit": "sys/fs/cgroup/memory.max",
        "used": "sys/fs/cgroup/memory.current",
        "stat": "sys/fs/cgroup/memory.stat",
    }
    for name, text in files.items():
        path = root / places[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


MEMINFO = "MemTotal: 1000 kB\nMemAvailable: 250 kB\n"

linux = pytest.mark.skipif(strain.sys.platform != "linux", reason="reads Linux's files")


@linux
def test_a_machine_is_looked_at_by_its_load_pressure_and_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (6.0, 0.0, 0.0))
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    root = machine(
        tmp_path, meminfo=MEMINFO, cpu=PSI.format(cpu="3.50"), io=PSI.format(cpu="12.00")
    )
    assert strain.look(root) == Strain(1.5, 12.0, 75.0)


@linux
def test_a_container_with_a_quota_is_looked_at_by_its_own_pressure(tmp_path: Path) -> None:
    root = machine(
        tmp_path,
        meminfo=MEMINFO,
        cpu=PSI.format(cpu="99.00"),
        io=PSI.format(cpu="99.00"),
        quota="200000 100000\n",
        own_cpu=PSI.format(cpu="7.00"),
        own_io=PSI.format(cpu="1.00"),
        limit="102400\n",
        used="97280\n",
        stat="anon 1\ninactive_file 0\n",
    )
    assert strain.look(root) == Strain(None, 7.0, 95.0)


@linux
def test_a_container_without_a_quota_shares_the_machine_s_processors(tmp_path: Path) -> None:
    files = {name: PSI.format(cpu="9.00") for name in ("own_cpu", "own_io", "cpu", "io")}
    seen = strain.look(machine(tmp_path, quota="max 100000\n", **files))
    assert seen.load_per_cpu is not None
    assert seen.waited_percent == 9.0


@linux
@pytest.mark.parametrize("text", ["", "MemTotal: none\n", "\x00\xff"])
def test_what_cannot_be_read_strains_nobody(tmp_path: Path, text: str) -> None:
    seen = strain.look(machine(tmp_path, meminfo=text, cpu="some\n"))
    assert (seen.waited_percent, seen.memory_percent) == (None, None)


def test_this_machine_can_be_looked_at() -> None:
    seen = strain.look()
    assert seen.memory_percent is not None
    assert 0 < seen.memory_percent <= 100
