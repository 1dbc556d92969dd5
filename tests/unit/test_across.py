"""What is seen by looking at all hosts at once: patterns, causes, outliers, the order to act in."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any, cast

import pytest

from orchestrator.across.actions import order_actions
from orchestrator.across.cause_table import CHAINS, SHARED
from orchestrator.across.causes import find_causes
from orchestrator.across.look import look_across
from orchestrator.across.outliers import find_outliers
from orchestrator.across.patterns import find_patterns
from orchestrator.across.scene import Scene
from orchestrator.across.subjects import SHAPES, comparable, is_own, machine_of
from swarm_tasks.measures import measures
from swarm_tasks.models.across import Cause
from swarm_tasks.models.base import JsonScalar
from swarm_tasks.models.finding import Finding, Severity
from tests.support.scenes import answer, part, scene, trouble
from workers.rules.storage import name_of

CRITICAL, WARNING, INFO = Severity.CRITICAL, Severity.WARNING, Severity.INFO
CPU = ("cpu.busy_percent", "all 8 cores")


class Volume:
    """What the rules name a volume by."""

    def __init__(self, mount: str, device: str, fstype: str) -> None:
        self.mount, self.device, self.fstype = mount, device, fstype


@pytest.mark.parametrize(
    ("metric", "one", "other", "same"),
    [
        ("disk.used_percent", "/var (/dev/sda2, ext4)", "/var (/dev/nvme0n1p3, xfs)", "/var"),
        ("disk.free_bytes", "/mnt/a (b) (/dev/sdb1, xfs)", "/mnt/a (b) (nfs:/b, nfs4)", None),
        ("disk.io_busy_percent", "sda", "nvme0n1", "a disk"),
        ("kernel.io_errors", "sda", "disks", "a disk"),
        ("disk.smart", "/dev/sda (ST4000, Z1A)", "/dev/sdb (ST4000, Z1B)", "ST4000"),
        ("disk.smart", "/dev/sda", "/dev/nvme0", "a disk"),
        ("raid.state", "md0 (mdraid raid1)", "md0 (mdraid raid5)", "md0"),
        ("cpu.busy_percent", "all 8 cores", "all 64 cores", "all cores"),
        ("load.per_core", "15 min over 8 cores", "15 min over 2 cores", "15 min"),
        ("kernel.oom_kills", "java (pid 812)", "java (pid 90122)", "java"),
        ("kernel.ecc_uncorrectable", "memory (DIMM_A1)", "memory", "memory"),
        ("gpu.xid_errors", "GPU 0000:01:00", "GPU 0000:c1:00", "a GPU"),
        ("gpu.thermal", "GPU 0000:01:00.0 (A100)", "GPU 0000:41:00.0 (A100)", "A100"),
        ("container.state", "web (nginx:1.27)", "web (nginx:1.26)", "web"),
        ("dns.answer", "10.0.0.53 asking for .", "10.0.0.53 asking for a.example", "10.0.0.53"),
        ("tls.left_seconds", "db:443 (*.example.org)", "db:443 (db.example.org)", "db:443"),
        ("net.errors", "eth0", "enp3s0f1", "an Ethernet interface"),
        ("net.drops_percent", "wlan0", "wlp2s0", "a wireless interface"),
        ("temperature.state", "coretemp Core 1", "coretemp Core 12", "coretemp Core"),
        ("service.state", "nginx.service", "nginx.service", "nginx.service"),
        ("memory.used_percent", "physical memory", "physical  memory", "physical memory"),
    ],
)
def test_what_differs_by_host_is_no_part_of_what_a_trouble_is_about(
    metric: str, one: str, other: str, same: str | None
) -> None:
    assert comparable(metric, one) == comparable(metric, other)
    assert same is None or comparable(metric, one) == same


@pytest.mark.parametrize(
    ("metric", "one", "other"),
    [
        ("disk.used_percent", "/var (/dev/sda2, ext4)", "/ (/dev/sda2, ext4)"),
        ("disk.smart", "/dev/sda (ST4000, Z1A)", "/dev/sda (WD40, Z1B)"),
        ("dns.answer", "10.0.0.53 asking for .", "10.0.0.54 asking for ."),
        ("net.errors", "eth0", "wg0"),
        ("service.state", "a@1.service", "a@2.service"),
        ("tls.left_seconds", "db:443 (a)", "db:443 (R11, in its chain)"),
        ("memory.used_percent", "physical memory", "container memory limit"),
    ],
)
def test_what_is_not_the_same_stays_apart(metric: str, one: str, other: str) -> None:
    assert comparable(metric, one) != comparable(metric, other)


def test_a_volume_is_known_as_the_rules_name_it() -> None:
    named = name_of(cast(Any, Volume("/srv", "/dev/mapper/vg-srv", "xfs")))
    assert comparable("disk.used_percent", named) == "/srv"


def test_a_host_s_own_name_is_no_difference() -> None:
    metric = "http.answer"
    one = comparable(metric, "http://web-1:8080/health", "web-1")
    assert one == comparable(metric, "http://web-2:8080/health", "web-2")
    assert comparable(metric, "http://web-1:8080/", "web") == "http://web-1:8080/"
    assert comparable(metric, "http://web-10/", "web-1") == "http://web-10/"
    # A unit that is called like its host is the same unit elsewhere.
    assert comparable("service.state", "mail.service", "mail") == "mail.service"


def test_the_table_of_subjects_speaks_of_metrics_that_are_there() -> None:
    assert {metric for metrics, _, _ in SHAPES for metric in metrics} <= {*measures()}


def test_nothing_is_left_empty_by_shaping() -> None:
    for metric in measures():
        for subject in (" (x)", "(pid 4)", "", "7", "a (b) (c)"):
            assert comparable(metric, subject) or not subject.strip()


@pytest.mark.parametrize(
    ("target", "machine", "own"),
    [
        ("db-1:5432", "db-1", False),
        ("https://DB-1.example.org:8443/a?b", "db-1.example.org", False),
        ("10.0.0.5", "10.0.0.5", False),
        ("[2001:db8::1]:53", "2001:db8::1", False),
        ("127.0.0.53", "127.0.0.53", True),
        ("[::1]:53", "::1", True),
        ("localhost:80", "localhost", True),
        ("http://(this host):80/", None, True),
        ("http://[broken", "", True),
    ],
)
def test_a_target_names_a_machine(target: str, machine: str | None, own: bool) -> None:
    assert machine is None or machine_of(target) == machine
    assert is_own(target) is own


def full(host: str, device: str = "/dev/sda2", used: float = 93.0, **more: Any) -> Finding:
    return trouble(host, "disk.used_percent", f"/var ({device}, ext4)", used, **more)


def test_the_same_trouble_on_several_hosts_is_one_pattern() -> None:
    findings = [full("c", "/dev/vda1"), full("a", severity=WARNING, title="Fuller"), full("b")]
    well = [part(host, {("disk.used_percent", "/var (/dev/vdb, xfs)"): 20.0}) for host in "abde"]
    (pattern,) = find_patterns(scene(findings, well))
    assert pattern.subject == "/var"
    assert (pattern.id, pattern.severity, pattern.hosts) == ("p1", CRITICAL, ("a", "b", "c"))
    assert pattern.title == "Trouble with disk"
    assert {*pattern.findings} == {"f1", "f2", "f3"}
    assert pattern.well == 2


def test_two_troubles_of_one_host_are_no_pattern() -> None:
    assert find_patterns(scene([trouble("a", "disk.smart", "/dev/sda", "failing")] * 2)) == ()
    apart = [full("a"), trouble("b", "disk.used_percent", "/ (/dev/sda1, ext4)", 95.0)]
    assert find_patterns(scene(apart)) == ()


def test_patterns_stand_gravest_and_widest_first() -> None:
    findings = [
        *(trouble(host, "service.state", "a.service", "failed", WARNING) for host in "abcd"),
        *(full(host) for host in "ab"),
        *(trouble(host, "service.state", "b.service", "failed") for host in "abc"),
    ]
    subjects = [one.subject for one in find_patterns(scene(findings))]
    assert subjects == ["b.service", "/var", "a.service"]


def busy(values: dict[str, float], **more: Any) -> Scene:
    return scene((), [part(host, {CPU: value}) for host, value in values.items()], **more)


def outliers(seen: Scene) -> list[str]:
    return [one.host for one in find_outliers(seen.readings, seen.peers, seen.findings)]


def test_one_host_unlike_its_peers_is_an_outlier() -> None:
    seen = busy({"a": 10, "b": 12, "c": 11, "d": 9, "e": 13, "f": 64})
    (one,) = find_outliers(seen.readings, seen.peers, ())
    assert (one.id, one.host, one.value, one.median, one.spread) == ("o1", "f", 64, 11.5, 1.5)
    # 0.6745 × (64 - 11.5) / 1.5
    assert one.score == pytest.approx(23.6, abs=0.05)
    assert (one.peers, one.group, one.unit) == (6, "linux hosts without a role", "percent")


def test_a_spread_of_nothing_takes_the_mean_deviation() -> None:
    seen = busy({"a": 5, "b": 5, "c": 5, "d": 5, "e": 65})
    (one,) = find_outliers(seen.readings, seen.peers, ())
    # 60 / (1.253314 × 60 / 5)
    assert one.score == pytest.approx(4.0, abs=0.05)
    assert outliers(busy({"a": 5, "b": 5, "c": 5, "d": 65, "e": 65})) == []


def test_four_hosts_have_no_usual_value() -> None:
    assert outliers(busy({"a": 5, "b": 5, "c": 5, "d": 95})) == []


@pytest.mark.parametrize("value", [10**400, 1.7e308], ids=["integer", "float"])
def test_a_value_that_overflows_is_compared_with_nothing(value: float) -> None:
    seen = busy({"a": 10, "b": 12, "c": 11, "d": 9, "e": 13, "f": 64})
    readings = {place: {**by_host, "g": value} for place, by_host in seen.readings.items()}
    assert [one.host for one in find_outliers(readings, seen.peers, ())] == ["f"]


def test_noise_on_idle_hosts_is_no_outlier() -> None:
    chance = random.Random(7)  # noqa: S311 - the same every time
    for _ in range(50):
        idle = {f"h{number}": chance.expovariate(1.0) for number in range(40)}
        assert outliers(busy(idle)) == []


def test_only_the_bad_side_counts() -> None:
    assert outliers(busy({"a": 90, "b": 91, "c": 92, "d": 90, "e": 2})) == []
    left = ("tls.left_seconds", "db:443 (db)")
    day = 86_400.0
    for days, found in ((9.0, ["e"]), (400.0, []), (50.0, [])):
        hosts = [part(host, {left: 90 * day}) for host in "abcd"]
        assert outliers(scene((), [*hosts, part("e", {left: days * day})])) == found


def test_a_median_below_nothing_makes_no_outlier_of_what_is_better() -> None:
    left = ("tls.left_seconds", "db:443 (db)")
    hosts = [part(host, {left: -10.0 - place}) for place, host in enumerate("abcdef")]
    assert outliers(scene((), [*hosts, part("g", {left: -7.0})])) == []


def test_hosts_are_compared_with_those_of_their_role() -> None:
    values = {f"db{number}": 60.0 + number for number in range(6)}
    values |= {f"web{number}": 2.0 + number for number in range(6)}
    assert outliers(busy(values, roles={host: host[:-1] for host in values})) == []
    odd = busy({**values, "web5": 60.0}, roles={host: host[:-1] for host in values})
    (one,) = find_outliers(odd.readings, odd.peers, ())
    assert (one.host, one.group, one.peers) == ("web5", "hosts of role web", 6)


def test_a_host_with_several_disks_is_taken_by_the_worst() -> None:
    parts = [
        part(host, {("disk.io_busy_percent", "sda"): 2.0, ("disk.io_busy_percent", "sdb"): 3.0})
        for host in "abcde"
    ]
    parts.append(
        part("f", {("disk.io_busy_percent", "vda"): 70.0, ("disk.io_busy_percent", "vdb"): 1.0})
    )
    seen = scene((), parts)
    (one,) = find_outliers(seen.readings, seen.peers, ())
    assert (one.host, one.subject, one.value) == ("f", "a disk", 70.0)


def test_what_a_finding_says_is_not_said_again() -> None:
    values = {"a": 5.0, "b": 5.0, "c": 5.0, "d": 5.0, "e": 99.0}
    said = trouble("e", *CPU, 99.0)
    seen = scene([said], [part(host, {CPU: value}) for host, value in values.items()])
    assert outliers(seen) == []


def test_words_and_unknown_metrics_are_never_outliers() -> None:
    values: list[JsonScalar] = ["ok", "ok", "ok", "ok", "timeout"]
    parts = [
        part(host, {("dns.answer", "10.0.0.53 asking for ."): word, ("made.up", "x"): place * 1e9})
        for place, (host, word) in enumerate(zip("abcde", values, strict=True))
    ]
    assert outliers(scene((), parts)) == []


def causes(seen: Scene) -> dict[str, Cause]:
    return {one.kind: one for one in find_causes(seen)}


def unresolved(host: str, server: str = "10.0.0.53") -> Finding:
    return trouble(host, "dns.answer", f"{server} asking for .", "timeout", WARNING)


def test_a_resolver_that_fails_everybody_is_likely_the_cause() -> None:
    findings = [
        *(unresolved(host) for host in "abc"),
        trouble("a", "http.answer", "https://api.example.org/", "unresolved"),
        trouble("b", "tcp.answer", "db:5432", "refused"),
    ]
    found = causes(scene(findings))["resolver"]
    assert found.title == "Likely the resolver 10.0.0.53 itself, or the way to it"
    assert found.why == "3 hosts say so, and no host that looked says otherwise"
    assert found.hosts == ("a", "b", "c")
    assert len(found.findings) == 3
    # The gravest is what it may explain, and so it is what the cause weighs.
    assert (found.severity, found.symptoms) == (CRITICAL, ("f1",))


def test_a_resolver_that_serves_most_others_is_not() -> None:
    fine = [part(host, {("dns.answer", "10.0.0.53 asking for ."): "ok"}) for host in "defgh"]
    assert causes(scene([unresolved("a"), unresolved("b")], fine)) == {}
    said = causes(scene([unresolved(host) for host in "abcij"], fine))["resolver"].why
    assert said == "5 of the 10 hosts that looked say so"


def test_a_resolver_on_the_host_itself_is_each_host_s_own() -> None:
    own = [unresolved(host, "127.0.0.53") for host in "abc"]
    assert causes(scene(own)) == {}
    nobody = [unresolved(host, "no resolver") for host in "abc"]
    assert causes(scene(nobody)) == {}


def test_an_address_that_nobody_reaches_is_likely_the_cause() -> None:
    findings = [
        trouble("a", "tcp.answer", "db.example.org:5432", "timeout"),
        trouble("b", "http.answer", "http://db.example.org:8080/", "refused"),
        trouble("c", "ping.loss_percent", "db.example.org", 100.0),
    ]
    assert causes(scene(findings))["target"].title.startswith("Likely db.example.org itself")
    names = [
        trouble(host, "tcp.answer", "db.example.org:5432", "unresolved") for host in ("a", "b")
    ]
    assert causes(scene(names))["name"].title == (
        "Likely the name db.example.org, which does not resolve"
    )


def test_a_target_of_the_fleet_that_is_dark_or_ill_is_likely_the_cause() -> None:
    refused = [trouble(host, "tcp.answer", "db-1:5432", "refused") for host in ("web-1", "web-2")]
    dark = causes(scene(refused, dark=["db-1"]))["peer"]
    assert dark.title == "Likely db-1 itself, which is dark"
    assert dark.hosts == ("db-1", "web-1", "web-2")
    assert dark.findings == ("f1", "f2")
    failed = trouble("db-1", "service.state", "postgresql.service", "failed")
    ill = causes(scene([*refused, failed]))["peer"]
    assert (ill.findings, ill.symptoms) == (("f1",), ("f2", "f3"))
    assert "target" not in causes(scene(refused, dark=["db-1"]))


def test_a_unit_that_failed_on_every_host_of_a_role_has_likely_one_cause() -> None:
    failed = [trouble(host, "service.state", "shop.service", "failed") for host in ("web1", "web2")]
    roles = {"web1": "web", "web2": "web", "web3": "web", "db1": "db"}
    every = causes(scene(failed, roles=roles, more_hosts=["db1"]))["service"]
    assert every.why == "it is so on all 2 hosts of role web"
    assert causes(scene(failed, roles=roles, more_hosts=["web3"])) == {}
    assert causes(scene(failed[:1], roles=roles)) == {}


def test_clocks_that_drift_by_one_source_have_likely_that_cause() -> None:
    off = [trouble(host, "time.offset_seconds", "clock", 0.7) for host in "ab"]
    parts = [
        part(host, evidence=[answer(host, "time.offset_seconds", {"server": "10.0.0.1"})])
        for host in "ab"
    ]
    assert causes(scene(off, parts))["time"].title == (
        "Likely the time source 10.0.0.1, or the way to it"
    )


def updates(host: str, *names: object) -> Any:
    rows = [{"package": name, "security": True} for name in names]
    return part(host, evidence=[answer(host, "updates.security", {"packages": rows})])


def test_the_same_missing_update_is_named() -> None:
    missing = [trouble(host, "updates.security", "packages (apt)", 2) for host in "ab"]
    found = causes(scene(missing, [updates("a", "curl", "openssl"), updates("b", "openssl")]))
    assert found["updates"].why == "2 hosts lack the same: openssl"
    assert causes(scene(missing, [updates("a", "curl"), updates("b", "openssl")])) == {}


@pytest.mark.parametrize("rows", [None, "x", 3, {"a": 1}, [None, 4, {"security": True}, []]])
def test_evidence_of_any_form_is_survived(rows: object) -> None:
    missing = [trouble(host, "updates.security", "packages (apt)", 2) for host in "ab"]
    parts = [
        part(host, evidence=[answer(host, "updates.security", {"packages": rows})]) for host in "ab"
    ]
    assert causes(scene(missing, parts)) == {}


def test_one_certificate_one_program_and_one_make_are_seen() -> None:
    findings = [
        *(trouble(host, "tls.left_seconds", f"{host}:443 (*.example.org)", 9.0) for host in "ab"),
        *(trouble(host, "kernel.oom_kills", f"java (pid {ord(host)})", 1) for host in "ab"),
        *(trouble(host, "disk.smart", f"/dev/sda (ST4000, {host})", "failing") for host in "ab"),
    ]
    found = causes(scene(findings))
    assert "for *.example.org" in found["certificate"].title
    assert found["program"].title.startswith("Likely java itself")
    assert found["make"].title == "Likely one make of disk: ST4000"


NO_SPACE = {"lines": ["write failed: No space left on device"]}


def on_one_host(log: dict[str, Any]) -> Scene:
    failed = trouble(
        "a", "service.state", "pg.service", "failed", specialist="services", related=("log",)
    )
    return scene([full("a"), failed], [part("a", evidence=[answer("a", "", log, "log")])])


def test_a_service_whose_log_says_no_space_is_led_back_to_the_full_volume() -> None:
    found = causes(on_one_host(NO_SPACE))["space"]
    assert found.title == "Likely for want of space on /var"
    assert (found.findings, found.symptoms) == (("f1",), ("f2",))
    assert causes(on_one_host({"lines": ["permission denied"]})) == {}


def test_the_same_chain_on_several_hosts_is_one_cause() -> None:
    findings = [
        *(trouble(host, "disk.smart", "/dev/sda", "failing") for host in "ab"),
        *(trouble(host, "raid.state", f"md{host} (mdraid raid1)", "degraded") for host in "ab"),
    ]
    (found,) = find_causes(scene(findings))
    assert (found.kind, found.hosts) == ("disk", ("a", "b"))
    assert (len(found.findings), len(found.symptoms)) == (2, 2)


def test_every_cause_says_likely_and_names_findings_that_are_there() -> None:
    findings = [
        *(unresolved(host) for host in "abc"),
        *(full(host) for host in "ab"),
        *(trouble(host, "disk.io_busy_percent", "sda", 99.0, WARNING) for host in "ac"),
        *(trouble(host, "cpu.iowait_percent", "all 4 cores", 60.0, WARNING) for host in "ac"),
        *(trouble(host, "net.errors", "eth0", 900, WARNING) for host in "bc"),
        *(trouble(host, "ping.loss_percent", "10.9.9.9", 40.0) for host in "bc"),
        *(trouble(host, "time.synchronised", "clock", "no", WARNING) for host in "ab"),
    ]
    seen = look_across(scene(findings))
    known = {f"f{number}" for number in range(1, len(findings) + 1)}
    assert len(seen.causes) >= 4
    for cause in seen.causes:
        assert cause.title.startswith("Likely ")
        assert {*cause.findings, *cause.symptoms} <= known
        assert not {*cause.findings} & {*cause.symptoms}
        assert "{" not in f"{cause.title}{cause.why}{cause.advice}"
    assert [one.id for one in seen.causes] == [f"c{n}" for n in range(1, len(seen.causes) + 1)]


def made_up_cause(number: int, **more: Any) -> Cause:
    return Cause(
        id=f"c{number}",
        kind="made up",
        title="Likely",
        why="so",
        advice="Do.",
        severity=CRITICAL,
        hosts=("a",),
        **more,
    )


def steps(seen: Scene) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.what, one.hosts) for one in look_across(seen).actions]


def test_the_gravest_and_widest_come_first_and_notes_are_no_steps() -> None:
    findings = [
        trouble("a", "memory.used_percent", "physical memory", 99.0),
        *(trouble(host, "reboot.required", "host", "yes", WARNING) for host in "abc"),
        *(full(host, advice="Free space. (seen on this host)") for host in "bc"),
        trouble("c", "uptime.seconds", "host", 30.0, INFO),
    ]
    assert steps(scene(findings, dark=["z"])) == [
        ("Free space.", ("b", "c")),
        ("Mend memory.used_percent.", ("a",)),
        ("Mend reboot.required.", ("a", "b", "c")),
        ("See whether the machine is up, and start its worker again.", ("z",)),
    ]


def test_a_cause_comes_before_what_it_may_explain() -> None:
    first, second = look_across(on_one_host(NO_SPACE)).actions
    assert (first.cause, first.findings, first.after) == ("c1", ("f1",), ())
    assert (second.cause, second.findings, second.after) == ("", ("f2",), (1,))


def test_even_where_its_symptom_is_wider() -> None:
    wide = [trouble(host, "http.answer", "https://api.example.org/", "timeout") for host in "abcd"]
    seen = scene([*wide, full("a")])
    cause = made_up_cause(1, findings=("f1",), symptoms=("f2",))
    first, second = order_actions(seen.findings, find_patterns(seen), (cause,), ())
    assert (first.cause, first.hosts) == ("c1", ("a",))
    assert (second.pattern, second.hosts, second.after) == ("p1", ("a", "b", "c", "d"), (1,))


def test_every_finding_but_notes_is_settled_by_exactly_one_step() -> None:
    chance = random.Random(11)  # noqa: S311 - the same every time
    kinds: list[tuple[str, str, JsonScalar]] = [
        ("disk.used_percent", "/var (/dev/sda2, ext4)", 95.0),
        ("service.state", "a.service", "failed"),
        ("dns.answer", "10.0.0.53 asking for .", "timeout"),
        ("http.answer", "http://h1:80/", "unresolved"),
        ("tcp.answer", "h2:5432", "timeout"),
        ("disk.io_busy_percent", "sda", 99.0),
        ("cpu.iowait_percent", "all 2 cores", 60.0),
        ("raid.state", "md0 (mdraid raid1)", "degraded"),
        ("disk.smart", "/dev/sda (ST4000, A)", "failing"),
    ]
    for _ in range(60):
        findings = [
            trouble(host, *kind, chance.choice([CRITICAL, WARNING, INFO]))
            for host in ("h1", "h2", "h3", "h4")
            for kind in kinds
            if chance.random() < 0.4
        ]
        seen = scene(findings, dark=["h5"])
        across = look_across(seen)
        settled = [one for step in across.actions for one in step.findings]
        assert len(settled) == len({*settled})
        wanted = {one.id for one in seen.findings if one.severity is not INFO}
        assert wanted <= {*settled}
        assert [step.rank for step in across.actions] == list(range(1, len(across.actions) + 1))
        assert all(after < step.rank for step in across.actions for after in step.after)
        # The same again, however the findings are ordered within a severity.
        assert look_across(seen) == across


def test_two_causes_that_explain_each_other_end() -> None:
    one, other = full("a"), trouble("b", "service.state", "a.service", "failed")
    seen = scene([one, other])
    pair = [
        made_up_cause(number, findings=(f"f{number}",), symptoms=(f"f{3 - number}",))
        for number in (1, 2)
    ]
    actions = order_actions(seen.findings, (), pair, ())
    assert sorted(one.cause for one in actions) == ["c1", "c2"]


def test_every_kind_of_cause_is_in_the_document() -> None:
    text = (Path(__file__).parents[2] / "docs" / "across-hosts.md").read_text(encoding="utf-8")
    kinds = {rule.kind for rule in (*SHARED, *CHAINS)} | {"peer"}
    assert {kind for kind in kinds if f"`{kind}`" not in text} == set()


def test_titles_and_reasons_hold_no_measured_number() -> None:
    for step in look_across(on_one_host(NO_SPACE)).actions:
        assert not re.search(r"\d", step.why)
