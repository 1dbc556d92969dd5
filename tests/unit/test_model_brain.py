"""What a model is sent, turn by turn, and what its replies become."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

from swarm_tasks.brain.base import (
    Answer,
    Asked,
    CallTools,
    Decision,
    Mind,
    Reply,
    Step,
    ToolSheet,
    Transcript,
    Unusable,
)
from swarm_tasks.brain.model import ModelReply, ModelRequest
from swarm_tasks.errors import ContextExceeded, NoToolCalling
from swarm_tasks.models.evidence import EvidenceStatus
from tests.support.thinking import (
    REGISTRY,
    TASK,
    SayingModel,
    gauge,
    rules,
    said,
    step,
    swept,
    texts,
    transcript,
)
from workers.model_brain import Habits, ModelBrain
from workers.paging import PAGE_TOOL

SHEETS = tuple(
    ToolSheet(
        name=name,
        summary=REGISTRY.get(name).summary,
        parameters=REGISTRY.get(name).arguments.model_json_schema(),
    )
    for name in TASK.specialist.tools
)
NOTHING = json.dumps({"answer": "fine"})


def habits(window: int = 8_000, **more: bool) -> Habits:
    return Habits(window_tokens=window, max_reply_tokens=500, **more)


def decide(
    seen: Transcript,
    answer: Callable[[ModelRequest], ModelReply],
    known: Habits | None = None,
    steps: int = 12,
    images: tuple[str, ...] = (),
) -> tuple[Decision, SayingModel]:
    """One decision, and the model that was asked for it."""
    model = SayingModel(answer)
    sweep = seen.of(Mind.RULES)
    review = rules().review(sweep)
    brain = ModelBrain(model, known or habits(), rules(), review, "Debian 12", 10.0, steps, images)
    return asyncio.run(brain.decide(seen, SHEETS)), model


def test_a_model_is_told_what_the_rules_saw_and_not_to_read_it_again() -> None:
    found, _ = swept(97.0, 12.0, None)
    _, model = decide(found, lambda _: said(NOTHING))
    (request,) = model.asked
    orders, task = texts(request)
    assert orders.startswith("You read gauges.")
    assert "Metrics: cpu.busy_percent (percent)" in orders
    assert '"explained"' in orders
    assert "Host alpha (Debian 12)." in task
    assert "f1 critical: The gauge is high, the gauge; cpu.busy_percent 97.0 @c1/busy_perc" in task
    assert "Not seen: gauge: no such file" in task
    assert "12.0" not in task
    assert [tool["function"]["name"] for tool in request.tools] == ["gauge", "nap"]
    assert request.user == "alpha/gauges"


def test_a_first_prompt_of_a_host_that_is_well_is_short() -> None:
    found, _ = swept(12.0)
    _, model = decide(found, lambda _: said(NOTHING))
    assert '"explained"' not in texts(model.asked[0])[0]
    schema = json.dumps(model.asked[0].tools)
    assert '"minimum": 0, "maximum": 120' in schema or '"maximum": 120, "minimum": 0' in schema
    for needless in ("title", "additionalProperties", "pattern", "How long."):
        assert needless not in schema


def test_tools_that_this_host_lacks_are_not_offered() -> None:
    lacking = gauge("g1", None).model_copy(update={"status": EvidenceStatus.UNAVAILABLE})
    _, model = decide(transcript(step(lacking, by=Mind.RULES)), lambda _: said(NOTHING))
    assert [tool["function"]["name"] for tool in model.asked[0].tools] == ["nap"]


def test_calls_are_handed_on_with_what_is_wrong_with_them() -> None:
    found, _ = swept(12.0)
    decision, _ = decide(
        found,
        lambda _: said(
            "Let me see.",
            *[("nap", '{"seconds": 1}'), ("nap", "{seconds"), ("nap", "[1]"), ("gauge", "")],
        ),
    )
    assert isinstance(decision, CallTools)
    assert decision.said == "Let me see."
    assert [(one.arguments, bool(one.problem)) for one in decision.calls] == [
        *[({"seconds": 1}, False), ({}, True), ({}, True), ({}, False)]
    ]
    assert [one.id for one in decision.calls] == ["call-0", "call-1", "call-2", "call-3"]


def test_each_result_stands_in_the_conversation_under_its_short_name() -> None:
    seen = transcript(
        step(gauge("g1", 50.0), by=Mind.RULES),
        step(gauge("g2", 60.0), said="I look."),
        Step(by=Mind.MODEL, said="hm", problem="it holds no JSON object"),
        Step(
            by=Mind.MODEL,
            replies=(
                Reply(asked=Asked(tool="rm", id="x"), problem="there is no tool 'rm' here"),
                Reply(asked=Asked(tool="gauge", id="y"), call_id="g2"),
                Reply(asked=Asked(tool="gauge", id="z"), call_id="g1"),
            ),
        ),
    )
    _, model = decide(seen, lambda _: said(NOTHING))
    roles = [message["role"] for message in model.asked[0].messages]
    assert roles == [
        *["system", "user", "assistant", "tool", "assistant", "user"],
        *["assistant", "tool", "tool", "tool"],
    ]
    words = texts(model.asked[0])
    assert words[3].startswith('c2 {"path":"g2"')
    assert "it holds no JSON object" in words[5]
    assert words[7:] == [
        "error: there is no tool 'rm' here",
        "c2, answered above",
        'c1 {"path":"g1","busy_percent":50.0}',
    ]
    messages = model.asked[0].messages
    ids = [message["tool_call_id"] for message in messages if "tool_call_id" in message]
    assert ids == ["id-g2", "x", "y", "z"]


def test_the_last_turn_is_said_to_be_the_last() -> None:
    seen = transcript(step(gauge("g1", 50.0)))
    _, model = decide(seen, lambda _: said(NOTHING), steps=2)
    assert texts(model.asked[0])[-1] == "No calls are left: reply with the answer now."
    _, early = decide(seen, lambda _: said(NOTHING), steps=3)
    assert "No calls are left" not in texts(early.asked[0])[-1]


def test_a_reply_that_was_cut_off_goes_back() -> None:
    decision, _ = decide(transcript(), lambda _: said('{"answer": "no', finish="length"))
    assert isinstance(decision, Unusable)
    assert "cut off after 500 tokens" in decision.problem


def test_unresolved_claims_go_back_twice_and_are_marked_then() -> None:
    claim = json.dumps({"findings": [{"title": "t", "claims": ["cpu.busy_percent > 1 @c9/x"]}]})
    back = Step(by=Mind.MODEL, said=claim, problem="c9 was never gathered")
    kinds = [
        type(decide(transcript(*[back] * times), lambda _: said(claim))[0]) for times in (0, 1, 2)
    ]
    assert kinds == [Unusable, Unusable, Answer]


def test_a_model_that_takes_no_tools_is_told_of_them_in_words_from_then_on() -> None:
    known = habits()

    def answer(request: ModelRequest) -> ModelReply:
        if request.tools:
            raise NoToolCalling("this model takes no tools")
        return said('{"calls": [{"tool": "nap", "arguments": {"seconds": 2}}]}')

    decision, model = decide(transcript(step(gauge("g1", 50.0))), answer, known)
    assert isinstance(decision, CallTools)
    assert decision.calls[0].arguments == {"seconds": 2}
    assert known.json_calls
    assert len(model.asked) == 2
    words = texts(model.asked[1])
    assert "- nap: Waits." in words[0]
    assert f"- {PAGE_TOOL}: " in words[0]
    assert json.loads(words[2]) == {"calls": [{"tool": "gauge", "arguments": {"path": "g1"}}]}
    assert words[3].startswith("gauge: c1 {")
    with pytest.raises(NoToolCalling):
        decide(transcript(), answer, habits(may_change=False))


def test_what_the_endpoint_says_of_its_window_is_heeded() -> None:
    known = habits(window=100_000)
    long = step(gauge("g1", 50.0, note="word " * 3_000))
    limits = [6_000, None]

    def answer(request: ModelRequest) -> ModelReply:
        if limits:
            raise ContextExceeded("too long", limit=limits.pop(0))
        return said(NOTHING)

    decision, model = decide(transcript(long, long), answer, known)
    assert isinstance(decision, Answer)
    assert len(model.asked) == 3
    assert known.window_tokens == 3_600


def test_images_go_with_the_question() -> None:
    image = "data:image/png;base64,AAAA"
    _, model = decide(transcript(), lambda _: said(NOTHING), images=(image,))
    content = model.asked[0].messages[1]["content"]
    assert [part["type"] for part in content] == ["text", "image_url"]
    assert content[1]["image_url"] == {"url": image}
