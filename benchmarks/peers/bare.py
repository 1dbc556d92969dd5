"""The floor: the same messages with aiohttp and nothing else."""

from __future__ import annotations

import json
from typing import Any

import aiohttp

from benchmarks.peers.task import Brief, brief, check_answer, read_meter, run_async

TOOL = {
    "type": "function",
    "function": {
        "name": "meter",
        "description": "Reads a meter.",
        "parameters": {
            "type": "object",
            "properties": {"number": {"type": "integer"}},
            "required": ["number"],
        },
    },
}


async def one(told: Brief, session: aiohttp.ClientSession) -> None:
    """A task."""
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": told.system},
        {"role": "user", "content": told.question},
    ]
    while True:
        body = {"model": "worker", "messages": messages, "tools": [TOOL]}
        async with session.post(f"{told.url}/chat/completions", json=body) as reply:
            message = (await reply.json())["choices"][0]["message"]
        messages.append(message)
        if not message.get("tool_calls"):
            check_answer(message["content"])
            return
        for call in message["tool_calls"]:
            answer = read_meter(**json.loads(call["function"]["arguments"]))
            text = json.dumps(answer, separators=(",", ":"))
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": text})


def main() -> None:
    """Do what the argument says."""
    told = brief()
    open_session: list[aiohttp.ClientSession] = []

    async def task() -> None:
        # Made by the first task: a session belongs to the loop that it is made on.
        if not open_session:
            open_session.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        await one(told, open_session[0])

    async def close() -> None:
        await open_session[0].close()

    run_async(told, task, close)


if __name__ == "__main__":
    main()
