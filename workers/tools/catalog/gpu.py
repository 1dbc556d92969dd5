"""Graphics processors: load, memory, heat and memory errors."""

from __future__ import annotations

import csv
import json
from typing import Any

from swarm_tasks.errors import ToolFailed, Unavailable
from workers.tools.access import Access
from workers.tools.catalog.shown import shown
from workers.tools.runner import find_program
from workers.tools.spec import Command, NoArguments, Result, Tool

MIB = 1 << 20
NAME_LIMIT = 128
KEPT = 64

FIELDS = (
    *("pci.bus_id", "name", "driver_version", "temperature.gpu", "utilization.gpu"),
    *("memory.used", "memory.total", "power.draw"),
    *("ecc.errors.corrected.volatile.total", "ecc.errors.uncorrected.volatile.total"),
)
SLOWDOWNS = ("hw_thermal_slowdown", "sw_thermal_slowdown")


def _nvidia_smi(reasons: str) -> Command:
    queried = ",".join((*FIELDS, *(f"{reasons}.{one}" for one in SLOWDOWNS)))
    return Command(
        ("nvidia-smi", f"--query-gpu={queried}", "--format=csv,noheader,nounits"),
        ok=None,
        package="the NVIDIA driver",
    )


NVIDIA_SMI = _nvidia_smi("clocks_event_reasons")
NVIDIA_SMI_OLD = _nvidia_smi("clocks_throttle_reasons")
"""What the reasons are called before driver 535."""

ROCM_SMI = Command(
    (
        *("rocm-smi", "--showproductname", "--showbus", "--showtemp", "--showuse"),
        *("--showmeminfo", "vram", "--showpower", "--json"),
    ),
    package="the ROCm driver",
)
PROFILER = Command(("system_profiler", "-json", "SPDisplaysDataType"), timeout_seconds=20)


class Gpu(Result):
    """One graphics processor; what its driver does not tell is None.

    `thermal` is `violation` while heat slows it down.
    """

    address: str
    name: str
    driver: str
    celsius: float | None
    used_percent: float | None
    memory_used_bytes: int | None
    memory_total_bytes: int | None
    power_watts: float | None
    thermal: str | None
    ecc_corrected: int | None
    ecc_uncorrectable: int | None


class Gpus(Result):
    """Every graphics processor that a driver shows."""

    gpus: tuple[Gpu, ...]


def parse_nvidia(text: str) -> list[Gpu]:
    """The processors in `nvidia-smi --query-gpu=… --format=csv,noheader,nounits`, one a line."""
    gpus: list[Gpu] = []
    for row in csv.reader(text.splitlines(), skipinitialspace=True):
        if len(row) != len(FIELDS) + len(SLOWDOWNS):
            continue
        values = dict(zip(FIELDS, row, strict=False))
        gpus.append(
            Gpu(
                address=shown(values["pci.bus_id"], NAME_LIMIT),
                name=shown(values["name"], NAME_LIMIT),
                driver=shown(values["driver_version"], NAME_LIMIT),
                celsius=_number(values["temperature.gpu"]),
                used_percent=_number(values["utilization.gpu"]),
                memory_used_bytes=_whole(values["memory.used"], MIB),
                memory_total_bytes=_whole(values["memory.total"], MIB),
                power_watts=_number(values["power.draw"]),
                thermal=_thermal(row[len(FIELDS) :]),
                ecc_corrected=_whole(values["ecc.errors.corrected.volatile.total"]),
                ecc_uncorrectable=_whole(values["ecc.errors.uncorrected.volatile.total"]),
            )
        )
    return gpus


def _thermal(reasons: list[str]) -> str | None:
    """`violation` where a reason is active; None where the driver tells of none of them."""
    known = [reason for reason in reasons if reason in ("Active", "Not Active")]
    if not known:
        return None
    return "violation" if "Active" in known else "ok"


def parse_rocm(text: str) -> list[Gpu]:
    """The processors in `rocm-smi --json`: an object per card, whose values are all text.

    The names of its values carry their unit and differ a little from release to release.
    """
    cards: dict[str, dict[str, str]] = json.loads(text)
    return [
        Gpu(
            address=shown(_first(card, "PCI Bus") or key, NAME_LIMIT),
            name=shown(_first(card, "Card Series", "Card series", "Card Model"), NAME_LIMIT),
            driver="",
            celsius=_number(
                _first(card, "Temperature (Sensor junction)", "Temperature (Sensor edge")
            ),
            used_percent=_number(_first(card, "GPU use")),
            memory_used_bytes=_whole(_first(card, "VRAM Total Used Memory")),
            memory_total_bytes=_whole(_first(card, "VRAM Total Memory")),
            power_watts=_number(_first(card, "Average Graphics Package Power", "Current Socket")),
            thermal=None,
            ecc_corrected=None,
            ecc_uncorrectable=None,
        )
        for key, card in cards.items()
        if key.startswith("card")
    ]


def _first(card: dict[str, str], *names: str) -> str:
    """The value whose name begins with the first of `names` that is there."""
    for name in names:
        for key, value in card.items():
            if key.startswith(name):
                return value
    return ""


def parse_displays(text: str) -> list[Gpu]:
    """The processors in macOS `system_profiler -json SPDisplaysDataType`."""
    rows: list[dict[str, Any]] = json.loads(text).get("SPDisplaysDataType", [])
    return [
        Gpu(
            address=shown(
                str(row.get("spdisplays_device-id", row.get("sppci_bus", ""))), NAME_LIMIT
            ),
            name=shown(str(row.get("sppci_model", row.get("_name", ""))), NAME_LIMIT),
            driver="",
            celsius=None,
            used_percent=None,
            memory_used_bytes=None,
            memory_total_bytes=None,
            power_watts=None,
            thermal=None,
            ecc_corrected=None,
            ecc_uncorrectable=None,
        )
        for row in rows
    ]


def _number(text: str) -> float | None:
    """A number; None for `[N/A]`, `[Not Supported]` and the like."""
    try:
        return float(text)
    except ValueError:
        return None


def _whole(text: str, factor: int = 1) -> int | None:
    number = _number(text)
    return None if number is None else int(number * factor)


async def read_gpu(arguments: NoArguments, access: Access) -> Gpus:
    """Every graphics processor of a Linux host, from the driver's own program."""
    gpus: list[Gpu] = []
    if find_program("nvidia-smi"):
        gpus += parse_nvidia(await _ask_nvidia(access))
    if find_program("rocm-smi"):
        gpus += parse_rocm((await access.run(ROCM_SMI)).stdout)
    if not gpus:
        raise Unavailable(
            "neither nvidia-smi nor rocm-smi shows a graphics processor",
            "install the driver of the graphics processor if this host has one",
        )
    return Gpus(gpus=tuple(gpus[:KEPT]))


async def _ask_nvidia(access: Access) -> str:
    done = await access.run(NVIDIA_SMI)
    if "not a valid field" in f"{done.stdout}{done.stderr}":
        done = await access.run(NVIDIA_SMI_OLD)
    said = (done.stdout.strip() or done.stderr.strip()).splitlines()
    first = said[0][:200] if said else f"exit code {done.code}"
    if done.code in (6, 9, 12):  # no device, no driver loaded, no NVML library
        raise Unavailable(f"nvidia-smi: {first}", "load the NVIDIA driver if this host has a GPU")
    if done.code:
        raise ToolFailed(f"nvidia-smi: {first} (exit code {done.code})")
    return done.stdout


async def read_gpu_macos(arguments: NoArguments, access: Access) -> Gpus:
    """Every graphics processor of a Mac, by name: macOS shows no more without root."""
    return Gpus(gpus=tuple(parse_displays((await access.run(PROFILER)).stdout)[:KEPT]))


TOOLS = (
    Tool(
        name="gpu",
        summary="Every graphics processor: load, memory, heat, slowdown by heat, ECC errors.",
        arguments=NoArguments,
        result=Gpus,
        reads={"linux": read_gpu, "darwin": read_gpu_macos},
        timeout_seconds=25,
    ),
)
