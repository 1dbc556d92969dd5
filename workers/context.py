"""What of a transcript is sent on, so that it fits the model's window. Pure.

When a conversation nears the window, older answers of tools are folded to their typed summaries
first, oldest first, then whole steps are left out. The task and the last step always stay; at
worst the last step's answers are cut shorter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from swarm_tasks.brain.base import Mind, Reply, Step, Transcript
from swarm_tasks.brain.model import Message
from swarm_tasks.errors import ContextExceeded
from swarm_tasks.models.evidence import Evidence
from workers.forms import Form
from workers.paging import alias_of, shortened, text_of

OUTPUT_CHARACTERS = 6_000
"""How much of one answer is shown, some 2,000 tokens of JSON."""

LEAST_CHARACTERS = 400
MESSAGE_TOKENS = 4
"""What a chat form adds to each message; see OpenAI's cookbook on counting tokens."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """The messages of one turn.

    Args:
        tokens: As counted here.
        partial: Whether some answer is not shown whole, so that there is something to page through.
    """

    messages: list[Message]
    tokens: int
    partial: bool


@dataclass(slots=True)
class _Shown:
    """How one step is shown: its answers at most so long, folded, or not at all."""

    step: Step
    characters: int = OUTPUT_CHARACTERS
    folded: bool = False
    left_out: bool = False


def fit(
    opening: Sequence[Message],
    transcript: Transcript,
    form: Form,
    summary: Callable[[Evidence], str],
    count: Callable[[str], int],
    room_tokens: int,
    scale: float = 1.0,
) -> Conversation:
    """The conversation in at most `room_tokens`.

    Args:
        opening: Standing orders and task; they stay whole.
        summary: An evidence's typed summary in one line.
        count: The tokens of a text.
        scale: What the endpoint counted for this conversation before, over what was counted here.

    Raises:
        ContextExceeded: Not even the task and the last step fit.
    """
    steps = [_Shown(step) for step in transcript.steps if step.by is Mind.MODEL]
    while True:
        messages, partial = _written(opening, transcript, form, summary, steps)
        tokens = sum(message_tokens(message, count) for message in messages)
        conversation = Conversation(messages, tokens, partial)
        if conversation.tokens * scale <= room_tokens:
            return conversation
        if not _tighten(steps):
            raise ContextExceeded(
                f"the task and its last step take {int(conversation.tokens * scale):,} tokens, "
                f"and the model has room for {room_tokens:,}",
                "use a model with a longer window, or set HOSTSWARM_CONTEXT_LENGTH if it has one",
            )


def _tighten(steps: list[_Shown]) -> bool:
    """Show a little less; False where nothing is left that could be shown less."""
    older = steps[:-1]
    for shown in older:
        if not shown.folded and shown.step.replies:
            shown.folded = True
            return True
    for shown in older:
        if not shown.left_out:
            shown.left_out = True
            return True
    if steps and steps[-1].characters > LEAST_CHARACTERS:
        steps[-1].characters //= 2
        return True
    return False


def _written(
    opening: Sequence[Message],
    transcript: Transcript,
    form: Form,
    summary: Callable[[Evidence], str],
    steps: Sequence[_Shown],
) -> tuple[list[Message], bool]:
    """The messages, and whether some answer in them is not whole."""
    messages: list[Message] = list(opening)
    partial = False
    gone = [shown.step for shown in steps if shown.left_out]
    if gone:
        messages.append({"role": "user", "content": _left_out(gone, transcript)})
        partial = True
    read: set[str] = set()
    for shown in steps:
        if shown.left_out:
            continue
        texts: list[str] = []
        for reply in shown.step.replies:
            text, whole = _result(reply, transcript, shown, summary, read)
            partial |= not whole
            texts.append(text)
        messages += form.step(shown.step, texts)
    return messages, partial


def _result(
    reply: Reply,
    transcript: Transcript,
    shown: _Shown,
    summary: Callable[[Evidence], str],
    read: set[str],
) -> tuple[str, bool]:
    """What a model reads of one reply, and whether that is all of it.

    Args:
        read: The calls whose answers stand in the conversation already; this one is added.
    """
    if reply.problem:
        return f"error: {reply.problem}", True
    if reply.page:
        return (reply.page, True) if not shown.folded else ("[a page, read before]", False)
    evidence = transcript.by_id[reply.call_id]
    alias = alias_of(transcript, reply.call_id)
    if shown.folded:
        return f"{alias} {summary(evidence)}", False
    if reply.call_id in read:
        return f"{alias}, answered above", True
    read.add(reply.call_id)
    whole = text_of(evidence)
    return f"{alias} {shortened(whole, shown.characters, alias)}", len(whole) <= shown.characters


def _left_out(steps: Sequence[Step], transcript: Transcript) -> str:
    """One line in place of whole steps."""
    calls = [
        f"{alias_of(transcript, reply.call_id)} {reply.asked.tool}"
        for step in steps
        for reply in step.replies
        if reply.call_id
    ]
    return f"[{len(steps)} earlier steps left out; they gathered: {', '.join(calls) or 'nothing'}]"


def message_tokens(message: Message, count: Callable[[str], int]) -> int:
    """The tokens of one message, counted here. An image counts as OpenAI's low detail does: 85."""
    content = message.get("content") or ""
    if isinstance(content, str):
        tokens = count(content)
    else:
        tokens = sum(count(part["text"]) if "text" in part else 85 for part in content)
    for call in message.get("tool_calls", ()):
        tokens += count(call["function"]["name"]) + count(call["function"]["arguments"])
    return tokens + MESSAGE_TOKENS
