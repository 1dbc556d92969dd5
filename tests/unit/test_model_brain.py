"""What a model is sent, turn by turn, and what its replies become."""

from __future__ import annotations

import asyncio
import json
import threading
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
from swarm_tasks.models.evidence import Evidence, EvidenceStatus
from tests.support import fake_tools
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
from workers.model_brain import LARGE_CHARACTERS, Habits, ModelBrain
from workers.paging import PAGE_TOOL
from workers.rules.brain import RulesBrain
from workers.rules.rule import Reading

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
    for arguments, offered in (({}, ["nap"]), ({"path": "elsewhere"}, ["gauge", "nap"])):
        reply = Reply(asked=Asked(tool="gauge", arguments=arguments), call_id="g1")
        swept_so = Step(by=Mind.RULES, replies=(reply,), evidence=(lacking,))
        _, model = decide(transcript(swept_so), lambda _: said(NOTHING))
        assert [tool["function"]["name"] for tool in model.asked[0].tools] == offered


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
        Step(by=Mind.MODEL, said="hm", problem="no answer"),
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
    assert "no answer" in words[5]
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
    assert texts(model.asked[0])[-1].endswith("\nNo calls are left: reply with the answer now.")
    assert model.asked[0].messages[-1]["role"] == "tool"
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
    assert words[3].startswith("<result>gauge: c1 {")
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
    assert known.reply_tokens == 500


def test_a_window_that_many_agents_found_too_small_at_once_shrinks_once() -> None:
    known = habits(window=100_000)
    for _ in range(8):
        known.heed(None, fitted_to=100_000)
    assert known.window_tokens == 60_000
    known.heed(80_000, fitted_to=60_000)
    assert known.window_tokens == 36_000
    for _ in range(20):
        known.heed(None, fitted_to=known.window_tokens)
    assert (known.window_tokens, known.reply_tokens) == (2_048, 500)


def test_a_task_that_does_not_fit_costs_the_other_agents_nothing() -> None:
    known = habits(window=2_100)
    found, _ = swept(*[97.0] * 40)
    long = found.model_copy(update={"task": TASK.model_copy(update={"question": "why? " * 1_500})})
    with pytest.raises(ContextExceeded, match="HOSTSWARM_CONTEXT_LENGTH"):
        decide(long, lambda _: said(NOTHING), known)
    assert known.window_tokens == 2_100


def test_all_agents_in_flight_learn_that_a_model_takes_no_tools() -> None:
    known = habits()
    meeting = asyncio.Barrier(8)

    class Meeting(SayingModel):
        async def complete(self, request: ModelRequest, seconds: float) -> ModelReply:
            """Refuse tools once all have asked."""
            if request.tools:
                await meeting.wait()
                raise NoToolCalling("this model takes no tools")
            return said(NOTHING)

    async def all_of_them() -> list[Decision]:
        model = Meeting(lambda _: said(NOTHING))
        review = rules().review(transcript())
        brains = [ModelBrain(model, known, rules(), review, "", 10.0, 12) for _ in range(8)]
        return await asyncio.gather(*(brain.decide(transcript(), SHEETS) for brain in brains))

    assert all(isinstance(one, Answer) for one in asyncio.run(all_of_them()))


def test_of_a_frenzy_of_calls_the_first_are_made_and_the_model_is_told() -> None:
    frenzy = [("nap", json.dumps({"seconds": at})) for at in range(100)]
    decision, _ = decide(transcript(), lambda _: said("", *frenzy))
    assert isinstance(decision, CallTools)
    assert [bool(one.problem) for one in decision.calls] == [False] * 16 + [True]
    assert decision.calls[-1].problem == "only 16 calls of a reply are made; 84 were not"


def test_names_are_those_of_the_whole_transcript_after_a_resume() -> None:
    seen = transcript(
        step(gauge("g1", 50.0), by=Mind.RULES),
        step(gauge("g2", 13.0)),
        step(gauge("g3", 97.0), by=Mind.RULES),
    )
    model = SayingModel(lambda _: said(NOTHING))
    brain = ModelBrain(model, habits(), rules(), rules().review(seen), "", 10.0, 12)
    asyncio.run(brain.decide(seen, SHEETS))
    task = texts(model.asked[0])[1]
    assert "Already swept: c1 gauge, c3 gauge" in task
    assert "cpu.busy_percent 97.0 @c3/busy_percent" in task


def test_a_folded_result_says_what_the_rules_read_in_it() -> None:
    long = [
        step(
            gauge(
                f"g{at}",
                40.0 + at,
            )
        )
        for at in range(1, 30)
    ]
    known = habits(window=2_400)
    _, model = decide(transcript(*long), lambda _: said(NOTHING), known, steps=100)
    told = [text for text in texts(model.asked[0]) if "folded: " in text]
    assert told
    assert "gauge, folded: path, busy_percent. cpu.busy_percent the gauge 4" in told[0]
    assert PAGE_TOOL in [tool["function"]["name"] for tool in model.asked[0].tools]


def test_what_a_model_made_up_does_not_make_the_next_request_malformed() -> None:
    odd = Step(
        by=Mind.MODEL,
        replies=tuple(
            Reply(asked=Asked(tool=tool, id=name), problem="there is no such tool")
            for tool, name in (("functions.nap", "a"), ("", ""), ("rm -rf / \n", "a"))
        ),
    )
    _, model = decide(transcript(odd, odd, Step(by=Mind.MODEL)), lambda _: said(NOTHING))
    calls = [call for one in model.asked[0].messages for call in one.get("tool_calls", ())]
    assert [call["function"]["name"] for call in calls[:3]] == [
        *["functions_nap", "unnamed", "rm_-rf____"]
    ]
    ids = [call["id"] for call in calls]
    assert len(set(ids)) == 6
    assert all(name.isalnum() for name in ids)
    decision, _ = decide(transcript(), lambda _: said("", ("nap", '{"seconds": 1e400}')))
    assert isinstance(decision, CallTools)
    assert "no JSON" in decision.calls[0].problem


def test_images_go_with_the_question() -> None:
    image = "data:image/png;base64,AAAA"
    _, model = decide(transcript(), lambda _: said(NOTHING), images=(image,))
    content = model.asked[0].messages[1]["content"]
    assert [part["type"] for part in content] == ["text", "image_url"]
    assert content[1]["image_url"] == {"url": image}


class Watched(RulesBrain):
    """Rules that know in which threads a model's claims were held against the evidence."""

    threads: set[str]

    def reading_at(self, metric: str, pointer: str, evidence: Evidence) -> Reading | None:
        """What the rules read there."""
        self.threads.add(threading.current_thread().name)
        return super().reading_at(metric, pointer, evidence)


@pytest.mark.parametrize(
    ("claims", "padding", "held"), [(2, 0, True), (60, 0, False), (2, LARGE_CHARACTERS, False)]
)
def test_the_loop_is_not_held_by_an_answer_that_is_long(
    claims: int, padding: int, held: bool
) -> None:
    found, review = swept(97.0)
    finding = {"title": "It is high", "claims": ["cpu.busy_percent >= 90 @c1/busy_percent"] * 2}
    text = json.dumps({"findings": [finding] * (claims // 2)}) + " " * padding
    watched = Watched(REGISTRY, fake_tools.RULES, {})
    watched.threads = set()
    model = SayingModel(lambda _: said(text))
    brain = ModelBrain(model, habits(), watched, review, "Debian 12", 10.0, 12)
    decision = asyncio.run(brain.decide(found, SHEETS))
    assert isinstance(decision, Answer)
    assert sum(len(one.claims) for one in decision.findings) == claims
    assert (watched.threads == {threading.current_thread().name}) is held
