"""What an operator's own module may bring into a worker: a tool that would end the process, and a
task that waits for an errand on the same host, as control's task of a report does."""

from __future__ import annotations

import sys

from celery import current_app, shared_task

from orchestrator.service import Fleet
from swarm_tasks.app import settings_of
from tests.support.fake_tools import Nap
from workers.begun import Begun, BegunTask
from workers.tools.access import Access
from workers.tools.spec import NoArguments, Tool, every_platform

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


TOOLS = (Tool("exits", "Ends.", NoArguments, Nap, every_platform(read_exits)),)
