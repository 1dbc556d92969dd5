"""How the names of things on a host look: paths, devices, units, process ids, addresses. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

SUFFIXES = "service|socket|timer|mount|target|path|scope|slice"

SUFFIX = re.compile(rf"\.(?:{SUFFIXES})$")

ROOT_NAMED = (
    r"(?:(?:(?i:(?<=volume )|(?<=system )|(?<=partition )|(?<=mount )|(?<=point )|(?<=disk ))"
    r"|(?<= at )|(?<= on )|(?<= of )|(?<= and )|(?<=[\"'`(])|^)/(?=$|[\s,.;:)\"'`(]))"
)
"""A slash by itself is mostly no name; where it stands as one, it is the root."""

PRECISE = re.compile(
    "|".join(
        (
            r"(?P<url>(?i:https?)://[^\s,;()<>\"'`]+)",
            r"(?P<device>(?<![\w/.-])(?:/dev/[\w./+:-]*\w|(?:[shv]d|xvd)[a-z]\d{0,3}"
            r"|nvme\d+n\d+(?:p\d+)?|mmcblk\d+(?:p\d+)?|md\d+|dm-\d+|disk\d+(?:s\d+)+)(?![\w/-]))",
            rf"(?P<unit>(?<![\w./@-])\w[\w@:.\\-]{{0,200}}\.(?i:{SUFFIXES})(?![\w-]|\.\w))",
            r"(?P<pid>(?<![\w-])[Pp][Ii][Dd][ =:#]{1,3}\d{1,10}\b)",
            r"(?P<address>(?<![\w./:@-])(?:\[[0-9A-Fa-f:.]{2,45}\](?::\d{1,5})?"
            r"|(?:\d{1,3}\.){3}\d{1,3}(?::\d{1,5})?"
            r"|[A-Za-z][\w-]{0,62}(?:\.[\w-]{1,63}){0,8}:\d{2,5})(?![\w:-]|\.\w))",
            r"(?P<path>(?<![\w./:@~<-])/[\w@+.*?-][\w@+.:*?/-]{0,300}" f"|{ROOT_NAMED})",
        )
    )
)
"""Text that names one thing and no other. An earlier kind takes what a later one would."""

VAGUE = frozenset(
    {
        *("a", "all", "an", "and", "any", "at", "array", "average", "big", "biggest", "boot"),
        *("certificate", "certificates", "clock", "container", "containers", "core", "cores"),
        *("cpu", "cpus", "data", "device", "disk", "disks", "drive", "endpoint", "errors"),
        *("fd", "fds", "file", "filesystem", "files", "fs", "gpu", "graphics", "handles", "hard"),
        *("host", "ids", "in", "inode", "inodes", "interface", "its", "kernel", "load", "local"),
        *("machine", "main", "memory", "mount", "network", "nic", "node", "of", "offset", "on"),
        *("only", "open", "overall", "packages", "partition", "pending", "physical", "pids"),
        *("pool", "port", "processes", "processor", "processors", "raid", "ram", "resolver"),
        *("security", "sensor", "server", "service", "site", "space", "storage", "swap"),
        *("system", "the", "this", "time", "total", "unit", "updates", "uptime", "url", "usage"),
        *("utilisation", "utilization", "volume", "volumes", "whole"),
    }
)
"""Words that name no subject: what is made of them alone means the only one there is."""

DIRECTORIES = frozenset({"boot", "data", "local", "main"})
"""Vague words that directories are called by all the same."""

GENERIC = VAGUE | {
    *("api", "app", "application", "apt", "backup", "backups", "btrfs", "busy", "cache", "cron"),
    *("database", "db", "dbus", "default", "dnf", "dns", "docker", "error", "ext4", "failed"),
    *("full", "getty", "home", "http", "https", "image", "init", "log", "logs", "login", "mail"),
    *("metrics", "mirror", "monitor", "monitoring", "networking", "ntp", "overlay", "primary"),
    *("process", "proxy", "python", "python3", "queue", "rescue", "root", "router", "runner"),
    *("scheduler", "session", "ssh", "sshd", "state", "sync", "systemd", "test", "timer"),
    *("tmpfs", "update", "user", "watchdog", "web", "worker", "xfs", "zfs"),
}
"""Names that are words of the language too: in a sentence they need not name anything."""


@dataclass(frozen=True, slots=True)
class Named:
    """A precise name in a text.

    Args:
        kind: url, device, unit, pid, address or path.
    """

    kind: str
    name: str


@lru_cache(maxsize=4_096)
def precise(text: str) -> tuple[Named, ...]:
    """Every name in a text that looks precise, in order. A pid is written `pid N`."""
    return tuple(_named(match.lastgroup or "", match[0]) for match in PRECISE.finditer(text))


def _named(kind: str, found: str) -> Named:
    if kind == "pid":
        return Named(kind, f"pid {found[3:].strip(' =:#')}")
    if kind in ("url", "path") and len(found) > 1:
        # What ends a sentence, and the slash that shells put behind a directory.
        found = found.rstrip(".,:?!")
        found = found.rstrip("/") if kind == "path" else found
    return Named(kind, found)


def is_named(part: str) -> bool:
    """Whether a part of a subject is a name: one word that is none of the language alone."""
    if part.casefold() in VAGUE or part.isdigit() or not part:
        return False
    return " " not in part or part.startswith("/") or part.removeprefix("pid ").isdigit()


@lru_cache(maxsize=4_096)
def names_of(subject: str) -> frozenset[str]:
    """The precise names in a reading's subject; none where it is made of plain words.

    `/var (/dev/sda2, ext4)` is called `/var`, `/dev/sda2` and `ext4`; `nginx.service` also
    `nginx`; `python3 (pid 12)` is called `python3` and `pid 12`.
    """
    head, _, rest = subject.removeprefix("GPU ").partition(" (")
    before, asking, asked = head.partition(" asking for ")
    parts = [before, *asked.split(" ")[:1]] if asking else [head]
    names = {part for part in parts if is_named(part)}
    if names:
        names |= {part for part in rest.removesuffix(")").split(", ") if is_named(part)}
    names |= {one.name for one in precise(subject)}
    return frozenset(names | {SUFFIX.sub("", name) for name in names})
