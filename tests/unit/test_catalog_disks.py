"""Disks: parsers on golden files, tools on this machine, rules on typed answers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from swarm_tasks.models.evidence import EvidenceStatus
from swarm_tasks.models.finding import Severity
from tests.support.golden import assert_golden, inputs
from tests.support.grading import graded, rule_called
from workers.rules.disks import RULES
from workers.tools.access import Machine, this_machine
from workers.tools.catalog import arrays, disks, smart
from workers.tools.catalog.arrays import Array, BtrfsVolume, Member, State
from workers.tools.catalog.disks import Counters, DiskIo, DisksIo
from workers.tools.catalog.raid import Arrays
from workers.tools.catalog.smart import SmartDisk, SmartHealth
from workers.tools.registry import Outcome, Registry

REGISTRY = Registry(disks.TOOLS)
PARSERS = {
    "diskstats": disks.parse_diskstats,
    "smart_scan": smart.parse_scan,
    "smart": smart.parse_smart,
    "mdstat": arrays.parse_mdstat,
    "zpool_status": arrays.parse_zpool_status,
    "btrfs_show": arrays.parse_btrfs_show,
    "btrfs_stats": arrays.parse_btrfs_stats,
    "apple_raid": arrays.parse_apple_raid,
}
GOLDEN = Path(__file__).parent.parent / "golden"


def call(tool: str, machine: Machine | None = None, **arguments: object) -> Outcome:
    return asyncio.run(REGISTRY.call(tool, arguments, machine or this_machine()))


@pytest.mark.parametrize(
    ("parser", "source"),
    [
        pytest.param(parser, source, id=f"{parser}-{source.stem}")
        for parser in PARSERS
        for source in inputs(parser)
    ],
)
def test_output_is_parsed(parser: str, source: Path) -> None:
    assert_golden(PARSERS[parser](source.read_text()), source)


@pytest.mark.parametrize("tool", ["smart_health", "raid_zfs"])
def test_it_answers_here_or_says_what_this_machine_lacks(tool: str) -> None:
    outcome = call(tool)
    if outcome.status is not EvidenceStatus.OK:
        assert outcome.status is EvidenceStatus.UNAVAILABLE, outcome.reason
        assert outcome.reason
        assert outcome.remedy


def test_disks_are_sampled_over_the_window() -> None:
    outcome = call("disk_io", window_seconds=0.1)
    if outcome.status is EvidenceStatus.UNAVAILABLE:
        assert outcome.reason
        return
    assert isinstance(outcome.result, DisksIo), outcome.reason
    assert outcome.result.window_seconds >= 0.1
    assert not any(disk.device.startswith(("loop", "ram", "zram")) for disk in outcome.result.disks)


def counters(**changed: int | None) -> Counters:
    none = Counters(
        reads=0, read_bytes=0, writes=0, write_bytes=0, wait_ms=0, busy_ms=0, queue_ms=0
    )
    return none.model_copy(update=changed)


def test_utilisation_and_queue_are_computed_as_iostat_does() -> None:
    after = counters(
        reads=300, read_bytes=4096, writes=100, wait_ms=6000, busy_ms=1500, queue_ms=24_000
    )
    seen = disks.io_between("sda", counters(), after, 2.0)
    assert seen.busy_percent == 75.0
    assert seen.queue == 12.0
    assert seen.latency_ms == 15.0
    assert seen.reads_per_second == 150.0
    assert seen.read_bytes_per_second == 2048.0


def test_a_disk_without_requests_has_no_latency() -> None:
    seen = disks.io_between("sda", counters(), counters(), 1.0)
    assert seen.latency_ms is None
    assert seen.busy_percent == 0.0


def test_what_macos_does_not_count_is_none_and_raises_nothing() -> None:
    silent = counters(busy_ms=None, queue_ms=None)
    seen = disks.io_between("disk0", silent, silent, 1.0)
    answer = DisksIo(window_seconds=1.0, disks=(seen,))
    assert graded(rule_called("disk-io-busy", RULES), answer) == {}
    assert graded(rule_called("disk-io-queue", RULES), answer) == {}


def block_devices(root: Path) -> Machine:
    """A machine with one disk, a partition, a loop device and an array."""
    row = "8 0 {} 10 0 80 5 20 0 160 9 0 12 14\n"
    (root / "proc").mkdir()
    (root / "proc/diskstats").write_text(
        "".join(row.format(name) for name in ("sda", "sda1", "loop0", "md0", "cciss/c0d0"))
    )
    for name in ("sda", "loop0", "md0", "cciss!c0d0"):
        (root / "sys/block" / name).mkdir(parents=True)
    for name in ("sda", "cciss!c0d0"):
        (root / "sys/block" / name / "device").mkdir()
    return Machine(platform="linux", root=root)


def test_only_whole_disks_are_shown_until_another_is_asked_for(tmp_path: Path) -> None:
    machine = block_devices(tmp_path)
    whole = call("disk_io", machine, window_seconds=0.1).result
    one = call("disk_io", machine, window_seconds=0.1, device="/dev/md0").result
    assert isinstance(whole, DisksIo)
    assert isinstance(one, DisksIo)
    assert [disk.device for disk in whole.disks] == ["cciss/c0d0", "sda"]
    assert [disk.device for disk in one.disks] == ["md0"]


def test_a_disk_that_is_not_there_is_a_failure_that_names_those_that_are(tmp_path: Path) -> None:
    outcome = call("disk_io", block_devices(tmp_path), device="sdz")
    assert outcome.status is EvidenceStatus.FAILED
    assert "sdz" in outcome.reason
    assert "sda" in outcome.remedy


def test_a_machine_without_disks_is_no_failure(tmp_path: Path) -> None:
    assert call("disk_io", Machine("linux", tmp_path)).status is EvidenceStatus.UNAVAILABLE


@pytest.mark.parametrize(
    "device", ["-d", "--help", "../etc/passwd", "/dev/../etc/passwd", "/etc/passwd", "a b", "/dev/"]
)
@pytest.mark.parametrize("tool", ["disk_io", "smart_health"])
def test_what_is_no_device_never_reaches_a_program(tool: str, device: str) -> None:
    outcome = call(tool, device=device)
    assert outcome.status is EvidenceStatus.FAILED
    assert not any(device in source for source in outcome.source)


def test_a_disk_that_cannot_be_asked_is_named_with_the_reason() -> None:
    outcome = call("smart_health", device="/dev/hostswarm-has-no-such-disk")
    assert outcome.status is EvidenceStatus.UNAVAILABLE
    assert outcome.reason
    assert outcome.remedy


def test_an_array_that_is_not_there_is_a_failure_or_cannot_be_told() -> None:
    outcome = call("raid_zfs", pool="hostswarm-has-no-such-pool")
    assert outcome.status in (EvidenceStatus.FAILED, EvidenceStatus.UNAVAILABLE)
    assert outcome.reason


def test_no_array_is_an_answer_and_says_where_was_looked(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/mdstat").write_text("Personalities : \nunused devices: <none>\n")
    answer = call("raid_zfs", Machine("linux", tmp_path)).result
    assert isinstance(answer, Arrays)
    assert not [array for array in answer.arrays if array.kind == "md"]
    assert "md" in answer.looked_for
    assert set(answer.looked_for) | set(answer.left_out) == {"md", "zfs", "btrfs"}


def test_one_array_can_be_asked_for(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    text = (GOLDEN / "mdstat/linux-documented-degraded.in").read_text()
    (tmp_path / "proc/mdstat").write_text(text)
    answer = call("raid_zfs", Machine("linux", tmp_path), pool="md1").result
    assert isinstance(answer, Arrays)
    assert [(array.name, array.state) for array in answer.arrays] == [("md1", "degraded")]


def btrfs(show: str, stats: str) -> Array:
    """A real volume with the counters of its devices."""
    (volume,) = arrays.parse_btrfs_show((GOLDEN / "btrfs_show" / f"{show}.in").read_text())
    text = (GOLDEN / "btrfs_stats" / f"{stats}.in").read_text()
    return arrays.btrfs_array(volume, arrays.parse_btrfs_stats(text))


@pytest.mark.parametrize(
    ("show", "stats", "state"),
    [
        ("linux-healthy", "linux-healthy", "ok"),
        ("linux-healthy", "linux-corruption", "errors"),
        ("linux-degraded", "linux-degraded", "degraded"),
    ],
)
def test_a_btrfs_is_as_whole_as_its_devices(show: str, stats: str, state: State) -> None:
    array = btrfs(show, stats)
    assert array.state == state
    assert len(array.members) == 2


def test_a_btrfs_whose_counters_cannot_be_read_has_none() -> None:
    array = arrays.btrfs_array(BtrfsVolume(name="data", devices={1: "/dev/sda"}), {})
    assert array.state == "ok"
    assert array.members[0].read_errors is None


def test_serial_number_and_model_tell_which_disk_to_pull() -> None:
    text = (GOLDEN / "smart/linux-documented-ata-failing.in").read_text()
    answer = SmartHealth(disks=(smart.parse_smart(text),))
    rule = rule_called("disk-smart", RULES)
    assert graded(rule, answer) == {"/dev/sda (WDC WD80EFAX-68KNBN0, VAG0EXMPL)": Severity.CRITICAL}
    (reading,) = rule.readings(answer)
    assert reading.key == "/dev/sda"


@pytest.mark.parametrize("health", ["asleep", "unknown"])
def test_a_disk_that_does_not_answer_raises_nothing(health: smart.Health) -> None:
    answer = SmartHealth(disks=(SmartDisk(device="/dev/sda", health=health),))
    assert graded(rule_called("disk-smart", RULES), answer) == {}


CRITICAL, WARNING = Severity.CRITICAL, Severity.WARNING


@pytest.mark.parametrize(
    ("state", "severity"),
    [
        ("ok", None),
        ("errors", WARNING),
        ("degraded", CRITICAL),
        ("faulted", CRITICAL),
        ("failed", CRITICAL),
        ("offline", CRITICAL),
        ("unavail", CRITICAL),
    ],
)
def test_arrays_are_graded(state: State, severity: Severity | None) -> None:
    array = Array(
        name="md0",
        kind="md",
        level="raid1",
        state=state,
        detail="active [2/1] [U_]",
        members=(Member(device="sda1", state="active"), Member(device="sdb1", state="faulty")),
    )
    answer = Arrays(arrays=(array,), looked_for=("md",), left_out={})
    rule = rule_called("raid-state", RULES)
    assert graded(rule, answer) == {"md0 (md raid1)": severity}
    (reading,) = rule.readings(answer)
    assert "sdb1 faulty" in reading.detail
    assert "sda1" not in reading.detail


@pytest.mark.parametrize(
    ("busy", "queue", "severities"),
    [
        (50.0, 1.0, (None, None)),
        (99.0, 1.0, (WARNING, None)),
        (100.0, 32.0, (WARNING, WARNING)),
    ],
)
def test_a_busy_disk_is_graded(
    busy: float, queue: float, severities: tuple[Severity | None, Severity | None]
) -> None:
    disk = DiskIo(
        device="sda",
        busy_percent=busy,
        queue=queue,
        latency_ms=8.0,
        reads_per_second=0,
        writes_per_second=0,
        read_bytes_per_second=0,
        write_bytes_per_second=0,
    )
    answer = DisksIo(window_seconds=1.0, disks=(disk,))
    assert graded(rule_called("disk-io-busy", RULES), answer) == {"sda": severities[0]}
    assert graded(rule_called("disk-io-queue", RULES), answer) == {"sda": severities[1]}
