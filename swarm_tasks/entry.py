"""What every command line of ours does around its work: streams, errors, exit codes."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from swarm_tasks.errors import HostswarmError, OutputError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


def run(command: Callable[[], object]) -> None:
    """Run a command line and leave with its exit code. Every error of ours is one line.

    A reader that leaves early, as `head` does, is told nothing. Output that cannot be written
    for another reason is an error like any other: silence would pass for an empty answer.
    """
    _open_streams()
    try:
        _to_the_last_byte(command)
    except HostswarmError as error:
        if isinstance(error, OutputError):
            _discard_output()
        say(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        _discard_output()
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def say(error: HostswarmError) -> None:
    """Write an error of ours to standard error, as one line."""
    sys.stderr.write(f"hostswarm: {' '.join(str(error).split())}\n")


def _to_the_last_byte(command: Callable[[], object]) -> None:
    """Run the command and write what it printed, whichever way it means to leave."""
    try:
        command()
    except SystemExit:
        sys.stdout.flush()
        raise
    sys.stdout.flush()


class Output(io.FileIO):
    """Standard output as a file whose failures are ours."""

    def write(self, data: ReadableBuffer, /) -> int:
        """Write, or say why not.

        Raises:
            OutputError: It cannot be written.
            BrokenPipeError: Nobody reads any more.
        """
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(
                f"standard output cannot be written: {error.strerror}", "send it elsewhere"
            ) from error


def _open_streams() -> None:
    """Give the standard streams a place where the caller closed them, and watch the output.

    Else the next file that is opened takes their number, and what is printed goes into it.
    """
    for number, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            # Standard output is opened for reading on purpose: writing to it must fail.
            os.set_inheritable(os.open(os.devnull, flags), True)
    # The interpreter leaves None where it found a stream closed, whatever its type says.
    before = getattr(sys, "stdout", None)
    output = Output(1, "w", closefd=False)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(output),
        encoding=before.encoding if before else "utf-8",
        errors=before.errors if before else "replace",
        line_buffering=output.isatty(),
    )
    if getattr(sys, "stderr", None) is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def _discard_output() -> None:
    """Let what is left unwritten go nowhere, so that the interpreter does not stumble on it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
