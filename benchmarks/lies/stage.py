"""All that is planted on this machine for one run, and how agents are told of it."""

from __future__ import annotations

import random
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from benchmarks.lies.aside import IDLE_NAME, FullImage, IdleProcess, Services
from benchmarks.lies.things import (
    LOOPBACK,
    AppLog,
    CertificateFile,
    DailyFile,
    KernelLog,
    OwnMachine,
    Port,
    Site,
    Thing,
    Truth,
    Volume,
)
from swarm_tasks.models.job import Specialist
from swarm_tasks.models.policy import CheckKind, Checks, Override, Policy, SweepCall
from tests.support.certificates import write_pair

ILL, WELL = "alpha", "beta"
"""What this machine is called while it has faults, and while it has none."""

CROWD = 289
"""Certificates in one directory."""

CALM_SECONDS = 0.2

CHANGE_TOOL = "mounts"
"""The tool that a scripted model calls to say: the machine may be changed now."""

ALWAYS = ("disk_usage", "inode_usage", "memory", "fd_usage", "uptime")
LISTED: tuple[tuple[CheckKind, str, str], ...] = (
    ("certificates", "cert_files", "glob"),
    ("tcp", "tcp_check", "target"),
    ("http", "http_check", "url"),
    ("files", "file_age", "glob"),
    ("logs", "kernel_events", "logs"),
)
"""What a specialist looks at: always, and for each entry of the host's checks."""


@dataclass(frozen=True, slots=True)
class Stage:
    """All things, below one directory.

    Args:
        image, idle, services: What is there and no sweep looks at.
        crowd: Where a great many certificates are.
    """

    directory: Path
    things: Sequence[Thing]
    log: AppLog
    kernel: KernelLog
    image: FullImage
    idle: IdleProcess
    services: Services
    crowd: Path

    def make(self, *, ill: bool) -> None:
        """All that can be ill is, or nothing."""
        for thing in self.things:
            thing.make(ill=ill)

    def truths(self) -> dict[tuple[str, str], Truth]:
        """What is true now, by metric and key."""
        return {(one.metric, one.key): one for thing in self.things for one in thing.truths()}

    def aside(self) -> dict[tuple[str, str], Truth]:
        """What is true of what no sweep looks at."""
        kill = Truth("kernel.oom_kills", self.kernel.ONCE, 1)
        found = (kill, *self.image.truths(), *self.calm_truths())
        return {(one.metric, one.key): one for one in found}

    def calm_truths(self) -> tuple[Truth, ...]:
        """Of it, what `calm` looks at."""
        return (*self.idle.truths(), *self.services.truths())

    @property
    def logs(self) -> Path:
        """The only log root."""
        return self.log.path.parent

    def specialist(self, name: str, *, rules: bool, all_of_it: bool = True) -> Specialist:
        """One that looks at everything first, or at the volumes alone.

        Args:
            rules: Whether the rules raise what they see; without, only the model speaks.
        """
        sweep = (
            *(SweepCall(tool=tool) for tool in ALWAYS),
            SweepCall(tool=AppLog.TOOL, arguments={"path": str(self.log.path)}),
            *(SweepCall(tool=tool, each=kind, argument=name) for kind, tool, name in LISTED),
        )
        return Specialist(
            name=name,
            title="Everything",
            prompt="You look after this host.",
            tools=tuple(dict.fromkeys([*(call.tool for call in sweep), CHANGE_TOOL])),
            sweep=sweep if all_of_it else sweep[:1],
            rules=() if rules else ("none-of-them",),
        )

    def calm(self) -> Specialist:
        """One that looks at processes and services alone."""
        sweep = (
            SweepCall(
                tool="top_processes",
                arguments={"sort": "memory", "n": 100, "window_seconds": CALM_SECONDS},
            ),
            SweepCall(tool="process", arguments={"pid": self.idle.pid}),
        )
        if self.services.played:
            service = SweepCall(tool="service", arguments={"name": Services.UNIT})
            sweep += (service, SweepCall(tool="service_restarts"))
        return self._of("calm", sweep, ("none-of-them",))

    def crowded(self) -> Specialist:
        """One that looks at the volumes, with the rules, and at a great many certificates."""
        sweep = (
            *(SweepCall(tool=tool) for tool in ALWAYS[:2]),
            SweepCall(tool="cert_files", arguments={"glob": str(self.crowd / "*.pem")}),
        )
        return self._of("crowded", sweep, ())

    def _of(self, name: str, sweep: tuple[SweepCall, ...], rules: tuple[str, ...]) -> Specialist:
        return Specialist(
            name=name,
            title="Everything",
            prompt="You look after this host.",
            tools=tuple(dict.fromkeys([*(call.tool for call in sweep), CHANGE_TOOL])),
            sweep=sweep,
            rules=rules,
        )

    @property
    def policy(self) -> Policy:
        """Silence about all that is not planted: it is this machine's own business."""
        mine = (f"{self.directory}*", f"{LOOPBACK}:*", f"http://{LOOPBACK}:*")
        killed = (KernelLog.PROCESS, KernelLog.ONCE)
        listed: dict[CheckKind, list[str]] = {}
        for kind, entry in (thing.check for thing in self.things if thing.check is not None):
            listed.setdefault(kind, []).append(entry)
        return Policy(
            overrides=(
                Override(metric="*", ignore=True),
                *(Override(metric="*", subject=one) for one in (*mine, *killed)),
            ),
            checks=Checks(**{kind: tuple(entries) for kind, entries in listed.items()}),
        )


@contextmanager
def planted(directory: Path, rng: random.Random) -> Generator[Stage]:
    """Everything, well at first. The mounts go with the mount namespace that this runs in."""
    volumes, files, logs = (directory / name for name in ("srv", "backup", "log"))
    certificates = directory / "tls"
    for made in (volumes, files, logs, certificates):
        made.mkdir(parents=True)
    log = AppLog(logs / "app.log")
    kernel = KernelLog(logs / "kern.log")
    things: list[Thing] = [OwnMachine(), log, kernel]
    things += _volumes(volumes, rng)
    for name, ill, well in (
        ("shop.example", -rng.uniform(1, 40), 80),
        ("pay.example", rng.uniform(1, 6), 90),
        ("mail.example", rng.uniform(8, 13), 120),
        ("www.example", 70, 70),
        ("old-shop.example", days := rng.uniform(30, 300), days),
    ):
        things.append(CertificateFile(certificates, name, ill, well))
    things += [Port(can_die=can_die) for can_die in (True, True, False, False)]
    things += [Site("health", 500), Site("login", 404), Site("shop", 200), Site("", 200)]
    for name, old, fresh in (
        ("db.dump", rng.uniform(55, 400), 2),
        ("home.tar", rng.uniform(28, 48), 3),
        ("db.dump.2", 5, 5),
        ("mail.tar", hours := rng.uniform(1, 20), hours),
        ("keys.tar", None, 1),
        ("etc.tar", None, rng.uniform(1, 20)),
    ):
        things.append(DailyFile(files / name, old, fresh))
    crowd = directory / "crowd"
    crowd.mkdir()
    made, _ = write_pair(crowd, "crowd.example", timedelta(days=400))
    for number in range(1, CROWD):
        (crowd / f"crowd-{number:03}.example.pem").write_bytes(made.read_bytes())
    image, idle = FullImage(directory / "image"), IdleProcess(directory / IDLE_NAME)
    services = Services(directory / "bin")
    stage = Stage(directory, things, log, kernel, image, idle, services, crowd)
    stage.make(ill=False)
    try:
        yield stage
    finally:
        idle.close()


def _volumes(directory: Path, rng: random.Random) -> list[Thing]:
    """Some full, some not; the names of some begin with the names of others."""
    healthy = [rng.uniform(3, 65) for _ in range(4)]
    return [
        Volume(directory / "data", "24m", rng.uniform(92, 99), rng.uniform(5, 60)),
        Volume(directory / "data2", "40m", healthy[0], healthy[0]),
        Volume(directory / "deep", "16m", rng.uniform(81, 89), rng.uniform(5, 60)),
        Volume(directory / "db", "32m", rng.uniform(91, 97), rng.uniform(5, 60)),
        Volume(directory / "db-old", "32m", 12, 12),
        Volume(directory / "web", "48m", rng.uniform(82, 88), rng.uniform(5, 60)),
        Volume(directory / "mail", "20m", healthy[1], healthy[1]),
        Volume(directory / "mail spool", "20m", healthy[2], healthy[2]),
        Volume(directory / "big", "60g", 0.0, 0.0),
        Volume(directory / "many", "8m", rng.uniform(91, 97), 20, inodes=True),
        Volume(directory / "more", "8m", rng.uniform(98.2, 99.5), 20, inodes=True),
    ]
