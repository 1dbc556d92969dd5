"""The loop of an agent, driven by brains that always do the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from swarm_tasks.brain.base import (
    Answer,
    Asked,
    CallTools,
    Decision,
    Mind,
    Step,
    ToolSheet,
    Transcript,
    Unusable,
)
from swarm_tasks.errors import ArgumentError, ModelUnreachable
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.charge import Allowance, Charge, Tier
from swarm_tasks.models.event import Event, EventKind
from swarm_tasks.models.evidence import Evidence, EvidenceStatus, ToolCall
from swarm_tasks.models.job import HostTask, Specialist
from swarm_tasks.models.report import StopReason
from swarm_tasks.store.bill import Spent
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

    def __init__(self, decide: Callable[[Transcript], Decision], mind: Mind = Mind.MODEL) -> None:
        self._decide = decide
        self.mind = mind
        self.seen: list[Transcript] = []

    async def decide(self, transcript: Transcript, tools: Sequence[ToolSheet]) -> Decision:
        """The next decision."""
        assert tuple(tools) == SHEETS
        self.seen.append(transcript)
        return self._decide(transcript)


class Host:
    """What the tools of a host would say; some never answer, some take no such arguments."""

    sheets = SHEETS

    def __init__(self, size: int = 1) -> None:
        self.calls: list[str] = []
        self.ended: list[str] = []
        self.waiting = asyncio.Event()
        self._size = size

    def readable(self, asked: Asked) -> ToolCall:
        """The call with a default filled in; `{"bad": …}` is refused."""
        if "bad" in asked.arguments:
            raise ArgumentError(f"{asked.tool}: bad: not so", "its arguments are: turn, wait")
        return ToolCall(tool=asked.tool, arguments={"unit": "s", **asked.arguments})

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


def agent_of(
    decide: Callable[[Transcript], Decision],
    host: Host | None = None,
    budget: Budget | None = None,
    events: list[Event] | None = None,
    **more: Any,
) -> Agent:
    """An agent at its beginning."""
    return Agent(
        more.pop("transcript", Transcript(task=TASK)),
        Scripted(decide, more.pop("mind", Mind.MODEL)),
        host or Host(),
        budget or Budget(),
        (events if events is not None else []).append,
        **more,
    )


def run(
    decide: Callable[[Transcript], Decision],
    host: Host | None = None,
    budget: Budget | None = None,
    **more: Any,
) -> tuple[Ending, list[Event], Agent]:
    events: list[Event] = []
    agent = agent_of(decide, host, budget, events, **more)
    return asyncio.run(agent.run()), events, agent


def nap(**arguments: object) -> Asked:
    return Asked(tool="nap", arguments=arguments)


def charged(tokens: int = 100, cost_usd: float | None = 0.01) -> Charge:
    return Charge(
        tier=Tier.WORKER, model="m", prompt_tokens=tokens, completion_tokens=0, cost_usd=cost_usd
    )


def _travelled(step: Step) -> Step:
    """A step as it comes back from the store."""
    return Step.model_validate_json(step.model_dump_json(exclude_defaults=True))


def turn(transcript: Transcript) -> int:
    return len(transcript.steps)


def test_an_answer_ends_the_agent() -> None:
    ending, events, _ = run(lambda transcript: Answer(ruled_out=("all is well",)))
    assert ending.stop is StopReason.ANSWERED
    assert ending.answer == Answer(ruled_out=("all is well",))
    assert ending.transcript.steps == ()
    assert events == []


def test_a_brain_sees_all_that_was_answered_so_far() -> None:
    seen: list[int] = []

    def decide(transcript: Transcript) -> Decision:
        seen.append(len(transcript.evidence))
        if turn(transcript) == 2:
            return Answer()
        return CallTools(calls=(nap(turn=turn(transcript)), nap(again=turn(transcript))))

    ending, events, _ = run(decide)
    assert seen == [0, 2, 4]
    assert [item.call_id for item in ending.transcript.evidence] == [
        f"alpha/napper#1.{number}" for number in (1, 2, 3, 4)
    ]
    kinds = [event.kind for event in events]
    assert kinds.count(EventKind.TOOL_STARTED) == kinds.count(EventKind.TOOL_ENDED) == 4
    assert {(event.part, event.host, event.tool) for event in events} == {
        ("alpha/napper", "alpha", "nap")
    }


def test_the_calls_of_one_reply_run_at_the_same_time() -> None:
    class Meeting(Host):
        """Tools that answer only once two of them have been called."""

        def __init__(self) -> None:
            super().__init__()
            self.both = asyncio.Event()

        async def call(self, call: ToolCall, call_id: str) -> Evidence:
            """Wait for the other one."""
            if len(self.calls) == 1:
                self.both.set()
            else:
                self.calls.append("first")
            await self.both.wait()
            return await super().call(call, call_id)

    ending, _, _ = run(
        lambda seen: Answer() if seen.steps else CallTools(calls=(nap(), nap(other=True))),
        Meeting(),
        Budget(seconds=20),
    )
    assert ending.stop is StopReason.ANSWERED


def test_a_brain_that_never_answers_is_stopped_at_its_budget_of_steps() -> None:
    host = Host()
    ending, _, _ = run(
        lambda transcript: CallTools(calls=(nap(turn=turn(transcript)),)), host, Budget(steps=5)
    )
    assert (ending.stop, ending.answer, ending.why) == (
        *(StopReason.STEPS, None),
        "used up its 5 steps",
    )
    assert len(ending.transcript.steps) == len(host.calls) == 5


def test_only_the_steps_of_its_own_brain_are_held_against_an_agent() -> None:
    swept = Transcript(task=TASK, steps=(Step(by=Mind.RULES), Step(by=Mind.RULES)))
    ending, _, _ = run(
        lambda transcript: CallTools(calls=(nap(turn=turn(transcript)),)),
        budget=Budget(steps=2),
        transcript=swept,
    )
    assert len(ending.transcript.steps) == 4


def test_the_same_call_is_answered_from_the_transcript() -> None:
    host = Host()
    ending, events, _ = run(lambda _: CallTools(calls=(nap(turn=1),)), host, Budget(steps=4))
    assert ending.stop is StopReason.STEPS
    assert host.calls == ["alpha/napper#1.1"]
    assert [item.call_id for item in ending.transcript.evidence] == ["alpha/napper#1.1"]
    assert [step.replies[0].call_id for step in ending.transcript.steps] == host.calls * 4
    assert len(events) == 2


def test_a_call_that_spells_out_a_default_is_the_same_call() -> None:
    host = Host()
    asked = [nap(turn=1), nap(turn=1, unit="s"), nap(turn=1, unit="ms")]
    run(lambda seen: CallTools(calls=(asked[turn(seen)],)), host, Budget(steps=3))
    assert len(host.calls) == 2


def test_two_same_calls_in_one_reply_are_made_once() -> None:
    host = Host()
    ending, _, _ = run(
        lambda seen: Answer() if seen.steps else CallTools(calls=(nap(), nap(), nap(turn=2))), host
    )
    (step,) = ending.transcript.steps
    assert host.calls == ["alpha/napper#1.1", "alpha/napper#1.2"]
    assert [reply.call_id for reply in step.replies] == [host.calls[0], *host.calls]
    assert len(step.evidence) == 2


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Asked(tool="rm"), "there is no tool 'rm' here; the tools are: gauge, nap"),
        (nap(bad=1), "nap: bad: not so: its arguments are: turn, wait"),
        (Asked(tool="nap", problem="the arguments are no JSON"), "the arguments are no JSON"),
        (Asked(tool="read_evidence", arguments={"call": "c7"}), "there is no result c7"),
        (Asked(tool="read_evidence", arguments={"call": 7}), "call: Input should be a valid str"),
    ],
)
def test_a_call_that_cannot_be_made_goes_back_with_the_reason(asked: Asked, said: str) -> None:
    host = Host()
    ending, events, _ = run(
        lambda seen: Answer() if seen.steps else CallTools(calls=(asked, nap())), host
    )
    refused, napped = ending.transcript.steps[0].replies
    assert said in refused.problem
    assert napped.call_id == "alpha/napper#1.1"
    assert ending.stop is StopReason.ANSWERED
    assert {event.tool for event in events} == {"nap"}


def test_what_rules_ask_for_and_cannot_have_is_evidence_of_that() -> None:
    host = Host()
    ending, _, _ = run(
        lambda seen: Answer() if seen.steps else CallTools(calls=(Asked(tool="rm"),)),
        host,
        mind=Mind.RULES,
    )
    assert host.calls == [ending.transcript.evidence[0].call_id]


@pytest.mark.parametrize("calls", [True, False])
def test_what_cannot_be_understood_is_borne_three_times(calls: bool) -> None:
    def decide(transcript: Transcript) -> Decision:
        if calls:
            return CallTools(calls=(Asked(tool="rm"), Asked(tool="dd")))
        return Unusable(said="hm", problem="it holds no JSON object")

    ending, _, _ = run(decide)
    assert ending.stop is StopReason.MALFORMED
    assert ending.why.startswith("could not be understood: ")
    assert len(ending.transcript.steps) == 4


def test_an_agent_that_gathers_too_much_is_stopped() -> None:
    host = Host(size=1_000)
    ending, _, _ = run(
        lambda transcript: CallTools(calls=(nap(turn=turn(transcript)),)),
        host,
        Budget(output_bytes=2_500),
    )
    assert ending.stop is StopReason.OUTPUT
    assert len(host.calls) == 3


def test_an_agent_is_stopped_at_its_tokens() -> None:
    ending, _, _ = run(
        lambda seen: CallTools(calls=(nap(turn=turn(seen)),), charge=charged(400)),
        budget=Budget(tokens=1_000),
    )
    assert (ending.stop, ending.why) == (StopReason.TOKENS, "used up its 1,000 tokens")
    assert sum(charge.prompt_tokens for charge in ending.charges) == 1_200


class Remembering:
    """A store that keeps steps, and says what a test wants of the job's spending."""

    def __init__(self, *spent: Spent | None) -> None:
        self.kept: list[Step] = []
        self._spent = list(spent)

    def put(self, steps: Sequence[Step]) -> None:
        """Keep these."""
        self.kept.extend(steps)

    async def spent(self) -> Spent | None:
        """The next of what was given, and the last of it from then on."""
        return self._spent.pop(0) if len(self._spent) > 1 else self._spent[0]


@pytest.mark.parametrize(
    ("allowance", "spent", "why"),
    [
        (Allowance(max_tokens=500), Spent(tokens=500), "the job's 500 tokens are used up"),
        (Allowance(budget_usd=0.5), Spent(cost_usd=0.5), "the job's budget of $0.5 is used up"),
        (Allowance(budget_usd=0.5), Spent(cost_usd=None), "price is unknown"),
    ],
)
def test_what_the_whole_job_has_spent_stops_each_of_its_agents(
    allowance: Allowance, spent: Spent, why: str
) -> None:
    memory = Remembering(Spent(), Spent(), spent)
    ending, _, _ = run(
        lambda seen: CallTools(calls=(nap(turn=turn(seen)),), charge=charged()),
        budget=Budget(allowance=allowance),
        memory=memory,
    )
    assert ending.stop is StopReason.COST
    assert why in ending.why
    assert tuple(memory.kept) == ending.transcript.steps
    assert len(memory.kept) == 2
    before, _, _ = run(
        lambda _: Answer(), budget=Budget(allowance=allowance), memory=Remembering(spent)
    )
    assert before.stop is StopReason.COST


def test_while_nobody_can_tell_what_was_spent_an_agent_counts_its_own() -> None:
    ending, _, _ = run(
        lambda seen: CallTools(calls=(nap(turn=turn(seen)),), charge=charged(100)),
        budget=Budget(allowance=Allowance(max_tokens=500)),
        memory=Remembering(Spent(tokens=250), None),
    )
    assert ending.stop is StopReason.COST
    assert len(ending.transcript.steps) == 3


def test_what_an_answer_cost_is_kept_too() -> None:
    memory = Remembering(Spent())
    ending, _, _ = run(lambda _: Answer(charge=charged()), memory=memory)
    assert [step.charge for step in memory.kept] == [charged()]
    assert ending.charges == (charged(),)
    assert ending.transcript.steps == ()


def test_another_attempt_goes_on_from_the_last_step_that_was_saved() -> None:
    memory = Remembering(Spent())

    def decide(transcript: Transcript) -> Decision:
        if turn(transcript) == 2 and not resumed:
            raise ModelUnreachable("gone")
        return CallTools(calls=(nap(turn=turn(transcript)),)) if turn(transcript) < 3 else Answer()

    resumed = False
    first, _, _ = run(decide, memory=memory)
    assert (first.stop, first.why) == (StopReason.MODEL, "gone")
    resumed, host = True, Host()
    saved = tuple(map(_travelled, memory.kept))
    second, _, _ = run(
        decide, host, memory=memory, attempt=2, transcript=Transcript(task=TASK, steps=saved)
    )
    assert second.stop is StopReason.ANSWERED
    assert host.calls == ["alpha/napper#2.3"]
    assert len(memory.kept) == 3
    assert len({item.call_id for item in second.transcript.evidence}) == 3


def test_at_the_deadline_what_has_answered_is_kept_and_the_rest_is_ended() -> None:
    host = Host()
    ending, events, _ = run(
        lambda _: CallTools(calls=(nap(), nap(wait=True), nap(quick=True))),
        host,
        Budget(seconds=0.2),
    )
    assert ending.stop is StopReason.DEADLINE
    assert ending.answer is None
    (step,) = ending.transcript.steps
    assert [reply.asked.arguments for reply in step.replies] == [{}, {"quick": True}]
    assert [item.call_id for item in ending.transcript.evidence] == [
        *("alpha/napper#1.1", "alpha/napper#1.3")
    ]
    assert sorted(host.ended) == sorted(host.calls)
    kinds = [event.kind for event in events]
    assert (kinds.count(EventKind.TOOL_STARTED), kinds.count(EventKind.TOOL_ENDED)) == (3, 2)


def test_a_brain_that_thinks_too_long_is_stopped_too() -> None:
    class Thinker:
        mind = Mind.MODEL

        async def decide(self, transcript: Transcript, tools: Sequence[ToolSheet]) -> Decision:
            """Think."""
            await asyncio.Event().wait()
            return Answer()

    agent = Agent(Transcript(task=TASK), Thinker(), Host(), Budget(seconds=0.1), lambda event: None)
    assert asyncio.run(agent.run()).stop is StopReason.DEADLINE


def test_cancelling_an_agent_ends_its_tools_and_keeps_what_they_said() -> None:
    host = Host()
    memory = Remembering(Spent())
    agent = agent_of(lambda _: CallTools(calls=(nap(), nap(wait=True))), host, memory=memory)

    async def cancelled() -> None:
        task = asyncio.ensure_future(agent.run())
        await host.waiting.wait()
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    assert memory.kept == list(agent.transcript.steps)
    assert sorted(host.ended) == sorted(host.calls)
    assert [item.call_id for item in agent.transcript.evidence] == ["alpha/napper#1.1"]


def test_a_mistake_of_our_own_is_not_taken_for_an_answer() -> None:
    class Broken(Host):
        async def call(self, call: ToolCall, call_id: str) -> Evidence:
            """Break."""
            raise RuntimeError("ours")

    with pytest.raises(RuntimeError, match="ours"):
        run(lambda _: CallTools(calls=(nap(),)), Broken())
