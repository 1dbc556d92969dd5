"""What one tool call may touch on its machine, and the trail that it leaves.

Every command, file and library call of a tool goes through an `Access`, so that the evidence
can name the exact source of each answer and so that limits hold in one place.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar

import psutil

from swarm_tasks.errors import ToolFailed, Unavailable
from swarm_tasks.models.host import Platform
from workers.blocking import in_thread
from workers.tools.manners import Manners
from workers.tools.runner import find_program, run_argv
from workers.tools.spec import Command, Completed

P = ParamSpec("P")
T = TypeVar("T")

FILE_LIMIT_BYTES = 1 << 20

DENIED = ("permission denied", "operation not permitted", "must be root", "are you root")
NO_SYSTEMD = ("has not been booted with systemd", "failed to connect to bus")


class History(Protocol):
    """The host's own samples of a value over time."""

    async def samples(self, metric: str, subject: str) -> list[tuple[float, float]]:
        """Pairs of Unix time in seconds and value, oldest first."""
        ...


class NoHistory:
    """For a tool that is run by hand: nothing was sampled before."""

    async def samples(self, metric: str, subject: str) -> list[tuple[float, float]]:
        """Nothing."""
        return []


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine that tools read.

    Args:
        root: Where its file system begins; a test may point it at a tree of its own.
        log_roots: The only directories that log tools may read below.
        manners: How the programs of tools are run.
    """

    platform: Platform
    root: Path = Path("/")
    history: History = field(default_factory=NoHistory)
    log_roots: tuple[Path, ...] = (Path("/var/log"),)
    manners: Manners = field(default_factory=Manners)


def this_machine(
    history: History | None = None,
    log_roots: tuple[Path, ...] = (Path("/var/log"),),
    manners: Manners | None = None,
) -> Machine:
    """The machine that this process runs on."""
    platform: Platform = "darwin" if sys.platform == "darwin" else "linux"
    return Machine(
        platform=platform,
        history=history or NoHistory(),
        log_roots=log_roots,
        manners=manners or Manners(),
    )


class Access:
    """One call's access to its machine.

    Attributes:
        source: Every argv, file and library call so far, in order.
        truncated: Whether any output was cut.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.source: list[str] = []
        self.truncated = False

    async def run(self, command: Command, **operands: str | int) -> Completed:
        """Run `command` and return what it printed.

        Raises:
            Unavailable: The program is not installed, may not do this here, or needs a systemd
                that is not running.
            ToolFailed: It ended with a code that carries no answer.
            ToolTimeout: It did not end in time; its process group was killed.
        """
        argv = command.filled(operands)
        program = find_program(argv[0])
        if program is None:
            raise Unavailable(f"{argv[0]} is not installed", _install(command, argv[0]))
        argv = (program, *argv[1:])
        self.source.append(" ".join(argv))
        done = await run_argv(
            argv, command.timeout_seconds, command.output_limit_bytes, self.machine.manners
        )
        self.truncated = self.truncated or done.truncated
        if command.ok is not None and done.code not in command.ok and not done.truncated:
            raise _refusal(argv[0], done)
        return done

    async def call(
        self, note: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call a blocking library function in a thread, leaving `note` on the trail.

        Raises:
            Unavailable: The system denied it, or knows no such thing.
        """
        self.source.append(note)
        try:
            return await in_thread(function, *args, **kwargs)
        except (PermissionError, psutil.AccessDenied) as error:
            raise Unavailable(f"{note}: permission denied", "run the worker as root") from error
        except (FileNotFoundError, NotImplementedError) as error:
            raise Unavailable(f"{note}: this machine does not offer it") from error

    async def read(self, path: str, limit_bytes: int = FILE_LIMIT_BYTES) -> str:
        """The text of a fixed system file such as /proc/pressure/cpu.

        Raises:
            Unavailable: It is not there, or may not be read.
        """
        target = self.machine.root / path.lstrip("/")
        return await self.call(path, _read_bounded, target, limit_bytes)


def _read_bounded(path: Path, limit_bytes: int) -> str:
    with path.open("rb") as stream:
        return stream.read(limit_bytes).decode(errors="replace")


def _install(command: Command, program: str) -> str:
    return f"install {command.package or program}"


def _refusal(program: str, done: Completed) -> Unavailable | ToolFailed:
    """The error that an exit code and its message amount to."""
    said = (done.stderr.strip() or done.stdout.strip()).splitlines()
    first = said[0][:200] if said else f"exit code {done.code}"
    name = os.path.basename(program)  # noqa: PTH119 - a name, not a path to open
    lowered = f"{done.stderr}\n{done.stdout[:2000]}".lower()
    if any(phrase in lowered for phrase in NO_SYSTEMD):
        return Unavailable("systemd is not running here", "nothing to mend in a container")
    if any(phrase in lowered for phrase in DENIED):
        return Unavailable(f"{name}: {first}", "run the worker as root")
    return ToolFailed(f"{name}: {first} (exit code {done.code})")
