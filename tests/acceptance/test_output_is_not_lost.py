"""A report is never lost, whatever becomes of the place where it should go."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import HOSTSWARM, Asker, running
from tests.support.fleets import TestFleet

NEEDS_FULL = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="this system has no /dev/full"
)


def unwritable(tmp_path: Path) -> Path:
    """A directory that not even root may write to, where root runs this."""
    if os.geteuid() == 0:
        return Path("/proc" if sys.platform == "linux" else "/dev/fd")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    return closed


def test_a_report_file_that_cannot_be_written_is_told_before_any_work(
    asker: Asker, fleet: TestFleet, tmp_path: Path
) -> None:
    before = len(fleet.fleet.jobs())
    for path in (tmp_path / "none" / "report.html", tmp_path, unwritable(tmp_path) / "x.html"):
        said = asker.on(fleet).refused(
            "audit", "--html", str(path), code=1, says="cannot be written: .*: name a file in"
        )
        assert str(path) in said
    assert len(fleet.fleet.jobs()) == before


@NEEDS_FULL
def test_a_disk_that_fills_up_costs_nothing_but_the_file(asker: Asker, fleet: TestFleet) -> None:
    there = asker.on(fleet)
    words = ("audit", "--specialists", "napper", "--json", "--html", "/dev/full")
    done = there.run(*words)
    there.told(done, 1, "cannot be written to /dev/full: no space is left")
    report: dict[str, Any] = json.loads(done.stdout)
    again = there.run("show", report["job"]["id"], "--json")
    assert again.stdout == done.stdout


@NEEDS_FULL
def test_output_that_cannot_be_written_is_told_with_where_the_report_is(
    asker: Asker, fleet: TestFleet, tmp_path: Path
) -> None:
    there, page = asker.on(fleet), tmp_path / "report.html"
    done = redirected(there, ">/dev/full", "audit", "--specialists", "napper", "--html", str(page))
    says = r"standard output cannot be written: No space .*: hostswarm show (\w+)"
    said = there.told(done, 1, says)
    match = re.search(says, said)
    assert match is not None
    assert there.run("show", match[1], "--json").returncode == 0
    assert page.read_text().startswith("<!DOCTYPE html>")
    for words in (("jobs", "--json"), ("tools",), ("--version",)):
        there.told(redirected(there, ">/dev/full", *words), 1, "standard output cannot be")


def test_a_closed_output_is_told_and_nothing_else_takes_its_place(
    asker: Asker, fleet: TestFleet
) -> None:
    there = asker.on(fleet)
    for words in (("hosts",), ("tools", "--json"), ("audit", "--specialists", "napper")):
        there.told(redirected(there, ">&-", *words), 1, "standard output cannot be written")
    assert redirected(there, ">/dev/null 2>&-", "hosts").returncode == 0
    assert redirected(there, ">/dev/null <&-", "hosts").returncode == 0


def redirected(asker: Asker, where: str, *words: str) -> subprocess.CompletedProcess[str]:
    """The command with its streams where a shell puts them."""
    return subprocess.run(
        ("/bin/sh", "-c", f'exec "$0" "$@" {where}', HOSTSWARM, *words),
        env=asker.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("words", ["audit --specialists napper --json", "tools --json", "--help"])
def test_a_reader_that_leaves_early_is_not_complained_to(
    asker: Asker, fleet: TestFleet, words: str
) -> None:
    with running(*words.split(), environment=asker.on(fleet).environment) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) in (0, 1)
