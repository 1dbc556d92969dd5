"""Who thought in a job, and what all of it took. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from swarm_tasks.models.charge import Charge
from swarm_tasks.models.job import BrainChoice, Job
from swarm_tasks.models.report import Degraded, Usage

Thought = Literal["rules", "llm", "degraded"]
"""Who thought, as the head of a report has it."""


def brain_of(job: Job, charges: Sequence[Charge], degraded: Sequence[Degraded]) -> Thought:
    """Who thought: `degraded` if anybody who wanted a model went on without one."""
    if degraded:
        return "degraded"
    return "llm" if charges or job.brain is BrainChoice.LLM else "rules"


def total(usages: Iterable[Usage]) -> Usage:
    """All of these together; wall time is the longest."""
    tools = calls = prompt = completion = 0
    cost: float | None = 0.0
    wall = 0.0
    for one in usages:
        tools += one.tool_calls
        calls += one.llm_calls
        prompt += one.prompt_tokens
        completion += one.completion_tokens
        if cost is not None:
            cost = None if one.cost_usd is None else cost + one.cost_usd
        if one.wall_seconds > wall:
            wall = one.wall_seconds
    return Usage(
        tool_calls=tools,
        llm_calls=calls,
        prompt_tokens=prompt,
        completion_tokens=completion,
        cost_usd=cost,
        wall_seconds=wall,
    )
