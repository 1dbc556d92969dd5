"""What a claim is about, without what differs from host to host. Pure.

`/var (/dev/sda2, ext4)` on one host and `/var (/dev/nvme0n1p3, xfs)` on another are the same place
in a fleet. Which part of a subject is the same everywhere is a matter of its metric; the forms are
those that the rules write, and the table below has a line for each that differs by host.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from urllib.parse import urlsplit

THIS_HOST = "(this host)"
"""Stands for a host's own name, which stands in its own subjects only."""

_LAST_PARENTHESIS = re.compile(r" \((?P<inside>[^()]*)\)\Z")

SHAPES: tuple[tuple[tuple[str, ...], re.Pattern[str], str], ...] = (
    # A volume is its mount point: device and type differ.
    (
        ("disk.used_percent", "disk.free_bytes", "disk.inodes_percent", "disk.full_in_seconds"),
        _LAST_PARENTHESIS,
        "",
    ),
    # A disk has no name that another host's disk shares …
    (
        ("disk.io_busy_percent", "disk.io_queue", "kernel.io_errors"),
        re.compile(r"\A.*\Z"),
        "a disk",
    ),
    # … but a make: `/dev/sda (MAKE, SERIAL)`.
    (("disk.smart",), re.compile(r"\A\S+ \((.+), [^,]+\)\Z"), r"\1"),
    (("disk.smart",), re.compile(r"\A/dev/.*\Z"), "a disk"),
    (("raid.state",), _LAST_PARENTHESIS, ""),
    # However many cores there are.
    (
        ("cpu.busy_percent", "cpu.iowait_percent", "cpu.steal_percent"),
        re.compile(r"\Aall \d+ cores\Z"),
        "all cores",
    ),
    (("load.per_core",), re.compile(r" over \d+ cores\Z"), ""),
    # A process is its program: the pid differs.
    (("kernel.oom_kills",), re.compile(r" \(pid \d+\)\Z"), ""),
    (("kernel.ecc_uncorrectable",), _LAST_PARENTHESIS, ""),
    (("gpu.xid_errors",), re.compile(r"\AGPU .*\Z"), "a GPU"),
    (("gpu.thermal",), re.compile(r"\AGPU \S+ \((.*)\)\Z"), r"\1"),
    (("container.state",), _LAST_PARENTHESIS, ""),
    # A resolver is its address, whatever it was asked for.
    (("dns.answer",), re.compile(r" asking for .*\Z"), ""),
    # A certificate is where it lies or is shown; one in a chain is another.
    (("tls.left_seconds",), re.compile(r" \([^()]*(?P<chain>, in its chain)\)\Z"), r"\g<chain>"),
    (("tls.left_seconds",), _LAST_PARENTHESIS, ""),
    # Kernels name interfaces after slots and addresses.
    (
        ("net.errors", "net.drops_percent"),
        re.compile(r"\A(?:en|eth)\w*\Z"),
        "an Ethernet interface",
    ),
    (("net.errors", "net.drops_percent"), re.compile(r"\Awl\w*\Z"), "a wireless interface"),
    (("temperature.state",), re.compile(r"[ _]?\d+\Z"), ""),
)
"""Metrics, what in their subjects differs by host, and what stands in its place. The first line
that matches holds; a subject that none matches is comparable as it is."""


REACHED = frozenset(
    {
        *("http.answer", "tcp.answer", "tls.answer", "tls.left_seconds"),
        *("ping.loss_percent", "ping.rtt_ms", "file.age_seconds", "file.state"),
    }
)
"""Metrics whose subjects may hold the asking host's own name as that. Elsewhere a word that is the
same, as a unit called like its host, is the unit's."""


def comparable(metric: str, subject: str, host: str = "") -> str:
    """What two hosts' subjects have in common when they are about the same thing.

    Args:
        host: Whose subject it is; its own name is replaced, so that a check of each host's own
            address is one check. Only in metrics of what is reached.
    """
    if host and host in subject and metric in REACHED:
        own = re.compile(rf"(?<![\w.-]){re.escape(host)}(?![\w-])")
        return _shaped(metric, own.sub(THIS_HOST, subject))
    return _shaped(metric, subject)


@lru_cache(maxsize=8192)
def _shaped(metric: str, subject: str) -> str:
    plain = " ".join(subject.split())
    for metrics, differs, same in SHAPES:
        if metric in metrics:
            shaped, changed = differs.subn(same, plain, count=1)
            if changed:
                return shaped or plain
    return plain


def machine_of(target: str) -> str:
    """The machine that a check's target names, in lower case: `db-1` of `db-1:5432`, of
    `https://db-1/health` and of `db-1`; empty where it names none."""
    try:
        if "://" in target:
            return (urlsplit(target).hostname or "").lower()
        if target.startswith("["):
            return target[1:].partition("]")[0].lower()
        if target.count(":") == 1:
            target = target.partition(":")[0]
    except ValueError:
        return ""
    return target.split(" ", 1)[0].lower()


def is_own(target: str) -> bool:
    """Whether a target or a resolver is the asking machine itself: each host has one of its own."""
    machine = machine_of(target)
    if THIS_HOST in target or machine in ("", "localhost") or machine.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(machine).is_loopback
    except ValueError:
        return False


def common_name_of(subject: str) -> str:
    """The name that a certificate is for, in the last parentheses of its subject; or empty."""
    found = _LAST_PARENTHESIS.search(subject)
    return found["inside"].removesuffix(", in its chain") if found else ""
