"""Updates: which are pending, which of them for security. Nothing is fetched or changed."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from swarm_tasks.errors import ToolError, ToolFailed, Unavailable
from workers.tools.access import Access
from workers.tools.catalog.reboot import TOOLS as REBOOT_TOOLS
from workers.tools.catalog.shown import shown
from workers.tools.runner import find_program
from workers.tools.spec import Command, NoArguments, Result, Tool

KEPT = 100
NAME_LIMIT = 128

# It takes no lock and reads the lists as they are, at a third of the price of `apt-get -s upgrade`.
# Without a cache file to its name, apt run by root does not write one either.
APT = Command(
    (
        *("apt", "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache="),
        *("list", "--upgradable"),
    ),
    timeout_seconds=30,
    output_limit_bytes=4 << 20,
)
# -C: from the cache alone. 100 says that there are updates.
DNF = Command(("dnf", "-q", "-C", "check-update"), ok=(0, 100), timeout_seconds=30)
DNF_SECURITY = Command(("dnf", "-q", "-C", "updateinfo", "list", "--security"), timeout_seconds=30)
# --no-scan: what the last scan of the system found; a scan of our own asks Apple and is slow.
SOFTWAREUPDATE = Command(("softwareupdate", "--list", "--no-scan"), timeout_seconds=60)
BREW = Command(
    # brew fetches its index before most commands unless it is told not to.
    ("env", "HOMEBREW_NO_AUTO_UPDATE=1", "HOME=/var/empty", "brew", "outdated", "--json=v2"),
    timeout_seconds=60,
)

APT_ROW = re.compile(
    r"^(?P<name>[^/\s]+)/(?P<archives>\S+) (?P<new>\S+) \S+ \[upgradable from: (?P<old>[^\]]+)\]"
)
DNF_ROW = re.compile(r"^(?P<name>[^\s.]\S*)\.(?P<arch>\w+)\s+(?P<new>\S+)\s+\S+$")
DNF_ADVISORY = re.compile(
    r"^\S+-\d{4}\S*\s(?:.*\s)?(?P<name>[^\s/]+)-(?:\d+:)?[^-\s]+-[^-\s]+\.\w+(?:\s|$)"
)
"""`RHSA-2024:1234 Important/Sec. name-epoch:version-release.arch`; dnf5 adds more columns."""
MACOS_ROW = re.compile(r"^\s*\* (?:Label: )?(?P<label>.+)$")

APT_LISTS = "/var/lib/apt/lists"
APT_STAMPS = ("/var/lib/apt/periodic/update-success-stamp", f"{APT_LISTS}/partial", APT_LISTS)
"""What `apt-get update` touches. The lists themselves bear the archive's date, not ours."""
DNF_STAMPS = ("/var/cache/libdnf5", "/var/cache/dnf")


class PendingUpdate(Result):
    """One package that can be brought up to date."""

    package: str
    installed: str
    candidate: str
    security: bool


class Updates(Result):
    """What is pending; at most 100 packages are listed, those for security first.

    `security` is None where the package manager does not tell. `lists_age_seconds` is how long
    ago this machine last asked what there is; None where that leaves no trace. `left_out` names
    what could not be asked, and why.
    """

    manager: str
    total: int
    security: int | None
    packages: tuple[PendingUpdate, ...]
    lists_age_seconds: float | None
    left_out: dict[str, str]


def parse_apt(text: str) -> list[PendingUpdate]:
    """The packages in `apt list --upgradable`.

    An update is for security where one of the archives that offer it is: `bookworm-security`,
    `jammy-security`, `stable-security`, `jammy-apps-security`.
    """
    return [
        _pending(
            found["name"],
            found["old"],
            found["new"],
            security=any(one.endswith("-security") for one in found["archives"].split(",")),
        )
        for line in text.splitlines()
        if (found := APT_ROW.match(line))
    ]


def parse_dnf(text: str, advisories: str) -> list[PendingUpdate]:
    """The packages in `dnf check-update`, and from `dnf updateinfo list` which are for security.

    A long name stands on a line of its own, before the rest of its row. What comes after
    "Obsoleting Packages" is listed above already.
    """
    secure = {
        found["name"] for line in advisories.splitlines() if (found := DNF_ADVISORY.match(line))
    }
    listed = re.sub(r"\n +", " ", text.partition("Obsoleting Packages")[0])
    return [
        _pending(found["name"], "", found["new"], security=found["name"] in secure)
        for line in listed.splitlines()
        if (found := DNF_ROW.match(line))
    ]


def parse_softwareupdate(text: str) -> list[PendingUpdate]:
    """The updates in macOS `softwareupdate --list`; some say by their name what they are for."""
    return [
        _pending(label, "", "", security="security" in label.lower())
        for line in text.splitlines()
        if (found := MACOS_ROW.match(line)) and (label := found["label"].strip())
    ]


def parse_brew(text: str) -> list[PendingUpdate]:
    """The packages in `brew outdated --json=v2`; brew does not tell which are for security."""
    found: dict[str, list[dict[str, Any]]] = json.loads(text)
    return [
        _pending(
            str(row["name"]),
            ", ".join(str(one) for one in row["installed_versions"]),
            str(row["current_version"]),
            security=False,
        )
        for row in (*found.get("formulae", ()), *found.get("casks", ()))
    ]


def _pending(package: str, installed: str, candidate: str, *, security: bool) -> PendingUpdate:
    return PendingUpdate(
        package=shown(package, NAME_LIMIT),
        installed=shown(installed, NAME_LIMIT),
        candidate=shown(candidate, NAME_LIMIT),
        security=security,
    )


def summed(
    manager: str,
    packages: Iterable[PendingUpdate],
    age_seconds: float | None,
    left_out: dict[str, str] | None = None,
    *,
    marked: bool = True,
) -> Updates:
    """The answer, with the updates for security in front.

    Args:
        marked: Whether the manager marks those, so that none of them means that there is none.
    """
    found = sorted(packages, key=lambda one: (not one.security, one.package))
    secure = sum(one.security for one in found)
    return Updates(
        manager=manager,
        total=len(found),
        security=secure if marked or secure else None,
        packages=tuple(found[:KEPT]),
        lists_age_seconds=age_seconds,
        left_out=left_out or {},
    )


async def read_updates(arguments: NoArguments, access: Access) -> Updates:
    """What is pending, from the package lists as this machine has them.

    Raises:
        Unavailable: There is no package manager that we know, or it has no lists yet.
    """
    if find_program("apt"):
        return await _apt(access)
    if find_program("dnf"):
        return await _dnf(access)
    raise Unavailable("neither apt nor dnf is installed", "this package manager is not known yet")


async def _apt(access: Access) -> Updates:
    lists = access.machine.root / APT_LISTS[1:]
    if not await access.call(f"listdir({APT_LISTS})", _any_lists, lists):
        # Without lists apt knows of no update at all: that is not the same as being up to date.
        raise Unavailable("apt has no package lists yet", "run apt-get update")
    age = await lists_age(access, APT_STAMPS)
    return summed("apt", parse_apt((await access.run(APT)).stdout), age)


async def _dnf(access: Access) -> Updates:
    try:
        packages = (await access.run(DNF)).stdout
        advisories = (await access.run(DNF_SECURITY)).stdout
    except ToolFailed as error:
        if "cache" in error.message.lower():
            raise Unavailable(error.message, "run dnf makecache") from error
        raise
    return summed("dnf", parse_dnf(packages, advisories), await lists_age(access, DNF_STAMPS))


async def lists_age(access: Access, stamps: Iterable[str]) -> float | None:
    """Seconds since the first of `stamps` that is there was touched."""
    for stamp in stamps:
        path = access.machine.root / stamp[1:]
        try:
            seen = await access.call(f"stat({stamp})", path.stat)
        except Unavailable:
            continue
        return round(max(0.0, time.time() - seen.st_mtime), 1)
    return None


def _any_lists(path: Path) -> bool:
    return any("Packages" in entry.name for entry in path.iterdir())


async def read_updates_macos(arguments: NoArguments, access: Access) -> Updates:
    """What macOS and, where it is installed, Homebrew have pending."""
    packages = parse_softwareupdate((await access.run(SOFTWAREUPDATE)).stdout)
    left_out: dict[str, str] = {}
    if find_program("brew"):
        try:
            packages += parse_brew((await access.run(BREW)).stdout)
        except ToolError as error:
            left_out["brew"] = error.message
    # Apple marks none as one for security, though most are: that none says so rules out nothing.
    return summed("softwareupdate", packages, None, left_out, marked=False)


TOOLS = (
    Tool(
        name="updates",
        summary="Pending updates and how many are for security, from the lists as they are.",
        arguments=NoArguments,
        result=Updates,
        reads={"linux": read_updates, "darwin": read_updates_macos},
        timeout_seconds=90,
    ),
    *REBOOT_TOOLS,
)
