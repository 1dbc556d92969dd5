"""What an operator's own module may bring into a worker: tools that would end the process or wait
for the world, and a task that waits for an errand on the same host, as control's task of a report
does."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from celery import current_app, shared_task

from orchestrator.service import Fleet
from swarm_tasks.app import settings_of
from tests.support.fake_tools import Nap
from workers.begun import Begun, BegunTask
from workers.tools.access import Access
from workers.tools.spec import Arguments, NoArguments, Tool, every_platform

ASKS = "tests.asks"
EXITS = "tests.exits"


@shared_task(name=ASKS, ignore_result=True)
def asks(host: str) -> str:
    """Have a tool called on a host, and wait for its answer."""
    fleet = Fleet(settings_of(current_app), app=current_app)
    try:
        return fleet.call_tool(host, "nap", {"seconds": 0}, 20.0).status.value
    finally:
        fleet.close()


@shared_task(name=EXITS, base=BegunTask, ignore_result=True)
def exits() -> Begun[str]:
    """Work that cannot be begun, and would take its thread along."""
    sys.exit("no work today")


async def read_exits(arguments: NoArguments, access: Access) -> Nap:
    """A program that was made into a tool, and ends as programs do."""
    sys.exit("no answer today")


class WaitArguments(Arguments):
    """The file that is waited for."""

    path: str


async def read_waits(arguments: WaitArguments, access: Access) -> Nap:
    """Something that is not there yet, for as long as a test wants."""
    # Whoever makes the file is another process: there is no event to wait for.
    while not await access.call(arguments.path, Path(arguments.path).exists):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    return Nap(slept_seconds=0)


TOOLS = (
    Tool("exits", "Ends.", NoArguments, Nap, every_platform(read_exits)),
    Tool(
        "waits",
        "Waits for a file.",
        WaitArguments,
        Nap,
        every_platform(read_waits),
        timeout_seconds=120,
    ),
)
