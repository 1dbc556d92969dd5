"""What is sent on when a conversation nears the window, and what is never left out."""

from __future__ import annotations

import json

import pytest

from swarm_tasks.brain.base import Asked, Mind
from swarm_tasks.brain.model import Message
from swarm_tasks.brain.wire import message_tokens
from swarm_tasks.errors import ContextExceeded
from swarm_tasks.models.evidence import Evidence
from swarm_tasks.unseen import plain, unmarked
from tests.support.thinking import gauge, step, transcript
from workers.context import Conversation, Shelf, fit
from workers.forms import Form, JsonForm, NativeForm
from workers.paging import PAGE_CHARACTERS, page_of, resolve, shortened, text_of

OPENING: list[Message] = [
    {"role": "system", "content": "orders"},
    {"role": "user", "content": "the task"},
]


def summary(evidence: Evidence) -> str:
    return f"folded {evidence.call_id}"


def long_steps(number: int, words: int = 400) -> list[Evidence]:
    return [gauge(f"g{at}", 50.0, note=f"note {at} " * words) for at in range(1, number + 1)]


def shown(room: int, number: int = 4) -> Conversation:
    seen = transcript(*(step(item) for item in long_steps(number)))
    return fit(OPENING, seen, NativeForm(), Shelf(summary, message_tokens), room)


def results(conversation: Conversation) -> list[str]:
    return [
        str(message["content"]) for message in conversation.messages if message["role"] == "tool"
    ]


def test_what_fits_is_sent_whole() -> None:
    conversation = shown(100_000)
    assert not conversation.partial
    assert all(item.startswith(f"c{at} {{") for at, item in enumerate(results(conversation), 1))


@pytest.mark.parametrize("form", [NativeForm(), JsonForm()])
def test_what_was_told_in_earlier_turns_is_told_the_same_again(form: Form) -> None:
    items = [gauge(f"g{at}", float(at), note="note " * (at * 900)) for at in range(1, 4)]
    # One call twice: its answer stands in the conversation already.
    steps = [step(item) for item in (*items, items[0])]
    shelf = Shelf(summary, message_tokens)
    for number in (1, 2, 4):
        seen = transcript(*steps[:number])
        anew = fit(OPENING, seen, form, Shelf(summary, message_tokens), 100_000)
        assert fit(OPENING, seen, form, shelf, 100_000) == anew
    assert anew.partial
    assert "answered above" in str(anew.messages[-1]["content"])
    # Neither a turn that has no room nor the last one spoils the next.
    tight = fit(OPENING, transcript(*steps), form, shelf, anew.tokens * 0.7)
    assert "folded g1" in str(tight.messages)
    last = fit(OPENING, transcript(*steps), form, shelf, 100_000, "Answer now.")
    assert str(last.messages[-1]["content"]).endswith("Answer now.")
    assert fit(OPENING, transcript(*steps), form, shelf, 100_000) == anew
    other = transcript(*steps[:2])
    fresh = fit(OPENING, other, form, Shelf(summary, message_tokens), 100_000)
    assert fit(OPENING, other, form, shelf, 100_000) == fresh


def test_older_answers_are_folded_first_and_the_oldest_of_them_first() -> None:
    whole = shown(100_000).tokens
    conversation = shown(int(whole * 0.7))
    told = results(conversation)
    assert told[:2] == ["c1 folded g1", "c2 folded g2"]
    assert told[2].startswith("c3 {")
    assert conversation.partial
    assert conversation.tokens <= whole * 0.7


def test_then_whole_steps_are_left_out_and_never_the_task_or_the_last_step() -> None:
    last = shown(100_000, number=1).tokens
    conversation = shown(last + 40, number=40)
    orders, task, following = conversation.messages[:3]
    assert orders == OPENING[0]
    begin, left_out = str(task["content"]).split("\n")
    assert begin == "the task"
    assert "earlier steps left out; they gathered: c1 gauge" in left_out
    assert following["role"] == "assistant"
    assert results(conversation)[-1].startswith("c40 {")


def test_at_worst_the_last_answer_is_cut_shorter() -> None:
    last = shown(100_000, number=1).tokens
    (told,) = results(shown(last // 2, number=1))
    assert "characters left out" in told


def test_what_cannot_fit_is_said() -> None:
    with pytest.raises(ContextExceeded, match="and the model has room for 20"):
        shown(20)


def test_each_call_of_a_conversation_that_was_shortened_has_its_result() -> None:
    for room in (300, 600, 1_000, 2_000, 4_000):
        messages = shown(room, number=8).messages
        asked = [call["id"] for one in messages for call in one.get("tool_calls", ())]
        assert asked == [one["tool_call_id"] for one in messages if "tool_call_id" in one]


def test_an_answer_s_head_and_tail_are_shown_with_a_note_between() -> None:
    text = "".join(chr(97 + at % 26) for at in range(5_000))
    cut = shortened(text, 1_000, "c3")
    head, note, tail = cut.split("\n")
    assert (head, tail) == (text[:700], text[-300:])
    assert note == '[4000 of 5000 characters left out: read_evidence("c3", offset=700) reads on]'
    assert shortened(text, 5_000, "c3") == text


def test_the_whole_answer_can_be_read_page_by_page() -> None:
    item = gauge("g1", 50.0, note="x" * 15_000)
    seen = transcript(step(item))
    pages: list[str] = []
    while not pages or "characters more]" in pages[-1]:
        arguments = {"call": "c1", "offset": PAGE_CHARACTERS * len(pages)}
        pages.append(page_of(seen, Asked(tool="read_evidence", arguments=arguments)).page)
    assert len(pages) == 3
    assert "".join(page.rpartition("\n")[0] for page in pages) == text_of(item)
    at_pointer = page_of(
        seen, Asked(tool="read_evidence", arguments={"call": "c1", "pointer": "/busy_percent"})
    )
    assert at_pointer.page == "50.0\n[end]"
    nowhere = page_of(
        seen, Asked(tool="read_evidence", arguments={"call": "c1", "pointer": "/a/b"})
    )
    assert "leads nowhere at 'a'" in nowhere.problem


@pytest.mark.parametrize(
    ("pointer", "value"),
    [("", {"a": [{"b/c": 1}], "": 2}), ("/a/0/b~1c", 1), ("/", 2), ("/a", [{"b/c": 1}])],
)
def test_pointers_are_those_of_rfc_6901(pointer: str, value: object) -> None:
    assert resolve({"a": [{"b/c": 1}], "": 2}, pointer) == value


@pytest.mark.parametrize("pointer", ["a", "/a/1", "/a/-", "/a/01", "/x", "/a/0/b~1c/d"])
def test_a_pointer_that_leads_nowhere_is_said(pointer: str) -> None:
    with pytest.raises(LookupError):
        resolve({"a": [{"b/c": 1}], "": 2}, pointer)


def test_tool_output_reaches_a_model_without_hidden_characters() -> None:
    item = gauge("g1", 50.0, note="\u202e\x1b[2J\u200bé\ttab")
    assert json.loads(text_of(item))["note"] == "\x1b[2Jé\ttab"
    assert "\x1b" not in text_of(item)
    assert plain("a\u2066b\ufeff\x00") == "ab"


def test_both_forms_say_the_same() -> None:
    seen = transcript(step(*long_steps(2, words=2)), step(gauge("g3", 1.0)))
    shelf = Shelf(summary, message_tokens)
    native = fit(OPENING, seen, NativeForm(), shelf, 10_000)
    words = fit(OPENING, seen, JsonForm(), shelf, 10_000)
    told = "\n".join(str(message["content"]) for message in words.messages)
    assert all(item in told for item in results(native))
    assert Mind.MODEL is seen.steps[0].by


@pytest.mark.parametrize(
    "mark",
    ["<|im_start|>system", "<|eot_id|>", "[/INST]", "</s>", "<start_of_turn>user", "</think>"],
)
def test_tool_output_cannot_pass_for_a_message_of_its_own(mark: str) -> None:
    item = gauge("g1", 50.0, note=f"a{mark}b\u2028c")
    assert mark not in text_of(item)
    assert json.loads(text_of(item))["note"].replace(" ", "") == f"a{mark}bc".replace(" ", "")
    assert unmarked("a <b> [c] | d > e") == "a <b> [c] | d > e"


def test_each_piece_of_evidence_is_summarised_once_however_often_it_is_fitted() -> None:
    summarised: list[str] = []

    def summary_once(evidence: Evidence) -> str:
        summarised.append(evidence.call_id)
        return summary(evidence)

    seen = transcript(*(step(item) for item in long_steps(12)))
    shelf = Shelf(summary_once, message_tokens)
    for room in (8_000, 4_000, 3_000):
        fit(OPENING, seen, NativeForm(), shelf, room)
    assert summarised
    assert len(set(summarised)) == len(summarised)
