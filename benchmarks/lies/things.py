"""Things that are planted on this machine, ill or well, and what is true of each.

Nothing here asks the code under test: a value is known since it was planted, or is read from the
kernel by the shortest way there is.
"""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar, Protocol

from swarm_tasks.models.finding import Severity
from swarm_tasks.models.policy import CheckKind
from tests.support.certificates import write_pair

LOOPBACK = "127.0.0.1"
DAY_SECONDS = 86_400.0
HOUR_SECONDS = 3_600.0
MOVING_SECONDS = 600.0
"""By how much an age or a time left moves at most while the agents look at it."""

INODES = 1000
LOG_PERCENT = 97
Check = tuple[CheckKind, str]
Value = int | float | str


@dataclass(frozen=True, slots=True)
class Truth:
    """What is so.

    Args:
        key: What names the subject: a mount point, a path, a port, a URL.
        severity: How grave that is, by the levels that hostswarm promises; None where it is well.
        margin: By how much a number may move while the agents look at it.
    """

    metric: str
    key: str
    value: Value
    severity: Severity | None = None
    margin: float = 0.0


class Thing(Protocol):
    """Something that can be made ill and well again.

    Attributes:
        check: Under what the host's checks name it, and how; None for what is always looked at.
    """

    check: Check | None

    def make(self, *, ill: bool) -> None:
        """Plant the fault, or mend it."""
        ...

    def truths(self) -> Iterable[Truth]:
        """What is true of it now."""
        ...


class Volume:
    """A memory file system that is as full as wanted.

    Args:
        size: As mount takes it; one of 50 GB and more has a rule for its free bytes.
        ill, well: Percent used. The same for both is a thing that never is ill.
        inodes: Whether it is short of inodes rather than of space.
    """

    check: Check | None = None

    def __init__(
        self, mount: Path, size: str, ill: float, well: float, *, inodes: bool = False
    ) -> None:
        mount.mkdir(parents=True)
        few = f",nr_inodes={INODES}" if inodes else ""
        argv = ("mount", "-t", "tmpfs", "-o", f"size={size}{few}", "planted", str(mount))
        subprocess.run(argv, check=True)
        self._mount, self._inodes = mount, inodes
        self._percent = {True: ill, False: well}

    def make(self, *, ill: bool) -> None:
        """Fill it."""
        for old in self._mount.iterdir():
            old.unlink()
        percent = self._percent[ill]
        if self._inodes:
            for number in range(round(INODES * percent / 100) - 1):
                (self._mount / str(number)).touch()
            return
        size = os.statvfs(self._mount)
        with (self._mount / "fill").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, int(size.f_blocks * percent / 100)) << 12)

    def truths(self) -> Iterable[Truth]:
        """Space and inodes."""
        size = os.statvfs(self._mount)
        used = size.f_blocks - size.f_bfree
        percent = 100 * used / (used + size.f_bavail)
        key = str(self._mount)
        yield Truth("disk.used_percent", key, percent, _grade(percent, 80, 90))
        taken = 100 * (size.f_files - size.f_ffree) / size.f_files
        yield Truth("disk.inodes_percent", key, taken, _grade(taken, 90, 98))
        if size.f_blocks * size.f_frsize >= 50e9:
            yield Truth("disk.free_bytes", key, size.f_bavail * size.f_frsize)


def _grade(value: float, warning: float, critical: float) -> Severity | None:
    if value >= critical:
        return Severity.CRITICAL
    return Severity.WARNING if value >= warning else None


class CertificateFile:
    """A certificate with so many days left."""

    def __init__(self, directory: Path, name: str, ill: float, well: float) -> None:
        self._directory, self._name = directory, name
        self._days = {True: ill, False: well}
        self._left = 0.0
        self._key = str(directory / f"{name}.pem")
        self.check: Check | None = ("certificates", self._key)

    def make(self, *, ill: bool) -> None:
        """Write it anew."""
        days = self._days[ill]
        write_pair(self._directory, self._name, timedelta(days=days))
        self._left = days * DAY_SECONDS

    def truths(self) -> Iterable[Truth]:
        """Time left."""
        severity = _grade(-self._left, -14 * DAY_SECONDS, -7 * DAY_SECONDS)
        yield Truth("tls.left_seconds", self._key, self._left, severity, MOVING_SECONDS)


class Port:
    """A port that takes connections, or is held by nobody who would."""

    def __init__(self, *, can_die: bool) -> None:
        self._can_die = can_die
        self._socket = socket.socket()
        self._socket.bind((LOOPBACK, 0))
        self._port = self._socket.getsockname()[1]
        self._listens = False
        self._key = f"{LOOPBACK}:{self._port}"
        self.check: Check | None = ("tcp", self._key)

    def make(self, *, ill: bool) -> None:
        """Listen, or stop it."""
        self._socket.close()
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((LOOPBACK, self._port))
        self._listens = not (ill and self._can_die)
        if self._listens:
            self._socket.listen(4096)

    def truths(self) -> Iterable[Truth]:
        """Whether it takes a connection."""
        state = "ok" if self._listens else "refused"
        severity = None if self._listens else Severity.CRITICAL
        yield Truth("tcp.answer", self._key, state, severity)


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """One answer."""
        assert isinstance(self.server, _StatusServer)
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class _StatusServer(HTTPServer):
    status = 200


class Site:
    """A URL that answers with a status."""

    ANSWERS: ClassVar[dict[int, tuple[str, Severity | None]]] = {
        200: ("ok", None),
        404: ("client_error", Severity.WARNING),
        500: ("server_error", Severity.CRITICAL),
    }

    def __init__(self, path: str, ill: int) -> None:
        self._ill = ill
        self._server = _StatusServer((LOOPBACK, 0), _Answer)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self._key = f"http://{LOOPBACK}:{self._server.server_port}/{path}"
        self.check: Check | None = ("http", self._key)

    def make(self, *, ill: bool) -> None:
        """Answer so from now on."""
        self._server.status = self._ill if ill else 200

    def truths(self) -> Iterable[Truth]:
        """How it answers."""
        state, severity = self.ANSWERS[self._server.status]
        yield Truth("http.answer", self._key, state, severity)


class DailyFile:
    """A file of some age; an age of None is a file that is not there."""

    def __init__(self, path: Path, ill_hours: float | None, well_hours: float) -> None:
        self._path = path
        self._hours = {True: ill_hours, False: well_hours}
        self._now: float | None = None
        self.check: Check | None = ("files", str(path))

    def make(self, *, ill: bool) -> None:
        """Write it so long ago, or take it away."""
        self._now = self._hours[ill]
        if self._now is None:
            self._path.unlink(missing_ok=True)
            return
        self._path.write_text("a copy\n")
        at = time.time() - self._now * HOUR_SECONDS
        os.utime(self._path, (at, at))

    def truths(self) -> Iterable[Truth]:
        """Whether it is there, and its age."""
        key = str(self._path)
        if self._now is None:
            yield Truth("file.state", key, "missing", Severity.CRITICAL)
            return
        yield Truth("file.state", key, "present")
        age = self._now * HOUR_SECONDS
        severity = _grade(age, 26 * HOUR_SECONDS, 50 * HOUR_SECONDS)
        yield Truth("file.age_seconds", key, age, severity, MOVING_SECONDS)


class KernelLog:
    """A log in which the kernel says that it killed a process."""

    PROCESS = "java"
    ONCE = "mysqld"
    """Killed days ago: an audit does not look back as far as that."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ill = False
        self.check: Check | None = ("logs", str(path))

    def make(self, *, ill: bool) -> None:
        """Write it anew."""
        self._ill = ill
        lately = _killed(self.PROCESS, 4242) if ill else "eth0: link up"
        rows = ((timedelta(days=3), _killed(self.ONCE, 4141)), (timedelta(minutes=5), lately))
        # As rsyslog writes it: local time, no year.
        self.path.write_text(
            "".join(
                f"{(datetime.now(UTC) - ago).astimezone():%b %e %H:%M:%S} box kernel:"
                f" [12345.678901] {text}\n"
                for ago, text in rows
            )
        )

    def truths(self) -> Iterable[Truth]:
        """Who was killed. Where nobody was here, somebody may have been in the real log."""
        if self._ill:
            yield Truth("kernel.oom_kills", self.PROCESS, 1, Severity.WARNING)


def _killed(process: str, pid: int) -> str:
    killed = f"Out of memory: Killed process {pid} ({process}) total-vm:8123456kB"
    return f"{killed}, anon-rss:4021232kB, UID:1000"


class OwnMachine:
    """What is true of the machine itself, by numbers that move: claims keep away from them."""

    check: Check | None = None

    def make(self, *, ill: bool) -> None:
        """It is what it is."""

    def truths(self) -> Iterable[Truth]:
        """Memory, files and time since boot, from /proc."""
        rows = dict(line.split(":") for line in _proc("meminfo").splitlines())
        total, free = (int(rows[name].split()[0]) for name in ("MemTotal", "MemAvailable"))
        yield Truth(
            "memory.used_percent", "physical memory", 100 * (total - free) / total, None, 20.0
        )
        used, _, limit = map(int, _proc("sys/fs/file-nr").split())
        yield Truth("fds.used_percent", "file handles", 100 * used / limit, None, 10.0)
        up = float(_proc("uptime").split()[0])
        yield Truth("uptime.seconds", "host", up, None, MOVING_SECONDS)


def _proc(name: str) -> str:
    return (Path("/proc") / name).read_text()


class AppLog:
    """A log below a log root, in which somebody wrote what is not so."""

    TOOL = "read_log"
    check: Check | None = None

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_text(f"warning: disk usage {LOG_PERCENT}%\n{LOG_PERCENT}\n")

    def make(self, *, ill: bool) -> None:
        """It says that always."""

    def truths(self) -> Iterable[Truth]:
        """Nothing."""
        return ()
