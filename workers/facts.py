"""What a host says about itself when it joins."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import secrets
import socket
import uuid
from collections.abc import Collection, Iterable
from pathlib import Path

import psutil

from swarm_tasks import __version__
from swarm_tasks.addresses import machine_address
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.host import MOST_ADDRESSES, MOST_PORTS, Beat, HostFacts, OpenPort
from swarm_tasks.models.job import PART_FORMAT
from swarm_tasks.unseen import plain_line
from workers.blocking import in_thread
from workers.tools.access import Machine
from workers.tools.catalog.sockets import ListeningPorts
from workers.tools.registry import Registry

OF_GUESTS = (
    *("docker", "br-", "veth", "virbr", "vnet", "tap", "podman", "cni", "flannel", "cali"),
    *("lxc", "lxdbr", "incusbr", "kube-", "bridge", "vmnet", "awdl", "llw"),
)
"""How networks are called that a machine has for its own containers and guests. Their addresses are
the same on many machines, so a peer that tried one would find itself."""

FAR_AWAY = ((socket.AF_INET, "198.51.100.1"), (socket.AF_INET6, "2001:db8::1"))
"""Addresses that belong to nobody (RFC 5737, RFC 3849), to ask for the way out with."""

PORTS = "listening_ports"
"""The tool whose answer says where peers may try this host."""

ANY = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound


def boot_id() -> str:
    """The same until this machine starts again, in all of its containers too; see random(4)."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return str(int(psutil.boot_time()))


def machine_id() -> str:
    """The same over restarts and different between machines; says nothing about either.

    Derived from systemd's machine-id, which is not to be shown as it is (machine-id(5)). Where
    there is none, as in most containers, from the boot of the machine that it runs on: a
    container that is made anew has another hardware address, and is to have the same name.
    Elsewhere than on Linux from the hardware address.
    """
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        try:
            known = Path(path).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if known:
            return hashlib.sha256(f"hostswarm {known}".encode()).hexdigest()[:16]
    own = boot_id() if platform.system() == "Linux" else f"{uuid.getnode():x}"
    return hashlib.sha256(f"hostswarm {own}".encode()).hexdigest()[:16]


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
        format=PART_FORMAT,
        addresses=addresses_here(),
    )


def addresses_here() -> tuple[str, ...]:
    """Where others may find this machine, the likeliest first."""
    up = {name for name, one in psutil.net_if_stats().items() if one.isup}
    found = [
        (name, one.address)
        for name, those in psutil.net_if_addrs().items()
        for one in those
        if one.family in (socket.AF_INET, socket.AF_INET6) and name in up
    ]
    return announced(found, ways_out())


def announced(found: Iterable[tuple[str, str]], first: Collection[str]) -> tuple[str, ...]:
    """Which addresses to announce. Pure.

    Args:
        found: Each interface's name with one of its addresses.
        first: Those that are more likely than others.
    """
    plain = dict.fromkeys(
        machine_address(address)
        for name, address in found
        if address in first or not name.startswith(OF_GUESTS)
    )
    plain.pop("", None)
    likely = sorted(plain, key=lambda one: (one not in first, ":" in one))
    return tuple(likely)[:MOST_ADDRESSES]


def ways_out() -> tuple[str, ...]:
    """This machine's own addresses on its way to far-away ones. Nothing is sent to find out."""
    found: list[str] = []
    for family, address in FAR_AWAY:
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as one:
            one.connect((address, 9))
            found.append(str(one.getsockname()[0]))
    return tuple(found)


def open_ports(listening: ListeningPorts, addresses: Collection[str]) -> tuple[OpenPort, ...]:
    """The TCP ports that take connections on addresses that are announced. Pure."""
    found: dict[int, OpenPort] = {}
    for one in listening.listeners:
        if one.protocol == "tcp" and (one.address in ANY or one.address in addresses):
            service = plain_line(one.process, 64)
            found.setdefault(one.port, OpenPort(number=one.port, service=service))
    return tuple(found[number] for number in sorted(found))[:MOST_PORTS]


async def found_anew(facts: HostFacts, registry: Registry, machine: Machine) -> HostFacts:
    """The facts with where the host is found now. Ports that cannot be read stay as they were."""
    addresses = await in_thread(addresses_here)
    found: dict[str, object] = {"addresses": addresses}
    if PORTS in registry:
        listening = (await registry.call(PORTS, {}, machine)).result
        if isinstance(listening, ListeningPorts):
            found["ports"] = open_ports(listening, addresses)
    return facts.model_copy(update=found)


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
