"""What litellm's errors mean to us."""

from __future__ import annotations

import pytest

from swarm_tasks.brain.direct_errors import LeftAlone, key_variable, meaning
from swarm_tasks.brain.refusal import Asked, Plainer
from swarm_tasks.brain.retry import Again
from swarm_tasks.brain.wire import Feature
from swarm_tasks.errors import ContextExceeded, ModelRefused, ModelUnreachable, NoToolCalling
from swarm_tasks.models.charge import Tier

NAME = "anthropic/large"


class Said(Exception):
    """An error as litellm raises them.

    Args:
        headers: Of the provider's reply.
    """

    def __init__(
        self, words: str, status: int | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(words)
        self.status_code = status
        self.llm_provider = "anthropic"
        self.litellm_response_headers = headers


def named(name: str) -> type[Said]:
    """A class of error with a name of litellm's."""
    return type(name, (Said,), {})


def meant(error: Exception, *, tools: bool = False) -> Exception:
    features = frozenset({Feature.RESPONSE_FORMAT})
    return meaning(error, Asked(NAME, NAME, Tier.WORKER, "", tools, features))


@pytest.mark.parametrize("status", [400, 404, 405, 422])
def test_what_is_refused_is_not_asked_again(status: int) -> None:
    found = meant(Said("litellm.BadRequestError: OpenAIException - no such thing", status))
    assert type(found) is ModelRefused
    assert NAME in str(found)
    assert "no such thing" in str(found)
    assert "litellm" not in str(found)
    assert "OpenAI-compatible" not in str(found)


@pytest.mark.parametrize("status", [None, 408, 429, 500, 502, 503, 529])
def test_what_may_pass_is_asked_again(status: int | None) -> None:
    found = meant(Said("litellm.InternalServerError: AnthropicException - busy\n\nmore", status))
    assert isinstance(found, Again)
    assert found.reason.endswith(": busy")


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_names_its_variable_and_is_not_shown(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "canary-0123")
    found = meant(Said("Incorrect API key provided: canary-0123", status))
    assert type(found) is ModelRefused
    assert "refuses the key that ANTHROPIC_API_KEY holds" in str(found)
    assert "canary-0123" not in str(found)


def test_keys_of_the_environment_and_of_urls_are_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MISTRAL_API_KEY", "Qx7vLm2Canary")
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    words = "none at https://g.example/m:generateContent?alt=sse&key=AIzaCanary nor Qx7vLm2Canary"
    told = str(meant(Said(words, 400)))
    assert "none at https://g.example/m:generateContent?alt=sse&*** nor ***" in told
    assert "Canary" not in told


def test_a_key_that_is_not_set_is_said_though_litellm_calls_it_an_error_of_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    found = meant(Said("OpenAIException - Missing credentials. Please pass an `api_key`", 500))
    assert type(found) is ModelRefused
    assert "ANTHROPIC_API_KEY is not set" in str(found)


def test_an_empty_account_is_out_of_quota_and_is_not_asked_again() -> None:
    found = meant(Said("no credit", 402))
    assert type(found) is ModelUnreachable
    assert "quota" in str(found)


def test_a_model_that_is_left_alone_may_be_asked_later() -> None:
    assert isinstance(meant(named("RouterRateLimitError")("No deployments available")), LeftAlone)


@pytest.mark.parametrize(
    ("words", "limit"),
    [
        ("This model's maximum context length is 4096 tokens. However, 5000 were sent", 4096),
        ("prompt is too long: 210000 tokens > 200000 maximum", 200_000),
        ("too much of a good thing", None),
    ],
)
def test_a_conversation_that_does_not_fit_is_known_by_litellm_s_class(
    words: str, limit: int | None
) -> None:
    found = meant(named("ContextWindowExceededError")(words, 400))
    assert isinstance(found, ContextExceeded)
    assert found.limit == limit


@pytest.mark.parametrize(
    "words",
    [
        "registry.ollama.ai/library/x does not support tools",
        "This model doesn't support tool use",
        '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
    ],
)
def test_a_model_without_tools_is_known_by_its_words_where_tools_were_offered(words: str) -> None:
    assert isinstance(meant(Said(words, 400), tools=True), NoToolCalling)
    assert isinstance(meant(Said(words, 400)), ModelRefused)


def test_litellm_knows_of_some_providers_that_they_take_no_tools() -> None:
    error = named("UnsupportedParamsError")("ollama does not take parameters: ['tools']", 400)
    assert isinstance(meant(error, tools=True), NoToolCalling)


def test_a_schema_that_is_refused_can_be_left_out() -> None:
    found = meant(Said("response_format of type json_schema is not supported", 400))
    assert isinstance(found, Plainer)
    assert found.feature is Feature.RESPONSE_FORMAT


def test_long_words_are_cut() -> None:
    assert len(str(meant(Said("x" * 5000, 500)))) < 400


@pytest.mark.parametrize(("told", "seconds"), [("2", 2.0), ("0.5", 0.5), ("soon", None)])
def test_retry_after_is_heeded(told: str, seconds: float | None) -> None:
    found = meant(Said("slow down", 429, {"retry-after": told}))
    assert isinstance(found, Again)
    assert found.after_seconds == seconds


def test_a_provider_s_key_has_a_variable() -> None:
    assert key_variable("openai/gpt-4o-mini") == "OPENAI_API_KEY"
    assert key_variable("gpt-4o-mini", "openai") == "OPENAI_API_KEY"
    assert key_variable("fireworks-ai/x") == "FIREWORKS_AI_API_KEY"
    assert key_variable("bedrock/x") == "AWS_ACCESS_KEY_ID"
