"""Rules about hardware."""

from __future__ import annotations

from collections.abc import Iterable

from swarm_tasks.models.evidence import ToolCall
from workers.rules.kernel import host_logs, in_window, same_window, usual
from workers.rules.rule import Reading, Rule
from workers.tools.catalog.gpu import Gpus
from workers.tools.catalog.hardware import Uptime
from workers.tools.catalog.kernel import KernelEvents
from workers.tools.catalog.temperature import Temperatures


def xid_errors(answer: KernelEvents) -> Iterable[Reading]:
    """Errors that each GPU reported to the kernel. None is no news of a GPU: there may be none."""
    for index, one in enumerate(answer.xid_errors):
        yield Reading(
            subject=in_window(f"GPU {one.gpu}", answer),
            value=one.errors,
            pointer=f"/xid_errors/{index}/errors",
            detail=f"Xid {', '.join(str(code) for code in one.codes)}; last: {one.last_line}",
            key=one.gpu,
            judged=usual(answer),
        )


def all_xid_errors(answer: KernelEvents) -> bool:
    """Whether every source could be read and every GPU with errors is listed."""
    listed = sum(one.errors for one in answer.xid_errors)
    return not answer.unread and listed == answer.xid_errors_total


def gpu_thermal(answer: Gpus) -> Iterable[Reading]:
    """Whether heat slows each GPU, where its driver tells."""
    for index, gpu in enumerate(answer.gpus):
        if gpu.thermal is not None:
            yield Reading(
                subject=f"GPU {gpu.address} ({gpu.name})",
                value=gpu.thermal,
                pointer=f"/gpus/{index}/thermal",
                detail="" if gpu.celsius is None else f"{gpu.celsius:g} °C",
                key=gpu.address,
            )


def temperature_states(answer: Temperatures) -> Iterable[Reading]:
    """Each sensor that has marks of its own."""
    for index, sensor in enumerate(answer.sensors):
        if sensor.state != "unmarked":
            yield Reading(
                subject=sensor.sensor,
                value=sensor.state,
                pointer=f"/sensors/{index}/state",
                detail=f"{sensor.celsius:g} °C",
            )


def uptime(answer: Uptime) -> Iterable[Reading]:
    """Seconds since the machine booted."""
    below = f"the machine below this {answer.container} container" if answer.container else ""
    yield Reading(
        subject="host", value=answer.uptime_seconds, pointer="/uptime_seconds", detail=below
    )


def the_gpus(reading: Reading) -> tuple[ToolCall, ...]:
    """Ask the driver about all of them."""
    return (ToolCall(tool="gpu"),)


def before_the_boot(reading: Reading) -> tuple[ToolCall, ...]:
    """Look for what the kernel said before and after."""
    return (ToolCall(tool="kernel_events"),)


RULES = (
    Rule(
        name="gpu-xid",
        tool="kernel_events",
        metric="gpu.xid_errors",
        readings=xid_errors,
        title="GPU reported errors to the kernel",
        advice="Look the Xid code up in NVIDIA's list: some mean a program, others the hardware.",
        dig=the_gpus,
        probe=same_window,
        checks=host_logs,
        decisive=("logs",),
        absent_is_well=True,
        complete=all_xid_errors,
    ),
    Rule(
        name="gpu-thermal",
        tool="gpu",
        metric="gpu.thermal",
        readings=gpu_thermal,
        title="GPU slowed down by heat",
        advice="Check fans, dust and the air around it.",
    ),
    Rule(
        name="temperature-state",
        tool="temperature",
        metric="temperature.state",
        readings=temperature_states,
        title="Temperature past the sensor's own mark",
        advice="Check fans, dust and load.",
    ),
    Rule(
        name="uptime",
        tool="uptime",
        metric="uptime.seconds",
        readings=uptime,
        title="Host booted just now",
        advice="If nobody meant it to, find out why: the kernel's messages are in the evidence.",
        dig=before_the_boot,
    ),
)
