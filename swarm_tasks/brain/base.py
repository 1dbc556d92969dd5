"""A brain reads a transcript and decides: call these tools, or answer. Rules and models alike."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from functools import cached_property
from typing import Any, Protocol

from pydantic import Field

from swarm_tasks.models.base import Frozen, Name
from swarm_tasks.models.charge import Charge
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


class Mind(StrEnum):
    """Who decided a step."""

    RULES = "rules"
    MODEL = "model"


class Asked(Frozen):
    """One call as a brain asked for it, which need not be one that can be made.

    Args:
        tool: The name as it was written.
        id: The model's own name for this call; empty for rules.
        problem: Why it cannot be read as a call, such as arguments that are no JSON.
    """

    tool: str
    arguments: dict[str, Any] = Field(default_factory=dict[str, Any])
    id: str = ""
    problem: str = ""

    @classmethod
    def of(cls, call: ToolCall) -> Asked:
        """A call that can be made."""
        return cls(tool=call.tool, arguments=call.arguments)


class Reply(Frozen):
    """What became of one call that was asked for: evidence, a page of it, or a problem.

    Args:
        call_id: The evidence that answers; one of an earlier step where the call was made before.
        page: Text of older evidence, where that was asked for.
        problem: Why no call was made; the brain reads it and may ask better.
    """

    asked: Asked
    call_id: str = ""
    page: str = ""
    problem: str = ""


class Step(Frozen):
    """One turn: what was decided, and what the host answered.

    Args:
        evidence: What was gathered in this step; an answer taken from an earlier one is not here.
        said: The words of a model beside its calls, or in place of an answer.
        problem: Why the whole decision was sent back, where it was.
        charge: What a model took for the decision.
    """

    by: Mind = Mind.RULES
    replies: tuple[Reply, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    said: str = ""
    problem: str = ""
    charge: Charge | None = None

    @property
    def malformed(self) -> bool:
        """Whether something in this decision could not be acted on."""
        return bool(self.problem) or any(reply.problem for reply in self.replies)


class Transcript(Frozen):
    """All that an agent did so far."""

    task: HostTask
    steps: tuple[Step, ...] = ()

    @cached_property
    def evidence(self) -> tuple[Evidence, ...]:
        """Every answer of the host, oldest first."""
        return tuple(item for step in self.steps for item in step.evidence)

    @cached_property
    def by_id(self) -> dict[str, Evidence]:
        """Every answer of the host, by the id of its call."""
        return {item.call_id: item for item in self.evidence}

    def answer_to(self, call: ToolCall) -> Evidence | None:
        """What the host already said to this very call, or None.

        Arguments are the same if they were written so, or mean the same with defaults filled in.
        """
        for step in self.steps:
            for reply in step.replies:
                if reply.asked.tool != call.tool or not reply.call_id:
                    continue
                item = self.by_id.get(reply.call_id)
                if item and call.arguments in (reply.asked.arguments, item.arguments):
                    return item
        return None

    def of(self, mind: Mind) -> Transcript:
        """The steps of one kind of brain alone."""
        return Transcript(
            task=self.task, steps=tuple(step for step in self.steps if step.by is mind)
        )

    def then(self, step: Step) -> Transcript:
        """This transcript with one step more."""
        return Transcript(task=self.task, steps=(*self.steps, step))


class CallTools(Frozen):
    """Decision: call these tools, at the same time."""

    calls: tuple[Asked, ...] = Field(min_length=1)
    said: str = ""
    charge: Charge | None = None


class Answer(Frozen):
    """Decision: this is what I found.

    Args:
        text: The answer to the question, in a few sentences; rules have none.
        explained: What a model makes of a finding that the rules raised, by its fingerprint.
        ruled_out: What was looked at and is well, one short phrase each.
        not_seen: What should have been looked at and could not be.
        rejected: How many claims could not be read at all.
    """

    findings: tuple[Finding, ...] = ()
    text: str = ""
    explained: dict[str, str] = Field(default_factory=dict[str, str])
    ruled_out: tuple[str, ...] = ()
    not_seen: tuple[NotSeen, ...] = ()
    charge: Charge | None = None
    rejected: int = 0


class Unusable(Frozen):
    """Decision that is none: neither calls nor an answer that holds. It goes back with `problem`.

    Args:
        said: What the model wrote.
    """

    said: str
    problem: str
    charge: Charge | None = None


Decision = CallTools | Answer | Unusable


class Brain(Protocol):
    """Whatever decides."""

    mind: Mind

    async def decide(self, transcript: Transcript, tools: Sequence[ToolSheet]) -> Decision:
        """The next decision. Called again after its tools have answered.

        Raises:
            ModelError: The model behind it could not be asked.
        """
        ...
