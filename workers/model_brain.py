"""A brain with a model behind it: what it is sent, and what its words are taken for."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from swarm_tasks.brain.base import (
    Asked,
    CallTools,
    Decision,
    Mind,
    ToolSheet,
    Transcript,
    Unusable,
)
from swarm_tasks.brain.model import Message, Model, ModelReply, ModelRequest
from swarm_tasks.brain.tokens import count
from swarm_tasks.brain.wire import message_tokens
from swarm_tasks.brain.words import sound_text
from swarm_tasks.errors import ContextExceeded, NoToolCalling, Unavailable
from swarm_tasks.models.evidence import Evidence, EvidenceStatus
from workers.answers import Reader
from workers.blocking import in_thread
from workers.briefing import metrics_of, system_text, task_text
from workers.context import Shelf, fit
from workers.forms import Form, JsonForm, NativeForm
from workers.paging import PAGE_SHEET, PAGE_TOOL
from workers.rules.brain import Review, RulesBrain

TRIES = 4
"""How often one turn is put anew because the endpoint takes no tools or has a shorter window."""

LEAST_WINDOW_TOKENS = 2_048

SHRINK = 0.6
"""How much of the window is used where an endpoint says only that the prompt was too long."""

LENIENT_AFTER = 2
"""An answer whose claims cannot be resolved goes back this often; then they are marked instead."""

LAST_TURN = "No calls are left: reply with the answer now."
SUMMARY_READINGS = 6

LARGE_CHARACTERS = 20_000
MANY_PLACES = 40
"""A reply beyond either is read in a thread of its own; to read a smaller one takes less time than
a thread takes to begin, or not much more."""

MOST_CALLS = 16
"""Calls of one reply that are made; a model in a frenzy asks for hundreds."""

NATIVE, JSON = NativeForm(), JsonForm()


@dataclass(slots=True)
class Habits:
    """What was learnt of a model by asking it; shared by all agents of a process.

    Args:
        window_tokens: What it takes in all.
        max_reply_tokens: What of that a reply may take at most.
        json_calls: Whether it has to be told of tools in words.
        may_change: Whether `json_calls` may be learnt, or was set.
        scale: Tokens that the endpoint counted, over those counted here.
    """

    window_tokens: int
    max_reply_tokens: int
    json_calls: bool = False
    may_change: bool = True
    scale: float = 1.0

    @property
    def reply_tokens(self) -> int:
        """What a reply may take: never more than a quarter of what there is."""
        return min(self.max_reply_tokens, self.window_tokens // 4)

    def learn(self, counted_there: int, counted_here: int) -> None:
        """Take the endpoint's count as the measure, leaning on the newest."""
        if counted_here > 0 and counted_there > 0:
            newest = min(max(counted_there / counted_here, 0.5), 3.0)
            self.scale = newest if self.scale == 1.0 else 0.5 * (self.scale + newest)

    def heed(self, limit: int | None, fitted_to: int) -> None:
        """The endpoint found a conversation too long that was made to fit a window.

        Of many agents that hear so at the same time, only the first makes the window smaller.

        Args:
            limit: The window that it named, if it did.
        """
        if self.window_tokens < fitted_to:
            return
        known = limit if limit is not None and limit < fitted_to else int(fitted_to * SHRINK)
        self.window_tokens = max(known, LEAST_WINDOW_TOKENS)


class ModelBrain:
    """Decides by asking a model.

    Args:
        model: Where it is asked.
        habits: What is known of it.
        rules: What reads values in evidence.
        review: What the rules made of the sweep.
        host_system: How the host describes its system.
        seconds: How long one reply may take.
        steps: How many turns the agent has, so that the last one is said to be the last.
        images: URLs that belong to the question.
    """

    mind = Mind.MODEL

    def __init__(
        self,
        model: Model,
        habits: Habits,
        rules: RulesBrain,
        review: Review,
        host_system: str,
        seconds: float,
        steps: int,
        images: Sequence[str] = (),
    ) -> None:
        self._model = model
        self._habits = habits
        self._rules = rules
        self._review = review
        self._host_system = host_system
        self._seconds = seconds
        self._steps = steps
        self._images = tuple(images)
        self._openings: dict[str, list[Message]] = {}
        self._tools: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]], int]] = {}
        self._counts: dict[int, int] = {}
        self._shelf = Shelf(self._summary, self._tokens)
        self._lacks: set[str] | None = None
        self._opening_partial = False

    async def decide(self, transcript: Transcript, tools: Sequence[ToolSheet]) -> Decision:
        """Ask for the next calls or the answer.

        Raises:
            ModelError: It could not be asked.
        """
        for _ in range(TRIES - 1):
            form: Form = JSON if self._habits.json_calls else NATIVE
            window = self._habits.window_tokens
            request, counted = self._request(transcript, tools, form)
            try:
                reply = await self._model.complete(request, self._seconds)
            except NoToolCalling:
                if form is JSON or not self._habits.may_change:
                    raise
                self._habits.json_calls = True
            except ContextExceeded as error:
                self._habits.heed(error.limit, window)
            else:
                return await self._taken(transcript, form, reply, counted)
        form = JSON if self._habits.json_calls else NATIVE
        request, counted = self._request(transcript, tools, form)
        reply = await self._model.complete(request, self._seconds)
        return await self._taken(transcript, form, reply, counted)

    async def _taken(
        self, transcript: Transcript, form: Form, reply: ModelReply, counted: int
    ) -> Decision:
        """What a reply decides; what it tells of the model is learnt on the way."""
        # What an image takes differs from model to model: nothing is learnt from that.
        if reply.charge.counted and not self._images:
            self._habits.learn(reply.charge.prompt_tokens, counted)
        if len(reply.text) <= LARGE_CHARACTERS and reply.text.count("@") <= MANY_PLACES:
            return self._read(transcript, form, reply)
        # All agents of a worker share one loop, which a long answer must not hold.
        try:
            return await in_thread(self._read, transcript, form, reply)
        except Unavailable:
            return self._read(transcript, form, reply)

    def _request(
        self, transcript: Transcript, tools: Sequence[ToolSheet], form: Form
    ) -> tuple[ModelRequest, int]:
        """What the model is asked, and its tokens as counted here."""
        tools = [sheet for sheet in tools if sheet.name not in self._lacking(transcript)]
        opening = self._opened(transcript, tools, form)
        own = sum(1 for step in transcript.steps if step.by is Mind.MODEL)
        offered, paged, overhead = self._offered(tools, form)
        habits = self._habits
        room = (habits.window_tokens - habits.reply_tokens) / habits.scale - overhead
        closing = LAST_TURN if own >= self._steps - 1 else ""
        found = fit(opening, transcript, form, self._shelf, room, closing)
        request = ModelRequest(
            messages=found.messages,
            # The tool for paging is offered once there is something to page through.
            tools=paged if found.partial or self._opening_partial else offered,
            max_tokens=habits.reply_tokens,
            user=f"{transcript.task.host}/{transcript.task.specialist.name}",
        )
        return request, found.tokens + overhead

    def _lacking(self, transcript: Transcript) -> set[str]:
        """Tools that this host lacks, as the sweep has shown: they are not offered.

        Where one was called with arguments, others might do.
        """
        if self._lacks is None:
            swept = transcript.of(Mind.RULES)
            self._lacks = {
                reply.asked.tool
                for step in swept.steps
                for reply in step.replies
                if not reply.asked.arguments
                and reply.call_id in swept.by_id
                and swept.by_id[reply.call_id].status is EvidenceStatus.UNAVAILABLE
            }
        return self._lacks

    def _offered(
        self, tools: Sequence[ToolSheet], form: Form
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]], int]:
        """The tools as a request carries them, without and with the one for paging, and the
        tokens of the latter. Made once."""
        if form.name not in self._tools:
            paged = form.offered([*tools, PAGE_SHEET])
            self._tools[form.name] = (paged[:-1], paged, count(json.dumps(paged)))
        return self._tools[form.name]

    def _tokens(self, message: Message) -> int:
        """The tokens of a message, counted once: a conversation is sent again with every turn."""
        content = message.get("content")
        if not isinstance(content, str) or "tool_calls" in message:
            return message_tokens(message)
        mark = hash(content)
        if mark not in self._counts:
            self._counts[mark] = message_tokens(message)
        return self._counts[mark]

    def _opened(
        self, transcript: Transcript, tools: Sequence[ToolSheet], form: Form
    ) -> list[Message]:
        """Standing orders and task, made once: they never change while an agent thinks."""
        if form.name in self._openings:
            return self._openings[form.name]
        metrics = metrics_of(transcript.task.specialist, self._rules.rules.all)
        orders = system_text(
            transcript.task.specialist, metrics, explains=bool(self._review.findings)
        )
        told = form.standing([*tools, PAGE_SHEET])
        task = task_text(transcript, self._review, self._host_system)
        self._opening_partial = PAGE_TOOL in task
        content: object = task
        if self._images:
            content = [
                {"type": "text", "text": task},
                *({"type": "image_url", "image_url": {"url": url}} for url in self._images),
            ]
        self._openings[form.name] = [
            {"role": "system", "content": f"{orders}\n{told}" if told else orders},
            {"role": "user", "content": content},
        ]
        return self._openings[form.name]

    def _summary(self, evidence: Evidence) -> str:
        """An evidence's typed summary: its shape, and what the rules read in it."""
        shape = ", ".join(
            f"{key}[{len(cast(list[Any], value))}]" if isinstance(value, list) else key
            for key, value in (evidence.data or {}).items()
        )
        read = [
            f"{rule.metric} {reading.subject} {reading.value}"
            for rule, reading in self._rules.readings(evidence)
        ]
        more = len(read) - SUMMARY_READINGS
        told = "; ".join(read[:SUMMARY_READINGS]) + (f"; {more} more" if more > 0 else "")
        return f"{evidence.tool}, folded: {shape or evidence.status.value}. {told}".strip()

    def _read(self, transcript: Transcript, form: Form, reply: ModelReply) -> Decision:
        """A reply as calls, as an answer, or as nothing that can be used."""
        text = sound_text(reply.text)
        calls = form.calls(dataclasses.replace(reply, text=text))
        if calls:
            said = "" if form is JSON else text[:2000]
            return CallTools(calls=_bounded(calls), said=said, charge=reply.charge)
        if reply.finish == "length":
            limit = self._habits.reply_tokens
            problem = f"it was cut off after {limit} tokens: be brief"
            return Unusable(said=text[:500], problem=problem, charge=reply.charge)
        sent_back = sum(1 for step in transcript.steps if step.problem)
        reader = Reader(self._rules, transcript, self._review, sent_back >= LENIENT_AFTER)
        return reader.read(text, reply.charge)


def _bounded(calls: tuple[Asked, ...]) -> tuple[Asked, ...]:
    """The calls of one reply. Of a frenzy the first few are made, and the model is told so."""
    kept = calls[:MOST_CALLS]
    if len(calls) <= MOST_CALLS:
        return kept
    problem = f"only {MOST_CALLS} calls of a reply are made; {len(calls) - MOST_CALLS} were not"
    return (*kept, calls[MOST_CALLS].model_copy(update={"problem": problem}))
