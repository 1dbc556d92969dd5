"""How a value is measured again: for every metric, from its subject alone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from swarm_tasks.measures import measure, measures
from swarm_tasks.models.base import JsonScalar
from swarm_tasks.models.policy import Checks
from tests.support import samples
from tests.support.certificates import pem, self_signed
from workers.comparing import compares
from workers.rules.disks import its_own_word
from workers.rules.dns import that_resolver
from workers.rules.kernel import same_window
from workers.rules.rule import Reading, Rule, head_of
from workers.rules.storage import its_volume
from workers.rules.tls import that_file, that_port
from workers.tools.access import this_machine
from workers.tools.book import rulebook, toolbook

NO_PROBE: dict[str, str] = {}
"""Metrics that nothing can measure again, and why."""

NO_CHECKS = Checks()

every_rule = pytest.mark.parametrize("rule", rulebook(), ids=lambda rule: rule.name)


def asked_again(metric: str, subject: str) -> list[tuple[Rule, dict[str, object]]]:
    """Every rule that measures a subject of a metric again, with its tool's full arguments."""
    found: list[tuple[Rule, dict[str, object]]] = []
    for rule in rulebook():
        given = rule.again(subject, NO_CHECKS) if rule.metric == metric else None
        if given is not None:
            parsed = toolbook().get(rule.tool).parse_arguments(given)
            found.append((rule, parsed.model_dump(mode="json")))
    return found


def test_every_metric_is_measured_again_or_has_a_reason_why_not() -> None:
    probed = {
        rule.metric
        for rule in rulebook()
        for reading in samples.readings(rule)
        if asked_again(rule.metric, reading.subject)
    }
    assert probed.isdisjoint(NO_PROBE)
    assert probed | set(NO_PROBE) == set(measures())


@every_rule
def test_every_subject_of_a_rule_has_arguments_that_its_tool_takes(rule: Rule) -> None:
    assert samples.readings(rule)
    for reading in samples.readings(rule):
        assert asked_again(rule.metric, reading.subject), reading.subject


@every_rule
def test_arguments_of_a_rule_are_made_of_the_name_in_the_subject_and_of_nothing_else(
    rule: Rule,
) -> None:
    constant = {"window_seconds", "since_minutes", "n", "sort"}
    for reading in samples.readings(rule):
        for name, value in (rule.probe(reading.subject) or {}).items():
            told = str(value).removesuffix(".0").replace("[[]", "[")
            assert name in constant or told in reading.subject


@every_rule
def test_what_is_decisive_is_an_argument_of_the_tool(rule: Rule) -> None:
    assert set(rule.decisive) <= set(toolbook().get(rule.tool).arguments.model_fields)


@pytest.mark.parametrize(
    ("subject", "mount"),
    [
        ("/ (/dev/sda2, ext4)", "/"),
        ("/var/lib (/dev/mapper/vg-lib, xfs)", "/var/lib"),
        ("/media/disk (1) (/dev/sdb1, vfat)", "/media/disk (1)"),
        ("/mnt/nas (//nas/old (cold), cifs)", "/mnt/nas"),
        ("/mnt/nas (a) (//nas/old (cold), cifs)", "/mnt/nas (a)"),
        ("/mnt/with space (nas:/export, nfs4)", "/mnt/with space"),
        ("/var", "/var"),
    ],
)
def test_a_volume_is_asked_for_by_its_mount_point(subject: str, mount: str) -> None:
    assert its_volume(subject) == {"mount": mount}


def test_what_is_no_mount_point_is_looked_for_among_all_volumes() -> None:
    assert its_volume("the disk") == {}


@pytest.mark.parametrize(
    ("subject", "head"),
    [
        ("plain", "plain"),
        ("a (b)", "a"),
        ("a (b (c) d)", "a"),
        ("a(b)", "a(b)"),
        ("a) (b)", "a)"),
        ("a b))", "a b))"),
        ("(b)", "(b)"),
    ],
)
def test_the_name_before_a_bracket_is_found_whatever_it_holds(subject: str, head: str) -> None:
    assert head_of(subject) == head


@pytest.mark.parametrize("hours", [24, 48])
@pytest.mark.parametrize("limit", [90, 92.5, 5e9, -1.0])
def test_a_trend_is_looked_at_again_with_the_same_window_and_level(
    hours: int, limit: float
) -> None:
    told = samples.answer("trend").model_copy(update={"hours": hours, "limit": limit})
    for rule in rulebook():
        for reading in rule.readings(told) if rule.tool == "trend" else ():
            (_, given) = asked_again(rule.metric, reading.subject)[0]
            assert given["metric"] == "disk.used_percent"
            assert given["subject"] == "/mnt/a to 5 (/dev/sdb1, ext4)"
            assert given["hours"] == hours
            assert given["limit"] == (limit if rule.name == "trend-reaches" else None)


@pytest.mark.parametrize(
    ("subject", "given"),
    [
        ("10.0.0.1 asking for .", {"name": ".", "server": "10.0.0.1"}),
        ("[::1]:53 asking for a.b", {"name": "a.b", "server": "[::1]:53"}),
        ("::1 asking for a.b MX", {"name": "a.b", "server": "::1", "type": "MX"}),
        ("no resolver asking for .", {"name": "."}),
        ("10.0.0.1", None),
    ],
)
def test_a_resolver_is_asked_the_same_again(
    subject: str, given: dict[str, JsonScalar] | None
) -> None:
    assert that_resolver(subject) == given


def test_files_and_ports_of_the_same_metric_are_told_apart() -> None:
    assert that_file("/etc/a[1]*.pem (web (eu), in its chain)") == {"glob": "/etc/a[[]1][*].pem"}
    assert that_port("/etc/a.pem (web)") is None
    assert that_port("[::1]:443 (web (eu))") == {"target": "[::1]:443"}
    assert that_file("[::1]:443 (web)") is None


def test_a_disk_behind_a_controller_is_looked_for_among_all() -> None:
    assert its_own_word("/dev/nvme0 (ACME, S1)") == {"device": "/dev/nvme0"}
    assert its_own_word("/dev/bus/0 (ACME, S1)") == {}


def test_what_the_kernel_said_is_counted_over_the_same_time() -> None:
    assert same_window("sda") == {}
    assert same_window("sda, in 1440 min") == {"since_minutes": 1440}


def test_the_logs_of_the_operator_are_read_again_and_no_others() -> None:
    (rule,) = (rule for rule in rulebook() if rule.name == "kernel-io-errors")
    logs = tuple(f"/var/log/kern{number}.log" for number in range(10))
    given = rule.again("sda", Checks(logs=logs))
    assert given is not None
    assert given == {"logs": logs[:8]}
    toolbook().get(rule.tool).parse_arguments(given)


@pytest.mark.parametrize("named", [rule.name for rule in rulebook() if "logs" in rule.decisive])
def test_each_log_that_the_sweep_reads_is_read_again_as_it_was(named: str) -> None:
    (rule,) = (rule for rule in rulebook() if rule.name == named)
    checks = Checks(logs=tuple(f"/var/log/kern{number}.log" for number in range(10)))
    arguments = toolbook().get(rule.tool)
    for asked in ("/var/log/kern8.log", ["/var/log/kern9.log"], []):
        first = arguments.parse_arguments({"logs": asked}).model_dump(mode="json")
        given = rule.again("sda", checks, first)
        assert given is not None
        assert arguments.parse_arguments(given).model_dump(mode="json") == first


def test_a_log_that_the_operator_does_not_list_is_not_read_again() -> None:
    (rule,) = (rule for rule in rulebook() if rule.name == "kernel-io-errors")
    checks = Checks(logs=("/var/log/kern.log",))
    told = ["/var/log/told.log"]
    for asked in ([*checks.logs, *told], told, told[0], 7, None):
        assert rule.again("sda", checks, {"logs": asked}) == {"logs": checks.logs}


def test_one_kill_is_the_same_however_far_back_somebody_looked() -> None:
    (rule,) = (rule for rule in rulebook() if rule.name == "oom-kills")
    subjects = [reading.subject for reading in samples.readings(rule)]
    assert subjects == ["java (pid 7), in 1440 min", "java (pid 8)"]


# On this machine


async def seen(rule: Rule, given: Mapping[str, object]) -> tuple[Reading, ...]:
    """What a rule reads in a call's answer on this machine; nothing where there is none."""
    outcome = await toolbook().call(rule.tool, given, this_machine())
    return () if outcome.result is None else tuple(rule.readings(outcome.result))


async def second_calls(rule: Rule, given: Mapping[str, object]) -> int:
    """How many subjects of a rule a second call finds again: two at most, and each must be."""
    # Processes come and go; one that is sure to be here is looked at by itself.
    first = (await seen(rule, given))[: 0 if rule.name == "process-cpu" else 2]
    for reading in first:
        ((other, arguments), *_) = asked_again(rule.metric, reading.subject)
        again = [one.subject for one in await seen(other, arguments)]
        assert reading.subject in again, rule.name
    return len(first)


@pytest.fixture
def asked(tmp_path: Path) -> dict[str, dict[str, object]]:
    """Calls that answer on any machine, by the tool's name."""
    path = tmp_path / "a [b] (c).pem"
    path.write_bytes(pem(self_signed("shop (eu)", timedelta(days=9))[0]))
    return {
        **{tool: {} for tool in ("load", "memory", "swap", "pids", "fd_usage", "uptime")},
        **{tool: {} for tool in ("disk_usage", "inode_usage")},
        **{tool: {"window_seconds": 0.1} for tool in ("cpu", "top_processes", "disk_io")},
        "process": {"pid": os.getpid()},
        "file_age": {"glob": f"{tmp_path}/*.pem"},
        "cert_files": {"glob": f"{tmp_path}/*.pem"},
        "tcp_check": {"host": "127.0.0.1", "port": 9},
        "http_check": {"url": "http://127.0.0.1:9/(a)"},
        "tls_cert": {"target": "127.0.0.1:9"},
        "dns_check": {"server": "127.0.0.1:9", "name": "example.org", "type": "MX"},
    }


def test_a_second_call_reads_the_same_subject_on_this_machine(
    asked: dict[str, dict[str, object]],
) -> None:
    async def all_of_them() -> list[int]:
        rules = [rule for rule in rulebook() if rule.tool in asked]
        return await asyncio.gather(*(second_calls(rule, asked[rule.tool]) for rule in rules))

    assert sum(asyncio.run(all_of_them())) >= 15


# Tolerances


def test_only_words_and_counts_of_what_happened_have_no_tolerance() -> None:
    exact = {one.name for one in measures().values() if not one.slack(100.0)}
    counts = {"kernel.oom_kills", "kernel.ecc_uncorrectable", "kernel.io_errors", "gpu.xid_errors"}
    words = {one.name for one in measures().values() if one.states}
    assert exact == counts | words | {"updates.security", "ping.loss_percent"}


@pytest.mark.parametrize(
    ("metric", "value", "fresh", "holds"),
    [
        ("disk.used_percent", 90, 89.6, True),
        ("disk.used_percent", 90, 89.0, False),
        ("disk.used_percent", 90, 12.0, False),
        ("memory.used_percent", 90, 88.5, True),
        ("memory.used_percent", 90, 80.0, False),
        ("cpu.busy_percent", 95, 91.0, True),
        ("cpu.busy_percent", 95, 50.0, False),
        ("kernel.oom_kills", 1, 0, False),
        ("updates.security", 1, 0, False),
        ("file.age_seconds", 93_600, 3.0, False),
    ],
)
def test_a_second_measurement_may_miss_by_little(
    metric: str, value: float, fresh: float, holds: bool
) -> None:
    known = measure(metric)
    assert compares(fresh, known.comparator, value, known.slack(value)) is holds
