"""A report on a terminal and as plain text."""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Callable

import pytest
from rich.console import Console

from orchestrator.render.console import print_report
from swarm_tasks.models.report import Report
from tests.support import reports


def printed(report: Report, width: int = 80, *, verbose: bool = False) -> str:
    """What comes out where there is no terminal."""
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    print_report(report, console, verbose=verbose)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_healthy_fleet_is_told_in_few_lines() -> None:
    report = reports.healthy()
    lines = printed(report).splitlines()
    assert lines[:2] == ["6 of 6 hosts answered", "No findings."]
    assert len(lines) < 16
    assert not re.search("CRITICAL|WARNING|INFO", printed(report, verbose=True))


def test_a_finding_says_what_where_how_much_and_what_to_do() -> None:
    assert (
        "CRITICAL  Volume nearly full\n"
        "          db-1  /var/lib/postgresql (/dev/nvme1n1p1, xfs)\n"
        "            97.3 % used (limit ≥ 90 %), verified\n"
        "          → Free space or grow the volume;"
    ) in printed(reports.complete())


def test_findings_come_gravest_first() -> None:
    said = re.findall("^(CRITICAL|WARNING|INFO)", printed(reports.complete()), re.MULTILINE)
    assert said == ["CRITICAL", "CRITICAL", "WARNING", "WARNING", "INFO"]


def test_findings_of_a_kind_share_their_title_and_advice() -> None:
    text = printed(reports.complete())
    assert text.count("Security updates are not installed") == 1
    assert text.count("3 packages not installed") == 2


def test_who_did_not_answer_is_named_with_the_reason() -> None:
    text = printed(reports.partial(), 200)
    assert text.startswith("4 of 6 hosts answered; 1 dark (db-2); 1 failed (cache-1)\n")
    assert "DARK      db-2  no sign of life; last seen 2026-03-02 08:47:56 UTC" in text
    assert "FAILED    cache-1  the worker was killed for want of memory" in text


def test_what_could_not_be_seen_is_one_line_a_reason() -> None:
    assert (
        "Could not be seen\n"
        "  storage on mail-1: was stopped by the deadline\n"
        "  gpu on every host that answered: no NVIDIA or AMD driver is loaded\n"
        "  smart_health on every host that answered: smartctl is not installed (apt install "
        "smartmontools)\n"
    ) in printed(reports.partial(), 200)


def test_a_refuted_claim_is_told_with_both_numbers_and_not_as_a_finding() -> None:
    text = printed(reports.complete())
    findings, _, dropped = text.partition("Did not hold when checked")
    assert "CPU time nearly used up" not in findings
    assert "96.2 % busy (limit ≥ 95 %), refuted: 31.8 % when measured again" in dropped


def test_the_last_lines_say_which_job_and_how_to_see_more() -> None:
    assert printed(reports.complete()).splitlines()[-2:] == [
        "job k7m2q9xw4t · 2.3 s · 120 tool calls",
        "hostswarm show k7m2q9xw4t --html report.html has the evidence",
    ]


def test_verbose_says_how_a_value_was_measured_and_what_was_ruled_out() -> None:
    text = printed(reports.complete(), 110, verbose=True)
    assert 'largest_paths(mount="/var/lib/postgresql", depth=4, n=10): walk(' in text
    assert "verified: 97.3 % when measured again" in text
    assert "Every volume has inodes to spare on every host that answered" in text


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("build", [reports.partial, reports.large, reports.hostile])
def test_no_line_is_wider_than_the_terminal(build: Callable[[], Report], width: int) -> None:
    lines = printed(build(), width, verbose=True).splitlines()
    assert max(map(len, lines)) <= min(width, 110)
    assert not any(line.endswith(" ") for line in lines)


@pytest.mark.parametrize("verbose", [False, True])
def test_hostile_text_is_shown_and_does_nothing(verbose: bool) -> None:
    text = printed(reports.hostile(), 110, verbose=verbose)
    odd = {char for char in text if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp")}
    assert odd == {"\n"}
    whole = "".join(text.split())
    for shown in ("<script>", "{{7*7}}", "[boldred]markup[/]", ":boom:", "\\x1b[31m", "\\u202e"):
        assert shown in whole


def test_a_terminal_gets_colour_and_hostile_text_adds_none() -> None:
    def colours(report: Report) -> set[str]:
        console = Console(file=io.StringIO(), width=110, force_terminal=True, _environ={})
        print_report(report, console, verbose=True)
        assert isinstance(console.file, io.StringIO)
        return set(re.findall("\x1b.{0,9}?m", console.file.getvalue()))

    assert colours(reports.partial())
    assert colours(reports.hostile()) == colours(reports.partial())


def test_no_color_is_honoured() -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True, _environ={"NO_COLOR": "1"})
    print_report(reports.complete(), console)
    assert isinstance(console.file, io.StringIO)
    assert not re.search("\x1b\\[[0-9;]*3[0-9]m", console.file.getvalue())


def test_a_terminal_of_ascii_alone_gets_ascii_alone() -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    print_report(reports.complete(), Console(file=file, width=80, force_terminal=False))
    file.flush()
    file.seek(0)
    assert "97.3 % used (limit >= 90 %), verified" in file.read()
