"""A task, its evidence and a model that says what a test wants, for the host's side of thinking."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from swarm_tasks.brain.base import Asked, Mind, Reply, Step, Transcript
from swarm_tasks.brain.model import ModelReply, ModelRequest, WireCall
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.charge import Charge, Tier
from swarm_tasks.models.evidence import Evidence, EvidenceStatus
from swarm_tasks.models.job import BrainChoice, HostTask, Specialist
from tests.support import fake_tools
from workers.rules.brain import Review, RulesBrain
from workers.tools.registry import Registry

REGISTRY = Registry(fake_tools.TOOLS)
CHARGE = Charge(tier=Tier.WORKER, model="scripted", prompt_tokens=100, completion_tokens=10)

TASK = HostTask(
    job="abcdefgh",
    part="alpha/gauges",
    host="alpha",
    specialist=Specialist(
        name="gauges", title="Gauges", prompt="You read gauges.", tools=("gauge", "nap")
    ),
    brain=BrainChoice.LLM,
    deadline_at=0,
)


def gauge(call_id: str, value: float | None, **data: Any) -> Evidence:
    """What a gauge said; None for one that could not be read."""
    return Evidence(
        call_id=call_id,
        host="alpha",
        specialist="gauges",
        tool="gauge",
        arguments={"path": call_id},
        started=now_utc(),
        seconds=0.0,
        status=EvidenceStatus.FAILED if value is None else EvidenceStatus.OK,
        reason="no such file" if value is None else "",
        data=None if value is None else {"path": call_id, "busy_percent": value, **data},
    )


def step(*evidence: Evidence, by: Mind = Mind.MODEL, said: str = "") -> Step:
    """A step that gathered this, with calls named after their evidence."""
    replies = tuple(
        Reply(
            asked=Asked(tool=item.tool, arguments=item.arguments, id=f"id-{item.call_id}"),
            call_id=item.call_id,
        )
        for item in evidence
    )
    return Step(by=by, replies=replies, evidence=evidence, said=said, charge=CHARGE)


def transcript(*steps: Step, task: HostTask = TASK) -> Transcript:
    """What was done so far."""
    return Transcript(task=task, steps=steps)


def rules() -> RulesBrain:
    """The rules of the fake tools."""
    return RulesBrain(REGISTRY, fake_tools.RULES, {})


def swept(*values: float | None) -> tuple[Transcript, Review]:
    """A sweep of gauges by the rules, and what they make of it."""
    found = transcript(
        step(*(gauge(f"g{at}", value) for at, value in enumerate(values, 1)), by=Mind.RULES)
    )
    return found, rules().review(found)


def said(text: str = "", *calls: tuple[str, str], finish: str = "stop") -> ModelReply:
    """A reply of words, or of calls as (tool, arguments as text)."""
    wired = tuple(WireCall(f"call-{at}", *call) for at, call in enumerate(calls))
    return ModelReply(text=text, calls=wired, charge=CHARGE, finish=finish)


class SayingModel:
    """A model that answers each request from a function of it, and remembers what it was asked."""

    tier = Tier.WORKER
    name = "scripted"

    def __init__(self, answer: Callable[[ModelRequest], ModelReply]) -> None:
        self._answer = answer
        self.asked: list[ModelRequest] = []

    async def complete(self, request: ModelRequest, seconds: float) -> ModelReply:
        """What the function says, or raises."""
        self.asked.append(request)
        return self._answer(request)

    async def context_length(self) -> int | None:
        """It does not say."""
        return None

    async def close(self) -> None:
        """Nothing is open."""


def texts(request: ModelRequest) -> Sequence[str]:
    """The words of a request's messages."""
    return [str(message.get("content") or "") for message in request.messages]
