# pyright: basic, reportMissingImports=false
# Its packages are in a virtual environment of its own.
"""The task on swarms."""

from __future__ import annotations

from benchmarks.peers.task import STEPS, brief, check_answer, quiet, read_meter, run_threads

quiet(SWARMS_TELEMETRY_ON="False", LITELLM_LOCAL_MODEL_COST_MAP="True")

from swarms import Agent  # noqa: E402


def meter(number: int) -> dict[str, float]:
    """Reads a meter.

    Args:
        number (int): Which one.
    """
    return read_meter(number)


def main() -> None:
    """Do what the argument says. An agent remembers, so each task has its own."""
    told = brief()

    def task() -> None:
        agent = Agent(
            agent_name="worker",
            system_prompt=told.system,
            model_name="openai/worker",
            llm_base_url=told.url,
            llm_api_key="none",
            tools=[meter],
            max_loops=STEPS,
            print_on=False,
            autosave=False,
            output_type="final",
        )
        check_answer(agent.run(told.question))

    run_threads(told, task)


if __name__ == "__main__":
    main()
