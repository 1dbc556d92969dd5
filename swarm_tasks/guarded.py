"""Child processes that never outlive their parent, however it ends.

A small shell stands between: it holds the read end of a pipe whose write end only the parent
has. When the parent goes, by return, Ctrl-C or SIGKILL, the pipe closes and the shell ends the
child. It works on Linux and macOS alike, and needs no cooperation from the child.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

GUARD = """
grace=$1; shift
exec 3<&0
"$@" </dev/null 3<&- &
child=$!
{
  read -r said <&3
  grace=${said:-$grace}
  kill -TERM "$child" 2>/dev/null
  while [ "$grace" -gt 0 ] && kill -0 "$child" 2>/dev/null; do
    sleep 0.1; grace=$((grace - 1))
  done
  kill -KILL "$child" 2>/dev/null
} >/dev/null 2>&1 &
guard=$!
exec 3<&-
wait "$child"; code=$?
kill "$guard" 2>/dev/null
exit "$code"
"""
"""`sh -c GUARD guard TENTHS PROGRAM …`: run PROGRAM until it ends or standard input does. A number
on standard input takes the place of TENTHS, the tenths of a second between SIGTERM and SIGKILL."""

SHELL = "/bin/sh"


class Guarded:
    """A child process under guard.

    Args:
        argv: The program and its arguments.
        environment: The child's whole environment.
        log: Where its output is appended; None throws it away.
        grace_seconds: How long it may take to end after SIGTERM before it is killed.
        hold: Open file descriptors that it and its guard hold as long as they live.
    """

    def __init__(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        log: Path | None = None,
        grace_seconds: float = 10.0,
        hold: Sequence[int] = (),
    ) -> None:
        self._grace = grace_seconds
        output: IO[bytes] | int = subprocess.DEVNULL if log is None else log.open("ab")
        # Below ten the shell has uses of its own for their numbers.
        held = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 10) for number in hold]
        try:
            # A session of its own: Ctrl-C in the terminal reaches the parent only, which then
            # ends its children in the right order.
            self._process = subprocess.Popen(
                (SHELL, "-c", GUARD, "guard", str(int(grace_seconds * 10)), *argv),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,
                pass_fds=held,
            )
        finally:
            for number in held:
                os.close(number)
            if not isinstance(output, int):
                output.close()

    @property
    def pid(self) -> int:
        """The guard's process id."""
        return self._process.pid

    def ended(self) -> int | None:
        """The child's exit code, or None while it runs."""
        return self._process.poll()

    def ask_to_stop(self, grace_seconds: float | None = None) -> None:
        """Let the guard end the child; returns at once.

        Args:
            grace_seconds: How long the child may take this time; None takes its own grace.
        """
        pipe = self._process.stdin
        if pipe is None or pipe.closed:
            return
        with contextlib.suppress(BrokenPipeError):
            if grace_seconds is not None:
                pipe.write(b"%d\n" % (grace_seconds * 10))
            pipe.close()

    def stop(self, grace_seconds: float | None = None) -> int:
        """End the child and wait for it; its exit code. Arguments as for `ask_to_stop`."""
        self.ask_to_stop(grace_seconds)
        try:
            return self._process.wait(max(self._grace, grace_seconds or 0.0) + 2.0)
        except subprocess.TimeoutExpired:
            # The guard itself was lost; its session still holds all that it started.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            return self._process.wait()
