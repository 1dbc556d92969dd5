"""What may befall a fleet, one at a time or several at once, from a seed."""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from tests.chaos.arena import Arena
from tests.support.cable import Line
from tests.support.disks import filled

FULL_SECONDS = 5.0
"""A disk is full no longer than this: until then the whole fleet stands still."""


@dataclass(frozen=True, slots=True)
class Spell:
    """How long faults last that pass by themselves.

    Args:
        shortest: Of one, in seconds.
        longest: Of one, in seconds.
    """

    shortest: float = 1.0
    longest: float = 6.0

    def pick(self, chance: random.Random) -> float:
        """A length."""
        return chance.uniform(self.shortest, self.longest)


def kill_worker(arena: Arena, chance: random.Random, spell: Spell) -> None:
    """SIGKILL of a worker, wherever in a part it is."""
    host = chance.choice(arena.hosts)
    arena.silent.add(host)
    arena.fleet.kill(host)


def kill_control(arena: Arena, chance: random.Random, spell: Spell) -> None:
    """SIGKILL of a control, now and then of both."""
    for name in chance.choice((*((one,) for one in arena.controls), arena.controls)):
        arena.fleet.kill(name)


def kill_store(arena: Arena, chance: random.Random, spell: Spell) -> None:
    """SIGKILL of the store, which is started again with what it had written down."""
    with arena.store_lock:
        arena.fleet.kill_store()
        time.sleep(chance.uniform(0.1, 1.0))  # as long as its service manager takes
        arena.fleet.revive_store()


def kill_tool(arena: Arena, chance: random.Random, spell: Spell) -> None:
    """SIGKILL of a program that a tool runs."""
    children = arena.children()
    if children:
        chance.choice(children).send_signal(signal.SIGKILL)


def freeze_worker(arena: Arena, chance: random.Random, spell: Spell) -> None:
    """SIGSTOP of a worker, and SIGCONT later: it comes back with old leases."""
    host = chance.choice(arena.hosts)
    arena.silent.add(host)
    arena.fleet.freeze(host)
    time.sleep(spell.pick(chance))
    arena.fleet.thaw(host)


def hold_line(arena: Arena, chance: random.Random, spell: Spell) -> None:
    """A worker's packets get lost, both ways, for a while."""
    _part(arena, chance, spell, Line.HELD)


def cut_line(arena: Arena, chance: random.Random, spell: Spell) -> None:
    """A worker's connections are reset, and new ones refused, for a while."""
    _part(arena, chance, spell, Line.CUT)


def jump_clock(arena: Arena, chance: random.Random, spell: Spell) -> None:
    """The clock of a process goes an hour ahead, back, or right again."""
    path = arena.clocks[chance.choice(sorted(arena.clocks))]
    path.write_text(chance.choice(("+3600", "-3600", "+0")), encoding="ascii")


def fill_disk(arena: Arena, chance: random.Random, spell: Spell) -> None:
    """Nothing more fits on the store's disk, for a while: it takes no writes then."""
    assert arena.disk is not None
    with arena.store_lock, filled(arena.disk):
        time.sleep(min(spell.pick(chance), FULL_SECONDS))


def kill_model(arena: Arena, chance: random.Random, spell: Spell) -> None:
    """SIGKILL of the model's server, which is started again after a while."""
    with arena.model_lock:
        arena.model.kill()
        try:
            time.sleep(spell.pick(chance))
        finally:
            arena.model.restart()


def _part(arena: Arena, chance: random.Random, spell: Spell, line: Line) -> None:
    host = chance.choice(arena.hosts)
    arena.silent.add(host)
    cable = arena.cables[host]
    cable.set(line)
    time.sleep(spell.pick(chance))
    cable.set(Line.WHOLE)


Fault = Callable[[Arena, random.Random, Spell], None]

FAULTS: dict[str, tuple[Fault, int]] = {
    "worker killed": (kill_worker, 6),
    "control killed": (kill_control, 3),
    "store killed": (kill_store, 2),
    "tool killed": (kill_tool, 2),
    "worker frozen": (freeze_worker, 3),
    "line held": (hold_line, 2),
    "line cut": (cut_line, 2),
    "model killed": (kill_model, 2),
    "clock set": (jump_clock, 1),
    "disk filled": (fill_disk, 1),
}
"""Each with its weight."""


def possible(arena: Arena) -> dict[str, int]:
    """The faults that can be made here, each with its weight."""
    missing = {
        "clock set": not arena.clocks,
        "disk filled": arena.disk is None,
    }
    return {name: weight for name, (_, weight) in FAULTS.items() if not missing.get(name, False)}


class Trouble:
    """Makes faults, one after the other and with a chance of two at a time, until told to stop.

    Args:
        arena: Where.
        seed: The same seed makes the same faults in the same order.
        every_seconds: The mean time between two.
        spell: How long those last that pass.
    """

    def __init__(self, arena: Arena, seed: int, every_seconds: float, spell: Spell) -> None:
        self._arena = arena
        self._chance = random.Random(seed)
        self._every = every_seconds
        self._spell = spell
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.made: Counter[str] = Counter()
        self.failed: list[BaseException] = []
        self._maker = threading.Thread(target=self._turn, name="trouble", daemon=True)

    def __enter__(self) -> Trouble:
        self._maker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Make no more, and wait until all that was made has passed."""
        self._stop.set()
        for thread in (self._maker, *self._threads):
            thread.join(60)

    def _turn(self) -> None:
        weights = possible(self._arena)
        while not self._stop.wait(self._chance.expovariate(1 / self._every)):
            (name,) = self._chance.choices(list(weights), list(weights.values()))
            own = random.Random(self._chance.random())
            thread = threading.Thread(target=self._make, args=(name, own), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _make(self, name: str, chance: random.Random) -> None:
        try:
            # What has just fallen cannot be made to fall.
            with contextlib.suppress(psutil.NoSuchProcess, KeyError):
                FAULTS[name][0](self._arena, chance, self._spell)
                self.made[name] += 1
        except Exception as error:  # noqa: BLE001 - told by the test, whose thread this is not
            self.failed.append(error)
