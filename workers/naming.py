"""This host's name: one worker in the whole fleet has it at a time.

Two workers of one name would take each other's parts, and each would speak for the other's machine.
A worker claims its name before it takes anything, and asks with each sign of life whether it still
has it. What another life left behind is told from one that lives by three things: a lock that ends
with its process, the boot that it ran in, and whether its sign of life is renewed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import time
from pathlib import Path
from typing import IO

from swarm_tasks.config import Settings
from swarm_tasks.embedded import running_store
from swarm_tasks.errors import SettingsError
from swarm_tasks.log import logger
from swarm_tasks.models.host import HostFacts
from swarm_tasks.store.names import HELD_SECONDS, Claim, Names, Ours, Taken
from workers.facts import boot_id

LOCK_SECONDS = 1.0
"""How long a process that has just been told to end may keep its lock."""

LOCK_POLL_SECONDS = 0.05

CLAIM_POLL_SECONDS = 0.5
"""Between two looks at a sign of life: a fleet that starts after a crash asks all at once."""


class OwnName:
    """A worker's hold on its host's name, for the life of its process.

    Args:
        names: The fleet's.
        settings: This host's.
        facts: Its machine, and this life of its worker.
    """

    def __init__(self, names: Names, settings: Settings, facts: HostFacts) -> None:
        self._names = names
        self._host = settings.host
        self._facts = facts
        self._path = lock_path(settings)
        self._lock: IO[str] | None = None

    def claim(self) -> None:
        """Take the name, or say whose it is. Where a life may just have ended, wait until it is
        certain.

        Raises:
            SettingsError: Another worker has this name.
        """
        self._lock = self._locked()
        former = _former(self._lock)
        end = time.monotonic() + 2 * self._names.ttl_seconds
        sign = ""
        while True:
            answer = self._names.claim(self._claim(former))
            if isinstance(answer, Ours):
                break
            if answer.elsewhere:
                raise self._elsewhere(answer)
            if (sign and answer.sign != sign) or time.monotonic() > end:
                raise self._alive()
            sign = answer.sign
            time.sleep(CLAIM_POLL_SECONDS)
        self._write()
        before = answer.before
        if before is not None and before.machine_id != self._facts.machine_id:
            logger("worker").warning(
                "%s was the machine %s until now", self._host, before.machine_id
            )

    def claim_again(self) -> bool:
        """Take the name back when the store says that another has it; whether it is ours.

        A store that was set back by a second knows of a former life only: that has no sign.
        """
        return isinstance(self._names.claim(self._claim("")), Ours)

    def let_go(self) -> None:
        """Let another process of this machine have the name."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _claim(self, former: str) -> Claim:
        return Claim(self._host, self._facts.machine_id, self._facts.instance, former)

    def _locked(self) -> IO[str] | None:
        """The lock of this name on this machine; None where it has no place for one.

        Raises:
            SettingsError: Another process holds it.
        """
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = self._path.open("a+", encoding="utf-8")
        except OSError as error:
            logger("worker").warning("%s cannot be locked: %s", self._path, error.strerror)
            return None
        end = time.monotonic() + LOCK_SECONDS
        while not _taken(lock):
            if time.monotonic() > end:
                lock.close()
                raise self._alive()
            time.sleep(LOCK_POLL_SECONDS)
        return lock

    def _write(self) -> None:
        """Leave word for the next life, which can tell by it that this one is over."""
        if self._lock is not None:
            self._lock.seek(0)
            self._lock.truncate()
            self._lock.write(f"{self._facts.instance} {boot_id()}\n")
            self._lock.flush()

    def _alive(self) -> SettingsError:
        return SettingsError(
            f"another worker called {self._host} is alive",
            "give one of the two another HOSTSWARM_HOST, or stop the other",
        )

    def _elsewhere(self, taken: Taken) -> SettingsError:
        machine = taken.binding.machine_id if taken.binding else "unknown"
        message = (
            f"{self._host} is the name of another machine (id {machine}, this one is "
            f"{self._facts.machine_id}), last seen {taken.last_seen:%Y-%m-%d %H:%M:%S} UTC"
        )
        another = "give this machine another HOSTSWARM_HOST"
        if taken.sign:
            return SettingsError(message, another)
        left = max(HELD_SECONDS - taken.silent_seconds, 0.0)
        return SettingsError(
            message,
            f"{another}; if that one is gone for good, start again in {left:.0f} s, or now after "
            f"`hostswarm hosts --forget {self._host}`",
        )


def lock_path(settings: Settings) -> Path:
    """Where the lock of a name is: one for each fleet, as a machine may be in several."""
    url = settings.broker_url.get_secret_value() if settings.broker_url else ""
    if url and url == running_store(settings.state_dir):
        fleet = "own"  # the socket of the embedded store may be another each time
    else:
        plain = re.sub(r"//[^@/]*@", "//", url)  # a new password makes no other fleet
        fleet = hashlib.sha256(plain.encode()).hexdigest()[:12]
    return settings.state_dir / "names" / f"{settings.host}.{fleet}"


def _taken(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    # Whoever held it may have taken the file away.
    return os.fstat(lock.fileno()).st_nlink > 0


def _former(lock: IO[str] | None) -> str:
    """The life that held this lock before, if it is certain to be over: it ran in this boot of this
    machine, and its lock is ours now. A copy of a disk carries the file along, but no boot."""
    if lock is None:
        return ""
    lock.seek(0)
    instance, _, boot = lock.read(200).strip().partition(" ")
    return instance if boot == boot_id() else ""
