# pyright: basic, reportMissingImports=false
# Its packages are in a virtual environment of its own.
"""The task on pydantic-ai."""

from __future__ import annotations

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from benchmarks.peers.task import brief, check_answer, read_meter, run_async


def meter(number: int) -> dict[str, float]:
    """Reads a meter."""
    return read_meter(number)


def main() -> None:
    """Do what the argument says. One agent serves all tasks, as its documents advise."""
    told = brief()
    model = OpenAIChatModel("worker", provider=OpenAIProvider(base_url=told.url, api_key="none"))
    agent = Agent(model, system_prompt=told.system, tools=[meter])

    async def task() -> None:
        check_answer((await agent.run(told.question)).output)

    run_async(told, task)


if __name__ == "__main__":
    main()
