"""The errors of many servers, in their own words, and what is made of each."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from swarm_tasks.brain.place import Place
from swarm_tasks.brain.refusal import Asked, NoSuchModel, Plainer, judged, shown
from swarm_tasks.brain.retry import Again, Elsewhere
from swarm_tasks.brain.wire import Feature
from swarm_tasks.errors import ContextExceeded, ModelRefused, ModelUnreachable, NoToolCalling
from swarm_tasks.models.charge import Tier

URL = "http://router:4000/v1"
KEY = "sk-canary-0123456789"
ALL = frozenset(Feature)


def judge(status: int, said: Any, tools: bool = True, **asked: Any) -> Any:
    """What is made of an error whose body is this."""
    body = said.encode() if isinstance(said, str) else json.dumps(said).encode()
    given: dict[str, Any] = {"key": KEY, "tools": tools, **asked}
    return judged(Asked(URL, "small", Tier.WORKER, **given), status, body)


def openai(message: str, code: str | None = None, **more: Any) -> dict[str, Any]:
    """An error in OpenAI's form."""
    return {"error": {"message": message, "type": "invalid_request_error", "code": code, **more}}


CONTEXT: tuple[tuple[Any, int | None], ...] = (
    (
        openai(
            "This model's maximum context length is 8192 tokens. However, your messages resulted "
            "in 9000 tokens.",
            "context_length_exceeded",
        ),
        8192,
    ),
    (
        openai("Your input exceeds the context window of this model.", "context_length_exceeded"),
        None,
    ),
    (
        {
            "object": "error",
            "message": "This model's maximum context length is 4096 tokens. However, you "
            "requested 5000 tokens in the messages, Please reduce the length of the messages.",
            "type": "BadRequestError",
            "code": 400,
        },
        4096,
    ),
    (
        openai(
            "'max_tokens' or 'max_completion_tokens' is too large: 2048. This model's maximum "
            "context length is 4096 tokens and your request has 3000 input tokens"
        ),
        4096,
    ),
    (
        {
            "error": {
                "code": 400,
                "message": "the request exceeds the available context size, try increasing it",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 9000,
                "n_ctx": 2048,
            }
        },
        2048,
    ),
    (openai("request (9000 tokens) exceeds the available context size (2048 tokens)"), 2048),
    (
        openai(
            "litellm.ContextWindowExceededError: litellm.BadRequestError: "
            "ContextWindowExceededError: OpenAIException - too long"
        ),
        None,
    ),
    (openai("prompt is too long: 208310 tokens > 200000 maximum"), 200_000),
    (openai("Input token count (9) exceeds the maximum number of tokens allowed (7)."), 7),
    (
        openai("Prompt contains 9 tokens, too large for model with 7 maximum context length"),
        7,
    ),
)


@pytest.mark.parametrize(("said", "limit"), CONTEXT)
def test_a_conversation_that_is_too_long(said: Any, limit: int | None) -> None:
    for status in (400, 500):
        error = judge(status, said, features=ALL)
        assert isinstance(error, ContextExceeded)
        assert error.limit == limit


def test_a_body_that_is_too_long_is_one_too() -> None:
    assert isinstance(judge(413, "<html>413 Request Entity Too Large</html>"), ContextExceeded)


TOOLS = (
    (400, openai("registry.ollama.ai/library/gemma:2b does not support tools")),
    (
        400,
        openai(
            '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'
        ),
    ),
    (
        400,
        openai(
            "litellm.UnsupportedParamsError: ollama does not support parameters: ['tools'], for "
            "model=x. To drop these, set `litellm.drop_params=True`"
        ),
    ),
    (500, {"error": {"code": 500, "message": "tools param requires --jinja flag"}}),
    (404, {"error": {"message": "No endpoints found that support tool use.", "code": 404}}),
    (400, openai("`tool calling` is not supported with this model")),
    (501, openai("Unsupported: this model does not support function calling")),
)


@pytest.mark.parametrize(("status", "said"), TOOLS)
def test_a_model_that_takes_no_tools(status: int, said: Any) -> None:
    error = judge(status, said)
    assert isinstance(error, NoToolCalling)
    assert "HOSTSWARM_TOOL_CALLING" in error.remedy
    assert not isinstance(judge(status, said, tools=False), NoToolCalling)


MODELS = (
    (404, openai("The model `small` does not exist or you do not have access", "model_not_found")),
    (404, {"message": "The model `small` does not exist.", "type": "NotFoundError", "code": 404}),
    (404, openai('model "small" not found, try pulling it first')),
    (
        400,
        openai(
            "/chat/completions: Invalid model name passed in model=small. Call `/v1/models` to "
            "view available models for your key."
        ),
    ),
    (400, {"error": {"message": "small is not a valid model ID", "code": 400}}),
)


@pytest.mark.parametrize(("status", "said"), MODELS)
@pytest.mark.parametrize(
    ("tier", "setting"),
    [(Tier.WORKER, "HOSTSWARM_MODEL"), (Tier.ORCHESTRATOR, "HOSTSWARM_ORCHESTRATOR_MODEL")],
)
def test_a_model_that_is_not_there(status: int, said: Any, tier: Tier, setting: str) -> None:
    body = json.dumps(said).encode()
    refusal = judged(Asked(URL, "small", tier, tools=True, features=ALL), status, body)
    assert isinstance(refusal, Elsewhere)
    assert isinstance(refusal.error, NoSuchModel)
    assert f"set {setting} " in refusal.error.remedy
    assert f"{URL} has no model 'small'" in refusal.error.message


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_refused(status: int) -> None:
    said = openai(f"Incorrect API key provided: {KEY}. Received sk-ca...6789, hash {'ab12' * 16}")
    error = judge(status, said).error
    assert isinstance(error, ModelRefused)
    assert "HOSTSWARM_ROUTER_KEY" in str(error)
    assert URL in error.message
    for part in ("canary", "6789", "ab12"):
        assert part not in str(error)


def test_a_key_that_is_wanted_and_not_set() -> None:
    error = judge(401, openai("No api key passed in."), key="").error
    assert str(error) == (
        f"{URL} wants a key and none is set (401): No api key passed in.: set HOSTSWARM_ROUTER_KEY"
    )


def test_a_router_s_own_key_that_is_refused_is_not_ours() -> None:
    error = judge(401, openai("litellm.AuthenticationError: OpenAIException - bad key")).error
    assert "the router's own key" in error.message
    assert "HOSTSWARM_ROUTER_KEY" not in str(error)


QUOTA = (
    (429, openai("You exceeded your current quota, please check", "insufficient_quota")),
    (402, openai("Insufficient Balance")),
    (402, "{}"),
    (400, {"error": {"message": "Budget has been exceeded!", "type": "budget_exceeded"}}),
    (400, openai("Your credit balance is too low to access the API")),
)


@pytest.mark.parametrize(("status", "said"), QUOTA)
def test_an_endpoint_out_of_quota_is_not_asked_again(status: int, said: Any) -> None:
    refusal = judge(status, said)
    assert isinstance(refusal, Elsewhere)
    assert refusal.shut
    assert isinstance(refusal.error, ModelUnreachable)
    assert f"{URL} is out of quota ({status})" in refusal.error.message


def test_what_is_worth_another_try() -> None:
    limited = judge(429, openai("Rate limit reached for requests", "rate_limit_exceeded"))
    assert (limited.sick, limited.reason) == (
        False,
        "limits the rate of requests (429): Rate limit reached for requests",
    )
    for status in (408, 500, 502, 503, 529):
        failure = judge(status, "upstream went away")
        assert isinstance(failure, Again)
        assert failure.sick
        assert failure.reason == f"fails with status {status}: upstream went away"


FEATURES = (
    (Feature.RESPONSE_FORMAT, 400, openai("'response_format' is not supported with this model")),
    (
        Feature.RESPONSE_FORMAT,
        400,
        openai("Invalid parameter: 'json_schema' is only for newer models"),
    ),
    (
        Feature.MAX_TOKENS,
        400,
        openai(
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
            "unsupported_parameter",
            param="max_tokens",
        ),
    ),
    (
        Feature.USER,
        422,
        {"detail": [{"type": "extra_forbidden", "loc": ["body", "user"], "msg": "Extra inputs"}]},
    ),
)


@pytest.mark.parametrize(("feature", "status", "said"), FEATURES)
def test_what_can_be_left_out_is(feature: Feature, status: int, said: Any) -> None:
    found = judge(status, said, features=ALL)
    assert isinstance(found, Plainer)
    assert found.feature is feature
    assert isinstance(judge(status, said, features=ALL - {feature}), ModelRefused)


def test_what_a_server_quotes_of_the_request_is_not_taken_for_its_words() -> None:
    quoted = {"role": "user", "content": "maximum context length is 5 tokens, insufficient_quota"}
    said = {"detail": [{"msg": "Input should be a string", "loc": ["body"], "input": quoted}]}
    error = judge(422, said)
    assert isinstance(error, ModelRefused)
    assert "Input should be a string" in error.message


@pytest.mark.parametrize(
    ("status", "said", "words"),
    [
        (404, "<html><h1>Not Found</h1></html>", "answers 404 with a page"),
        (404, {"detail": "Not Found"}, "answers 404 with Not Found"),
        (405, "", "answers 405 with nothing"),
        (400, "<html>a plain request was sent to a TLS port</html>", "answers 400 with a page"),
        (501, "<!DOCTYPE HTML><html>Unsupported method</html>", "answers 501 with a page"),
    ],
)
def test_a_url_that_is_no_such_endpoint(status: int, said: Any, words: str) -> None:
    error = judge(status, said).error
    assert isinstance(error, ModelRefused)
    assert f"{URL} is no OpenAI-compatible endpoint" in error.message
    assert words in error.message
    assert "HOSTSWARM_ROUTER_URL" in error.remedy


def test_a_url_that_points_elsewhere() -> None:
    error = judge(308, "").error
    assert isinstance(error, ModelRefused)
    assert "HOSTSWARM_ROUTER_URL" in error.remedy


def test_other_refusals_are_told_in_the_server_s_words() -> None:
    error = judge(400, openai("temperature is out of range"))
    assert isinstance(error, ModelRefused)
    assert str(error) == f"{URL} refuses the request (400): temperature is out of range"


def test_words_that_are_shown_are_short_and_harmless() -> None:
    assert shown("a\x1b[31mb\n\n c\u202e\x07", "") == "a [31mb c"
    assert len(shown("x" * 1000, "")) == 200
    assert shown("the key hunter22 is wrong", "hunter22") == "the key *** is wrong"
    assert shown("Authorization: Bearer abc.def", "") == "Authorization: ***"


def test_a_request_that_is_quoted_is_not_searched_to_its_end() -> None:
    began = time.monotonic()
    error = judge(400, openai(f"invalid image: {'A' * 40_000}", "invalid_image"))
    assert time.monotonic() - began < 5  # a pattern that goes over it again and again needs 20
    assert str(error).startswith(f"{URL} refuses the request (400): invalid image: AAA")
    long_key = "hunter22" * 30
    assert "hunter" not in shown(" " * 1990 + long_key, long_key)
    assert shown("the key ab12****cd is wrong", "") == "the key *** is wrong"
    late = openai("x" * 3000, "context_length_exceeded")
    assert isinstance(judge(400, late), ContextExceeded)


def test_a_key_is_in_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://me:canary@proxy:3128")
    place = Place.of("https://router.example/v1", KEY)
    assert place.headers["Authorization"] == f"Bearer {KEY}"
    assert place.proxy_headers
    assert "canary" not in repr(place)
    assert place.proxy_headers["Proxy-Authorization"] not in repr(place)
    assert KEY not in repr(Asked(URL, "small", Tier.WORKER, KEY))
