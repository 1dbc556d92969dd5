"""Network: parsers on golden files, the tool on this machine, rules on typed answers."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import psutil
import pytest

from swarm_tasks.measures import measure
from swarm_tasks.models.evidence import EvidenceStatus
from swarm_tasks.models.finding import Severity
from tests.support.golden import assert_golden, inputs
from workers.rules.judge import grade
from workers.rules.network import drops, errors
from workers.tools.access import Machine, this_machine
from workers.tools.catalog import network
from workers.tools.catalog.network import Interfaces, Nic, gained, with_rates
from workers.tools.registry import Registry

REGISTRY = Registry(network.TOOLS)
NOW = 1_700_000_000.0


def nic(name: str = "eth0", **fields: int) -> Nic:
    kinds = ("bytes", "packets", "errors", "dropped")
    counters = {f"{way}_{kind}": 0 for way in ("rx", "tx") for kind in kinds}
    return Nic(
        name=name,
        state="up",
        loopback=False,
        mtu_bytes=1500,
        speed_mbit_per_second=None,
        addresses=(),
        **(counters | fields),
    )


@pytest.mark.parametrize("source", inputs("ip_addr"), ids=lambda path: path.stem)
def test_ip_addr_is_parsed(source: Path) -> None:
    assert_golden(network.parse_ip_addr(source.read_text()), source)


@pytest.mark.parametrize("source", inputs("ifconfig_status"), ids=lambda path: path.stem)
def test_ifconfig_status_is_parsed(source: Path) -> None:
    assert_golden(network.parse_ifconfig_status(source.read_text()), source)


@pytest.mark.parametrize("source", inputs("netstat_drops"), ids=lambda path: path.stem)
def test_netstat_drops_are_parsed(source: Path) -> None:
    assert_golden(network.parse_netstat_drops(source.read_text()), source)


@pytest.mark.parametrize("source", inputs("proc_routes"), ids=lambda path: path.stem)
def test_ipv4_routes_of_proc_are_parsed(source: Path) -> None:
    assert_golden(network.parse_proc_routes(source.read_text()), source)


@pytest.mark.parametrize("source", inputs("proc_ipv6_routes"), ids=lambda path: path.stem)
def test_ipv6_routes_of_proc_are_parsed(source: Path) -> None:
    assert_golden(network.parse_proc_ipv6_routes(source.read_text()), source)


@pytest.mark.parametrize("source", inputs("netstat_routes"), ids=lambda path: path.stem)
def test_macos_routes_are_parsed(source: Path) -> None:
    assert_golden(network.parse_netstat_routes(source.read_text()), source)


def test_the_interfaces_of_this_machine_are_those_that_psutil_knows() -> None:
    outcome = asyncio.run(REGISTRY.call("interfaces", {}, this_machine()))
    assert outcome.status is EvidenceStatus.OK, outcome.reason
    assert isinstance(outcome.result, Interfaces)
    assert {one.name for one in outcome.result.interfaces} == set(psutil.net_if_stats())
    assert outcome.source


def test_without_the_program_ip_psutil_tells_the_same() -> None:
    found = network.nics_from_psutil(
        psutil.net_if_stats(), psutil.net_if_addrs(), psutil.net_io_counters(pernic=True)
    )
    loopback = next(one for one in found if one.loopback)
    assert loopback.state == "up"
    assert "127.0.0.1/8" in loopback.addresses


def test_without_history_there_is_no_rate_and_no_reading() -> None:
    answer = Interfaces(interfaces=(with_rates(nic(rx_errors=900), [], [], [], NOW),))
    assert answer.interfaces[0].errors_10min is None
    assert not list(errors(answer))
    assert not list(drops(answer))


def test_a_sample_of_seconds_ago_is_too_young() -> None:
    assert gained([(NOW - 59, 0)], 100, NOW) is None
    assert gained([(NOW - 60, 0)], 100, NOW) == (100, 60)


def test_the_sample_nearest_to_ten_minutes_ago_is_taken() -> None:
    samples = [(NOW - 7200, 0.0), (NOW - 620, 10.0), (NOW - 120, 30.0)]
    assert gained(samples, 40, NOW) == (30, 620)


def test_a_counter_that_began_anew_gives_no_rate() -> None:
    assert gained([(NOW - 600, 500)], 3, NOW) is None


@pytest.mark.parametrize(
    ("age_seconds", "expected"),
    [(300, 12.0), (600, 12.0), (3600, 2.0)],
    ids=["a short window is not stretched", "ten minutes", "a long window is averaged"],
)
def test_errors_are_those_of_ten_minutes(age_seconds: int, expected: float) -> None:
    rated = with_rates(nic(rx_errors=20, tx_errors=2), [(NOW - age_seconds, 10)], [], [], NOW)
    assert rated.errors_10min == expected
    assert rated.window_seconds == age_seconds


def test_drops_are_a_share_of_all_packets_and_need_enough_of_them() -> None:
    before = [(NOW - 600, 0.0)]
    busy = nic(rx_packets=7000, tx_packets=2700, rx_dropped=250, tx_dropped=50)
    assert with_rates(busy, before, before, before, NOW).drops_percent == 3.0
    quiet = nic(rx_packets=20, rx_dropped=10)
    assert with_rates(quiet, before, before, before, NOW).drops_percent is None
    dead = nic(tx_dropped=1000)
    assert with_rates(dead, before, before, before, NOW).drops_percent == 100.0


class TenMinutesAgo:
    """Every counter stood at nothing ten minutes ago."""

    async def samples(self, metric: str, subject: str) -> list[tuple[float, float]]:
        return [(time.time() - 600, 0.0)]


def test_rates_come_from_the_machines_history_and_loopback_has_none() -> None:
    machine = Machine(platform=this_machine().platform, history=TenMinutesAgo())
    outcome = asyncio.run(REGISTRY.call("interfaces", {}, machine))
    assert isinstance(outcome.result, Interfaces)
    for one in outcome.result.interfaces:
        assert (one.errors_10min is None) == one.loopback


def test_samples_keep_totals_of_every_interface_but_loopback() -> None:
    answer = Interfaces(
        interfaces=(
            nic(rx_errors=1, tx_errors=2, rx_dropped=3, tx_dropped=4, rx_packets=5, tx_packets=6),
            nic("lo").model_copy(update={"loopback": True}),
        )
    )
    kept = [(one.metric, one.subject, one.value) for one in network.counter_samples(answer)]
    assert kept == [
        ("net.errors_total", "eth0", 3),
        ("net.drops_total", "eth0", 7),
        ("net.packets_total", "eth0", 11),
    ]


def test_errors_and_drops_past_their_levels_warn_and_name_the_interface() -> None:
    rates = {"window_seconds": 600.0, "errors_10min": 5.0, "drops_percent": 2.0}
    answer = Interfaces(interfaces=(nic(), nic("eth1").model_copy(update=rates)))
    (error,), (drop,) = list(errors(answer)), list(drops(answer))
    assert (error.subject, error.pointer) == ("eth1", "/interfaces/1/errors_10min")
    assert (drop.subject, drop.pointer) == ("eth1", "/interfaces/1/drops_percent")
    for reading, name in ((error, "net.errors"), (drop, "net.drops_percent")):
        crossed = grade(reading.value, measure(name), measure(name), None)
        assert crossed is not None
        assert crossed.severity is Severity.WARNING
        assert grade(0.0, measure(name), measure(name), None) is None
