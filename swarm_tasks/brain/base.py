"""A brain reads a transcript and decides: call these tools, or answer. Rules and models alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from pydantic import Field

from swarm_tasks.models.base import Frozen, Name
from swarm_tasks.models.evidence import Evidence, ToolCall
from swarm_tasks.models.finding import Finding
from swarm_tasks.models.job import HostTask
from swarm_tasks.models.report import NotSeen


class ToolSheet(Frozen):
    """What a brain knows of a tool.

    Args:
        parameters: The JSON schema of its arguments.
    """

    name: Name
    summary: str
    parameters: dict[str, Any] = Field(default_factory=dict[str, Any])


class Step(Frozen):
    """One turn: what was asked, and what the host answered, in the same order."""

    calls: tuple[ToolCall, ...]
    evidence: tuple[Evidence, ...]


class Transcript(Frozen):
    """All that an agent did so far."""

    task: HostTask
    steps: tuple[Step, ...] = ()

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """Every answer of the host, oldest first."""
        return tuple(item for step in self.steps for item in step.evidence)

    def answer_to(self, call: ToolCall) -> Evidence | None:
        """What the host already said to this very call, or None."""
        for step in self.steps:
            for asked, item in zip(step.calls, step.evidence, strict=True):
                if asked.same_as(call):
                    return item
        return None

    def then(self, step: Step) -> Transcript:
        """This transcript with one step more."""
        return Transcript(task=self.task, steps=(*self.steps, step))


class CallTools(Frozen):
    """Decision: call these tools, at the same time."""

    calls: tuple[ToolCall, ...] = Field(min_length=1)


class Answer(Frozen):
    """Decision: this is what I found.

    Args:
        ruled_out: What was looked at and is well, one short phrase each.
        not_seen: What should have been looked at and could not be.
    """

    findings: tuple[Finding, ...] = ()
    ruled_out: tuple[str, ...] = ()
    not_seen: tuple[NotSeen, ...] = ()


Decision = CallTools | Answer


class Brain(Protocol):
    """Whatever decides."""

    async def decide(self, transcript: Transcript, tools: Sequence[ToolSheet]) -> Decision:
        """The next decision. Called again after its tools have answered."""
        ...
