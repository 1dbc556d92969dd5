"""What an endpoint's error means: try again, elsewhere, without something, or not at all. Pure.

The words by which errors are told apart are those of OpenAI, Anthropic, LiteLLM, vLLM, llama.cpp,
Ollama, OpenRouter, Groq and Mistral: they agree on statuses but little more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from swarm_tasks.brain.loose import Nonsense, is_page, parsed, rows, table, text
from swarm_tasks.brain.retry import Again, Elsewhere, is_worth_it
from swarm_tasks.brain.wire import Feature
from swarm_tasks.errors import (
    ContextExceeded,
    ModelError,
    ModelRefused,
    ModelUnreachable,
    NoToolCalling,
)
from swarm_tasks.models.charge import Tier

WORDS = 200
"""How many characters of an endpoint's own words are told."""

MOST_READ = 2000
"""How many characters of each text in an error are looked at: it may quote a whole request."""

MOST_DETAILS = 4

KEY_SETTING = "HOSTSWARM_ROUTER_KEY"
URL_SETTING = "HOSTSWARM_ROUTER_URL"

_CONTEXT = re.compile(
    r"context_length_exceeded|exceed_context_size|ContextWindowExceeded|maximum context length"
    r"|exceeds? the (?:available |maximum )?(?:model'?s )?(?:context|number of tokens)"
    r"|(?:prompt|input) is too long|too large for model|reduce the length of the messages",
    re.IGNORECASE,
)
_LIMIT = re.compile(
    r"maximum context length (?:is|of) (\d+)|context size \((\d+) tokens\)|\"n_ctx\": ?(\d+)"
    r"|tokens > (\d+) maximum|number of tokens allowed \((\d+)\)|model with (\d+) maximum context"
    r"|context (?:window|length) (?:is|of) (\d+)",
    re.IGNORECASE,
)
_NO_TOOLS = re.compile(
    r"(?:not|n't) support(?:ed)?\b.{0,60}?\b(?:tools?|functions?)\b"
    r"|\b(?:tools?|functions?)\b.{0,40}? not supported|enable-auto-tool-choice|tool-call-parser"
    r"|tools param requires|no endpoints found that support tool",
    re.IGNORECASE | re.DOTALL,
)
_NO_MODEL = re.compile(
    r"model_not_found|invalid model|not a valid model|unknown model|model .{1,210}?"
    r"(?:not found|does not exist|doesn't exist|is not available)|no such model",
    re.IGNORECASE | re.DOTALL,
)
_NO_QUOTA = re.compile(
    r"insufficient_quota|insufficient (?:balance|credits?|funds)|budget_exceeded"
    r"|budget has been exceeded|credit balance is too low|requires more credits|billing_",
    re.IGNORECASE,
)
_NO_SCHEMA = re.compile(
    r"response_format|json_?schema|structured.?output|grammar|guided", re.IGNORECASE
)
_NO_USER = re.compile(
    r"(?:unsupported|unknown|unrecognized|extra|unexpected|not permitted).{0,80}['\"`]?\buser\b",
    re.IGNORECASE | re.DOTALL,
)
_SECRETS = re.compile(
    r"\bBearer \S+|\b(?:sk|pk|rk|gsk|key)-[^\s\"',]+"
    # Of a word that is partly masked already, tried from its beginning alone: once, not at each
    # of its characters.
    r"|(?<![^\s\"',])[^\s\"',]*(?:\*{3}|\.{3})[^\s\"',]*"
    r"|\b[0-9a-f]{24,}\b"
    # The query of a URL that takes its key there, as Google's does.
    r"|(?<=[?&])(?:api[-_]?)?(?:key|token)=[^&\s\"']+",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked, and of whom.

    Args:
        url: The endpoint's base URL.
        key: The key that was sent; empty for none.
        tools: Whether tools were offered.
        features: What was sent that could be left out.
    """

    url: str
    model: str
    tier: Tier
    key: str = field(default="", repr=False)
    tools: bool = False
    features: frozenset[Feature] = frozenset()

    @property
    def model_setting(self) -> str:
        """The setting that names the model."""
        own = self.tier is Tier.ORCHESTRATOR
        return "HOSTSWARM_ORCHESTRATOR_MODEL" if own else "HOSTSWARM_MODEL"


class Plainer(Exception):
    """The endpoint refuses one feature of a request, and may take it without."""

    def __init__(self, feature: Feature) -> None:
        super().__init__(feature)
        self.feature = feature


class NoSuchModel(ModelRefused):
    """The endpoint does not have the model; it may say which it has."""


def judged(
    asked: Asked, status: int, body: bytes, kind: str = "", after_seconds: float | None = None
) -> Again | Elsewhere | Plainer | ModelError:
    """What an error means, as something to raise.

    Args:
        status: The HTTP status, 300 and above.
        kind: The body's content type.
        after_seconds: What its `Retry-After` asks for.
    """
    said = _Words.of(body, kind, asked.key)
    found = _told(asked, status, said)
    if found is not None:
        return found
    if status == 429:
        return Again(f"limits the rate of requests (429){said.after()}", False, after_seconds)
    if is_worth_it(status):
        return Again(f"fails with status {status}{said.after()}", True, after_seconds)
    return _refused(asked, status, said)


def _told(asked: Asked, status: int, said: _Words) -> Elsewhere | Plainer | ModelError | None:
    """What its words say whatever the status, since servers do not agree on those."""
    url = asked.url
    if _NO_QUOTA.search(said.whole) or status == 402:
        error = ModelUnreachable(
            f"{url} is out of quota ({status}){said.after()}", "see its quota, or wait"
        )
        return Elsewhere(error, shut=True)
    if status in (401, 403, 429):
        return None
    if status == 413 or _CONTEXT.search(said.whole):
        return ContextExceeded(
            f"the conversation does not fit the model behind {url}{said.after()}",
            "set HOSTSWARM_CONTEXT_LENGTH to what the model takes",
            said.limit,
        )
    if asked.tools and _NO_TOOLS.search(said.whole):
        return NoToolCalling(
            f"the model {asked.model!r} behind {url} takes no tools{said.after()}",
            "set HOSTSWARM_TOOL_CALLING=json, or another model",
        )
    if status in (400, 422):
        feature = _refused_feature(asked, said)
        if feature is not None:
            return Plainer(feature)
    if status in (400, 404) and _NO_MODEL.search(said.whole):
        return Elsewhere(
            NoSuchModel(
                f"{url} has no model {asked.model!r}{said.after()}",
                f"set {asked.model_setting} to one that it has",
            )
        )
    return None


def _refused_feature(asked: Asked, said: _Words) -> Feature | None:
    """Which of the features that were sent a refusal is about."""
    if Feature.RESPONSE_FORMAT in asked.features and _NO_SCHEMA.search(said.whole):
        return Feature.RESPONSE_FORMAT
    if Feature.MAX_TOKENS in asked.features and "max_completion_tokens" in said.whole:
        return Feature.MAX_TOKENS
    if Feature.USER in asked.features and _NO_USER.search(said.whole):
        return Feature.USER
    return None


def _refused(asked: Asked, status: int, said: _Words) -> Elsewhere | ModelError:
    """A refusal for good."""
    url = asked.url
    if status in (401, 403):
        return Elsewhere(_key_refused(asked, status, said))
    if 300 <= status < 400:
        return Elsewhere(
            ModelRefused(f"{url} points to another place ({status})", f"set {URL_SETTING} to it")
        )
    if status in (404, 405, 501) or said.page:
        words = "a page" if said.page else said.short or "nothing"
        return Elsewhere(
            ModelRefused(
                f"{url} is no OpenAI-compatible endpoint: POST {url}/chat/completions answers "
                f"{status} with {words}",
                f"{URL_SETTING} takes the base URL, which often ends in /v1",
            )
        )
    return ModelRefused(f"{url} refuses the request ({status}){said.after()}")


def _key_refused(asked: Asked, status: int, said: _Words) -> ModelRefused:
    url = asked.url
    if "litellm.AuthenticationError" in said.whole:
        return ModelRefused(
            f"the provider behind {url} refuses the router's own key ({status}){said.after()}",
            "mend that key in the router's configuration",
        )
    if not asked.key:
        return ModelRefused(
            f"{url} wants a key and none is set ({status}){said.after()}", f"set {KEY_SETTING}"
        )
    return ModelRefused(
        f"{url} refuses the key that {KEY_SETTING} holds ({status}){said.after()}",
        f"set {KEY_SETTING} to one that may use the model {asked.model!r}",
    )


@dataclass(frozen=True, slots=True)
class _Words:
    """An error's body.

    Args:
        whole: What it says, to be searched; not what it quotes of the request.
        short: What of it can be shown.
        page: Whether it is HTML.
        limit: The window in tokens that it names.
    """

    whole: str
    short: str = ""
    page: bool = False
    limit: int | None = None

    @classmethod
    def of(cls, body: bytes, kind: str, key: str) -> _Words:
        """Read a body."""
        try:
            words = tuple(_words(parsed(body)))
        except Nonsense:
            if is_page(body, kind):
                return cls("", page=True)
            words = (body.decode("utf-8", "replace"),)
        words = tuple(_cut(one, key) for one in words)
        joined = "\n".join(words)
        found = _LIMIT.search(joined)
        limit = next((int(group) for group in found.groups() if group), None) if found else None
        return cls(joined, shown(words[0], key) if words else "", False, limit or None)

    def after(self) -> str:
        """Its words, to be put after ours."""
        return f": {self.short}" if self.short else ""


def _words(data: object) -> Iterator[str]:
    """What the forms in use say of an error, what can be shown first."""
    top = table(data)
    error = top.get("error")
    details = [table(one) for one in rows(top.get("detail"))]  # FastAPI's, of a form that is wrong
    shown_first = (table(error).get("message"), error, top.get("message"), top.get("detail"))
    yield from filter(None, map(text, shown_first))
    yield from (f"{text(one.get('msg'))}: {one.get('loc')}" for one in details[:MOST_DETAILS])
    for place in (table(error), top):
        yield from (
            f'"{name}": {place[name]}'
            for name in ("type", "code", "param", "n_ctx")
            if isinstance(place.get(name), (str, int))
        )


def _cut(words: str, key: str) -> str:
    """As much of a text as is looked at, without the key: a cut could leave half of it."""
    return (words.replace(key, "***") if key else words)[:MOST_READ]


def shown(words: str, key: str) -> str:
    """An endpoint's words fit to be shown: one short line without anything like a key."""
    words = _SECRETS.sub("***", _cut(words, key))
    words = " ".join("".join(one if one.isprintable() else " " for one in words).split())
    return words if len(words) <= WORDS else words[: WORDS - 1].rstrip() + "…"
