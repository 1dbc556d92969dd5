"""Tools that make the worker they run in deaf, as a fault of its libraries would, and let it notice
within seconds."""

from __future__ import annotations

from typing import Any

from swarm_tasks.transport import channel, consuming
from tests.support.fake_tools import Nap
from workers.tools.access import Access
from workers.tools.spec import NoArguments, Tool, every_platform


def _notice_soon(deaf_seconds: float) -> None:
    patched: Any = consuming
    patched.DEAF_SECONDS, patched.DOUBT_SECONDS = deaf_seconds, deaf_seconds / 4
    patched.LOOK_SECONDS, patched.LATE_LOOKS, patched.END_SECONDS = 0.05, 100, 1.0


def _ask_nothing(self: Any, timeout: float | None = None) -> None:
    """In place of asking for a message."""


async def read_deafen(arguments: NoArguments, access: Access) -> Nap:
    """Have the channel that is there now ask for no message again."""
    # A consumer that hears asks once a second.
    _notice_soon(2.0)
    patched: Any = channel.OwnChannel
    ask, deaf = patched._brpop_start, list[Any]()

    def ask_elsewhere(self: Any, timeout: float | None = None) -> None:
        deaf[:] = deaf or [self]
        if self is not deaf[0]:
            ask(self, timeout)

    patched._brpop_start = ask_elsewhere
    return Nap(slept_seconds=0)


async def read_deafen_for_good(arguments: NoArguments, access: Access) -> Nap:
    """Have no channel of this process ask for a message again."""
    _notice_soon(0.8)
    patched: Any = channel.OwnChannel
    patched._brpop_start = _ask_nothing
    return Nap(slept_seconds=0)


TOOLS = (
    Tool("deafen", "Deafens.", NoArguments, Nap, every_platform(read_deafen)),
    Tool("deafen_for_good", "Deafens.", NoArguments, Nap, every_platform(read_deafen_for_good)),
)
