"""What a scripted model says: roles, their turns, and the faults between.

A script is data and goes through JSON. Which turn a request is at follows from the request alone,
by the assistant's messages in its conversation: a request that is sent again, or a conversation
that is taken up by another process, goes on where it was.

Text may hold placeholders, which are filled in from the request. A string that is one placeholder
and nothing else becomes the value itself, a number for instance.

- `{{turn}}`: how many of the assistant's messages came before.
- `{{last_tool}}`: the last tool message, whole.
- `{{tool:-1/path/0/size}}`: a JSON pointer into a tool message, by its place among them; what is
  read begins at the first brace or bracket of the message that begins JSON.
- `{{find:PATTERN}}`: the last match of a regular expression in the text of all tool and user
  messages; its first group, if it has one.

A placeholder that leads nowhere is an HTTP error 599 that says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from swarm_tasks.models.base import Frozen

Nonsense = Literal["html", "truncated", "empty", "bytes", "list", "no_choices"]
"""A body that is no reply, under status 200: a page of HTML, half a JSON text, nothing, bytes that
are no UTF-8, a JSON list, and a reply without choices."""


class Fault(Frozen):
    """What goes wrong in place of a turn's reply, after its latency. One kind at a time.

    Args:
        times: For the first so many requests of that turn; None for each.
        status: An HTTP error, with `body` or an error in OpenAI's form.
        retry_after: The header of that name, with `status`.
        cut: The connection is closed half-way through the body.
        drop: The connection is closed before the first byte of a reply.
        trickle: The headers, then the reply's body one byte at a time.
        trickle_seconds: The time between two of those bytes.
        flood_bytes: A well-formed reply that is this long, without its length being told.
        squeezed: That flood compressed, if the client takes gzip: a megabyte in a kilobyte.
        nonsense: A body that is no reply.
        hang: Nothing at all, until the client hangs up.
    """

    times: int | None = Field(default=None, ge=1)
    status: int | None = Field(default=None, ge=100, le=599)
    retry_after: float | str | None = None
    body: str | None = None
    cut: bool = False
    drop: bool = False
    trickle: bool = False
    trickle_seconds: float = Field(default=1.0, gt=0)
    flood_bytes: int | None = Field(default=None, ge=1)
    squeezed: bool = False
    nonsense: Nonsense | None = None
    hang: bool = False

    def model_post_init(self, context: object, /) -> None:
        """Check that one thing goes wrong."""
        kinds = (
            self.status is not None,
            self.cut,
            self.drop,
            self.trickle,
            self.flood_bytes is not None,
            self.nonsense is not None,
            self.hang,
        )
        if sum(kinds) != 1:
            raise ValueError("a fault is one of status, cut, drop, trickle, flood_bytes, …")


class ScriptedCall(Frozen):
    """A tool call that the model asks for.

    Args:
        arguments: An object, or text that is sent as it is, malformed or not.
        id: None names it after its turn and its place, the same each time.
    """

    name: str
    arguments: dict[str, Any] | str = Field(default_factory=dict[str, Any])
    id: str | None = None


class Turn(Frozen):
    """One reply of the model.

    Args:
        calls: Tools it calls, all in this reply.
        text: What it says, beside the calls or in place of them.
        answer: An object that is said as JSON; not together with `text`.
        latency: Seconds from the request's last byte to the reply.
        faults: What goes wrong before that; the first whose `times` are not used up.
        finish: The reason given for the end; None gives `tool_calls` or `stop`.
    """

    calls: tuple[ScriptedCall, ...] = ()
    text: str | None = None
    answer: dict[str, Any] | None = None
    latency: float = Field(default=0.0, ge=0)
    faults: tuple[Fault, ...] = ()
    finish: str | None = None


class Role(Frozen):
    """One agent's script.

    Args:
        name: How the record calls it.
        match: A regular expression that is searched in the request's `user` field and in the text
            of its system and user messages, each on lines of its own; None fits every request.
        turns: In order; the last is repeated once they are through.
        loop: Start again from the first in place of that.
        counts: What is counted to know the turn; tools for those who rewrite the assistant's words.
        latency: Seconds added to that of each turn.
        key: The bearer key that is asked for; others are refused with 401.
        window: Tokens; a longer prompt is refused with 400 `context_length_exceeded`.
        no_tools: Requests with tools are refused with 400.
        no_schema: Requests with a `response_format` are refused with 400.
        no_usage: Replies do not say what they took.
        cached_tokens: Prompt tokens that are said to come from a cache.
        headers: Sent with each reply, such as `x-litellm-response-cost`.
    """

    name: str = "default"
    match: str | None = None
    turns: tuple[Turn, ...] = Field(min_length=1)
    loop: bool = False
    counts: Literal["assistant", "tool"] = "assistant"
    latency: float = Field(default=0.0, ge=0)
    key: str | None = None
    window: int | None = Field(default=None, ge=1)
    no_tools: bool = False
    no_schema: bool = False
    no_usage: bool = False
    cached_tokens: int | None = Field(default=None, ge=0)
    headers: dict[str, str] = Field(default_factory=dict[str, str])

    def turn_at(self, number: int) -> Turn:
        """The turn of a conversation in which the assistant has spoken this many times."""
        if self.loop:
            return self.turns[number % len(self.turns)]
        return self.turns[min(number, len(self.turns) - 1)]


class Script(Frozen):
    """All that a server says.

    Args:
        roles: The first that matches a request answers it; if none does, that is a 404.
        models: Names that `GET /v1/models` lists.
        context_length: What it says of each as `max_model_len`; None says nothing.
        key: The bearer key that every request needs, the list of models included.
        only_models: Requests for a model that is not listed are refused with 404.
        strict: Conversations that OpenAI would refuse are refused with 400: see `model_form.py`.
    """

    roles: tuple[Role, ...] = ()
    models: tuple[str, ...] = ("worker", "orchestrator")
    context_length: int | None = 32_768
    key: str | None = None
    only_models: bool = False
    strict: bool = True


def call(
    name: str, arguments: Mapping[str, Any] | str | None = None, **more: object
) -> ScriptedCall:
    """One tool call; arguments as raw text, as an object, or by name."""
    if isinstance(arguments, str):
        return ScriptedCall(name=name, arguments=arguments)
    return ScriptedCall(name=name, arguments={**(arguments or {}), **more})


def calls(*asked: ScriptedCall, latency: float = 0.0, text: str | None = None) -> Turn:
    """A turn that calls these tools at the same time."""
    return Turn(calls=asked, latency=latency, text=text)


def says(text: str, latency: float = 0.0) -> Turn:
    """A turn that says something."""
    return Turn(text=text, latency=latency)


def answers(answer: Mapping[str, Any], latency: float = 0.0) -> Turn:
    """A turn that says an object as JSON."""
    return Turn(answer=dict(answer), latency=latency)


def faulty(turn: Turn, *faults: Fault) -> Turn:
    """The same turn after these faults."""
    return turn.model_copy(update={"faults": (*turn.faults, *faults)})


def fails(**fault: Any) -> Turn:
    """A turn that is nothing but this fault, given as `Fault` takes it."""
    return Turn(text="", faults=(Fault(**fault),))


def role(name: str, match: str | None, *turns: Turn, **more: Any) -> Role:
    """One agent's script."""
    return Role(name=name, match=match, turns=turns, **more)


def plays(*turns: Turn, **more: Any) -> Script:
    """A script with one role that answers every request, with more of what a role takes."""
    return Script(roles=(Role(turns=turns, **more),))
