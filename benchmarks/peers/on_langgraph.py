# pyright: basic, reportMissingImports=false
# Its packages are in a virtual environment of its own.
"""The task on LangGraph's ready-made agent, with langchain-openai."""

from __future__ import annotations

from benchmarks.peers.task import brief, check_answer, quiet, read_meter, run_async

quiet(LANGSMITH_TRACING="false", LANGCHAIN_TRACING_V2="false")

from langchain_openai import ChatOpenAI  # noqa: E402
from langgraph.prebuilt import create_react_agent  # noqa: E402


def meter(number: int) -> dict[str, float]:
    """Reads a meter."""
    return read_meter(number)


def main() -> None:
    """Do what the argument says. One compiled graph serves all tasks."""
    told = brief()
    model = ChatOpenAI(model="worker", base_url=told.url, api_key="none")
    graph = create_react_agent(model, [meter], prompt=told.system)

    async def task() -> None:
        state = await graph.ainvoke({"messages": [("user", told.question)]})
        check_answer(state["messages"][-1].content)

    run_async(told, task)


if __name__ == "__main__":
    main()
