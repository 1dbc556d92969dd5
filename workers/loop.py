"""The loop of an agent: a step is act(decide()). The same for rules and for models."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from swarm_tasks.brain.base import (
    Answer,
    Asked,
    Brain,
    CallTools,
    Decision,
    Mind,
    Reply,
    Step,
    ToolSheet,
    Transcript,
    Unusable,
)
from swarm_tasks.errors import ModelError, UsageError
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.charge import Allowance, Charge, added
from swarm_tasks.models.event import Event, EventKind
from swarm_tasks.models.evidence import Evidence, ToolCall
from swarm_tasks.models.report import StopReason
from swarm_tasks.store.bill import Spent
from workers.paging import PAGE_TOOL, page_of

CallTool = Callable[[ToolCall, str], Awaitable[Evidence]]
"""Calls one tool under a call id. Never raises for a tool's own failure."""


class Memory(Protocol):
    """Where an agent's steps are kept for another attempt."""

    def put(self, steps: Sequence[Step]) -> None:
        """Hand over steps to be kept; returns at once."""
        ...

    async def spent(self) -> Spent | None:
        """What the whole job has spent by now, with these; None where nobody can tell."""
        ...


class Hands(Protocol):
    """What an agent can do on its host."""

    sheets: tuple[ToolSheet, ...]

    def readable(self, asked: Asked) -> ToolCall:
        """The call with its arguments checked and its defaults filled in.

        Raises:
            UsageError: The tool takes no such arguments.
        """
        ...

    async def call(self, call: ToolCall, call_id: str) -> Evidence:
        """Call one tool. Never raises for a tool's own failure."""
        ...


@dataclass(frozen=True, slots=True)
class Budget:
    """What an agent may spend before it is stopped.

    Args:
        steps: Turns of this agent's brain, those of earlier attempts among them.
        output_bytes: Evidence gathered, as text.
        seconds: Wall time of this attempt.
        tokens: Prompt and completion tokens of this agent; None sets no bound.
        malformed: Decisions that could not be acted on; one more ends the agent.
        allowance: What all agents of the job may cost together.
    """

    steps: int = 12
    output_bytes: int = 8 << 20
    seconds: float = 300.0
    tokens: int | None = None
    malformed: int = 3
    allowance: Allowance = field(default_factory=Allowance)


@dataclass(frozen=True, slots=True)
class Ending:
    """How an agent ended. The transcript is there in any case; an answer only if it gave one.

    Args:
        why: What stopped it, for people; empty after an answer.
    """

    stop: StopReason
    transcript: Transcript
    answer: Answer | None = None
    why: str = ""

    @property
    def charges(self) -> tuple[Charge, ...]:
        """What its model calls took, the last one among them."""
        made = [step.charge for step in self.transcript.steps]
        made.append(self.answer.charge if self.answer else None)
        return tuple(charge for charge in made if charge is not None)


class Agent:
    """One specialist at work on its host.

    Args:
        transcript: Its task, and what was done so far: by another brain, or another attempt.
        brain: What decides.
        hands: What it can do.
        budget: What it may spend.
        tell: Takes each event of its progress.
        memory: Keeps each step; None for work that is as well begun anew.
        attempt: Which attempt at the part this is; it stands in the ids of its calls.
    """

    def __init__(
        self,
        transcript: Transcript,
        brain: Brain,
        hands: Hands,
        budget: Budget,
        tell: Callable[[Event], None],
        memory: Memory | None = None,
        attempt: int = 1,
    ) -> None:
        self.transcript = transcript
        self._brain = brain
        self._hands = hands
        self._allowed = {sheet.name for sheet in hands.sheets}
        self._budget = budget
        self._tell = tell
        self._memory = memory
        self._spent = Spent()
        self._attempt = attempt
        self._numbered = len(transcript.evidence)
        self._bytes = _size(transcript.evidence)

    async def run(self) -> Ending:
        """Step until the brain answers or the budget is spent.

        What was gathered before the time ran out stays in the transcript.
        """
        try:
            async with asyncio.timeout(self._budget.seconds):
                await self._learn_spent(None)
                while (over := self._over()) is None:
                    answer = await self.step()
                    if answer is not None:
                        return Ending(StopReason.ANSWERED, self.transcript, answer)
                stop, why = over
        except TimeoutError:
            stop, why = StopReason.DEADLINE, "did not finish by the deadline"
        except ModelError as error:
            stop, why = StopReason.MODEL, str(error)
        return Ending(stop, self.transcript, why=why)

    async def step(self) -> Answer | None:
        """Act on one decision; the answer, if that is what was decided."""
        decision: Decision = await self._brain.decide(self.transcript, self._hands.sheets)
        before = len(self.transcript.steps)
        try:
            if isinstance(decision, Answer):
                if decision.charge is not None:
                    self._keep((Step(by=self._brain.mind, charge=decision.charge),))
                return decision
            if isinstance(decision, Unusable):
                self._append(
                    Step(
                        by=self._brain.mind,
                        said=decision.said,
                        problem=decision.problem,
                        charge=decision.charge,
                    )
                )
            else:
                await self._act(decision)
        finally:
            # Also when time runs out among the tools: what has answered is kept.
            self._keep(self.transcript.steps[before:])
        await self._learn_spent(decision.charge)
        return None

    def _keep(self, steps: Sequence[Step]) -> None:
        if self._memory is not None and steps:
            self._memory.put(steps)

    async def _learn_spent(self, charge: Charge | None) -> None:
        """What all agents of the job have spent by now, where that has a bound.

        Agents look before they call and do not reserve: those that are under way when the bound
        is reached finish the call they are in. While the store is away, an agent counts its own
        on top of what it knew.
        """
        if not self._budget.allowance.bounded or self._memory is None:
            return
        known = await self._memory.spent()
        if known is None and charge is not None:
            tokens = self._spent.tokens + charge.prompt_tokens + charge.completion_tokens
            cost_usd = added(self._spent.cost_usd, charge.cost_usd)
            known = Spent(tokens, cost_usd, self._spent.calls + charge.calls)
        self._spent = known or self._spent

    def _over(self) -> tuple[StopReason, str] | None:
        """The one place where all that an agent may spend is held against its budget."""
        budget, mine = self._budget, self._own_steps()
        if len(mine) >= budget.steps:
            return StopReason.STEPS, f"used up its {budget.steps} steps"
        if self._bytes > budget.output_bytes:
            return StopReason.OUTPUT, f"gathered more than {budget.output_bytes:,} bytes"
        bad = [step for step in mine if step.malformed]
        if len(bad) > budget.malformed:
            return StopReason.MALFORMED, f"could not be understood: {_problem(bad[-1])}"
        charges = [step.charge for step in mine if step.charge is not None]
        tokens = sum(charge.prompt_tokens + charge.completion_tokens for charge in charges)
        if budget.tokens is not None and tokens >= budget.tokens:
            return StopReason.TOKENS, f"used up its {budget.tokens:,} tokens"
        bound = budget.allowance.exceeded(self._spent.tokens, self._spent.cost_usd)
        return (StopReason.COST, bound) if bound else None

    def _own_steps(self) -> list[Step]:
        return [step for step in self.transcript.steps if step.by is self._brain.mind]

    def _append(self, step: Step) -> None:
        self.transcript = self.transcript.then(step)

    async def _act(self, decision: CallTools) -> None:
        """Call the tools at the same time; keep what has answered even if time runs out."""
        under_way: dict[tuple[str, str], asyncio.Task[Evidence]] = {}
        replies = [self._begin(asked, under_way) for asked in decision.calls]
        try:
            if under_way:
                await asyncio.wait(under_way.values())
        finally:
            late = [task for task in under_way.values() if not task.done()]
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
            done = {
                task: task.result()
                for task in under_way.values()
                if not task.cancelled() and task.exception() is None
            }
            self._bytes += _size(done.values())
            self._append(
                Step(
                    by=self._brain.mind,
                    replies=tuple(
                        reply
                        if isinstance(reply, Reply)
                        else Reply(asked=asked, call_id=done[reply].call_id)
                        for asked, reply in zip(decision.calls, replies, strict=True)
                        if isinstance(reply, Reply) or reply in done
                    ),
                    evidence=tuple(done.values()),
                    said=decision.said,
                    charge=decision.charge,
                )
            )
        for task in under_way.values():
            task.result()

    def _begin(
        self, asked: Asked, under_way: dict[tuple[str, str], asyncio.Task[Evidence]]
    ) -> Reply | asyncio.Task[Evidence]:
        """A reply that is at hand already, or the running call that will be one."""
        if asked.problem:
            return Reply(asked=asked, problem=asked.problem)
        if asked.tool == PAGE_TOOL:
            return page_of(self.transcript, asked)
        if self._brain.mind is Mind.RULES:
            # What rules ask for and cannot have is evidence too: it was not seen.
            call = ToolCall(tool=asked.tool, arguments=asked.arguments)
        elif asked.tool not in self._allowed:
            problem = f"there is no tool {asked.tool!r} here; the tools are: "
            return Reply(asked=asked, problem=problem + ", ".join(sorted(self._allowed)))
        else:
            try:
                call = self._hands.readable(asked)
            except UsageError as error:
                return Reply(asked=asked, problem=str(error))
        known = self.transcript.answer_to(call)
        if known is not None:
            return Reply(asked=asked, call_id=known.call_id)
        name = (call.tool, repr(sorted(call.arguments.items())))
        if name not in under_way:
            self._numbered += 1
            call_id = f"{self.transcript.task.part}#{self._attempt}.{self._numbered}"
            under_way[name] = asyncio.ensure_future(self._one(call, call_id))
        return under_way[name]

    async def _one(self, call: ToolCall, call_id: str) -> Evidence:
        self._say(EventKind.TOOL_STARTED, call.tool)
        evidence = await self._hands.call(call, call_id)
        self._say(EventKind.TOOL_ENDED, call.tool, evidence.status.value, evidence.seconds)
        return evidence

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


def _size(evidence: Iterable[Evidence]) -> int:
    return sum(len(str(item.data)) for item in evidence)


def _problem(step: Step) -> str:
    return step.problem or next(reply.problem for reply in step.replies if reply.problem)
