"""What litellm's errors mean to us."""

from __future__ import annotations

import pytest

from swarm_tasks.brain.direct_errors import Trouble, key_variable, retry_after_seconds, trouble_of
from swarm_tasks.errors import ContextExceeded, ModelRefused, ModelUnreachable, NoToolCalling

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


def trouble(error: Exception, *, with_tools: bool = False) -> Trouble:
    return trouble_of(error, NAME, with_tools=with_tools)


@pytest.mark.parametrize("status", [400, 404, 405, 413, 422])
def test_what_is_refused_is_not_asked_again(status: int) -> None:
    found = trouble(Said("litellm.BadRequestError: OpenAIException - no such thing", status))
    assert type(found.error) is ModelRefused
    assert not found.passing
    assert found.error.message == f"{NAME} refuses the request ({status}): no such thing"


@pytest.mark.parametrize("status", [None, 408, 409, 425, 429, 500, 502, 503, 529])
def test_what_may_pass_is(status: int | None) -> None:
    found = trouble(Said("litellm.InternalServerError: AnthropicException - busy\n\nmore", status))
    assert type(found.error) is ModelUnreachable
    assert found.passing
    assert found.error.message.endswith(": busy")


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_names_its_variable_and_is_not_shown(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-canary")
    found = trouble(Said("Incorrect API key provided: sk-canary", status))
    assert type(found.error) is ModelRefused
    assert "ANTHROPIC_API_KEY" in str(found.error)
    assert "sk-canary" not in str(found.error)
    assert "not set" not in str(found.error)


def test_a_key_that_is_not_set_is_said_though_litellm_calls_it_an_error_of_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    found = trouble(Said("OpenAIException - Missing credentials. Please pass an `api_key`", 500))
    assert type(found.error) is ModelRefused
    assert "ANTHROPIC_API_KEY, which is not set" in str(found.error)


def test_an_empty_account_is_out_of_quota_and_is_not_asked_again() -> None:
    found = trouble(Said("no credit", 402))
    assert type(found.error) is ModelUnreachable
    assert not found.passing


def test_a_model_that_is_left_alone_may_be_asked_later() -> None:
    found = trouble(named("RouterRateLimitError")("No deployments available"))
    assert type(found.error) is ModelUnreachable
    assert (found.passing, found.left_alone) == (True, True)


@pytest.mark.parametrize(
    ("words", "limit"),
    [
        ("This model's maximum context length is 4096 tokens. However, 5000 were sent", 4096),
        ("exceeds the context window of 128,000 tokens", 128_000),
        ("prompt is too long: 210000 tokens > 200000 maximum", None),
    ],
)
def test_a_window_that_is_named_is_known(words: str, limit: int | None) -> None:
    found = trouble(named("ContextWindowExceededError")(words, 400))
    assert isinstance(found.error, ContextExceeded)
    assert found.error.limit == limit
    assert not found.passing


@pytest.mark.parametrize(
    "words",
    [
        "registry.ollama.ai/library/x does not support tools",
        "This model doesn't support tool use",
        '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
        "This model does not support function calling",
    ],
)
def test_a_model_without_tools_is_known_by_its_words_where_tools_were_offered(words: str) -> None:
    assert isinstance(trouble(Said(words, 400), with_tools=True).error, NoToolCalling)
    assert isinstance(trouble(Said(words, 400)).error, ModelRefused)


def test_litellm_knows_of_some_providers_that_they_take_no_tools() -> None:
    error = named("UnsupportedParamsError")("ollama does not take parameters: ['tools']", 400)
    assert isinstance(trouble(error, with_tools=True).error, NoToolCalling)


def test_long_words_are_cut() -> None:
    assert len(trouble(Said("x" * 5000, 500)).error.message) < 400


@pytest.mark.parametrize(
    ("told", "seconds"),
    [("2", 2.0), ("0.5", 0.5), ("-3", 0.0), ("nan", None), ("inf", None), ("soon", None)],
)
def test_retry_after_is_heeded_where_it_is_a_number(told: str, seconds: float | None) -> None:
    error = Said("slow down", 429, {"retry-after": told})
    assert retry_after_seconds(error) == seconds
    assert trouble(error).retry_after_seconds == seconds


def test_a_provider_s_key_has_a_variable() -> None:
    assert key_variable("openai/gpt-4o-mini") == "OPENAI_API_KEY"
    assert key_variable("gpt-4o-mini", "openai") == "OPENAI_API_KEY"
    assert key_variable("fireworks-ai/x") == "FIREWORKS_AI_API_KEY"
    assert key_variable("bedrock/x").startswith("AWS_ACCESS_KEY_ID")
