"""What a written claim is taken for: its place, its subject, its unit, its host, or a reason."""

from __future__ import annotations

import json
import random
import string
from typing import Any, get_args

import pytest

from swarm_tasks.brain.base import Answer, Unusable
from swarm_tasks.measures import measures
from swarm_tasks.models.base import JsonScalar
from swarm_tasks.models.evidence import Evidence
from swarm_tasks.models.finding import Claim, Finding, Verdict
from swarm_tasks.models.job import Specialist
from tests.support.thinking import CHARGE, TASK, gauge, step, transcript
from workers.answers import Reader
from workers.briefing import ELSEWHERE, system_text
from workers.claims import TO_BE_CHECKED_THERE
from workers.comparing import compares
from workers.rules.brain import RulesBrain
from workers.tools.book import rulebook, toolbook
from workers.tools.catalog.arrays import Array
from workers.tools.catalog.dns import DnsState
from workers.tools.catalog.file_age import FileAge
from workers.tools.catalog.probes import ConnectState
from workers.tools.catalog.services import State
from workers.tools.catalog.web import HttpState
from workers.units import number_of, precision_in
from workers.written import Place, written

GIB = 1024**3
NOTHING: dict[str, object] = {}


def evidence(call_id: str, tool: str, data: dict[str, Any]) -> Evidence:
    """What a tool of the catalog said."""
    return gauge(call_id, 0).model_copy(update={"tool": tool, "arguments": {}, "data": data})


def volume(mount: str, device: str, used_percent: float, free_bytes: int) -> dict[str, Any]:
    """A volume as `disk_usage` lists it."""
    return {
        **{"mount": mount, "device": device, "fstype": "ext4", "kind": "local"},
        **{"read_only": False, "total_bytes": 1000 * GIB, "used_bytes": 0},
        **{"free_bytes": free_bytes, "used_percent": used_percent},
    }


def unit(name: str) -> dict[str, Any]:
    """A unit as `failed_services` lists it."""
    return {"unit": name, "state": "failed", "description": "", "vendor": False}


DISKS = evidence(
    "alpha/gauges#1.1",
    "disk_usage",
    {
        "volumes": [
            volume("/", "/dev/sda1", 40.0, 600 * GIB),
            volume("/var", "/dev/sda2", 91.4, 15_032_385_536),
        ],
        "left_out": {},
    },
)
UNITS = evidence(
    "alpha/gauges#1.2",
    "failed_services",
    {"failed": [unit("nginx.service"), unit("getty@tty1.service")], "total": 2},
)
UPTIME = evidence(
    "alpha/gauges#1.3",
    "uptime",
    {"booted": "2026-01-01T00:00:00Z", "uptime_seconds": 5400.0, "container": None},
)
GATHERED = transcript(step(DISKS, UNITS, UPTIME))
USED, FREE = "disk.used_percent", "disk.free_bytes"
ON_VAR, ON_ROOT = "@c1/volumes/1/used_percent", "@c1/volumes/0/used_percent"
FREE_ON_VAR = "@c1/volumes/1/free_bytes"


def reader(*, lenient: bool = False) -> Reader:
    """What reads answers to that, by the rules of the catalog."""
    rules = RulesBrain(toolbook(), rulebook(), {})
    return Reader(rules, GATHERED, rules.review(GATHERED), lenient)


def answer(*claims: object, title: str = "Something is wrong", **more: Any) -> str:
    """An answer with one finding."""
    return json.dumps({"findings": [{"title": title, "claims": list(claims), **more}]})


def finding(*claims: object, **more: Any) -> Finding:
    """The finding that is made of these claims, which are sound in form."""
    found = reader().read(answer(*claims, **more), CHARGE)
    assert isinstance(found, Answer), found
    assert found.rejected == 0
    return found.findings[0]


def claimed(claim: object) -> Claim:
    """The one claim of a finding."""
    (found,) = finding(claim).claims
    return found


def refused(*claims: object, **more: Any) -> str:
    """Why an answer goes back; told again, it is taken, and no finding of it stands."""
    text = answer(*claims, **more)
    found = reader().read(text, CHARGE)
    assert isinstance(found, Unusable), found
    taken = reader(lenient=True).read(text, CHARGE)
    assert isinstance(taken, Answer)
    assert all(one.verdict is Verdict.UNSUPPORTED for one in taken.findings)
    assert taken.rejected + sum(len(one.claims) for one in taken.findings) == len(claims)
    return found.problem


@pytest.mark.parametrize(
    ("line", "subject", "value", "unit"),
    [
        (f"{USED} >= 90 {ON_VAR}", "", "90", ""),
        (f"{USED} of /var >= 90 {ON_VAR}", "/var", "90", ""),
        (f"{USED} of /var>=90%{ON_VAR}", "/var", "90", "%"),
        (f'{USED} of "/var" ≥ 90 % {ON_VAR}', "/var", "90", "%"),
        (f"{USED} of /var (/dev/sda2, ext4) >= 90 {ON_VAR}", "/var (/dev/sda2, ext4)", "90", ""),
        ("http.answer of https://a.b/?c=1 == timeout @c1/state", "https://a.b/?c=1", "timeout", ""),
        ("tcp.answer of [::1]:443 == refused @c1/state", "[::1]:443", "refused", ""),
        ("service.state of getty@tty1.service == failed @c2/a", "getty@tty1.service", "failed", ""),
        ("uptime.seconds <= 2 h @c3/uptime_seconds", "", "2", "h"),
    ],
)
def test_a_line_is_taken_apart_in_one_way(line: str, subject: str, value: str, unit: str) -> None:
    parts = written(line)
    assert (parts.subject, parts.value, parts.unit) == (subject, value, unit)
    assert len(parts.places) == 1


@pytest.mark.parametrize(
    "claim",
    [
        f"{USED} >= 90 {ON_VAR}",
        f"{USED} == 91.4 {ON_VAR}",
        f"{USED} == 91 {ON_VAR}",
        f"{USED} >= 0.9 ratio {ON_VAR}",
        f"{USED} of /var >= 90 {ON_VAR}",
        f"{USED} of the disk >= 90 {ON_VAR}",
        f"{USED} of sda2 >= 90 {ON_VAR}",
        f"alpha:{USED} of /var >= 90 {ON_VAR}",
        f"ALPHA:{USED} of /var >= 90 {ON_VAR}",
        f"{FREE} == 14 GiB {FREE_ON_VAR}",
        f"{FREE} == 15 GB {FREE_ON_VAR}",
        f"{FREE} == 15032385536 {FREE_ON_VAR}",
        f"{FREE} <= 20GB {FREE_ON_VAR}",
        f"{FREE} <= 15,100 MB {FREE_ON_VAR}",
        "service.state of nginx == failed @c2/failed/0/state",
        "service.state of getty@tty1.service == failed @c2/failed/1/state",
        'service.state == "failed" @c2/failed/0/state',
        "uptime.seconds == 90 min @c3/uptime_seconds",
        "uptime.seconds < 1 d @c3/uptime_seconds",
        "uptime.seconds == 1.5 h @c3/uptime_seconds",
        "uptime.seconds == 5400000 ms @c3/uptime_seconds",
        {"metric": USED, "value": 90, "evidence": [{"call": "c1", "pointer": ON_VAR[3:]}]},
        {
            **{"metric": USED, "host": "alpha", "subject": "/var", "comparator": "=="},
            **{"value": 91.4, "unit": "%"},
            "evidence": [
                {"call_id": DISKS.call_id, "json_pointer": ON_VAR[3:], "sha256": DISKS.sha256()}
            ],
        },
        {"metric": FREE, "comparator": "<=", "value": "15 GiB", "evidence": FREE_ON_VAR},
        {
            **{"metric": FREE, "comparator": "==", "value": "14GiB", "unit": "bytes"},
            "evidence": FREE_ON_VAR,
        },
        {
            **{"metric": "service.state", "comparator": "==", "value": "failed"},
            **{"call": "c2", "pointer": "/failed/0/state"},
        },
    ],
)
def test_an_honest_claim_is_borne_out_however_it_is_written(claim: object) -> None:
    found = claimed(claim)
    assert (found.verdict, found.reason) == (Verdict.UNVERIFIABLE, "")
    assert found.host == ""
    assert found.evidence[0].sha256


@pytest.mark.parametrize(
    "claim",
    [
        f"{USED} == 90 {ON_VAR}",
        f"{USED} == 92 {ON_VAR}",
        f"{USED} == 91.5 {ON_VAR}",
        f"{USED} >= 90 {ON_ROOT}",
        f"{USED} <= 90 {ON_VAR}",
        f"{USED} >= 92 {ON_VAR}",
        f"{FREE} == 14 GB {FREE_ON_VAR}",
        f"{FREE} == 15 GiB {FREE_ON_VAR}",
        f"{FREE} <= 15032385 kB @c1/volumes/0/free_bytes",
        f"{FREE} == 15032385536 KiB {FREE_ON_VAR}",
        "uptime.seconds == 90 h @c3/uptime_seconds",
        "service.state != failed @c2/failed/0/state",
    ],
)
def test_a_lie_is_caught_by_its_number_and_not_sent_back(claim: str) -> None:
    found = claimed(claim)
    assert (found.verdict, found.reason) == (Verdict.UNSUPPORTED, "the evidence does not say so")
    assert finding(claim).verdict is Verdict.UNSUPPORTED


@pytest.mark.parametrize(
    ("claim", "why"),
    [
        (f"{USED} of / >= 90 {ON_VAR}", "names /, and what stands there is of /var (/dev/sda2"),
        (f"{USED} of /srv >= 90 {ON_VAR}", "names /srv"),
        (f"{USED} of /dev/sda1 >= 90 {ON_VAR}", "names /dev/sda1"),
        ("service.state of sshd.service == failed @c2/failed/0/state", "names sshd.service"),
        (
            "service.state of nginx == failed @c2/failed/1/state",
            "names nginx, and what stands there is of getty@tty1.service",
        ),
        (f"{USED} >= 90 KB {ON_VAR}", "is in percent, not in KB"),
        (f"{USED} >= 90 bananas {ON_VAR}", "is in percent, not in bananas"),
        (f"{FREE} <= 20 gb {FREE_ON_VAR}", "gb may be bits: write GB for bytes"),
        (f"{FREE} <= 20 Gb {FREE_ON_VAR}", "Gb may be bits: write GB"),
        (f"{FREE} <= 20 gib {FREE_ON_VAR}", "gib may be bits: write GiB"),
        (f"{FREE} <= 20 G {FREE_ON_VAR}", "is in bytes, not in G"),
        (f"{FREE} <= 20 s {FREE_ON_VAR}", "is in bytes, not in s"),
        (f"{FREE} >= -1 {FREE_ON_VAR}", "is never negative"),
        (f"{FREE} <= 1e99 TB {FREE_ON_VAR}", "nothing measures so much"),
        (f"{FREE} <= 1e200 {FREE_ON_VAR}", "nothing measures so much"),
        ("uptime.seconds <= 5 m @c3/uptime_seconds", "is in seconds, not in m"),
        (f"{USED} <= 101 {ON_VAR}", "is from 0 to 100"),
        (f"{USED} >= -5 {ON_VAR}", "is from 0 to 100"),
        (f"{USED} >= NaN {ON_VAR}", "'NaN' is no percent"),
        (f"{USED} >= full {ON_VAR}", "'full' is no percent"),
        ("service.state == 3 @c2/failed/0/state", "'3' is no state"),
        ("service.state >= failed @c2/failed/0/state", "== or != and never >="),
        ("service.state == failed % @c2/failed/0/state", "is not `METRIC"),
        ("service.state == purple @c2/failed/0/state", "'purple' is no state that service.state"),
        ("service.state != ok @c2/failed/0/state", "it is failed, active, reloading"),
        ("web2:service.state of nginx == up", "it is failed, active, reloading"),
        ("web2:tcp.answer of db1:5432 != purple", "refused, timeout, unresolved, error, ok"),
        (f"disk.happiness >= 90 {ON_VAR}", "there is no metric disk.happiness"),
        (f"{USED} >= 90 @c1/volumes/1/mount/0", "leads nowhere at '0'"),
        (f"{USED} >= 90 @c1/volumes/1/mount", "does not stand at /volumes/1/mount"),
        (f"{USED} >= 90 @c1/volumes/1/free_bytes", "does not stand at /volumes/1/free_bytes"),
        (f"{USED} >= 90 @c1.volumes.1", "does not begin with /"),
        (f"{USED} >= 90 @c1#/volumes/1", "does not begin with /"),
        (f"{USED} of /var >= 90", "it names no evidence"),
        (f"localhost:{USED} of /var >= 90", "it names no evidence"),
        (f"web2:{USED} of /var >= 90 @c9/x", "c9 was never gathered"),
        (f"web2:{USED} >= 90", "does not say of what: write `web2:disk.used_percent of SUBJECT`"),
        (f"web2:disk.happiness of /var >= 90 {ON_VAR}", "there is no metric"),
        ("web2 is down", "is not `METRIC"),
        (f"{USED} <= 95 {ON_VAR} {USED} >= 90 {ON_VAR}", "is not `METRIC"),
        (f"{USED} of /var <= 95 {ON_VAR} and {USED} >= 90 {ON_VAR}", "is not `METRIC"),
        (f"{USED} of /var\n>= 95 or\n>= 90 {ON_VAR}", "is not `METRIC"),
        (f"{USED} >= \uff19\uff10 {ON_VAR}", "is not `METRIC"),
        (7, "a claim is text of the form"),
        (None, "a claim is text of the form"),
        ([NOTHING], "a claim is text of the form"),
        (NOTHING, "neither a number nor a word"),
        ({"metric": USED, "value": True}, "neither a number nor a word"),
        ({"metric": USED, "value": [90]}, "neither a number nor a word"),
        ({"metric": USED, "value": 10**150}, "beyond anything that can be measured"),
        ({"metric": USED, "value": 90}, "it names no evidence"),
        ({"metric": [USED], "value": 90}, "its metric is no text"),
        ({"metric": "x" * 101, "value": 90}, "its metric is no text"),
        ({"metric": USED, "value": 90, "comparator": "~"}, "'~' is no comparator"),
        ({"metric": USED, "value": 90, "host": "../x"}, "'../x' is no host's name"),
        ({"metric": USED, "value": 90, "evidence": [3]}, "not of the form @RESULT/POINTER"),
        ({"metric": USED, "value": 90, "evidence": [NOTHING]}, "its result was never gathered"),
        ({"metric": USED, "value": 90, "evidence": ["c1/x"] * 6}, "at most 5 are read"),
        (
            {"metric": USED, "value": 90, "evidence": [{"call": "c1", "pointer": "volumes/1"}]},
            "does not begin with /",
        ),
        (
            {"metric": USED, "value": 90, "evidence": [{"call": "c1", "sha256": "abc"}]},
            "'abc' is no SHA-256: that is 64 hexadecimal digits",
        ),
        (
            {
                **{"metric": USED, "value": 90},
                "evidence": [{"call": "c1", "pointer": ON_VAR[3:], "sha256": "0" * 64}],
            },
            "the digest is not that of the evidence",
        ),
        (
            {"metric": USED, "value": 30, "evidence": [ON_VAR, ON_ROOT]},
            "its evidence is of /var (/dev/sda2, ext4) and of / (/dev/sda1, ext4)",
        ),
    ],
)
def test_what_cannot_be_meant_is_told_once_and_carries_nothing(claim: object, why: str) -> None:
    assert why in refused(claim)


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 400])
def test_a_number_that_is_none_in_json_is_a_bad_claim_and_no_bad_answer(word: str) -> None:
    text = answer({"metric": USED, "value": "?", "evidence": [ON_VAR]}).replace('"?"', word)
    found = reader().read(text, CHARGE)
    assert isinstance(found, Unusable)
    assert "finding 1, claim 1" in found.problem
    taken = reader(lenient=True).read(text, CHARGE)
    assert isinstance(taken, Answer)
    assert taken.rejected == 1


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"subject": "/"}, "names /, and what"),
        ({"subject": "/dev/sda1"}, "names /dev/sda1"),
        ({"title": "Volume / is nearly full"}, "names /, and what"),
    ],
)
def test_a_finding_s_words_must_not_be_about_something_else(
    words: dict[str, str], why: str
) -> None:
    claim = f"{USED} >= 90 {ON_VAR}"
    assert why in refused(claim, **words)
    taken = reader(lenient=True).read(answer(claim, **words), CHARGE)
    assert isinstance(taken, Answer)
    (found,) = taken.findings
    assert why in found.claims[0].reason
    assert (found.verdict, taken.rejected) == (Verdict.UNSUPPORTED, 0)


def test_a_finding_may_name_all_that_it_claims_something_of() -> None:
    claims = (f"{USED} >= 90 {ON_VAR}", f"{USED} <= 50 {ON_ROOT}")
    found = finding(*claims, title="/var is full and / is not", subject="/ and /var")
    assert found.verdict is Verdict.UNVERIFIABLE
    assert found.subject == "/var (/dev/sda2, ext4)"


@pytest.mark.parametrize(
    ("claim", "host", "subject", "value"),
    [
        (f"web2:{USED} of /var >= 90", "web2", "/var", 90),
        (f"web2.example:{FREE} of /var <= 2 GiB", "web2.example", "/var", 2 * GIB),
        (f"web2:{USED} of /var >= 90 {ON_VAR}", "web2", "/var", 90),
        ("web2:cpu.busy_percent >= 90", "web2", "", 90),
        ("web2:cpu.busy_percent of Web2 >= 90", "web2", "", 90),
        ("web2: service.state of nginx.service == failed", "web2", "nginx.service", "failed"),
        (
            {"host": "web2", "metric": USED, "subject": "/var", "value": 90, "evidence": None},
            *("web2", "/var", 90),
        ),
    ],
)
def test_a_claim_about_another_host_waits_for_that_host(
    claim: object, host: str, subject: str, value: JsonScalar
) -> None:
    found = finding(claim, subject="somewhere else: /srv")
    (one,) = found.claims
    assert (one.host, one.subject, one.value) == (host, subject, value)
    assert (one.observed, one.observed_at, one.evidence) == (None, None, ())
    assert (one.verdict, one.reason) == (Verdict.UNVERIFIABLE, TO_BE_CHECKED_THERE)
    assert found.verdict is Verdict.UNVERIFIABLE
    assert found.subject == (f"{host}: {subject}" if subject else host)


def test_what_is_claimed_of_another_host_is_another_finding() -> None:
    own = finding(f"{USED} of /var >= 90 {ON_VAR}")
    marks = {finding(f"{host}:{USED} of {own.subject} >= 90").fingerprint for host in ("b", "c")}
    assert len(marks | {own.fingerprint}) == 3


def test_what_is_so_of_one_thing_does_not_stand_under_the_name_of_another() -> None:
    fault, well = f"{USED} >= 90 {ON_VAR}", "service.state == failed @c2/failed/0/state"
    assert "names nginx" in refused(fault, well, title="nginx has failed")
    assert "names /," in refused(fault, f"{USED} < 50 {ON_ROOT}", subject="/")
    assert "names /var" in refused(well, fault, title="/var is nearly full")
    for honest in ("/var is full, so nginx has failed", "The service has failed"):
        assert finding(well, fault, title=honest).verdict is Verdict.UNVERIFIABLE
    uptime = "uptime.seconds <= 2 h @c3/uptime_seconds"
    assert finding(uptime, well, title="nginx failed at boot").verdict is Verdict.UNVERIFIABLE


def test_a_finding_tells_which_model_said_it_and_how_grave_it_called_it() -> None:
    found = finding(f"{USED} >= 90 {ON_VAR}", severity="critical")
    assert (found.model, found.said_severity, found.severity) == ("scripted", "critical", "info")
    assert finding(f"{USED} >= 90 {ON_VAR}").said_severity is None


def test_ten_thousand_claims_are_counted_and_only_so_many_read() -> None:
    claim = f"{USED} >= 90 {ON_VAR}"
    for findings in (
        [{"title": "t", "claims": [claim] * 10_000}],
        [{"title": "t", "claims": [claim] * 10}] * 1_000,
        [{"title": "t", "claims": claim}] * 10_000,
    ):
        text = json.dumps({"findings": findings})
        told = reader().read(text, CHARGE)
        assert isinstance(told, Unusable)
        assert "20 claims of a finding and 100 in all are read" in told.problem
        taken = reader(lenient=True).read(text, CHARGE)
        assert isinstance(taken, Answer)
        read = sum(len(one.claims) for one in taken.findings)
        assert (taken.rejected + read, read <= 100) == (10_000, True)
        assert all(one.claims for one in taken.findings)


def test_a_finding_of_which_claims_were_not_read_does_not_stand() -> None:
    taken = reader(lenient=True).read(answer(*[f"{USED} >= 90 {ON_VAR}"] * 21), CHARGE)
    assert isinstance(taken, Answer)
    (found,) = taken.findings
    assert (found.verdict, len(found.claims)) == (Verdict.UNSUPPORTED, 20)
    assert {one.verdict for one in found.claims} == {Verdict.UNVERIFIABLE}


def test_a_claim_with_several_pieces_of_evidence_is_borne_out_by_all() -> None:
    later = evidence("later", "uptime", (UPTIME.data or {}) | {"uptime_seconds": 9000.0})
    rules = RulesBrain(toolbook(), rulebook(), {})
    seen = GATHERED.then(step(later))
    for seconds, verdict in ((10_000, Verdict.UNVERIFIABLE), (6_000, Verdict.UNSUPPORTED)):
        made = {
            **{"metric": "uptime.seconds", "comparator": "<=", "value": seconds},
            "evidence": ["@c3/uptime_seconds", "@c4/uptime_seconds"],
        }
        found = Reader(rules, seen, rules.review(seen)).read(answer(made), CHARGE)
        assert isinstance(found, Answer)
        assert found.findings[0].claims[0].verdict is verdict


def test_what_no_machine_measures_is_no_measurement() -> None:
    wild = evidence("wild", "uptime", (UPTIME.data or {}) | {"uptime_seconds": 1e200})
    rules = RulesBrain(toolbook(), rulebook(), {})
    seen = GATHERED.then(step(wild))
    text = answer("uptime.seconds >= 5 @c4/uptime_seconds")
    found = Reader(rules, seen, rules.review(GATHERED)).read(text, CHARGE)
    assert isinstance(found, Unusable)
    assert "is no measurement" in found.problem


def test_a_claim_is_counted_once_however_often_its_answer_goes_back() -> None:
    one = reader()
    text = answer(f"{USED} >= much @c9/x", f"{USED} >= 90 {ON_VAR}")
    for _ in range(3):
        one.read(text, CHARGE)
        assert (one.rejected, len(one.problems)) == (1, 1)
    one.lenient = True
    taken = one.read(text, CHARGE)
    assert isinstance(taken, Answer)
    assert (taken.rejected, len(taken.findings[0].claims)) == (1, 1)


def test_a_finding_without_words_is_left_out_and_its_claims_are_counted() -> None:
    text = answer(f"{USED} >= 90 {ON_VAR}", f"{USED} >= 80 {ON_VAR}", title="\u200b\x07\u202e")
    taken = reader(lenient=True).read(text, CHARGE)
    assert isinstance(taken, Answer)
    assert (taken.findings, taken.rejected) == ((), 2)


@pytest.mark.parametrize(
    ("metric", "said", "unit", "value"),
    [
        (FREE, "1", "GB", 10**9),
        (FREE, "1", "GiB", GIB),
        (FREE, "1", "MB", 10**6),
        (FREE, "1", "MiB", 1024**2),
        (FREE, "1", "kB", 1000),
        (FREE, "1", "KiB", 1024),
        (FREE, "1", "TB", 10**12),
        (FREE, "1", "B", 1),
        (FREE, "0.1", "GB", 10**8),
        ("uptime.seconds", "1500", "ms", 1.5),
        ("uptime.seconds", "2", "days", 172_800),
        ("ping.rtt_ms", "0.5", "s", 500),
        ("ping.rtt_ms", "250", "us", 0.25),
        ("load.per_core", "150", "percent", 1.5),
        (USED, "0.915", "ratio", 91.5),
        (USED, "90.0", "percent", 90.0),
        ("process.cpu_percent", "250", "%", 250),
        ("kernel.oom_kills", "1", "event", 1),
        ("tls.left_seconds", "-3", "d", -259_200),
    ],
)
def test_a_unit_is_converted_exactly(metric: str, said: str, unit: str, value: float) -> None:
    found = number_of(measures()[metric], said, unit)
    assert found == value
    assert isinstance(found, int) is isinstance(value, int)


WORDS: dict[str, object] = {
    "file.state": FileAge.model_fields["state"].annotation,
    "raid.state": Array.model_fields["state"].annotation,
    "service.state": State,
    "service.expected": State,
    "dns.answer": DnsState,
    "http.answer": HttpState,
    "tcp.answer": ConnectState,
    "tls.answer": ConnectState,
}


@pytest.mark.parametrize("name", WORDS)
def test_every_word_that_a_tool_can_say_is_one_that_its_metric_knows(name: str) -> None:
    kind, metric = WORDS[name], measures()[name]
    words = {str(word) for word in (State if kind is State else get_args(kind))}
    assert words == {*metric.states, *metric.well}
    assert not {*metric.states} & {*metric.well}


def test_every_metric_of_states_has_a_word_for_what_is_well() -> None:
    assert all(bool(one.states) is bool(one.well) for one in measures().values())


def test_a_word_that_was_seen_may_be_claimed_though_no_table_has_it() -> None:
    kept = {
        **{"id": "a", "name": "web", "image": "nginx:1", "state": "melting", "health": ""},
        **{"exit_code": None, "status": ""},
    }
    data = {"engine": "docker", "containers": [kept], "total": 1}
    seen = transcript(step(evidence("c", "containers", data)))
    rules = RulesBrain(toolbook(), rulebook(), {})
    text = answer("container.state == melting @c1/containers/0/state")
    found = Reader(rules, seen, rules.review(seen)).read(text, CHARGE)
    assert isinstance(found, Answer), found
    assert found.findings[0].claims[0].verdict is Verdict.UNVERIFIABLE


CLOCK = "time.offset_seconds"


@pytest.mark.parametrize(
    ("metric", "said", "unit", "observed", "same"),
    [
        (CLOCK, "0", "", 0.45, False),
        (CLOCK, "0", "s", 0.015, True),
        (CLOCK, "0", "s", 0.03, False),
        (CLOCK, "0.0", "", 0.03, False),
        (CLOCK, "0", "ms", 0.45, False),
        (CLOCK, "0", "ms", 0.0004, True),
        (CLOCK, "0", "ms", 0.002, False),
        (CLOCK, "0.00", "ms", 0.0004, False),
        (CLOCK, "500", "ms", 0.5004, True),
        (CLOCK, "500", "ms", 0.52, False),
        (CLOCK, "1000", "ms", 1.4, False),
        (CLOCK, "1000", "ms", 1.0, True),
        (CLOCK, "0.5", "s", 0.52, True),
        (CLOCK, "1", "s", 1.4, True),
        ("load.per_core", "100", "percent", 1.3, False),
        ("load.per_core", "0", "", 0.3, False),
        ("ping.loss_percent", "0", "%", 0.3, False),
        ("ping.loss_percent", "0", "%", 0, True),
        ("net.drops_percent", "0", "", 0.4, True),
        ("cpu.busy_percent", "0", "", 0.4, True),
        ("ping.rtt_ms", "0.5", "s", 500.4, True),
        ("ping.rtt_ms", "0.5", "s", 510, False),
        (FREE, "0", "", 0, True),
        ("uptime.seconds", "5400000", "ms", 5401, True),
    ],
)
def test_a_number_is_held_to_the_digits_that_are_written_in_its_own_unit(
    metric: str, said: str, unit: str, observed: float, same: bool
) -> None:
    value = number_of(measures()[metric], said, unit)
    within = precision_in(measures()[metric], said, unit)
    assert compares(observed, "==", value, precision=within) is same
    assert compares(observed, "!=", value, precision=within) is not same


@pytest.mark.parametrize(("said", "unit"), [("0", ""), ("0", "ms"), ("1000", "ms"), ("0", "s")])
def test_the_value_alone_tells_that_it_is_not_meant_to_half_a_unit(said: str, unit: str) -> None:
    value = number_of(measures()[CLOCK], said, unit)
    assert isinstance(value, float)
    travelled = Claim.model_validate_json(
        claimed("uptime.seconds < 1 d @c3/uptime_seconds")
        .model_copy(update={"value": value})
        .model_dump_json()
    )
    slack = measures()[CLOCK].slack(value)
    assert not compares(value + 0.45, "==", travelled.value, slack)
    assert compares(value + 0.02, "==", travelled.value, slack)


def test_a_claim_that_the_clock_is_right_is_held_against_what_it_shows() -> None:
    sync = {"synchronised": "yes", "server": "", "stratum": None, "said_by": "chronyd"}
    rules = RulesBrain(toolbook(), rulebook(), {})
    for seconds, verdict in ((0.45, Verdict.UNSUPPORTED), (0.004, Verdict.UNVERIFIABLE)):
        seen = transcript(step(evidence("c", "time_sync", sync | {"offset_seconds": seconds})))
        text = answer(f"{CLOCK} == 0 @c1/offset_seconds")
        found = Reader(rules, seen, rules.review(seen)).read(text, CHARGE)
        assert isinstance(found, Answer), found
        assert found.findings[0].claims[0].verdict is verdict


def test_only_who_looks_at_other_hosts_is_told_how_to_claim_something_of_one() -> None:
    near = TASK.specialist
    far = Specialist(name="far", title="Far", prompt="You look far.", tools=("ping", "gauge"))
    metrics = ("cpu.busy_percent",)
    assert ELSEWHERE not in system_text(near, metrics, explains=False)
    assert ELSEWHERE in system_text(far, metrics, explains=False)
    assert ELSEWHERE not in system_text(far, (), explains=False)


def test_places_are_read_with_and_without_their_sign() -> None:
    for text in ("c1/a/b", "@c1/a/b", " @ c1/a/b "):
        assert written({"value": 1, "evidence": text}).places == (Place("c1", "/a/b"),)


def test_no_text_and_no_object_makes_the_reader_fail() -> None:
    dice = random.Random(4)  # noqa: S311 - for tests
    lenient = reader(lenient=True)
    words = (
        *(USED, FREE, "service.state", " of ", "/var", " >= ", "==", "90", "1e99", "-", "NaN"),
        *(" GiB", "%", ON_VAR, "@c2", "web2:", '"', "\x00", "\ud800", *string.punctuation),
    )
    keys = ("metric", "host", "subject", "comparator", "value", "unit", "evidence", "call")
    values: tuple[object, ...] = (
        *words[:10],
        *(None, True, 1, -1.5, 10**99, NOTHING, [NOTHING], ["c1/x"], {"call": 1}, {"pointer": "x"}),
    )
    for _ in range(1_000):
        line = "".join(dice.choices(words, k=dice.randrange(12)))
        made = {key: dice.choice(values) for key in dice.sample(keys, dice.randrange(8))}
        found = lenient.read(answer(line, made, title=line or "t", subject=line), CHARGE)
        assert isinstance(found, Answer | Unusable)
        assert found.model_dump_json()
