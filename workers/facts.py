"""What a host says about itself when it joins."""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
import uuid
from pathlib import Path

import psutil

from swarm_tasks import __version__
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.host import Beat, HostFacts
from workers.tools.access import Machine
from workers.tools.registry import Registry


def machine_id() -> str:
    """The same over restarts and different between machines; says nothing about either.

    Derived from systemd's machine-id, which is not to be shown as it is (machine-id(5)), or
    where there is none from the hardware address.
    """
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        try:
            known = Path(path).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if known:
            return hashlib.sha256(f"hostswarm {known}".encode()).hexdigest()[:16]
    return hashlib.sha256(f"hostswarm {uuid.getnode():x}".encode()).hexdigest()[:16]


def os_name() -> str:
    """The operating system as a person would name it."""
    if platform.system() == "Darwin":
        return f"macOS {platform.mac_ver()[0]}"
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def gather_facts(host: str, registry: Registry, machine: Machine, role: str = "") -> HostFacts:
    """The facts of this start of this host's worker."""
    missing = registry.missing(machine)
    return HostFacts(
        host=host,
        machine_id=machine_id(),
        instance=secrets.token_hex(6),
        version=__version__,
        platform=machine.platform,
        os=os_name(),
        kernel=platform.release(),
        architecture=platform.machine(),
        cpus=os.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        started=now_utc(),
        tools=tuple(tool.name for tool in registry if tool.name not in missing),
        unavailable=missing,
        role=role,
    )


def beat_now(facts: HostFacts, agents: int, capacity: int) -> Beat:
    """A sign of life as of now."""
    return Beat(
        host=facts.host,
        instance=facts.instance,
        at=now_utc(),
        load1=round(os.getloadavg()[0], 2),
        agents=agents,
        capacity=capacity,
    )
