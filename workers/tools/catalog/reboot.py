"""Whether the machine waits for a reboot."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Literal

from swarm_tasks.errors import ToolError, Unavailable
from workers.tools.access import Access
from workers.tools.catalog.host import container_engine
from workers.tools.catalog.shown import shown
from workers.tools.runner import find_program
from workers.tools.spec import Command, NoArguments, Result, Tool

KEPT = 100

MARK = "/run/reboot-required"
MARKED_BY = "/run/reboot-required.pkgs"
MARKERS = (
    "/usr/share/unattended-upgrades",
    "/usr/share/update-notifier",
    "/usr/lib/update-notifier",
    "/etc/kernel/postinst.d/unattended-upgrades",
)
"""What brings the hook that puts the mark there. Without one, no mark proves nothing."""

NEEDS_RESTARTING = Command(("needs-restarting", "-r"), ok=(0, 1), timeout_seconds=10)
"""1 says that a reboot is wanted (dnf-utils)."""

KERNEL_DIRECTORIES = ("/lib/modules", "/boot")
KERNEL = re.compile(r"^(?:vmlinuz-)?(?P<release>\d+\.\d+\S*)$")
LEADING = re.compile(r"^\d[\d.\-]*")


class RebootRequired(Result):
    """Whether the machine waits for a reboot.

    `required` is `unknown` where nothing on the machine keeps account. `newer_kernel` is one
    that is installed while an older one runs: a hint, and no proof.
    """

    required: Literal["yes", "no", "unknown"]
    said_by: str
    wanted_by: tuple[str, ...]
    running_kernel: str
    newer_kernel: str | None


def release_key(release: str) -> tuple[int, ...]:
    """The numbers that a kernel's release begins with: `6.1.0-28-amd64` is 6, 1, 0, 28."""
    leading = LEADING.match(release)
    return tuple(int(number) for number in re.findall(r"\d+", leading[0] if leading else ""))


def flavour(release: str) -> str:
    """What comes after them: `amd64`, `cloud-amd64`, `generic`; `el9.x86_64` for `el9_4.x86_64`."""
    return re.sub(r"_\d+", "", LEADING.sub("", release), count=1)


def newer_than(running: str, installed: list[str]) -> str | None:
    """The newest installed kernel, where it is newer than the running one and of its flavour."""
    same = [one for one in installed if flavour(one) == flavour(running)]
    newest = max(same, key=release_key, default=running)
    return newest if release_key(newest) > release_key(running) else None


async def read_reboot_required(arguments: NoArguments, access: Access) -> RebootRequired:
    """Ask the distribution's own account, and look for a newer kernel beside it.

    Raises:
        Unavailable: Nothing keeps account here, and no newer kernel is installed.
    """
    running = platform.release()
    newer = newer_than(running, await _installed_kernels(access))
    required, said_by = await _account(access)
    if required == "unknown" and newer is None:
        raise Unavailable(*await _why_unknown(access))
    return RebootRequired(
        required=required,
        said_by=said_by,
        wanted_by=await _wanted_by(access) if required == "yes" else (),
        running_kernel=running,
        newer_kernel=newer,
    )


async def _account(access: Access) -> tuple[Literal["yes", "no", "unknown"], str]:
    """What the distribution's own account says, and who keeps it."""
    if await _exists(access, MARK):
        return "yes", MARK
    if find_program("needs-restarting"):
        try:
            code = (await access.run(NEEDS_RESTARTING)).code
        except ToolError:
            return "unknown", ""
        return ("yes" if code else "no"), "needs-restarting"
    for marker in MARKERS:
        if await _exists(access, marker):
            return "no", marker
    return "unknown", ""


async def _why_unknown(access: Access) -> tuple[str, str]:
    engine = await container_engine(access)
    if engine:
        return f"a {engine} container is not rebooted", "look at its host"
    return "nothing here keeps account of reboots", "install unattended-upgrades or dnf-utils"


async def _wanted_by(access: Access) -> tuple[str, ...]:
    """The packages that asked for it, where they left their names."""
    try:
        text = await access.read(MARKED_BY)
    except Unavailable:
        return ()
    return tuple(dict.fromkeys(shown(line, 128) for line in text.splitlines()))[:KEPT]


async def _installed_kernels(access: Access) -> list[str]:
    releases: list[str] = []
    for directory in KERNEL_DIRECTORIES:
        path = access.machine.root / directory[1:]
        try:
            names = await access.call(f"listdir({directory})", os.listdir, path)
        except Unavailable:
            continue
        releases += [found["release"] for name in names if (found := KERNEL.match(name))]
    return releases


async def _exists(access: Access, path: str) -> bool:
    target: Path = access.machine.root / path[1:]
    return await access.call(f"stat({path})", target.exists)


TOOLS = (
    Tool(
        name="reboot_required",
        summary="Whether the machine waits for a reboot, and which packages asked for it.",
        arguments=NoArguments,
        result=RebootRequired,
        reads={"linux": read_reboot_required},
    ),
)
