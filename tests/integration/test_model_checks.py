"""What `doctor` says of models, asked of a real endpoint that follows a script."""

from __future__ import annotations

import re
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.surfaces.model_checks import is_loopback, model_checks, offered, open_keys
from swarm_tasks.config import Settings
from tests.support.commands import Asker
from tests.support.model_script import Role, Script, call, calls, says
from tests.support.model_server import ModelServer

KEY = "sk-canary-88ab01"
CALLS = Role(turns=(calls(call("ping")),))
GOOD = Script(roles=(CALLS,), models=("worker", "orchestrator"), context_length=32_768)
PRICE = {"input_usd_per_million": 0.15, "output_usd_per_million": 0.6}


@pytest.fixture(scope="module")
def server() -> Generator[ModelServer]:
    """One server for all; each test plays its own script."""
    with ModelServer(GOOD) as running:
        yield running


def checks(script: Script, server: ModelServer, **settings: Any) -> list[tuple[str, str, str]]:
    """State, words and remedy of each check, with this script on the server."""
    server.forget()
    server.play(script)
    given = {"router_url": server.url, "router_key": KEY, "model": "worker"} | settings
    found = list(model_checks(Settings.model_validate(given)))
    assert {check.name for check in found} == {"model"}
    assert KEY not in repr(found)
    return [(check.state, check.said, check.mend) for check in found]


def test_without_a_model_the_rules_answer() -> None:
    (check,) = model_checks(Settings())
    assert (check.state, check.said) == ("ok", "none is set: the rules answer")


def test_a_model_that_answers_is_told_with_what_is_known_of_it(server: ModelServer) -> None:
    ((state, said, _),) = checks(GOOD, server)
    assert state == "ok"
    assert said.startswith(f"worker (orchestrator and worker) at {server.url} answers; ")
    assert "; 32,768 tokens; calls tools; no price is set: dollars are unknown" in said


def test_each_tier_is_asked_for_its_own_model(server: ModelServer) -> None:
    found = checks(GOOD, server, model=None, prices={"worker": PRICE})
    assert [state for state, *_ in found] == ["ok", "ok"]
    assert found[0][1].startswith("orchestrator (orchestrator) at ")
    assert found[1][1].startswith("worker (worker) at ")
    assert "$0.15 in and $0.6 out for a million tokens" in found[1][1]
    assert {seen.body["model"] for seen in server.requests()} == {"worker", "orchestrator"}


def test_a_key_that_is_refused_is_broken_and_names_its_setting(server: ModelServer) -> None:
    ((state, said, mend),) = checks(GOOD.model_copy(update={"key": "another"}), server)
    assert state == "broken"
    assert "HOSTSWARM_ROUTER_KEY" in said + mend


def test_a_model_that_is_not_on_offer_is_broken(server: ModelServer) -> None:
    found = checks(GOOD.model_copy(update={"only_models": True}), server, model="wroker")
    (state, said, mend), *_ = found
    assert state == "broken"
    assert "wroker" in said
    assert mend == "set HOSTSWARM_MODEL to one that it has: worker, orchestrator"
    assert said.count(server.url) == 1


def test_a_model_without_tool_calling_is_no_fault(server: ModelServer) -> None:
    chatty = Script(roles=(Role(turns=(says("pong"),)),))
    none = Script(roles=(Role(turns=(says("pong"),), no_tools=True),))
    for script in (chatty, none):
        ((state, said, _),) = checks(script, server)
        assert state == "ok"
        assert "no tool calling: agents use a JSON protocol in the prompt" in said
    warned = checks(none, server, tool_calling="native")[-1]
    assert warned[0] == "warning"
    assert "HOSTSWARM_TOOL_CALLING" in warned[2]


def test_a_window_that_nobody_tells_is_to_be_set(server: ModelServer) -> None:
    silent = GOOD.model_copy(update={"context_length": None})
    (ok, *_), (state, said, mend) = checks(silent, server)
    assert (ok, state) == ("ok", "warning")
    assert "8,192 are assumed" in said
    assert "HOSTSWARM_CONTEXT_LENGTH" in mend or "ORCHESTRATOR_CONTEXT_LENGTH" in mend
    assert "OLLAMA_CONTEXT_LENGTH" in mend
    assert len(checks(silent, server, context_length=16_384)) == 1


def test_a_window_larger_than_the_model_s_is_told(server: ModelServer) -> None:
    (ok, *_), (state, said, _), *_ = checks(GOOD, server, context_length=65_536)
    assert (ok, state) == ("ok", "warning")
    assert "takes 32,768 tokens, and 65,536 are set" in said


def test_one_endpoint_of_two_that_is_down_is_a_warning(server: ModelServer) -> None:
    with ModelServer(GOOD) as other:
        url = other.url
    found = checks(GOOD, server, router_url=[server.url, url])
    assert [state for state, *_ in found] == ["ok", "warning"]
    assert url in found[1][1]


def test_a_router_that_hangs_is_told_soon(server: ModelServer) -> None:
    server.freeze()
    try:
        began = time.monotonic()
        given = {"router_url": server.url, "model": "worker"}
        (check,) = model_checks(Settings.model_validate(given), seconds=1.0)
        assert time.monotonic() - began < 5
    finally:
        server.thaw()
    assert check.state == "broken"


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://127.0.0.1:4000", False),
        ("http://localhost:4000", False),
        ("http://[::1]:4000", False),
        ("https://router.example", False),
        ("http://router:4000", True),
        ("http://192.0.2.1:4000", True),
    ],
)
def test_a_key_that_others_can_read_on_its_way_is_a_warning(url: str, warned: bool) -> None:
    settings = Settings.model_validate({"router_url": url, "router_key": KEY})
    assert [check.state for check in open_keys(settings)] == ["warning"] * warned
    assert list(open_keys(settings.model_copy(update={"router_key": None}))) == []
    assert is_loopback(url) == bool(re.search(r"127\.|localhost|::1", url))


def test_names_on_offer_may_be_patterns_and_tags() -> None:
    assert offered("qwen3:8b", ("qwen3:8b", "other"))
    assert offered("qwen3", ("qwen3:latest",))
    assert offered("openai/gpt-5-mini", ("openai/*",))
    assert offered("anything", ())
    assert not offered("qwen", ("qwen3",))


def test_doctor_says_so_on_the_command_line(tmp_path: Path, server: ModelServer) -> None:
    server.play(GOOD.model_copy(update={"key": "another"}))
    asker = Asker(tmp_path / "state")
    done = asker.with_variables(ROUTER_URL=server.url, ROUTER_KEY=KEY).run("doctor")
    assert done.returncode == 1
    assert re.search(r"(?m)^broken +model ", done.stdout)
    assert "HOSTSWARM_ROUTER_KEY" in done.stdout
    assert KEY not in done.stdout + done.stderr
