"""The loop of an agent, driven by brains that always do the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from swarm_tasks.brain.base import Answer, CallTools, Decision, ToolSheet, Transcript
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.event import Event, EventKind
from swarm_tasks.models.evidence import Evidence, EvidenceStatus, ToolCall
from swarm_tasks.models.job import HostTask, Specialist
from swarm_tasks.models.report import StopReason
from workers.loop import Agent, Budget, Ending

TASK = HostTask(
    job="abcdefgh",
    part="alpha/napper",
    host="alpha",
    specialist=Specialist(name="napper", title="Napper", prompt="Nap.", tools=("nap", "gauge")),
    deadline_at=0,
)
SHEETS = (ToolSheet(name="nap", summary="Waits."), ToolSheet(name="gauge", summary="Reads."))


class Scripted:
    """A brain that answers each turn from a function of the transcript."""

    def __init__(self, decide: Callable[[Transcript], Decision]) -> None:
        self._decide = decide
        self.seen: list[Transcript] = []

    async def decide(self, transcript: Transcript, tools: Sequence[ToolSheet]) -> Decision:
        """The next decision."""
        assert tuple(tools) == SHEETS
        self.seen.append(transcript)
        return self._decide(transcript)


class Host:
    """What the tools of a host would say; some never answer."""

    def __init__(self, size: int = 1) -> None:
        self.calls: list[str] = []
        self.ended: list[str] = []
        self.waiting = asyncio.Event()
        self._size = size

    async def call(self, call: ToolCall, call_id: str) -> Evidence:
        """One tool's answer; `{"wait": true}` takes for ever."""
        self.calls.append(call_id)
        try:
            if call.arguments.get("wait"):
                self.waiting.set()
                await asyncio.Event().wait()
        finally:
            self.ended.append(call_id)
        return Evidence(
            call_id=call_id,
            host="alpha",
            specialist="napper",
            tool=call.tool,
            arguments=call.arguments,
            started=now_utc(),
            seconds=0.0,
            status=EvidenceStatus.OK,
            data={"text": "x" * self._size},
        )


def run(
    decide: Callable[[Transcript], Decision],
    host: Host | None = None,
    budget: Budget | None = None,
) -> tuple[Ending, list[Event], Scripted]:
    events: list[Event] = []
    brain = Scripted(decide)
    agent = Agent(
        task=TASK,
        brain=brain,
        sheets=SHEETS,
        call_tool=(host or Host()).call,
        budget=budget or Budget(),
        tell=events.append,
    )
    return asyncio.run(agent.run()), events, brain


def nap(**arguments: object) -> ToolCall:
    return ToolCall(tool="nap", arguments=arguments)


def turn(transcript: Transcript) -> int:
    return len(transcript.steps)


def test_an_answer_ends_the_agent() -> None:
    ending, events, _ = run(lambda transcript: Answer(ruled_out=("all is well",)))
    assert ending.stop is StopReason.ANSWERED
    assert ending.answer == Answer(ruled_out=("all is well",))
    assert ending.transcript.steps == ()
    assert events == []


def test_a_brain_sees_all_that_was_answered_so_far() -> None:
    def decide(transcript: Transcript) -> Decision:
        if turn(transcript) == 2:
            return Answer()
        return CallTools(calls=(nap(turn=turn(transcript)), nap(again=turn(transcript))))

    ending, events, brain = run(decide)
    assert [len(seen.evidence) for seen in brain.seen] == [0, 2, 4]
    assert [item.call_id for item in ending.transcript.evidence] == [
        f"alpha/napper#{number}" for number in (1, 2, 3, 4)
    ]
    kinds = [event.kind for event in events]
    assert kinds.count(EventKind.TOOL_STARTED) == kinds.count(EventKind.TOOL_ENDED) == 4
    assert {(event.part, event.host, event.tool) for event in events} == {
        ("alpha/napper", "alpha", "nap")
    }


def test_a_brain_that_never_answers_is_stopped_at_its_budget_of_steps() -> None:
    host = Host()
    ending, _, _ = run(
        lambda transcript: CallTools(calls=(nap(turn=turn(transcript)),)), host, Budget(steps=5)
    )
    assert ending.stop is StopReason.STEPS
    assert ending.answer is None
    assert len(ending.transcript.steps) == len(host.calls) == 5


def test_the_same_call_is_answered_from_the_transcript() -> None:
    host = Host()
    ending, events, _ = run(lambda _: CallTools(calls=(nap(seconds=1),)), host, Budget(steps=4))
    assert ending.stop is StopReason.STEPS
    assert host.calls == ["alpha/napper#1"]
    assert {item.call_id for item in ending.transcript.evidence} == {"alpha/napper#1"}
    assert len(ending.transcript.evidence) == 4
    assert len(events) == 2


def test_a_tool_that_is_not_the_specialist_s_is_refused_with_those_that_are() -> None:
    host = Host()

    def decide(transcript: Transcript) -> Decision:
        return Answer() if transcript.steps else CallTools(calls=(ToolCall(tool="rm"), nap()))

    ending, events, _ = run(decide, host)
    refused, napped = ending.transcript.evidence
    assert refused.status is EvidenceStatus.FAILED
    assert refused.reason == "rm is not among this specialist's tools"
    assert refused.remedy == "its tools are: gauge, nap"
    assert refused.data is None
    assert napped.status is EvidenceStatus.OK
    assert host.calls == ["alpha/napper#2"]
    assert "rm" not in {event.tool for event in events}


def test_an_agent_that_gathers_too_much_is_stopped() -> None:
    host = Host(size=1_000)
    ending, _, _ = run(
        lambda transcript: CallTools(calls=(nap(turn=turn(transcript)),)),
        host,
        Budget(output_bytes=2_500),
    )
    assert ending.stop is StopReason.OUTPUT
    assert len(host.calls) == 3


def test_at_the_deadline_what_has_answered_is_kept_and_the_rest_is_ended() -> None:
    host = Host()
    ending, events, _ = run(
        lambda _: CallTools(calls=(nap(), nap(wait=True), nap(quick=True))),
        host,
        Budget(seconds=0.2),
    )
    assert ending.stop is StopReason.DEADLINE
    assert ending.answer is None
    assert [call.arguments for call in ending.transcript.steps[0].calls] == [{}, {"quick": True}]
    assert [item.call_id for item in ending.transcript.evidence] == [
        *("alpha/napper#1", "alpha/napper#3")
    ]
    assert sorted(host.ended) == sorted(host.calls)
    kinds = [event.kind for event in events]
    assert (kinds.count(EventKind.TOOL_STARTED), kinds.count(EventKind.TOOL_ENDED)) == (3, 2)


def test_a_brain_that_thinks_too_long_is_stopped_too() -> None:
    class Thinker:
        async def decide(self, transcript: Transcript, tools: Sequence[ToolSheet]) -> Decision:
            """Think."""
            await asyncio.Event().wait()
            return Answer()

    agent = Agent(TASK, Thinker(), SHEETS, Host().call, Budget(seconds=0.1), lambda event: None)
    assert asyncio.run(agent.run()).stop is StopReason.DEADLINE


def test_cancelling_an_agent_ends_its_tools_and_keeps_what_they_said() -> None:
    host = Host()
    agent = Agent(
        TASK,
        Scripted(lambda _: CallTools(calls=(nap(), nap(wait=True)))),
        SHEETS,
        host.call,
        Budget(),
        lambda event: None,
    )

    async def cancelled() -> None:
        task = asyncio.ensure_future(agent.run())
        await host.waiting.wait()
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    assert sorted(host.ended) == sorted(host.calls)
    assert [item.call_id for item in agent.transcript.evidence] == ["alpha/napper#1"]


def test_a_mistake_of_our_own_is_not_taken_for_an_answer() -> None:
    async def broken(call: ToolCall, call_id: str) -> Evidence:
        raise RuntimeError("ours")

    agent = Agent(
        TASK,
        Scripted(lambda _: CallTools(calls=(nap(),))),
        SHEETS,
        broken,
        Budget(),
        lambda event: None,
    )
    with pytest.raises(RuntimeError, match="ours"):
        asyncio.run(agent.run())
