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
from tests.support.quarrels import quarrelsome


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
        "          db-1  /var/lib/postgresql (/dev/nvme1n1p1, xfs)  f4\n"
        "            97.3 % used (limit ≥ 90 %), verified\n"
        "          → Free space or grow the volume;"
    ) in printed(reports.complete())


@pytest.mark.parametrize("build", [reports.complete, reports.thoughtful, quarrelsome])
@pytest.mark.parametrize("verbose", [False, True])
def test_each_finding_that_stands_is_named_as_an_acknowledgement_takes_it(
    build: Callable[[], Report], verbose: bool
) -> None:
    report = build()
    text = printed(report, 110, verbose=verbose)
    for one in report.findings:
        times = len(re.findall(rf"(?:  |, ){one.id}(?=,?\s)", text))
        assert times == (1 if one.verdict.counts else 0)


def test_findings_come_gravest_first() -> None:
    said = re.findall("^(CRITICAL|WARNING|INFO)", printed(reports.complete()), re.MULTILINE)
    assert said == ["CRITICAL", "CRITICAL", "WARNING", "INFO"]


def test_findings_of_a_kind_share_their_title_and_advice() -> None:
    text = printed(reports.complete().model_copy(update={"patterns": ()}))
    assert text.count("Security updates are not installed") == 1
    assert text.count("3 packages not installed") == 2


def test_a_pattern_is_one_entry_with_its_hosts() -> None:
    text = printed(reports.complete(), 110)
    assert (
        "WARNING   Security updates are not installed\n"
        "          2 hosts  apt  3 packages not installed (limit ≥ 1 package), all verified\n"
        "            web-1, web-2  f3, f6\n"
        "          → Install them, and plan a restart of what uses them.\n"
    ) in text
    many = printed(reports.large(), 200)
    assert "63 hosts  apt  1 to 9 packages not installed (limit ≥ 1 package), all verified" in many
    assert many.count("Security updates are not installed") == 1
    assert len(many.splitlines()) < 60
    # Each host's own claim is there for whoever asks for it.
    assert printed(reports.complete(), verbose=True).count("3 packages not installed") == 3


def test_the_order_to_act_in_is_told_where_there_is_a_cause() -> None:
    text = printed(reports.complete(), 110)
    assert (
        "  3. web-1, web-2  Install the missing security updates on all of them in one go." in text
    )
    assert "Likely one round of updates that was not made: 2 hosts lack the same: libssl3" in text
    alone = reports.complete().model_copy(update={"causes": ()})
    assert "in this order" not in printed(alone)
    assert "in this order" in printed(alone, verbose=True)
    assert "in this order" not in printed(reports.healthy(), verbose=True)


def test_what_a_model_adds_is_told_as_its_words() -> None:
    text = printed(reports.thoughtful(), 110)
    assert "The database volume on db-1 is nearly full, and most of it" in text
    assert "2 numbers were taken out of the models' words: nothing that was measured" in text
    assert "  db-1/storage  The volume of the database is 97.3 % used" in text
    assert "model: Most of it is write-ahead log: a replication slot that nobody reads" in text
    notes = text.partition("A model's notes, which nothing confirmed")[2]
    assert "web-1  The queue gives up too early: checkout-queue.service" in notes
    assert "cache-1  physical memory: 71.4 % used, where the median of 6 linux hosts" in notes
    assert "The queue gives up" not in text[: text.index("A model's notes")]
    planned = printed(reports.thoughtful(), 110, verbose=True)
    assert "Planned by a model  Checkout passes the web servers" in planned
    assert "db-9 was left out: no host is called so" in planned


def test_who_went_on_without_a_model_is_told_by_reason() -> None:
    text = " ".join(printed(reports.thoughtful(), 110).split())
    assert (
        "Degraded: 2 agents went on by the rules (web-1/services, web-2/storage): "
        "http://router:4000/v1 gave no answer in 3.2 s: see that it is up"
    ) in text
    assert "Degraded: 1 agent went on by the rules (mail-1/network): the job's budget" in text
    assert "was stopped" not in text  # the rules saw all that there was to see


def test_the_bill_is_one_line_and_each_host_s_for_whoever_asks() -> None:
    text = " ".join(printed(reports.thoughtful(), 110).split())
    assert (
        "model: 52 calls, about 48,400 tokens, at least $0.0312; the price of deepthought-2 is "
        "unknown (orchestrator deepthought-2: 2 calls, 5,730 tokens, price unknown; worker "
        "qwen3-8b: 50 calls, about 42,670 tokens, $0.0312)"
    ) in text
    assert "The job had a budget of $0.05; it is used up, and 1 part of it went on" in text
    assert "db-1 12 calls, about 10,680 tokens, $0.0078" not in text
    more = " ".join(printed(reports.thoughtful(), 110, verbose=True).split())
    assert "db-1 12 calls, about 10,680 tokens, $0.0078" in more
    assert "model:" not in printed(reports.complete(), verbose=True)


def test_many_answers_are_cut_and_counted() -> None:
    report = reports.thoughtful()
    line = next(line for line in report.hosts if line.host == "db-1")
    part = next(part for part in line.parts if part.answer)
    wordy = part.model_copy(update={"answer": "So it is. " * 100})
    lines = line.model_copy(update={"parts": (wordy,) * 12})
    text = printed(report.model_copy(update={"hosts": (lines,)}), 110)
    assert "and 2 more answers" in text
    assert text.count("So it is.") < 10 * 30
    unasked = report.job.model_copy(update={"question": ""})
    assert "The agents answer" not in printed(report.model_copy(update={"job": unasked}))


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
    assert (
        "    refuted: ≥ 95 % busy; the evidence said 96.2 %, measured again: 31.8 %\n"
    ) in dropped


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
@pytest.mark.parametrize(
    "build",
    [
        *(reports.partial, reports.large, reports.hostile),
        *(reports.thoughtful, reports.hostile_model),
    ],
)
def test_no_line_is_wider_than_the_terminal(build: Callable[[], Report], width: int) -> None:
    lines = printed(build(), width, verbose=True).splitlines()
    assert max(map(len, lines)) <= min(width, 110)
    assert not any(line.endswith(" ") for line in lines)


@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("build", [reports.hostile, reports.hostile_model])
def test_hostile_text_is_shown_and_does_nothing(build: Callable[[], Report], verbose: bool) -> None:
    text = printed(build(), 110, verbose=verbose)
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

    ours = colours(reports.partial()) | colours(reports.thoughtful())
    assert ours
    assert colours(reports.hostile()) | colours(reports.hostile_model()) <= ours


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
