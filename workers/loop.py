"""The loop of an agent: a step is act(decide()). The same for rules and for models."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from swarm_tasks.brain.base import Answer, Brain, Step, ToolSheet, Transcript
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.event import Event, EventKind
from swarm_tasks.models.evidence import Evidence, EvidenceStatus, ToolCall
from swarm_tasks.models.job import HostTask
from swarm_tasks.models.report import StopReason

CallTool = Callable[[ToolCall, str], Awaitable[Evidence]]
"""Calls one tool under a call id. Never raises for a tool's own failure."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What an agent may spend before it is stopped.

    Args:
        steps: Turns of the loop.
        output_bytes: Evidence gathered, as JSON.
        seconds: Wall time.
    """

    steps: int = 12
    output_bytes: int = 8 << 20
    seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class Ending:
    """How an agent ended. The transcript is there in any case; an answer only if it gave one."""

    stop: StopReason
    transcript: Transcript
    answer: Answer | None = None


class Agent:
    """One specialist at work on its host.

    Args:
        task: What it was asked.
        brain: What decides.
        sheets: The tools that it may use.
        call_tool: How a tool is called on this host.
        budget: What it may spend.
        tell: Takes each event of its progress.
    """

    def __init__(
        self,
        task: HostTask,
        brain: Brain,
        sheets: Sequence[ToolSheet],
        call_tool: CallTool,
        budget: Budget,
        tell: Callable[[Event], None],
    ) -> None:
        self.transcript = Transcript(task=task)
        self._brain = brain
        self._sheets = tuple(sheets)
        self._allowed = {sheet.name for sheet in sheets}
        self._call_tool = call_tool
        self._budget = budget
        self._tell = tell
        self._bytes = 0
        self._calls = 0

    async def run(self) -> Ending:
        """Step until the brain answers or the budget is spent.

        What was gathered before the time ran out stays in the transcript.
        """
        try:
            async with asyncio.timeout(self._budget.seconds):
                while (stop := self._spent()) is None:
                    answer = await self.step()
                    if answer is not None:
                        return Ending(StopReason.ANSWERED, self.transcript, answer)
        except TimeoutError:
            stop = StopReason.DEADLINE
        return Ending(stop, self.transcript)

    async def step(self) -> Answer | None:
        """Act on one decision; the answer, if that is what was decided."""
        decision = await self._brain.decide(self.transcript, self._sheets)
        if isinstance(decision, Answer):
            return decision
        await self._act(decision.calls)
        return None

    def _spent(self) -> StopReason | None:
        """The one place where steps and output are counted against the budget."""
        if len(self.transcript.steps) >= self._budget.steps:
            return StopReason.STEPS
        return StopReason.OUTPUT if self._bytes > self._budget.output_bytes else None

    async def _act(self, calls: tuple[ToolCall, ...]) -> None:
        """Call the tools at the same time; keep what has answered even if time runs out."""
        running = {asyncio.ensure_future(self._one(call, self._next_id())): call for call in calls}
        try:
            await asyncio.wait(running)
        finally:
            for task in running:
                task.cancel()
            await asyncio.wait(running)
            answered = [
                (call, task.result())
                for task, call in running.items()
                if not task.cancelled() and task.exception() is None
            ]
            step = Step(
                calls=tuple(call for call, _ in answered),
                evidence=tuple(evidence for _, evidence in answered),
            )
            self.transcript = self.transcript.then(step)
        for task in running:
            task.result()

    def _next_id(self) -> str:
        self._calls += 1
        return f"{self.transcript.task.part}#{self._calls}"

    async def _one(self, call: ToolCall, call_id: str) -> Evidence:
        known = self.transcript.answer_to(call)
        if known is not None:
            return known
        if call.tool not in self._allowed:
            return self._refused(call, call_id)
        self._say(EventKind.TOOL_STARTED, call.tool)
        evidence = await self._call_tool(call, call_id)
        self._bytes += len(str(evidence.data))
        self._say(EventKind.TOOL_ENDED, call.tool, evidence.status.value, evidence.seconds)
        return evidence

    def _refused(self, call: ToolCall, call_id: str) -> Evidence:
        task = self.transcript.task
        return Evidence(
            call_id=call_id,
            host=task.host,
            specialist=task.specialist.name,
            tool=call.tool,
            arguments=call.arguments,
            started=now_utc(),
            seconds=0.0,
            status=EvidenceStatus.FAILED,
            reason=f"{call.tool} is not among this specialist's tools",
            remedy=f"its tools are: {', '.join(sorted(self._allowed))}",
        )

    def _say(self, kind: EventKind, tool: str, status: str = "", seconds: float = 0.0) -> None:
        task = self.transcript.task
        self._tell(
            Event(
                kind=kind,
                at=now_utc(),
                part=task.part,
                host=task.host,
                specialist=task.specialist.name,
                tool=tool,
                status=status,
                seconds=seconds,
            )
        )
