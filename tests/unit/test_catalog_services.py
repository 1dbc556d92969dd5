"""Services: parsers on golden files, tools on this machine, rules on typed answers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from swarm_tasks.models.evidence import EvidenceStatus, ToolCall
from swarm_tasks.models.finding import Severity
from tests.support.golden import assert_golden, inputs
from tests.support.grading import graded, rule_called
from workers.rules.services import RULES
from workers.tools.access import this_machine
from workers.tools.catalog import launchd, restarts, services, systemd, timers
from workers.tools.catalog.restarts import ServiceRestarts, UnitRestarts
from workers.tools.catalog.service_logs import cleaned_lines
from workers.tools.catalog.services import FailedServices, ServiceStatus, State
from workers.tools.registry import Registry

REGISTRY = Registry(services.TOOLS)
NOW = datetime(2026, 11, 21, 8, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize("source", inputs("systemctl_failed"), ids=lambda path: path.stem)
def test_failed_units_are_parsed(source: Path) -> None:
    assert_golden(services.parse_failed(source.read_text()), source)


@pytest.mark.parametrize("source", inputs("systemctl_show"), ids=lambda path: path.stem)
def test_a_unit_is_parsed(source: Path) -> None:
    assert_golden(services.parse_show(source.read_text()), source)


@pytest.mark.parametrize("source", inputs("systemctl_restarts"), ids=lambda path: path.stem)
def test_totals_of_restarts_are_parsed(source: Path) -> None:
    assert_golden(restarts.parse_totals(source.read_text()), source)


@pytest.mark.parametrize("source", inputs("journal_restarts"), ids=lambda path: path.stem)
def test_restarts_in_the_journal_are_counted(source: Path) -> None:
    assert_golden(restarts.parse_scheduled(source.read_text()), source)


@pytest.mark.parametrize("source", inputs("timers"), ids=lambda path: path.stem)
def test_timers_are_parsed(source: Path) -> None:
    assert_golden(timers.parse_timers(source.read_text(), NOW), source)


@pytest.mark.parametrize("source", inputs("launchctl_list"), ids=lambda path: path.stem)
def test_the_jobs_of_macos_are_parsed(source: Path) -> None:
    jobs = launchd.parse_launchctl(source.read_text())
    assert_golden([services.job_status(job, job.label) for job in jobs], source)


def test_a_job_of_macos_that_nobody_knows_is_missing() -> None:
    assert services.job_status(None, "com.example.none").state is State.MISSING


@pytest.mark.parametrize(
    ("pid", "status", "failed"),
    [(None, 0, False), (412, 1, False), (None, 78, True), (None, -11, True), (None, -15, False)],
)
def test_a_job_failed_if_it_ended_badly_and_was_not_asked_to(
    pid: int | None, status: int, failed: bool
) -> None:
    assert launchd.Job("com.example.job", pid, status).failed is failed


def test_a_signal_that_python_does_not_know_keeps_its_number() -> None:
    assert launchd.signal_name(9) == "SIGKILL"
    assert launchd.signal_name(900) == "signal 900"


@pytest.mark.parametrize("text", ["", "n/a", "-"])
def test_no_time_of_systemd_is_none(text: str) -> None:
    assert systemd.systemd_time(text) is None


def test_a_time_of_systemd_is_utc_or_local() -> None:
    assert systemd.systemd_time("Sat 2026-11-21 07:46:59 UTC") == datetime(
        2026, 11, 21, 7, 46, 59, tzinfo=UTC
    )
    local = systemd.systemd_time("Sat 2026-11-21 07:46:59 CET")
    assert local is not None
    assert local.tzinfo is not None
    assert (local.hour, local.minute) == (7, 46)


@pytest.mark.parametrize(
    ("samples", "total", "recent"),
    [
        ([], 9, None),
        ([(900.0, 2.0)], 9, None),  # within the window: it does not reach back
        ([(100.0, 2.0)], 9, None),  # too old to tell the last minutes from those before
        ([(600.0, 2.0), (690.0, 4.0), (900.0, 8.0)], 9, 5),
        ([(690.0, 9.0)], 9, 0),
        ([(690.0, 9.0)], 3, 3),  # started by hand since, and counted anew
    ],
)
def test_recent_restarts_are_counted_from_the_last_sample_before_the_window(
    samples: list[tuple[float, float]], total: int, recent: int | None
) -> None:
    assert restarts.recent_from(samples, total, now=1000.0) == recent


def test_lines_of_a_log_are_the_last_ones_and_clean() -> None:
    assert cleaned_lines("one\ntwo \x1b[31mred\x1b[0m\nthree\n", 2) == ("two red", "three")


ARGUMENTS = {"service": {"name": "cron"}, "service_logs": {"unit": "cron", "lines": 5}}


@pytest.mark.parametrize("name", [tool.name for tool in REGISTRY])
def test_every_tool_about_services_answers_here_or_says_why_not(name: str) -> None:
    outcome = asyncio.run(REGISTRY.call(name, ARGUMENTS.get(name, {}), this_machine()))
    assert outcome.status in (EvidenceStatus.OK, EvidenceStatus.UNAVAILABLE), outcome.reason
    assert outcome.result is not None or outcome.reason


@pytest.mark.parametrize(
    "name",
    ["", "-H", "--host=example.org", "*", "a b", "a;b", "a\nb", "[x]", "a/b", "é", "x" * 257],
)
@pytest.mark.parametrize(("tool", "argument"), [("service", "name"), ("service_logs", "unit")])
def test_a_hostile_unit_name_never_reaches_a_program(tool: str, argument: str, name: str) -> None:
    outcome = asyncio.run(REGISTRY.call(tool, {argument: name}, this_machine()))
    assert outcome.status is EvidenceStatus.FAILED
    assert outcome.source == ()


@pytest.mark.parametrize("name", ["user@1000.service", "dev-disk-by\\x2duuid.swap", "a:b_c.timer"])
def test_ordinary_unit_names_are_taken(name: str) -> None:
    services.UnitArgument(name=name)


def from_golden(case: str) -> ServiceStatus:
    (path,) = (path for path in inputs("systemctl_show") if path.stem == case)
    return services.parse_show(path.read_text())


@pytest.mark.parametrize(
    ("case", "severity"),
    [
        ("linux-running", None),
        ("linux-timer", None),
        ("linux-failed", Severity.CRITICAL),
        ("linux-killed-by-signal", Severity.CRITICAL),
        ("linux-waits-for-restart", Severity.CRITICAL),
        ("linux-missing", Severity.CRITICAL),
    ],
)
def test_a_service_that_must_run_is_graded(case: str, severity: Severity | None) -> None:
    answer = from_golden(case)
    assert graded(rule_called("service-expected", RULES), answer) == {answer.unit: severity}


def test_each_failed_service_is_critical_and_its_log_is_read() -> None:
    (path,) = (path for path in inputs("systemctl_failed") if path.stem == "linux-two-failed-json")
    failed = tuple(services.parse_failed(path.read_text()))
    answer = FailedServices(failed=failed, total=2)
    rule = rule_called("service-failed", RULES)
    assert graded(rule, answer) == {
        "broken.service": Severity.CRITICAL,
        "killed.service": Severity.CRITICAL,
    }
    reading = next(iter(rule.readings(answer)))
    call = ToolCall(tool="service_logs", arguments={"unit": "broken.service", "lines": 100})
    assert rule.dig(reading) == (call,)


def test_failed_jobs_of_apple_itself_raise_nothing() -> None:
    path = next(path for path in inputs("launchctl_list") if "mixed" in path.stem)
    jobs = [job for job in launchd.parse_launchctl(path.read_text()) if job.failed]
    answer = services.failed_jobs(jobs)
    assert set(graded(rule_called("service-failed", RULES), answer)) == {
        "com.example.backup",
        "org.example.crasher",
    }
    assert answer.total == 2
    assert [unit.unit for unit in answer.failed if unit.vendor] == ["com.apple.progressd"]


def test_more_than_two_restarts_in_the_window_warn_and_an_unknown_number_says_nothing() -> None:
    units = tuple(
        UnitRestarts(unit=f"{recent}.service", total=9, recent=recent, counted_from="journal")
        for recent in (2, 3, None)
    )
    answer = ServiceRestarts(window_seconds=300, units=units, units_total=3)
    assert graded(rule_called("service-restarts", RULES), answer) == {
        "2.service": None,
        "3.service": Severity.WARNING,
    }


def test_totals_are_sampled_for_machines_without_a_journal() -> None:
    unit = UnitRestarts(unit="web.service", total=4, recent=None, counted_from="")
    answer = ServiceRestarts(window_seconds=300, units=(unit,), units_total=1)
    (sample,) = restarts.totals_samples(answer)
    assert (sample.metric, sample.subject, sample.value) == (
        "service.restarts_total",
        "web.service",
        4,
    )
