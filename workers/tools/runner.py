"""Run one program safely: no shell, its own session, bounded in time and output."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal

from swarm_tasks.errors import ToolFailed, ToolTimeout
from workers.tools.manners import (
    Manners,
    bound_processor_time,
    give_way,
    give_way_soon,
)
from workers.tools.spec import Completed

SEARCH_PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin:/opt/homebrew/bin"
"""Where programs are looked for: never the caller's PATH, which anybody may have set."""

ENVIRONMENT = {"PATH": SEARCH_PATH, "LANG": "C", "LC_ALL": "C"}

CHUNK_BYTES = 1 << 16
REAP_SECONDS = 1.0

PLAIN = Manners()


def find_program(name: str) -> str | None:
    """The absolute path of a program on the fixed search path, or None."""
    return shutil.which(name, path=SEARCH_PATH)


async def run_argv(
    argv: tuple[str, ...],
    timeout_seconds: float,
    output_limit_bytes: int,
    manners: Manners = PLAIN,
) -> Completed:
    """Run `argv` and return what it printed.

    The program gets a session of its own, an environment of PATH, locale and mark only, and no
    standard input. When its time is up, when its output passes the limit, or when the caller is
    cancelled, its whole process group is killed.

    Args:
        manners: Its mark, and the priority that it goes at.

    Raises:
        ToolTimeout: It did not end within `timeout_seconds`.
        ToolFailed: It could not be started.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**ENVIRONMENT, **dict(manners.mark)},
            cwd="/",
            start_new_session=True,
            limit=CHUNK_BYTES,
        )
    except OSError as error:
        raise ToolFailed(f"{argv[0]} could not be started: {error.strerror}") from error
    bound_processor_time(process.pid, timeout_seconds)
    again: asyncio.Task[None] | None = None
    if not give_way(process.pid, manners.niceness):
        again = asyncio.create_task(give_way_soon(process.pid, manners.niceness))
    try:
        async with asyncio.timeout(timeout_seconds):
            (stdout, cut_out), (stderr, cut_err) = await asyncio.gather(
                _read(process.stdout, output_limit_bytes, process.pid),
                _read(process.stderr, output_limit_bytes, process.pid),
            )
            code = await process.wait()
    except TimeoutError:
        raise ToolTimeout(f"{argv[0]} did not end within {timeout_seconds:g} s") from None
    finally:
        if again is not None:
            again.cancel()
        # Also after a clean end: what a program left behind in its group goes with it.
        kill_group(process.pid)
        await asyncio.shield(_reap(process))
    return Completed(
        argv=argv,
        code=code,
        stdout=stdout.decode(errors="replace"),
        stderr=stderr.decode(errors="replace"),
        truncated=cut_out or cut_err,
    )


async def _read(
    stream: asyncio.StreamReader | None, limit_bytes: int, group: int
) -> tuple[bytes, bool]:
    """Up to `limit_bytes` of a stream, and whether there was more; then `group` is killed."""
    kept = bytearray()
    while stream is not None and (chunk := await stream.read(CHUNK_BYTES)):
        room = limit_bytes - len(kept)
        kept += chunk[:room]
        if len(chunk) > room:
            kill_group(group)
            return bytes(kept), True
    return bytes(kept), False


async def _reap(process: asyncio.subprocess.Process) -> None:
    """Collect a killed process, and let go of pipes that a stray grandchild may still hold."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(REAP_SECONDS):
            await process.wait()
    transport = getattr(process, "_transport", None)
    if transport is not None:
        transport.close()


def kill_group(group: int) -> None:
    """Kill every process of a group that may already be gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
