"""Hardware: what the machine is made of, and since when it runs.

Serial numbers and machine ids are never shown.
"""

from __future__ import annotations

import json
import os
import platform
import time
from datetime import UTC, datetime
from typing import Any

import psutil

from swarm_tasks.errors import ToolError, Unavailable
from swarm_tasks.models.base import Moment
from workers.tools.access import Access
from workers.tools.catalog.gpu import TOOLS as GPU_TOOLS
from workers.tools.catalog.host import container_engine
from workers.tools.catalog.shown import shown
from workers.tools.catalog.temperature import TOOLS as TEMPERATURE_TOOLS
from workers.tools.spec import Command, NoArguments, Result, Tool, every_platform

TEXT_LIMIT = 200

DETECT_VIRT = Command(("systemd-detect-virt",), ok=(0, 1), package="systemd")
PROFILER = Command(("system_profiler", "-json", "SPHardwareDataType"), timeout_seconds=20)


class Hardware(Result):
    """What the machine is made of; empty or None where it does not tell.

    `cpus` counts what the system schedules on, `cores` what is real. `virtualisation` is `none`
    on bare metal, else the name of the hypervisor or of the container's engine.
    """

    architecture: str
    cpu_model: str
    cpus: int
    cores: int | None
    memory_bytes: int
    vendor: str
    product: str
    virtualisation: str


class Uptime(Result):
    """Since when the machine runs.

    In a container it is the machine below that booted then: `container` names the engine.
    """

    booted: Moment
    uptime_seconds: float
    container: str | None


def parse_cpuinfo(text: str) -> str:
    """The processor's name in /proc/cpuinfo; those of ARM tell none."""
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "cpu"):
            return shown(value.strip(), TEXT_LIMIT)
    return ""


def parse_profiler(text: str) -> tuple[str, str]:
    """(processor, product) in macOS `system_profiler -json SPHardwareDataType`."""
    row: dict[str, Any] = json.loads(text)["SPHardwareDataType"][0]
    processor = str(row.get("chip_type") or row.get("cpu_type") or "")
    return processor, f"{row.get('machine_name', 'Mac')} ({row.get('machine_model', '?')})"


async def read_hardware(arguments: NoArguments, access: Access) -> Hardware:
    """What a Linux host is made of."""
    cpu_model = parse_cpuinfo(await _told(access, "/proc/cpuinfo"))
    product = await _told(access, "/sys/class/dmi/id/product_name")
    board = await _told(access, "/proc/device-tree/model")  # on ARM, in place of DMI
    return _hardware(
        cpu_model=cpu_model,
        vendor=await _told(access, "/sys/class/dmi/id/sys_vendor"),
        product=product or board,
        virtualisation=await _virtualisation(access),
    )


async def read_hardware_macos(arguments: NoArguments, access: Access) -> Hardware:
    """What a Mac is made of."""
    cpu_model, product = parse_profiler((await access.run(PROFILER)).stdout)
    return _hardware(cpu_model=cpu_model, vendor="Apple", product=product, virtualisation="")


def _hardware(*, cpu_model: str, vendor: str, product: str, virtualisation: str) -> Hardware:
    return Hardware(
        architecture=platform.machine(),
        cpu_model=cpu_model,
        cpus=os.cpu_count() or 1,
        cores=psutil.cpu_count(logical=False),
        memory_bytes=psutil.virtual_memory().total,
        vendor=vendor,
        product=product,
        virtualisation=virtualisation,
    )


async def _told(access: Access, path: str) -> str:
    """A short file of the system on one line; empty where there is none."""
    try:
        text = await access.read(path)
    except Unavailable:
        return ""
    return text if path == "/proc/cpuinfo" else shown(text.strip("\0\n "), TEXT_LIMIT)


async def _virtualisation(access: Access) -> str:
    """What systemd's detection says; without it, what can be seen of a container."""
    try:
        return (await access.run(DETECT_VIRT)).stdout.strip()
    except ToolError:
        return await container_engine(access) or ""


async def read_uptime(arguments: NoArguments, access: Access) -> Uptime:
    """Since when the machine runs."""
    booted_at = await access.call("psutil.boot_time()", psutil.boot_time)
    return Uptime(
        booted=datetime.fromtimestamp(booted_at, tz=UTC),
        uptime_seconds=round(max(0.0, time.time() - booted_at), 1),
        container=await container_engine(access),
    )


TOOLS = (
    Tool(
        name="hardware",
        summary="What the machine is made of: processor, memory, maker, virtualisation.",
        arguments=NoArguments,
        result=Hardware,
        reads={"linux": read_hardware, "darwin": read_hardware_macos},
        timeout_seconds=25,
    ),
    Tool(
        name="uptime",
        summary="When the machine booted, and how long ago that is.",
        arguments=NoArguments,
        result=Uptime,
        reads=every_platform(read_uptime),
    ),
    *TEMPERATURE_TOOLS,
    *GPU_TOOLS,
)
