"""litellm in this process: what only it can do, and what is known to go wrong with it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Generator
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from swarm_tasks.brain import litellm_here
from swarm_tasks.brain.direct import PATIENCE, DirectModel
from swarm_tasks.brain.model import ModelReply, ModelRequest
from swarm_tasks.config import Settings
from swarm_tasks.errors import ModelRefused, ModelUnreachable, SettingsError
from swarm_tasks.models.charge import Price, Tier
from tests.support.fleets import REPOSITORY
from tests.support.model_script import Script as Said
from tests.support.model_script import fails, plays, role, says
from tests.support.model_server import ModelServer

# litellm silences this warning of its own when it is imported; pytest puts it back.
pytestmark = pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier.*:UserWarning")

REQUEST = ModelRequest(messages=({"role": "user", "content": "How full is it?"},))
PATIENT_SECONDS = 30.0


@pytest.fixture(scope="module")
def running() -> Generator[ModelServer]:
    """One process for all."""
    with ModelServer(plays(says("well"))) as server:
        yield server


@pytest.fixture
def server(running: ModelServer, monkeypatch: pytest.MonkeyPatch) -> ModelServer:
    """The server with nothing remembered, where litellm looks for OpenAI's."""
    running.play(plays(says("well")))
    running.forget()
    monkeypatch.setenv("OPENAI_BASE_URL", running.url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    return running


def ask(settings: Settings, *seconds: float) -> list[ModelReply | Exception]:
    """What one model answers to the same request, each time within so many seconds."""

    async def whole() -> list[ModelReply | Exception]:
        model = DirectModel(settings, Tier.WORKER)
        found: list[ModelReply | Exception] = []
        try:
            for limit in seconds or (PATIENT_SECONDS,):
                try:
                    found.append(await model.complete(REQUEST, limit))
                except (ModelRefused, ModelUnreachable) as error:
                    found.append(error)
        finally:
            await model.close()
        return found

    return asyncio.run(whole())


def replies(settings: Settings, *seconds: float) -> list[ModelReply]:
    found = ask(settings, *seconds)
    assert all(isinstance(one, ModelReply) for one in found), found
    return [one for one in found if isinstance(one, ModelReply)]


def test_a_fallback_answers_and_is_the_one_that_is_charged(server: ModelServer) -> None:
    server.play(
        Said(
            roles=(role("all", None, says("from the other")),), models=("second",), only_models=True
        )
    )
    (reply,) = replies(Settings(model="openai/first", fallback_models=("openai/second",)))
    assert reply.text == "from the other"
    assert reply.charge.model == "openai/second"
    assert [seen.body["model"] for seen in server.requests()] == ["first", "second"]


def test_litellm_s_own_list_prices_what_it_knows_and_a_price_that_is_zero_is_one(
    server: ModelServer,
) -> None:
    (known,) = replies(Settings(model="openai/gpt-4o-mini"))
    assert known.charge.cost_usd is not None
    assert 0 < known.charge.cost_usd < 0.01
    own = {"openai/gpt-4o-mini": Price(input_usd_per_million=0, output_usd_per_million=0)}
    (free,) = replies(Settings(model="openai/gpt-4o-mini", prices=own))
    assert free.charge.cost_usd == 0
    (unknown, again) = replies(Settings(model="openai/scripted"), 30.0, 30.0)
    assert unknown.charge.cost_usd is None
    assert again.charge.cost_usd is None  # though by now litellm has heard of it
    assert litellm_here.priced("ollama/llama3")


def test_windows_are_those_of_litellm_s_list_and_the_smallest_counts(server: ModelServer) -> None:
    async def length(*names: str) -> int | None:
        settings = Settings(model=names[0], fallback_models=names[1:])
        model = DirectModel(settings, Tier.WORKER)
        try:
            return await model.context_length()
        finally:
            await model.close()

    assert asyncio.run(length("openai/gpt-4o", "anthropic/claude-sonnet-4-5")) == 128_000
    assert asyncio.run(length("openai/scripted")) is None
    assert asyncio.run(length("openai/gpt-4o", "openai/scripted")) is None
    assert server.requests() == []


def test_a_probe_asks_for_one_tool_call(server: ModelServer) -> None:
    async def probe() -> bool | None:
        model = DirectModel(Settings(model="openai/scripted"), Tier.WORKER)
        try:
            found = await model.probe()
            assert found.models == ("openai/scripted",)
            return found.tool_calling
        finally:
            await model.close()

    assert asyncio.run(probe()) is False  # it said something in place of the call
    server.play(plays(says("never"), no_tools=True))
    assert asyncio.run(probe()) is False


def test_a_refused_key_stays_one_while_litellm_leaves_the_model_alone(server: ModelServer) -> None:
    server.play(plays(says("never"), key="sk-another"))
    found = ask(Settings(model="openai/scripted"), *(5.0,) * (PATIENCE.failures + 3))
    assert {type(one) for one in found} == {ModelRefused}
    assert len(server.requests()) < len(found)


def test_calls_with_less_and_less_time_share_one_connection(server: ModelServer) -> None:
    replies(Settings(model="openai/scripted"), 30.0, 29.0, 28.0)
    assert len({seen.connection for seen in server.requests()}) == 1


def test_failures_leave_nothing_on_the_terminal(
    server: ModelServer, capfd: pytest.CaptureFixture[str]
) -> None:
    server.play(plays(fails(status=500)))
    settings = Settings(model="openai/first", fallback_models=("openai/second",))
    (found,) = ask(settings, 0.5)
    assert isinstance(found, ModelUnreachable)
    shown = capfd.readouterr()
    assert (shown.out, shown.err) == ("", "")


def test_a_model_of_no_provider_says_how_to_write_one(server: ModelServer) -> None:
    (found,) = ask(Settings(model="nonsense"))
    assert isinstance(found, ModelRefused)
    assert "provider/model" in str(found)
    assert server.requests() == []


@pytest.mark.parametrize("package", ["litellm", "mcp"])
def test_a_package_that_is_missing_is_said_when_the_model_is_opened(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = litellm_here.find_spec

    def without(name: str) -> ModuleSpec | None:
        return None if name == package else real(name)

    monkeypatch.setattr(litellm_here, "find_spec", without)
    with pytest.raises(SettingsError, match=r"hostswarm\[litellm\]"):
        DirectModel(Settings(model="openai/scripted"), Tier.WORKER)


def test_a_malicious_release_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litellm_here, "version", lambda _name: "1.82.8")  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    with pytest.raises(SettingsError, match="malicious"):
        DirectModel(Settings(model="openai/scripted"), Tier.WORKER)


LAZY = """
import os, sys
from swarm_tasks.brain.open import open_model
from swarm_tasks.config import Settings
from swarm_tasks.models.charge import Tier
model = open_model(Settings(model="openai/scripted"), Tier.WORKER)
assert "litellm" not in sys.modules and "aiohttp" not in sys.modules
from swarm_tasks.brain.litellm_here import load_litellm
litellm = load_litellm()
assert "CANARY" not in os.environ, "it read .env"
assert litellm.model_cost_map_url and os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"
"""


def test_litellm_is_imported_late_and_reads_no_file_of_the_working_directory(
    tmp_path: Path,
) -> None:
    (tmp_path / ".env").write_text("CANARY=1\n")
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        (sys.executable, "-c", LAZY),
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
