"""What is made of a look from outside: where to look, what it comes to, how it is told."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from orchestrator.render import outside as told
from orchestrator.render.console import print_report
from orchestrator.render.html import render_html
from orchestrator.synthesis import Circumstances, synthesize
from swarm_tasks.addresses import machine_address
from swarm_tasks.models.finding import Severity
from swarm_tasks.models.host import MOST_ADDRESSES, MOST_PORTS, HostFacts, OpenPort
from swarm_tasks.models.job import Job
from swarm_tasks.models.outside import (
    Echo,
    LastAudit,
    OutsideView,
    Seen,
    dark_reason,
    seen_text,
)
from swarm_tasks.models.report import HostReport, HostStatus, StopReason
from swarm_tasks.store.last_audits import noted
from tests.support import reports
from tests.support.hosts import view as host_view
from workers.facts import announced, open_ports
from workers.outside import Way, way_to
from workers.tools.catalog.sockets import ListeningPorts, listener

AT = datetime(2026, 3, 2, 9, 14, tzinfo=UTC)


def facts(host: str, **more: Any) -> HostFacts:
    known = host_view(host).facts
    assert known is not None
    return HostFacts.model_validate({**known.model_dump(), **more})


def view(*ports: tuple[int, str], **more: Any) -> OutsideView:
    given: dict[str, Any] = {"host": "db1", "seen_by": "web2", "at": AT, "address": "192.0.2.7"}
    seen = [{"number": number, "state": state} for number, state in ports]
    return OutsideView.model_validate({**given, "ports": seen, **more})


ANSWERS, SILENT = Echo(state="answers", milliseconds=0.4), Echo(state="silent")
NO_PING = Echo(state="unknown", reason="ping is not installed")


@pytest.mark.parametrize(
    "address",
    ["10.1.2.3", "192.168.1.9", "100.64.0.7", "203.0.113.5", "fd12::5", "2001:db8::5"],
)
def test_an_address_of_a_machine_may_be_tried(address: str) -> None:
    assert machine_address(address) == address


def test_an_address_has_one_form() -> None:
    assert machine_address("FD12:0:0::0005") == "fd12::5"


@pytest.mark.parametrize(
    "address",
    [
        *("", "localhost", "db1.example.org", "10.1.2.3/24", "10.1.2.3:22", "-c5", "2130706433"),
        *("127.0.0.1", "127.1", "0x7f000001", "0177.0.0.1", "::1", "0.0.0.0", "0.1.2.3", "::"),
        *("169.254.169.254", "169.254.1.1", "fe80::1", "fe80::1%eth0", "fd12::5%eth0"),
        *("224.0.0.1", "239.1.1.1", "ff02::1", "255.255.255.255", "240.0.0.1"),
        # Other ways to write the loopback address.
        *("::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "fec0::1"),
        # Services of clouds, for the machine that asks.
        *("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"),
    ],
)
def test_what_is_no_machine_s_address_is_never_tried(address: str) -> None:
    assert machine_address(address) == ""


def test_a_host_that_announces_what_it_should_not_keeps_the_rest_and_is_bounded() -> None:
    many = [f"10.0.0.{number}" for number in range(1, 100)]
    ports = [{"number": number} for number in range(1, 100)]
    said = facts("db1", addresses=["127.0.0.1", "10.0.0.1", "db1.evil", *many], ports=ports)
    assert said.addresses == tuple(many[:MOST_ADDRESSES])
    assert len(said.ports) == MOST_PORTS


def test_addresses_on_the_way_out_come_first_and_those_of_guests_not_at_all() -> None:
    found = [
        *(("lo", "127.0.0.1"), ("docker0", "172.17.0.1"), ("eth1", "fd12::5")),
        *(("eth1", "10.2.0.5"), ("eth1", "fe80::1%eth1"), ("eth0", "10.1.0.5")),
    ]
    assert announced(found, ("10.1.0.5",)) == ("10.1.0.5", "10.2.0.5", "fd12::5")
    # Where a bridge is what leads outside, it is no guests' affair.
    assert announced([("bridge0", "10.1.0.5")], ("10.1.0.5",)) == ("10.1.0.5",)


def test_only_tcp_ports_that_others_can_reach_are_announced() -> None:
    listening = ListeningPorts(
        listeners=(
            listener("tcp", "0.0.0.0", 22, 7, "sshd"),
            listener("tcp", "::", 22, 7, "sshd"),
            listener("tcp", "10.1.0.5", 5432, 8, "postgres"),
            listener("tcp", "127.0.0.1", 6379, 9, "redis"),
            listener("tcp", "172.17.0.1", 5000, 9, "registry"),
            listener("udp", "0.0.0.0", 53, 9, "named"),
        ),
        total=6,
    )
    assert open_ports(listening, ("10.1.0.5",)) == (
        OpenPort(number=22, service="sshd"),
        OpenPort(number=5432, service="postgres"),
    )


def test_a_peer_never_takes_itself_for_the_host_that_is_dark() -> None:
    here = facts("web2", addresses=["10.0.2.15"])
    twin = facts("db1", addresses=["10.0.2.15", "10.1.0.5"])
    assert way_to(twin, here, ("10.0.2.15",)).addresses == ("10.1.0.5",)
    same = facts("db1", addresses=["10.0.2.15"])
    way = way_to(same, here, ("10.0.2.15",))
    assert (way.addresses, way.same_machine) == ((), False)
    assert "would find itself" in way.note
    # A clone has the same id, and an address of its own.
    clone = facts("db1", machine_id=here.machine_id, addresses=["10.0.2.15", "10.1.0.5"])
    assert not way_to(clone, here, ("10.0.2.15",)).same_machine


def test_a_host_on_the_peer_s_own_machine_is_found_at_their_addresses() -> None:
    here = facts("web2", addresses=["10.0.2.15"])
    beside = facts("web1", machine_id=here.machine_id, addresses=["10.0.2.15"])
    way = way_to(beside, here, ("10.0.2.15",))
    assert way == Way(("10.0.2.15",), True, "it runs on the same machine as web2")


def test_a_host_of_which_no_address_is_known_is_not_looked_for() -> None:
    here = facts("web2", addresses=["10.1.0.2"])
    assert way_to(None, here, ()) == Way(note="nothing that it said of itself is known")
    assert way_to(facts("db1"), here, ()) == Way(note="its worker announced no address")


@pytest.mark.parametrize(
    ("seen", "comes_to", "reason"),
    [
        (view(ping=ANSWERS), Seen.MACHINE, ", but the machine answers"),
        (view((22, "answers"), (80, "silent"), ping=SILENT), Seen.MACHINE, ", but the machine"),
        (view((22, "refused"), ping=NO_PING), Seen.MACHINE, ", but the machine answers"),
        (view((22, "silent"), ping=SILENT), Seen.NOTHING, ", and nothing answers from outside"),
        (view((22, "silent"), ping=NO_PING), Seen.NOTHING, ", and nothing answers"),
        (view(ping=SILENT), Seen.NOTHING, ", and nothing answers"),
        (view((22, "unknown"), ping=NO_PING), Seen.UNKNOWN, "; it could not be looked at"),
        (view(ping=NO_PING, address=""), Seen.UNKNOWN, "; it could not be looked at"),
    ],
)
def test_a_lost_worker_is_told_from_a_lost_machine(
    seen: OutsideView, comes_to: Seen, reason: str
) -> None:
    assert seen.seen is comes_to
    assert dark_reason(seen, known=True).startswith(f"its worker gives no sign of life{reason}")


def test_a_host_that_nobody_looked_at_is_dark_without_more() -> None:
    assert dark_reason(None, known=True) == "its worker gives no sign of life"
    assert dark_reason(None, known=False) == "its worker never came"


def test_a_view_is_told_on_one_line() -> None:
    seen = view(
        *((22, "answers"), (80, "answers"), (443, "refused"), (5432, "silent")),
        ping=ANSWERS,
        notes=("nothing more at fd12::5",),
    )
    assert seen_text(seen) == (
        "at 192.0.2.7, ping answers in 0.40 ms; 22/tcp, 80/tcp answer; 443/tcp refused; "
        "5432/tcp silent; nothing more at fd12::5"
    )
    many = view(*((number, "silent") for number in range(1, 8)), ping=NO_PING)
    assert seen_text(many) == (
        "at 192.0.2.7, ping not tried (ping is not installed); "
        "1/tcp, 2/tcp, 3/tcp, 4/tcp and 3 more silent"
    )
    unreachable = Echo(state="silent", reason="Destination Host Unreachable")
    assert seen_text(view(ping=unreachable)) == (
        "at 192.0.2.7, no answer to ping (Destination Host Unreachable)"
    )
    nowhere = view(address="", ping=NO_PING, notes=("its worker announced no address",))
    assert seen_text(nowhere) == "its worker announced no address"


def test_the_last_audit_is_told_with_who_looked() -> None:
    calm = LastAudit(job="k7m2q9xw4t", at=AT, specialists=("storage", "services"))
    assert told.audit_text(calm) == (
        "k7m2q9xw4t, 2026-03-02 09:14:00 UTC: no findings by storage, services"
    )
    grave = calm.model_copy(
        update={"findings": 2, "worst": Severity.CRITICAL, "titles": ("Full", "Slow")}
    )
    assert told.audit_text(grave).endswith("2 findings, the gravest is critical: Full; Slow")


def test_a_job_notes_only_what_it_heard_of() -> None:
    notes = dict(noted(reports.partial()))
    assert {"db-2", "cache-1"}.isdisjoint(notes)  # one was dark, of the other nothing came
    full = notes["db-1"]
    assert (full.findings, full.worst) == (1, Severity.CRITICAL)
    assert full.titles == ("Volume nearly full",)
    assert "storage" in full.specialists
    assert (notes["mail-1"].findings, notes["mail-1"].worst) == (0, None)


def dark_part(specialist: str, seen: OutsideView | None, **more: Any) -> HostReport:
    given: dict[str, Any] = {
        "job": "abcdefgh",
        "part": f"db1/{specialist}",
        "host": "db1",
        "specialist": specialist,
        "status": HostStatus.DARK,
        "stop": StopReason.DARK,
        "reason": dark_reason(seen, known=True),
        "outside": seen,
    }
    return HostReport.model_validate({**given, **more})


def test_a_dark_host_s_line_has_the_newest_view_of_it_and_no_other_s() -> None:
    job = Job(
        id="abcdefgh",
        question="",
        hosts=("db1",),
        specialists=("storage", "network", "services"),
        created=AT,
        deadline_seconds=300,
    )
    newer = view((22, "answers"), at=AT + timedelta(seconds=1))
    parts = [
        dark_part("storage", view(ping=SILENT)),
        dark_part("network", newer),
        dark_part("services", view(host="db2", at=AT + timedelta(seconds=2))),
    ]
    (line,) = synthesize(job, parts, Circumstances(finished=AT + timedelta(seconds=9))).hosts
    assert line.outside == newer
    # A host that answers needs nobody's view, and cannot claim to have been seen.
    answered = dark_part("storage", newer, status=HostStatus.ANSWERED, stop=StopReason.ANSWERED)
    (line,) = synthesize(job, [answered], Circumstances(finished=AT)).hosts
    assert line.outside is None


def test_the_report_shows_whose_view_it_is() -> None:
    report = reports.partial()
    printed = io.StringIO()
    print_report(report, Console(file=printed, width=300, force_terminal=False))
    text = printed.getvalue()
    assert "seen from outside by web-1: at 10.20.0.12, ping answers in 0.41 ms" in text
    assert "its last audit: h4n8s2v6bc, 2026-03-02 06:14:07 UTC: 2 findings" in text
    page = render_html(report)
    assert "seen from outside by web-1: at 10.20.0.12, ping answers in 0.41 ms" in page
    assert '"seen_by": "web-1"' in report.to_json()
