"""What of a transcript is sent on, so that it fits the model's window. Pure.

When a conversation nears the window, older answers of tools are folded to their typed summaries
first, oldest first, then whole steps are left out. The task and the last step always stay; at
worst the last step's answers are cut shorter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from swarm_tasks.brain.base import Mind, Reply, Step, Transcript
from swarm_tasks.brain.model import Message
from swarm_tasks.errors import ContextExceeded
from swarm_tasks.models.evidence import Evidence
from workers.forms import Form
from workers.paging import alias_of, shortened, text_of

OUTPUT_CHARACTERS = 6_000
"""How much of one answer is shown, some 2,000 tokens of JSON."""

LEAST_CHARACTERS = 400


@dataclass(slots=True)
class Shelf:
    """What was made of each piece of evidence, kept while an agent thinks: every turn sends the
    whole conversation again.

    Args:
        summarise: An evidence's typed summary in one line.
        count: The tokens of a message.
    """

    summarise: Callable[[Evidence], str]
    count: Callable[[Message], int]
    told: _Told | None = None
    _whole: dict[str, str] = field(default_factory=dict[str, str])
    _cut: dict[tuple[str, int], str] = field(default_factory=dict[tuple[str, int], str])
    _folded: dict[str, str] = field(default_factory=dict[str, str])

    def whole(self, evidence: Evidence) -> str:
        """All of an answer."""
        if evidence.call_id not in self._whole:
            self._whole[evidence.call_id] = text_of(evidence)
        return self._whole[evidence.call_id]

    def cut(self, evidence: Evidence, alias: str, characters: int) -> str:
        """Head and tail of an answer."""
        key = (evidence.call_id, characters)
        if key not in self._cut:
            text = shortened(self.whole(evidence), characters, alias)
            self._cut[key] = f"{alias} {text}"
        return self._cut[key]

    def folded(self, evidence: Evidence, alias: str) -> str:
        """An answer as its summary."""
        if evidence.call_id not in self._folded:
            self._folded[evidence.call_id] = f"{alias} {self.summarise(evidence)}"
        return self._folded[evidence.call_id]


@dataclass(slots=True)
class _Told:
    """A conversation with nothing folded or left out, which each turn only adds to.

    Args:
        read: The calls whose answers stand in it.
        used: The ids that its calls have.
    """

    form: Form
    steps: list[Step] = field(default_factory=list[Step])
    messages: list[Message] = field(default_factory=list[Message])
    tokens: int = 0
    partial: bool = False
    read: set[str] = field(default_factory=set[str])
    used: set[str] = field(default_factory=set[str])

    def begins(self, steps: Sequence[Step], form: Form) -> bool:
        """Whether this is the beginning of these steps in this form."""
        mine = self.steps
        return (
            self.form is form
            and len(mine) <= len(steps)
            and all(one is other for one, other in zip(mine, steps, strict=False))
        )


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
    shelf: Shelf,
    room_tokens: float,
    closing: str = "",
) -> Conversation:
    """The conversation in at most `room_tokens`.

    Args:
        opening: Standing orders and task; they stay whole.
        closing: Words to end with.

    Raises:
        ContextExceeded: Not even the task and the last step fit.
    """
    own = [step for step in transcript.steps if step.by is Mind.MODEL]
    if not closing:
        told = _told(transcript, form, shelf, own)
        tokens = sum(map(shelf.count, opening)) + told.tokens
        if tokens <= room_tokens:
            return Conversation([*opening, *told.messages], tokens, told.partial)
    steps = [_Shown(step) for step in own]
    while True:
        messages, partial = _written(opening, transcript, form, shelf, steps)
        if closing:
            # Not a message of its own: some endpoints refuse a user after a tool or a user.
            messages[-1] = appended(messages[-1], closing)
        tokens = sum(map(shelf.count, messages))
        if tokens <= room_tokens:
            return Conversation(messages, tokens, partial)
        if not _tighten(steps):
            raise ContextExceeded(
                f"the task and its last step take {tokens:,} tokens, "
                f"and the model has room for {max(int(room_tokens), 0):,}",
                "use a model with a longer window, or set HOSTSWARM_CONTEXT_LENGTH if it has one",
            )


def _told(transcript: Transcript, form: Form, shelf: Shelf, steps: Sequence[Step]) -> _Told:
    """All steps as they are shown where there is room, with what was told in earlier turns."""
    told = shelf.told
    if told is None or not told.begins(steps, form):
        told = shelf.told = _Told(form)
    for step in steps[len(told.steps) :]:
        shown = _Shown(step)
        messages, partial = _step(shown, transcript, form, shelf, told.read, told.used)
        told.steps.append(step)
        told.messages += messages
        told.tokens += sum(map(shelf.count, messages))
        told.partial |= partial
    return told


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
    shelf: Shelf,
    steps: Sequence[_Shown],
) -> tuple[list[Message], bool]:
    """The messages, and whether some answer in them is not whole."""
    messages: list[Message] = list(opening)
    partial = False
    gone = [shown.step for shown in steps if shown.left_out]
    if gone:
        messages[-1] = appended(messages[-1], _left_out(gone, transcript))
        partial = True
    read: set[str] = set()
    used: set[str] = set()
    for shown in steps:
        if shown.left_out:
            continue
        told, cut = _step(shown, transcript, form, shelf, read, used)
        messages += told
        partial |= cut
    return messages, partial


def _step(
    shown: _Shown,
    transcript: Transcript,
    form: Form,
    shelf: Shelf,
    read: set[str],
    used: set[str],
) -> tuple[list[Message], bool]:
    """The messages of one step, and whether some answer in them is not whole."""
    texts: list[str] = []
    partial = False
    for reply in shown.step.replies:
        text, whole = _result(reply, transcript, shown, shelf, read)
        partial |= not whole
        texts.append(text)
    return form.step(shown.step, texts, used), partial


def _result(
    reply: Reply, transcript: Transcript, shown: _Shown, shelf: Shelf, read: set[str]
) -> tuple[str, bool]:
    """What a model reads of one reply, and whether that is all of it.

    Args:
        read: The calls whose answers stand in the conversation already; this one is added.
    """
    if reply.problem:
        return f"error: {reply.problem[: shown.characters]}", True
    if reply.page:
        whole = not shown.folded and len(reply.page) <= shown.characters * 2
        return (reply.page, True) if whole else ("[a page, read before]", False)
    evidence = transcript.by_id[reply.call_id]
    alias = alias_of(transcript, reply.call_id)
    if shown.folded:
        return shelf.folded(evidence, alias), False
    if reply.call_id in read:
        return f"{alias}, answered above", True
    read.add(reply.call_id)
    return (
        shelf.cut(evidence, alias, shown.characters),
        len(shelf.whole(evidence)) <= shown.characters,
    )


def _left_out(steps: Sequence[Step], transcript: Transcript) -> str:
    """One line in place of whole steps."""
    calls = [
        f"{alias_of(transcript, reply.call_id)} {reply.asked.tool}"
        for step in steps
        for reply in step.replies
        if reply.call_id
    ]
    return f"[{len(steps)} earlier steps left out; they gathered: {', '.join(calls) or 'nothing'}]"


def appended(message: Message, line: str) -> Message:
    """A message with one line more at the end of its text."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return {**message, "content": f"{content}\n{line}" if content else line}
    return {**message, "content": [*content, {"type": "text", "text": line}]}
