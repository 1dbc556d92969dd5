"""What is made of a look from outside: where to look, what it comes to, how it is told."""

from __future__ import annotations

import asyncio
import io
import socket
from collections.abc import Callable, Generator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from orchestrator.render import outside as told
from orchestrator.render.console import print_report
from orchestrator.render.html import render_html
from orchestrator.synthesis import Circumstances, synthesize
from swarm_tasks.addresses import machine_address
from swarm_tasks.config import Settings
from swarm_tasks.contracts import OutsideLook
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
from swarm_tasks.store import keys
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.last_audits import noted
from swarm_tasks.store.outside import AGAIN_SECONDS, OutsideViews
from swarm_tasks.store.presence import Presence
from tests.support import reports
from tests.support.hosts import view as host_view
from workers.facts import addresses_here, announced, boot_id, open_ports
from workers.naming import lock_path
from workers.outside import MOST_TRIED, Shelf, Way, looked, ran_beside, shared_out, way_to
from workers.tools import runner
from workers.tools.access import this_machine
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
    assert way_to(twin, here, ("10.0.2.15",), beside=False).addresses == ("10.1.0.5",)
    # Its machine's id and addresses are this host's own, which all the fleet can read.
    same = facts("db1", machine_id=here.machine_id, addresses=["10.0.2.15"])
    way = way_to(same, here, ("10.0.2.15",), beside=False)
    assert (way.addresses, way.same_machine) == ((), False)
    assert "would find itself" in way.note
    # One that ran here, in a container with an address of its own.
    guest = facts("db1", addresses=["10.0.2.15", "10.1.0.5"])
    way = way_to(guest, here, ("10.0.2.15",), beside=True)
    assert (way.addresses, way.same_machine) == (("10.1.0.5",), False)


def test_a_host_on_the_peer_s_own_machine_is_found_at_their_addresses() -> None:
    here = facts("web2", addresses=["10.0.2.15"])
    beside = facts("web1", addresses=["10.0.2.15"])
    way = way_to(beside, here, ("10.0.2.15",), beside=True)
    assert way == Way(("10.0.2.15",), True, "it runs on the same machine as web2")


def test_a_host_of_which_no_address_is_known_is_not_looked_for() -> None:
    here = facts("web2", addresses=["10.1.0.2"])
    said_nothing = Way(note="nothing that it said of itself is known")
    assert way_to(None, here, (), beside=False) == said_nothing
    nowhere = Way(note="its worker announced no address")
    assert way_to(facts("db1"), here, (), beside=False) == nowhere


def test_only_the_lock_that_a_host_left_on_a_machine_shows_that_it_ran_there(
    tmp_path: Path,
) -> None:
    here = Settings(host="web2", state_dir=tmp_path)
    said = facts("web1", instance="f00d")
    assert not ran_beside(here, said)
    lock = lock_path(here.model_copy(update={"host": "web1"}))
    lock.parent.mkdir()
    for left, shows in (
        (f"f00d {boot_id()}\n", True),
        (f"beef {boot_id()}\n", False),
        ("f00d another-boot\n", False),
        ("", False),
    ):
        lock.write_text(left)
        assert ran_beside(here, said) is shows, left


@pytest.mark.parametrize("addresses", range(1, MOST_TRIED + 1))
def test_a_look_makes_sixteen_connections_at_most_and_most_where_the_host_likely_is(
    addresses: int,
) -> None:
    ports = [OpenPort(number=number) for number in range(1, MOST_PORTS + 1)]
    where = [f"10.1.0.{number}" for number in range(addresses)]
    shares = [len(some) for _, some in shared_out(where, ports)]
    assert sum(shares) == 16
    assert shares[0] == max(shares)
    assert min(shares) > 0
    few = shared_out(where, ports[:2])
    assert few == [(address, tuple(ports[:2])) for address in where]


@pytest.fixture
def open_port() -> Generator[tuple[str, int, socket.socket]]:
    """A port of this machine that others can reach: its address, its number, its socket."""
    own = next(iter(addresses_here()), "")
    if not own:
        pytest.skip("this machine has no address but loopback")
    family = socket.AF_INET6 if ":" in own else socket.AF_INET
    with closing(socket.create_server((own, 0), family=family)) as server:
        server.setblocking(False)
        yield own, server.getsockname()[1], server


def knocked_at(server: socket.socket) -> bool:
    try:
        taken, _ = server.accept()
    except BlockingIOError:
        return False
    taken.close()
    return True


@pytest.fixture
def look(
    client: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[HostFacts, HostFacts, bool], OutsideView]:
    """Has one host look at another, on a machine without ping."""
    monkeypatch.setattr(runner, "SEARCH_PATH", str(tmp_path))
    presence = Presence(client, 2.0, 3_600)
    shelf = Shelf.of(client, presence)

    def once(dark: HostFacts, here: HostFacts, ran_here: bool) -> OutsideView:
        presence.announce(dark)
        errand = OutsideLook(call="c", host=here.host, dark=dark.host, expires_at=0)
        return asyncio.run(looked(errand, AT, here, shelf, this_machine(), lambda _: ran_here))

    return once


def test_a_host_that_takes_on_its_peer_s_identity_cannot_make_it_knock_at_itself(
    open_port: tuple[str, int, socket.socket],
    look: Callable[[HostFacts, HostFacts, bool], OutsideView],
) -> None:
    address, number, server = open_port
    here = facts("web2", addresses=[address])
    forged = facts(
        "mallory", machine_id=here.machine_id, addresses=[address], ports=[{"number": number}]
    )
    seen = look(forged, here, False)
    assert (seen.address, seen.ports, seen.same_machine) == ("", (), False)
    assert not knocked_at(server)


def test_a_host_that_comes_and_goes_is_knocked_for_once_a_minute(
    client: Commands,
    open_port: tuple[str, int, socket.socket],
    look: Callable[[HostFacts, HostFacts, bool], OutsideView],
) -> None:
    address, number, server = open_port
    here = facts("web2", addresses=[address])
    flapping = facts("flapper", addresses=[address], ports=[{"number": number}])
    assert look(flapping, here, True).seen is Seen.MACHINE
    assert knocked_at(server)
    OutsideViews(client).drop("flapper")  # its worker is back, and falls again
    again = look(flapping, here, True)
    assert again.notes == ("it was looked at less than a minute ago",)
    assert (again.seen, again.address) == (Seen.UNKNOWN, "")
    assert not knocked_at(server)
    limit = keys.LOOKED.at(host="flapper")
    assert 0 < client.ttl(limit) <= AGAIN_SECONDS
    client.delete(limit)  # as its time does
    assert look(flapping, here, True).seen is Seen.MACHINE
    assert knocked_at(server)


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
