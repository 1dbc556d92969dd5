"""All tools by name, and the one way to call them."""

from __future__ import annotations

import asyncio
import difflib
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from swarm_tasks.errors import (
    ArgumentError,
    HostswarmError,
    ToolError,
    ToolFailed,
    ToolTimeout,
    Unavailable,
    UnknownName,
)
from swarm_tasks.log import logger
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.evidence import EvidenceStatus
from workers.tools.access import Access, Machine
from workers.tools.runner import find_program
from workers.tools.spec import Result, Tool


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call of a tool ended; becomes `Evidence` once an agent asked for it."""

    tool: str
    arguments: dict[str, Any]
    started: datetime
    seconds: float
    status: EvidenceStatus
    source: tuple[str, ...] = ()
    truncated: bool = False
    reason: str = ""
    remedy: str = ""
    result: Result | None = None


class Registry:
    """The catalog as one lookup.

    Args:
        tools: Every tool; two of the same name are a mistake and raise ValueError.
    """

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            if tool.name in self._tools:
                raise ValueError(f"two tools are called {tool.name}")
            self._tools[tool.name] = tool

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools.values())

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def get(self, name: str) -> Tool:
        """The tool called `name`.

        Raises:
            UnknownName: There is none; the message offers what comes close.
        """
        if name in self._tools:
            return self._tools[name]
        close = difflib.get_close_matches(name, self._tools, n=3)
        hint = f"did you mean {', '.join(close)}?" if close else "see `hostswarm tools`"
        raise UnknownName(f"there is no tool called {name!r}", hint)

    def missing(self, machine: Machine) -> dict[str, str]:
        """The tools that this machine cannot run, with the reason, without running any."""
        lacking: dict[str, str] = {}
        for tool in self:
            if machine.platform not in tool.reads:
                lacking[tool.name] = f"not available on {machine.platform}"
                continue
            for command in tool.needs.get(machine.platform, ()):
                if find_program(command.argv[0]) is None:
                    lacking[tool.name] = f"{command.argv[0]} is not installed"
        return lacking

    async def call(self, name: str, raw: Mapping[str, Any], machine: Machine) -> Outcome:
        """Call a tool. Whatever goes wrong is an `Outcome`, for the agent to read.

        Cancellation of the caller ends the tool and everything it started.
        """
        started, clock = now_utc(), time.monotonic()
        access = Access(machine)
        # Nothing of what a caller sent is kept until it is known to fit the tool's arguments:
        # what does not fit may hold anything, a password in a URL for one.
        arguments: dict[str, Any] = {}
        error: HostswarmError | None = None
        result: Result | None = None
        try:
            tool = self.get(name)
            checked = tool.parse_arguments(raw)
            arguments = checked.model_dump(mode="json")
            result = await _read(tool, checked, access)
        except (ToolError, ArgumentError, UnknownName) as caught:
            error = caught
        return Outcome(
            tool=name,
            arguments=arguments,
            started=started,
            seconds=time.monotonic() - clock,
            status=_status(error),
            source=tuple(access.source),
            truncated=access.truncated,
            reason=error.message if error else "",
            remedy=error.remedy if error else "",
            result=result,
        )


def _status(error: HostswarmError | None) -> EvidenceStatus:
    match error:
        case None:
            return EvidenceStatus.OK
        case Unavailable():
            return EvidenceStatus.UNAVAILABLE
        case ToolTimeout():
            return EvidenceStatus.TIMEOUT
        case _:
            return EvidenceStatus.FAILED


async def _read(tool: Tool, arguments: Any, access: Access) -> Result:
    """The tool's answer on this platform, within its time."""
    read = tool.reads.get(access.machine.platform)
    if read is None:
        raise Unavailable(f"{tool.name} is not available on {access.machine.platform}")
    try:
        async with asyncio.timeout(tool.timeout_seconds):
            return await read(arguments, access)
    except TimeoutError:
        raise ToolTimeout(f"{tool.name} did not end within {tool.timeout_seconds:g} s") from None
    except ToolError:
        raise
    except Exception as error:  # a mistake in one tool must not cost a part its other answers
        logger("tools").exception("%s broke on this machine", tool.name)
        raise ToolFailed(
            f"{tool.name} could not read this machine's answer: {type(error).__name__}: {error}",
            "this is a mistake in the tool: please report it with the worker's log",
        ) from error
