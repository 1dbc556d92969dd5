"""Hardware: parsers on golden files, tools on this machine, rules on typed answers."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from swarm_tasks.models.evidence import EvidenceStatus
from swarm_tasks.models.finding import Severity
from tests.support.golden import assert_golden, inputs
from tests.support.grading import graded, rule_called
from workers.rules.hardware import RULES
from workers.tools.access import Access, Machine, this_machine
from workers.tools.catalog import gpu, hardware, host, temperature
from workers.tools.catalog.gpu import Gpus
from workers.tools.catalog.hardware import Hardware, Uptime
from workers.tools.catalog.temperature import Temperatures
from workers.tools.registry import Registry

REGISTRY = Registry(hardware.TOOLS)


@pytest.mark.parametrize("source", inputs("cpuinfo"), ids=lambda path: path.stem)
def test_the_name_of_the_processor_is_parsed(source: Path) -> None:
    assert_golden(hardware.parse_cpuinfo(source.read_text()), source)


@pytest.mark.parametrize("source", inputs("hardware_macos"), ids=lambda path: path.stem)
def test_a_mac_is_parsed_without_its_serial_number(source: Path) -> None:
    assert_golden(hardware.parse_profiler(source.read_text()), source)


@pytest.mark.parametrize("source", inputs("nvidia_smi"), ids=lambda path: path.stem)
def test_the_processors_of_nvidia_are_parsed(source: Path) -> None:
    assert_golden(gpu.parse_nvidia(source.read_text()), source)


@pytest.mark.parametrize("source", inputs("rocm_smi"), ids=lambda path: path.stem)
def test_the_processors_of_amd_are_parsed(source: Path) -> None:
    assert_golden(gpu.parse_rocm(source.read_text()), source)


@pytest.mark.parametrize("source", inputs("displays_macos"), ids=lambda path: path.stem)
def test_the_processors_of_a_mac_are_parsed(source: Path) -> None:
    assert_golden(gpu.parse_displays(source.read_text()), source)


@pytest.mark.parametrize("name", [tool.name for tool in REGISTRY])
def test_every_tool_about_hardware_answers_here_or_says_why_not(name: str) -> None:
    outcome = asyncio.run(REGISTRY.call(name, {}, this_machine()))
    assert outcome.status in (EvidenceStatus.OK, EvidenceStatus.UNAVAILABLE), outcome.reason
    assert outcome.result is not None or outcome.reason


def test_hardware_agrees_with_the_kernel_about_memory() -> None:
    outcome = asyncio.run(REGISTRY.call("hardware", {}, this_machine()))
    assert isinstance(outcome.result, Hardware)
    assert outcome.result.memory_bytes > 0
    assert outcome.result.cpus >= 1


def test_uptime_and_boot_time_are_one_and_the_same() -> None:
    outcome = asyncio.run(REGISTRY.call("uptime", {}, this_machine()))
    assert isinstance(outcome.result, Uptime)
    booted = outcome.result.booted.timestamp()
    assert booted + outcome.result.uptime_seconds == pytest.approx(time.time(), abs=5)


@pytest.mark.parametrize(
    ("marker", "text", "engine"),
    [
        (None, "", None),
        (".dockerenv", "", "docker"),
        ("run/.containerenv", "", "podman"),
        ("run/systemd/container", "lxc\n", "lxc"),
    ],
)
def test_a_container_is_known_by_what_its_engine_leaves(
    tmp_path: Path, marker: str | None, text: str, engine: str | None
) -> None:
    if marker:
        (tmp_path / marker).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / marker).write_text(text)
    access = Access(Machine(platform="linux", root=tmp_path))
    assert asyncio.run(host.container_engine(access)) == engine


class Reported(NamedTuple):
    """A sensor as psutil reports it."""

    label: str
    current: float
    high: float | None
    critical: float | None


def sensors() -> Temperatures:
    found = temperature.sensors_from(
        {
            "coretemp": [
                Reported("Package id 0", 71.0, 80.0, 100.0),
                Reported("Core 0", 85.0, 80.0, 100.0),
                Reported("Core 1", 100.0, 80.0, 100.0),
            ],
            "nvme": [Reported("Composite", 30.85, 81.85, 84.85), Reported("Composite", 33, 81, 84)],
            "acpitz": [Reported("", 27.8, 0.0, -273.0), Reported("", 20.0, None, None)],
        }
    )
    return Temperatures(sensors=tuple(found))


def test_sensors_are_graded_by_their_own_marks_and_told_apart() -> None:
    assert graded(rule_called("temperature-state", RULES), sensors()) == {
        "coretemp Core 1": Severity.CRITICAL,
        "coretemp Core 0": Severity.WARNING,
        "coretemp Package id 0": None,
        "nvme Composite": None,
        "nvme Composite #2": None,
    }


def test_a_sensor_without_marks_is_shown_and_not_graded() -> None:
    unmarked = {one.sensor for one in sensors().sensors if one.state == "unmarked"}
    assert unmarked == {"acpitz", "acpitz #2"}
    assert sensors().sensors[0].state == "critical"


def gpus(case: str) -> Gpus:
    (path,) = (path for path in inputs("nvidia_smi") if path.stem == f"linux-documented-{case}")
    return Gpus(gpus=tuple(gpu.parse_nvidia(path.read_text())))


@pytest.mark.parametrize(
    ("case", "severities"),
    [("healthy", [None, None]), ("hot", [Severity.WARNING]), ("unsupported", [])],
)
def test_a_gpu_that_heat_slows_down_warns(case: str, severities: list[Severity | None]) -> None:
    found = graded(rule_called("gpu-thermal", RULES), gpus(case))
    assert list(found.values()) == severities
    assert all(subject.startswith("GPU 00000000:") for subject in found)


@pytest.mark.parametrize(("seconds", "severity"), [(599.0, Severity.WARNING), (86_400.0, None)])
def test_a_host_that_booted_just_now_warns(seconds: float, severity: Severity | None) -> None:
    answer = Uptime(
        booted=datetime(2026, 11, 21, tzinfo=UTC), uptime_seconds=seconds, container=None
    )
    assert graded(rule_called("uptime", RULES), answer) == {"host": severity}
