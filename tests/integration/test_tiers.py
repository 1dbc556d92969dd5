"""A host whose agents think with the model of the tier that their task names."""

from __future__ import annotations

import asyncio
from collections.abc import Generator

import pytest

from swarm_tasks.config import Settings
from swarm_tasks.models.charge import Tier
from swarm_tasks.models.job import HostTask
from swarm_tasks.models.report import HostReport
from tests.support import fake_tools
from tests.support.model_script import answers, plays
from tests.support.model_server import ModelServer
from tests.support.thinking import TASK
from workers.investigate import Investigator
from workers.thinker import Thinker
from workers.tools.access import this_machine
from workers.tools.registry import Registry


@pytest.fixture(scope="module")
def server() -> Generator[ModelServer]:
    """A model that says little, under any name."""
    with ModelServer(plays(answers({"answer": "Well."}))) as running:
        yield running


async def investigated(settings: Settings, *tasks: HostTask) -> list[HostReport]:
    """Parts side by side on one host."""
    thinker = Thinker(settings, "Debian")
    investigator = Investigator(
        Registry(fake_tools.TOOLS),
        fake_tools.RULES,
        this_machine(),
        tell=lambda job, event: None,
        keep=lambda outcome: None,
        thinker=thinker,
    )
    try:
        works = (investigator.investigate(task, 20.0, {}) for task in tasks)
        return [done.report for done in await asyncio.gather(*works)]
    finally:
        await thinker.close()


@pytest.mark.parametrize(
    ("names", "thinks"),
    [
        ({"model": "small", "orchestrator_model": "big"}, ("orchestrator", "big")),
        ({"model": "small"}, ("worker", "small")),
        ({}, ("orchestrator", "orchestrator")),
    ],
)
def test_an_agent_thinks_with_its_tier_s_model_where_the_host_has_one(
    server: ModelServer, names: dict[str, str], thinks: tuple[str, str]
) -> None:
    given = {"router_url": server.url, "context_length": 32_768, **names}
    settings = Settings.model_validate(given)
    raised = TASK.model_copy(update={"tier": Tier.ORCHESTRATOR})
    dear, cheap = asyncio.run(investigated(settings, raised, TASK))
    assert (dear.degraded, cheap.degraded) == ("", "")
    assert [(one.tier, one.model) for one in dear.charges] == [thinks]
    assert [(one.tier, one.model) for one in cheap.charges] == [
        ("worker", names.get("model", "worker"))
    ]
