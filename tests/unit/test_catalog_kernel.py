"""Kernel events: sources and messages on golden files, the tool on this machine, its rules."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from swarm_tasks.models.evidence import EvidenceStatus
from swarm_tasks.models.finding import Severity
from tests.support.golden import assert_golden, inputs
from tests.support.grading import graded, rule_called
from workers.rules import kernel as kernel_rules
from workers.rules.hardware import RULES as HARDWARE_RULES
from workers.rules.rule import Reading, Rule
from workers.tools.access import Machine, this_machine
from workers.tools.catalog import kernel, kernel_log, kernel_messages
from workers.tools.catalog.kernel import KernelEvents
from workers.tools.catalog.kernel_log import Message, merged, unix_time
from workers.tools.registry import Outcome, Registry

REGISTRY = Registry(kernel.TOOLS)
OOM_KILLS = rule_called("oom-kills", kernel_rules.RULES)
RULES: tuple[Rule, ...] = (*kernel_rules.RULES, rule_called("gpu-xid", HARDWARE_RULES))
OOM = (
    "Out of memory: Killed process 4242 (java) total-vm:9876543kB, anon-rss:8000000kB, "
    "file-rss:0kB, shmem-rss:0kB, UID:1000 pgtables:16000kB oom_score_adj:0"
)


def classified(messages: list[Message]) -> dict[str, Any]:
    return {
        "messages": len(messages),
        "oom_kills": tuple(kernel_messages.oom_kills(messages)),
        "ecc": tuple(kernel_messages.ecc_errors(messages)),
        "io_errors": tuple(kernel_messages.io_errors(messages)),
        "hung_tasks": tuple(kernel_messages.hung_tasks(messages)),
        "xid_errors": tuple(kernel_messages.xid_errors(messages)),
    }


@pytest.mark.parametrize("source", inputs("dmesg_raw"), ids=lambda path: path.stem)
def test_dmesg_is_parsed_and_its_messages_are_understood(source: Path) -> None:
    assert_golden(classified(kernel_log.parse_dmesg(source.read_text(), 0.0)), source)


@pytest.mark.parametrize("source", inputs("journal_json"), ids=lambda path: path.stem)
def test_the_journal_is_parsed(source: Path) -> None:
    assert_golden(kernel_log.parse_journal(source.read_text()), source)


@pytest.mark.parametrize("source", inputs("log_show"), ids=lambda path: path.stem)
def test_the_log_of_macos_is_parsed_and_understood(source: Path) -> None:
    assert_golden(classified(kernel_log.parse_log_show(source.read_text())), source)


@pytest.mark.parametrize("source", inputs("syslog"), ids=lambda path: path.stem)
def test_of_a_log_file_only_the_kernels_lines_are_taken(source: Path) -> None:
    now = datetime(2026, 11, 21, 23, tzinfo=UTC).timestamp()
    messages = kernel_log.parse_syslog(source.read_text().splitlines(), "kern.log", now)
    assert_golden([message.text for message in messages], source)


@pytest.fixture
def zone(request: pytest.FixtureRequest) -> Iterator[None]:
    """This process in another time zone."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = str(request.param)
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


def utc(*fields: int) -> float:
    year, month, day, hour, minute = fields
    return datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("zone", ["Europe/Berlin"], indirect=True)
@pytest.mark.parametrize(
    ("stamp", "now", "meant"),
    [
        ("Nov 21 06:00:00", utc(2026, 11, 21, 5, 10), utc(2026, 11, 21, 5, 0)),
        ("Jul  1 06:00:00", utc(2026, 7, 1, 4, 10), utc(2026, 7, 1, 4, 0)),
        ("Dec 31 23:59:00", utc(2027, 1, 1, 3, 0), utc(2026, 12, 31, 22, 59)),
        ("Jan  1 00:01:00", utc(2026, 12, 31, 23, 2), utc(2026, 12, 31, 23, 1)),
        ("Feb 29 12:00:00", utc(2028, 3, 1, 0, 0), utc(2028, 2, 29, 11, 0)),
        # 25 October 2026: 02:30 is there twice, first in summer time, then in winter time.
        ("Oct 25 02:30:00", utc(2026, 10, 25, 0, 40), utc(2026, 10, 25, 0, 30)),
        ("Oct 25 02:30:00", utc(2026, 10, 25, 1, 40), utc(2026, 10, 25, 1, 30)),
        ("2026-11-21T06:00:00+01:00", utc(2026, 11, 21, 9, 0), utc(2026, 11, 21, 5, 0)),
        ("2026-11-21T06:00:00Z", utc(2026, 11, 21, 9, 0), utc(2026, 11, 21, 6, 0)),
    ],
)
def test_a_stamp_without_year_and_zone_is_the_latest_local_time_that_is_past(
    zone: None, stamp: str, now: float, meant: float
) -> None:
    assert unix_time(stamp, now) == meant


@pytest.mark.parametrize("stamp", ["Feb 30 06:00:00", "2026-99-21T06:00:00Z"])
def test_a_time_that_never_was_is_none(stamp: str) -> None:
    assert unix_time(stamp, utc(2026, 11, 21, 9, 0)) is None


def test_what_two_sources_have_is_taken_once_and_what_one_repeats_is_not() -> None:
    journal = [Message(100.0, "x", "journal"), Message(101.0, "x", "journal")]
    file = [Message(100.9, "x", "kern.log"), Message(300.0, "x", "kern.log")]
    old = [Message(1.0, "x", "old")]
    assert merged((journal, file, old), since=50.0) == [*journal, file[1]]


def planted(root: Path, *lines: str) -> Path:
    log = root / "kern.log"
    log.write_text("".join(f"{line}\n" for line in lines))
    return log


def call(logs: Any, *roots: Path, since_minutes: int = 30) -> Outcome:
    machine = Machine(platform=this_machine().platform, log_roots=roots)
    arguments = {"logs": logs, "since_minutes": since_minutes}
    return asyncio.run(REGISTRY.call("kernel_events", arguments, machine))


def stamped(seconds_ago: float, style: str) -> str:
    at = datetime.fromtimestamp(time.time() - seconds_ago).astimezone()
    return at.isoformat() if style == "RFC 3339" else f"{at:%b} {at.day:2} {at:%H:%M:%S}"


def java_kills(outcome: Outcome) -> list[Reading]:
    assert isinstance(outcome.result, KernelEvents), outcome.reason
    readings = OOM_KILLS.readings(outcome.result)
    return [one for one in readings if one.subject.partition(", in ")[0] == "java (pid 4242)"]


@pytest.mark.parametrize("style", ["RFC 3339", "classic"])
def test_a_kill_planted_in_a_log_file_is_a_warning_that_names_the_process(
    tmp_path: Path, style: str
) -> None:
    log = planted(tmp_path, f"{stamped(60, style)} host kernel: [ 1234.567890] {OOM}")
    outcome = call([str(log)], tmp_path)
    assert isinstance(outcome.result, KernelEvents), outcome.reason
    assert graded(OOM_KILLS, outcome.result)["java (pid 4242)"] is Severity.WARNING
    assert str(log) in outcome.source[-1]
    assert str(log) in outcome.result.sources


def test_the_sweep_may_give_a_log_as_one_path(tmp_path: Path) -> None:
    log = planted(tmp_path, f"{stamped(60, 'classic')} host kernel: {OOM}")
    assert len(java_kills(call(str(log), tmp_path))) == 1


def test_the_same_kill_in_two_logs_is_one(tmp_path: Path) -> None:
    line = f"{stamped(60, 'RFC 3339')} host kernel: {OOM}"
    (tmp_path / "b").mkdir()
    logs = [str(planted(tmp_path, line)), str(planted(tmp_path / "b", line))]
    assert len(java_kills(call(logs, tmp_path))) == 1


def test_a_kill_from_before_the_time_asked_for_does_not_count(tmp_path: Path) -> None:
    log = planted(tmp_path, f"{stamped(31 * 60, 'classic')} host kernel: {OOM}")
    assert java_kills(call([str(log)], tmp_path)) == []
    (kill,) = java_kills(call([str(log)], tmp_path, since_minutes=60))
    assert kill.subject == "java (pid 4242), in 60 min"


def test_a_program_that_writes_like_the_kernel_kills_nobody(tmp_path: Path) -> None:
    log = planted(
        tmp_path,
        f"{stamped(60, 'classic')} host web[7]: kernel: {OOM}",
        f"{stamped(60, 'classic')} host kernel: web said: {OOM}",
    )
    assert java_kills(call([str(log)], tmp_path)) == []


def test_a_log_that_may_not_be_read_is_named_and_is_no_failure_of_the_others(
    tmp_path: Path,
) -> None:
    good = planted(tmp_path, f"{stamped(60, 'classic')} host kernel: {OOM}")
    link = tmp_path / "link.log"
    link.symlink_to(good)
    bad = [str(link), "/etc/shadow", str(tmp_path / "none.log"), f"{tmp_path}/../etc/passwd"]
    outcome = call([str(good), *bad], tmp_path)
    assert len(java_kills(outcome)) == 1
    assert isinstance(outcome.result, KernelEvents)
    assert all(outcome.result.unread[path] for path in bad)
    assert not set(bad) & set(outcome.result.sources)


@pytest.mark.parametrize("logs", ["kern.log", "", "/var/log/x\ny", ["/a"] * 9, 7])
def test_a_wrong_log_path_is_refused_before_anything_is_read(logs: Any) -> None:
    outcome = call(logs)
    assert outcome.status is EvidenceStatus.FAILED
    assert outcome.source == ()


def test_kernel_events_answer_on_this_machine_or_say_why_not() -> None:
    outcome = asyncio.run(REGISTRY.call("kernel_events", {}, this_machine()))
    assert outcome.status in (EvidenceStatus.OK, EvidenceStatus.UNAVAILABLE), outcome.reason
    assert outcome.source
    assert outcome.result is not None or outcome.reason


def events(**changes: Any) -> KernelEvents:
    empty = KernelEvents(
        since=datetime(2026, 11, 21, tzinfo=UTC),
        since_minutes=30,
        sources=("dmesg",),
        unread={},
        messages=0,
        **dict.fromkeys(("oom_kills", "ecc", "io_errors", "hung_tasks", "xid_errors"), ()),
        **dict.fromkeys(
            (
                *("oom_kills_total", "ecc_corrected_total", "ecc_uncorrectable_total"),
                *("io_errors_total", "hung_tasks_total", "xid_errors_total"),
            ),
            0,
        ),
    )
    return empty.model_copy(update=changes)


def from_golden() -> KernelEvents:
    path = next(path for path in inputs("dmesg_raw") if path.stem == "linux-documented-hardware")
    found = classified(kernel_log.parse_dmesg(path.read_text(), 0.0))
    return events(**{name: found[name] for name in found if name != "messages"})


def test_a_silent_kernel_is_healthy_in_every_metric() -> None:
    for rule in kernel_rules.RULES:
        assert list(graded(rule, events()).values()) == [None]


def test_a_host_of_which_no_gpu_is_known_has_no_healthy_one_either() -> None:
    assert graded(rule_called("gpu-xid", RULES), events()) == {}


def test_uncorrectable_memory_errors_are_critical_and_corrected_ones_are_not() -> None:
    found = graded(rule_called("ecc-uncorrectable", RULES), from_golden())
    assert found["memory (EDAC MC0)"] is None
    assert found["memory (EDAC MC1)"] is Severity.CRITICAL


def test_disk_errors_are_counted_by_device_and_empty_drives_are_left_out() -> None:
    rule = rule_called("kernel-io-errors", RULES)
    found = graded(rule, from_golden())
    assert set(found.values()) == {Severity.WARNING}
    assert {"sda", "dm-0", "nvme0", "ata4"} <= set(found)
    assert not {"sr0", "fd0", "loop7"} & set(found)


def test_xid_errors_are_told_by_gpu() -> None:
    assert graded(rule_called("gpu-xid", RULES), from_golden()) == {
        "GPU 0000:65:00": Severity.WARNING,
        "GPU 0000:03:00": Severity.WARNING,
    }
