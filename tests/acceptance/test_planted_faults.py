"""Real faults, planted on this machine in a mount namespace of its own, and found by an audit.

The same audit with everything mended must find nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from swarm_tasks.models.finding import Finding, Severity, Verdict
from swarm_tasks.models.report import Report
from tests.support.certificates import write_pair
from tests.support.fleets import REPOSITORY

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="planting faults needs root"),
    pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare of util-linux"),
]

TMPFS_MIB = 64
SILENT_RESOLVER = "127.0.0.9"
GOOD_RESOLVER = "127.0.0.10"
RESOLVER_PORT = 53

# What is true of the machine that runs the tests, and none of their business.
OWN_BUSINESS = (
    *("uptime.*", "updates.*", "reboot.*", "load.*", "time.*", "cpu.*", "disk.io*"),
    *("container.*", "service.*", "memory.*", "swap.*"),
)


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the faults stand, or stood."""

    volume: Path
    certificate: Path
    log: Path
    url: str
    resolver: str


class Answer(BaseHTTPRequestHandler):
    """Answers every request with its server's status."""

    def do_GET(self) -> None:
        """One answer."""
        assert isinstance(self.server, StatusServer)
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class StatusServer(HTTPServer):
    """A service that is well or ill."""

    def __init__(self, status: int) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.status = status


class Resolver(threading.Thread):
    """A name server on a loopback address: it hears every question, and answers if it is well."""

    def __init__(self, address: str, *, answers: bool) -> None:
        super().__init__(daemon=True)
        self._answers = answers
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, RESOLVER_PORT))
        self._socket.settimeout(0.2)
        self._done = threading.Event()

    def run(self) -> None:
        """Hear questions until told to stop."""
        while not self._done.is_set():
            try:
                question, sender = self._socket.recvfrom(4096)
            except TimeoutError:
                continue
            if self._answers:
                # The question sent back as an answer without records: NOERROR.
                flags = bytes([question[2] | 0x80, 0x80])
                self._socket.sendto(question[:2] + flags + question[4:], sender)
        self._socket.close()

    def stop(self) -> None:
        """Hear no more."""
        self._done.set()
        self.join()


def syslog_line(when: datetime, text: str) -> str:
    """A line as rsyslog writes it: local time, no year."""
    return f"{when.astimezone():%b %e %H:%M:%S} box kernel: [12345.678901] {text}\n"


@contextmanager
def stage(directory: Path, *, ill: bool) -> Generator[Stage]:
    """Everything that the audit will look at, all ill or all well."""
    volume = directory / "volume"
    volume.mkdir()
    certificate, _ = write_pair(
        directory, "shop.example", timedelta(days=-2) if ill else timedelta(days=80)
    )
    log = directory / "log" / "kern.log"
    log.parent.mkdir()
    killed = "Out of memory: Killed process 4242 (java) total-vm:8123456kB, anon-rss:4021232kB"
    text = f"{killed}, file-rss:0kB, shmem-rss:0kB, UID:1000" if ill else "eth0: link up"
    log.write_text(syslog_line(datetime.now(UTC) - timedelta(minutes=5), text))
    server = StatusServer(500 if ill else 200)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    address = SILENT_RESOLVER if ill else GOOD_RESOLVER
    resolver = Resolver(address, answers=not ill)
    resolver.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/health"
        yield Stage(volume, certificate, log, url, address)
    finally:
        resolver.stop()
        server.shutdown()
        server.server_close()
        serving.join()


def audit(directory: Path, at: Stage, *, filled_percent: int) -> Report:
    """One audit of this machine as the stage has it: nothing of it is seen outside."""
    overrides = "".join(
        f'[[overrides]]\nmetric = "{metric}"\nignore = true\n' for metric in OWN_BUSINESS
    )
    config = directory / "hostswarm.toml"
    config.write_text(
        f"""
log_roots = ["{at.log.parent}"]
[checks]
http = ["{at.url}"]
certificates = ["{at.certificate}"]
logs = ["{at.log}"]
[[overrides]]
metric = "disk.*"
ignore = true
[[overrides]]
metric = "disk.used_percent"
subject = "{at.volume}"
warning = 80
critical = 90
{overrides}"""
    )
    (directory / "resolv.conf").write_text(f"nameserver {at.resolver}\n")
    program = Path(sys.executable).parent / "hostswarm"
    fill = TMPFS_MIB * filled_percent // 100
    script = f"""
set -e
mount -t tmpfs -o size={TMPFS_MIB}m planted {at.volume}
dd if=/dev/zero of={at.volume}/big bs=1M count={fill} status=none
mount --bind {directory}/resolv.conf /etc/resolv.conf
exec {program} --config {config} audit --json --deadline 60s
"""
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env={
            "PATH": os.environ["PATH"],
            "HOSTSWARM_STATE_DIR": str(directory / "state"),
            "HOSTSWARM_HOST": "box",
            "PYTHONPATH": str(REPOSITORY),
        },
    )
    assert done.returncode == 0, done.stderr
    return Report.model_validate(json.loads(done.stdout))


@pytest.fixture(scope="module")
def ill(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Stage, Report]]:
    """The report on a machine with five faults."""
    directory = tmp_path_factory.mktemp("ill")
    with stage(directory, ill=True) as at:
        yield at, audit(directory, at, filled_percent=97)


@pytest.fixture(scope="module")
def well(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report on the same machine with all five mended."""
    directory = tmp_path_factory.mktemp("well")
    with stage(directory, ill=False) as at:
        return audit(directory, at, filled_percent=20)


def the_finding(report: Report, metric: str) -> Finding:
    """The one finding about a metric."""
    found = [one for one in report.findings if one.claims[0].metric == metric]
    assert len(found) == 1, [(one.title, one.subject) for one in report.findings]
    return found[0]


def test_a_full_volume_is_found_by_mount_point_device_and_type(
    ill: tuple[Stage, Report],
) -> None:
    at, report = ill
    finding = the_finding(report, "disk.used_percent")
    assert finding.subject == f"{at.volume} (planted, tmpfs)"
    assert finding.severity is Severity.CRITICAL
    assert finding.verdict is Verdict.VERIFIED
    observed = finding.claims[0].observed
    assert isinstance(observed, float)
    assert 96 <= observed <= 98


def test_what_fills_the_volume_is_shown_with_it(ill: tuple[Stage, Report]) -> None:
    at, report = ill
    finding = the_finding(report, "disk.used_percent")
    evidence = {item.call_id: item for item in report.evidence}
    shown = [evidence[call] for call in finding.related]
    assert [item.tool for item in shown] == ["largest_paths"]
    assert f"{at.volume}/big" in json.dumps(shown[0].data)


def test_a_service_that_fails_its_check_is_found_by_its_url(ill: tuple[Stage, Report]) -> None:
    at, report = ill
    finding = the_finding(report, "http.answer")
    assert at.url in finding.subject
    assert finding.severity is Severity.CRITICAL


def test_a_process_killed_for_want_of_memory_is_named(ill: tuple[Stage, Report]) -> None:
    finding = the_finding(ill[1], "kernel.oom_kills")
    assert "java" in finding.subject
    assert "4242" in finding.subject
    assert finding.severity is Severity.WARNING


def test_an_expired_certificate_is_found_by_its_file(ill: tuple[Stage, Report]) -> None:
    at, report = ill
    finding = the_finding(report, "tls.left_seconds")
    assert str(at.certificate) in finding.subject
    assert "shop.example" in finding.subject
    assert finding.severity is Severity.CRITICAL
    observed = finding.claims[0].observed
    assert isinstance(observed, float | int)
    assert observed < 0


def test_a_resolver_that_does_not_answer_is_named(ill: tuple[Stage, Report]) -> None:
    finding = the_finding(ill[1], "dns.answer")
    assert SILENT_RESOLVER in finding.subject
    assert finding.claims[0].observed == "timeout"
    assert finding.severity is Severity.WARNING


def test_nothing_else_is_found_and_every_claim_was_measured_twice(
    ill: tuple[Stage, Report],
) -> None:
    report = ill[1]
    assert len(report.findings) == 5
    assert {finding.verdict for finding in report.findings} == {Verdict.VERIFIED}
    assert report.coverage.whole


def test_a_healthy_machine_gives_no_finding(well: Report) -> None:
    assert [(one.title, one.subject) for one in well.findings] == []
    assert well.coverage.whole
    assert well.summary.endswith("No findings.")
