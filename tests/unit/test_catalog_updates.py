"""Updates and reboots: parsers on golden files, tools on this machine, rules."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from swarm_tasks.models.evidence import EvidenceStatus
from swarm_tasks.models.finding import Severity
from tests.support.golden import assert_golden, inputs
from tests.support.grading import graded, rule_called
from workers.rules.updates import RULES
from workers.tools.access import Access, Machine, this_machine
from workers.tools.catalog import reboot, updates
from workers.tools.catalog.reboot import RebootRequired
from workers.tools.catalog.updates import Updates
from workers.tools.registry import Registry
from workers.tools.runner import find_program

REGISTRY = Registry(updates.TOOLS)
DAY = 86_400.0


@pytest.mark.parametrize("source", inputs("apt_list"), ids=lambda path: path.stem)
def test_pending_packages_of_apt_are_parsed(source: Path) -> None:
    assert_golden(updates.parse_apt(source.read_text()), source)


@pytest.mark.parametrize("source", inputs("dnf"), ids=lambda path: path.stem)
def test_pending_packages_of_dnf_are_parsed_with_their_advisories(source: Path) -> None:
    advisories = source.parent.with_name("dnf_advisories") / source.name
    assert_golden(updates.parse_dnf(source.read_text(), advisories.read_text()), source)


@pytest.mark.parametrize("source", inputs("softwareupdate"), ids=lambda path: path.stem)
def test_pending_updates_of_macos_are_parsed(source: Path) -> None:
    assert_golden(updates.parse_softwareupdate(source.read_text()), source)


@pytest.mark.parametrize("source", inputs("brew_outdated"), ids=lambda path: path.stem)
def test_pending_packages_of_brew_are_parsed(source: Path) -> None:
    assert_golden(updates.parse_brew(source.read_text()), source)


@pytest.mark.parametrize("name", [tool.name for tool in REGISTRY])
def test_every_tool_about_updates_answers_here_or_says_why_not(name: str) -> None:
    outcome = asyncio.run(REGISTRY.call(name, {}, this_machine()))
    assert outcome.status in (EvidenceStatus.OK, EvidenceStatus.UNAVAILABLE), outcome.reason
    assert outcome.result is not None or outcome.reason


@pytest.mark.skipif(not find_program("apt"), reason="this machine has no apt")
def test_a_machine_that_never_asked_for_updates_is_not_up_to_date(tmp_path: Path) -> None:
    lists = tmp_path / "var/lib/apt/lists/partial"
    lists.mkdir(parents=True)
    outcome = asyncio.run(REGISTRY.call("updates", {}, Machine(platform="linux", root=tmp_path)))
    assert outcome.status is EvidenceStatus.UNAVAILABLE
    assert "no package lists" in outcome.reason
    assert outcome.remedy


def answer(security: int | None, age_seconds: float | None) -> Updates:
    return Updates(
        manager="apt",
        total=9,
        security=security,
        packages=(),
        lists_age_seconds=age_seconds,
        left_out={},
    )


@pytest.mark.parametrize(
    ("security", "age_seconds", "found"),
    [
        (0, DAY, {"packages (apt)": None}),
        (0, None, {"packages (apt)": None}),
        (1, DAY, {"packages (apt)": Severity.CRITICAL}),
        (1, 90 * DAY, {"packages (apt)": Severity.CRITICAL}),
        (0, 90 * DAY, {}),  # old lists do not show that nothing is pending
        (None, DAY, {}),
    ],
)
def test_pending_security_updates_are_critical(
    security: int | None, age_seconds: float | None, found: dict[str, Severity | None]
) -> None:
    assert graded(rule_called("updates-security", RULES), answer(security, age_seconds)) == found


def test_where_no_update_is_marked_none_of_them_rules_out_nothing() -> None:
    (path,) = (path for path in inputs("brew_outdated") if "two" in path.stem)
    packages = updates.parse_brew(path.read_text())
    assert updates.summed("softwareupdate", packages, None, marked=False).security is None
    assert updates.summed("apt", packages, None).security == 0


@pytest.mark.parametrize(
    ("running", "installed", "newer"),
    [
        ("6.1.0-28-amd64", ["6.1.0-28-amd64", "6.1.0-9-amd64"], None),
        ("6.1.0-9-amd64", ["6.1.0-9-amd64", "6.1.0-28-amd64"], "6.1.0-28-amd64"),
        ("6.1.0-9-amd64", ["6.1.0-28-cloud-amd64"], None),
        ("5.15.0-91-generic", ["5.15.0-105-generic", "5.4.0-200-generic"], "5.15.0-105-generic"),
        (
            "5.14.0-362.8.1.el9_3.x86_64",
            ["5.14.0-427.13.1.el9_4.x86_64"],
            "5.14.0-427.13.1.el9_4.x86_64",
        ),
        ("6.6.0", [], None),
    ],
)
def test_only_a_newer_kernel_of_the_same_flavour_is_newer(
    running: str, installed: list[str], newer: str | None
) -> None:
    assert reboot.newer_than(running, installed) == newer


def call_reboot(root: Path) -> tuple[EvidenceStatus, RebootRequired | None, str]:
    machine = Machine(platform="linux", root=root)
    outcome = asyncio.run(REGISTRY.call("reboot_required", {}, machine))
    result = outcome.result
    return outcome.status, result if isinstance(result, RebootRequired) else None, outcome.reason


def test_the_mark_of_the_distribution_is_a_yes_with_its_packages(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/reboot-required").touch()
    (tmp_path / "run/reboot-required.pkgs").write_text("linux-base\nlibssl3\nlinux-base\n")
    _, result, _ = call_reboot(tmp_path)
    assert result is not None
    assert (result.required, result.wanted_by) == ("yes", ("linux-base", "libssl3"))
    assert graded(rule_called("reboot-required", RULES), result) == {"host": Severity.WARNING}


@pytest.mark.skipif(bool(find_program("needs-restarting")), reason="it keeps account itself here")
def test_without_the_mark_it_is_a_no_only_where_something_would_have_left_it(
    tmp_path: Path,
) -> None:
    assert call_reboot(tmp_path)[0] is EvidenceStatus.UNAVAILABLE
    (tmp_path / "usr/share/unattended-upgrades").mkdir(parents=True)
    _, result, _ = call_reboot(tmp_path)
    assert result is not None
    assert graded(rule_called("reboot-required", RULES), result) == {"host": None}


@pytest.mark.skipif(bool(find_program("needs-restarting")), reason="it keeps account itself here")
def test_a_newer_kernel_alone_is_a_hint_and_no_finding(tmp_path: Path) -> None:
    name = os.uname().release
    flavour = reboot.flavour(name)
    (tmp_path / "boot").mkdir()
    (tmp_path / f"boot/vmlinuz-999.0.0-1-{flavour}").touch()
    (tmp_path / "boot/initrd.img-1000.0.0").touch()
    _, result, _ = call_reboot(tmp_path)
    assert result is not None
    assert result.required == "unknown"
    assert result.newer_kernel == f"999.0.0-1-{flavour}"
    assert graded(rule_called("reboot-required", RULES), result) == {}


def test_in_a_container_nothing_waits_for_a_reboot(tmp_path: Path) -> None:
    (tmp_path / ".dockerenv").touch()
    status, _, reason = call_reboot(tmp_path)
    assert status is EvidenceStatus.UNAVAILABLE
    assert "container" in reason


def test_the_age_of_the_lists_is_since_this_machine_asked(tmp_path: Path) -> None:
    access = Access(Machine(platform="linux", root=tmp_path))
    assert asyncio.run(updates.lists_age(access, updates.APT_STAMPS)) is None
    lists = tmp_path / "var/lib/apt/lists"
    (lists / "partial").mkdir(parents=True)
    asked = time.time() - 3 * DAY
    os.utime(lists / "partial", (asked, asked))
    age = asyncio.run(updates.lists_age(access, updates.APT_STAMPS))
    assert age == pytest.approx(3 * DAY, abs=60)
