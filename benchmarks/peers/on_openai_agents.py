# pyright: basic, reportMissingImports=false
# Its packages are in a virtual environment of its own.
"""The task on the OpenAI Agents SDK."""

from __future__ import annotations

from benchmarks.peers.task import brief, check_answer, quiet, read_meter, run_async

quiet(OPENAI_AGENTS_DISABLE_TRACING="1")

from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool  # noqa: E402
from openai import AsyncOpenAI  # noqa: E402


@function_tool
def meter(number: int) -> dict[str, float]:
    """Reads a meter."""
    return read_meter(number)


def main() -> None:
    """Do what the argument says. One agent serves all tasks."""
    told = brief()
    client = AsyncOpenAI(base_url=told.url, api_key="none")
    agent = Agent(
        name="worker",
        instructions=told.system,
        tools=[meter],
        model=OpenAIChatCompletionsModel(model="worker", openai_client=client),
    )

    async def task() -> None:
        check_answer((await Runner.run(agent, told.question)).final_output)

    run_async(told, task)


if __name__ == "__main__":
    main()
