"""The clock: parsers on golden files, the tool on this machine, rules on typed answers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from swarm_tasks.errors import ToolFailed
from swarm_tasks.models.evidence import EvidenceStatus
from swarm_tasks.models.finding import Severity
from tests.support.golden import assert_golden, inputs
from tests.support.grading import graded, rule_called
from workers.rules.clock import RULES
from workers.tools.access import Access, Machine, this_machine
from workers.tools.catalog import clock, systemd
from workers.tools.catalog.clock import Synchronised, TimeSync
from workers.tools.registry import Registry

REGISTRY = Registry(clock.TOOLS)


@pytest.mark.parametrize("source", inputs("chronyc_tracking"), ids=lambda path: path.stem)
def test_the_state_of_chrony_is_parsed(source: Path) -> None:
    assert_golden(clock.parse_chrony(source.read_text()), source)


@pytest.mark.parametrize("source", inputs("timesync_status"), ids=lambda path: path.stem)
def test_the_state_of_timesyncd_is_parsed(source: Path) -> None:
    assert_golden(clock.parse_timesync(source.read_text()), source)


@pytest.mark.parametrize("source", inputs("timedatectl"), ids=lambda path: path.stem)
def test_the_properties_of_timedatectl_are_parsed(source: Path) -> None:
    assert_golden(systemd.properties(source.read_text()), source)


@pytest.mark.parametrize("source", inputs("ntpq"), ids=lambda path: path.stem)
def test_the_state_of_ntpd_is_parsed(source: Path) -> None:
    assert_golden(clock.parse_ntpq(source.read_text()), source)


@pytest.mark.parametrize("source", inputs("sntp"), ids=lambda path: path.stem)
def test_the_offset_of_a_mac_is_parsed(source: Path) -> None:
    assert_golden(clock.parse_sntp(source.read_text(), "time.apple.com", "yes"), source)


def test_no_answer_of_a_daemon_is_a_failure_and_never_a_healthy_clock() -> None:
    for text in ("", "506 Cannot talk to daemon\n", "***Request timed out\n"):
        with pytest.raises(ToolFailed):
            clock.parse_chrony(text)
        with pytest.raises(ToolFailed):
            clock.parse_ntpq(text)
        with pytest.raises(ToolFailed):
            clock.parse_sntp(text, "time.apple.com", "unknown")


@pytest.mark.parametrize(
    ("setting", "server", "found"),
    [
        (
            "Network Time: On\n",
            "Network Time Server: time.example.org\n",
            ("yes", "time.example.org"),
        ),
        ("Network Time: Off\n", "Network Time Server: -x\n", ("no", "time.apple.com")),
        (
            "You need administrator access to run this tool... exiting!\n",
            "",
            ("unknown", "time.apple.com"),
        ),
    ],
)
def test_a_mac_that_refuses_to_tell_leaves_it_unknown(
    setting: str, server: str, found: tuple[Synchronised, str]
) -> None:
    assert clock.parse_systemsetup(setting, server) == found


@pytest.mark.parametrize(
    ("span", "seconds"),
    [
        ("+12us", 1.2e-5),
        ("-1.424ms", 0.001424),
        ("-1min 2.500s", 62.5),
        ("+3h", 10_800.0),
        ("0", 0),
    ],
)
def test_a_span_of_systemd_is_seconds(span: str, seconds: float) -> None:
    assert clock.span_seconds(span) == pytest.approx(seconds)


def test_the_clock_answers_here_or_it_is_said_why_not() -> None:
    outcome = asyncio.run(REGISTRY.call("time_sync", {}, this_machine()))
    assert outcome.status in (EvidenceStatus.OK, EvidenceStatus.UNAVAILABLE), outcome.reason
    assert outcome.result is not None or outcome.reason


@pytest.mark.parametrize(
    ("path", "text", "keeper"),
    [
        ("sys/class/ptp/ptp0/clock_name", "KVM virtual PTP\n", "KVM virtual PTP".lower()),
        (clock.CLOCK_SOURCE[1:], "kvm-clock\n", "kvm-clock"),
        (clock.CLOCK_SOURCE[1:], "tsc\n", ""),
        (".dockerenv", "", "docker container"),
    ],
)
def test_a_clock_that_is_kept_from_outside_is_known(
    tmp_path: Path, path: str, text: str, keeper: str
) -> None:
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text(text)
    access = Access(Machine(platform="linux", root=tmp_path))
    found = asyncio.run(clock.kept_from_outside(access))
    assert (keeper in found) if keeper else found == ""


def state(offset: float | None, synchronised: Synchronised) -> TimeSync:
    return TimeSync(
        synchronised=synchronised,
        offset_seconds=offset,
        server="192.0.2.1",
        stratum=2,
        said_by="chrony",
    )


@pytest.mark.parametrize(
    ("offset", "severity"),
    [(0.001, None), (0.2, Severity.WARNING), (0.5, Severity.CRITICAL), (62.5, Severity.CRITICAL)],
)
def test_a_clock_that_is_off_is_graded(offset: float, severity: Severity | None) -> None:
    assert graded(rule_called("time-offset", RULES), state(offset, "yes")) == {"clock": severity}


def test_an_offset_that_nobody_measures_is_not_graded() -> None:
    assert graded(rule_called("time-offset", RULES), state(None, "no")) == {}


@pytest.mark.parametrize(
    ("synchronised", "found"),
    [("yes", {"clock": None}), ("no", {"clock": Severity.WARNING}), ("unknown", {})],
)
def test_a_clock_that_follows_no_source_warns(
    synchronised: Synchronised, found: dict[str, Severity | None]
) -> None:
    assert graded(rule_called("time-synchronised", RULES), state(None, synchronised)) == found
