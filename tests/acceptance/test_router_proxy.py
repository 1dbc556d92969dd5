"""A real LiteLLM Proxy in front of two scripted models, one of which dies."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Generator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from orchestrator.router.keys import digest_of
from swarm_tasks.brain.model import Model, ModelReply, ModelRequest
from swarm_tasks.brain.open import open_model
from swarm_tasks.config import Settings
from swarm_tasks.errors import ModelRefused
from swarm_tasks.models.charge import Tier
from swarm_tasks.models.job import AuditRequest, BrainChoice
from swarm_tasks.models.report import JobStatus
from tests.support.fleets import TestFleet, specialist
from tests.support.model_script import Script, answers, call, calls, role, says
from tests.support.model_server import ModelServer
from tests.support.proxies import PROGRAM, RouterProxy
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.router,
    pytest.mark.skipif(not os.environ.get(PROGRAM), reason="make router-test runs it"),
]

FLEET_KEY = "sk-fleet-6b1f"
HOST_KEY = "sk-alpha-77c2"
PROVIDER_KEY = "sk-provider-0a9d"
CROWD = 40
HOSTS = ("alpha", "bravo", "charlie")
TURNS = 4
NAPS = [calls(call("nap", seconds=0.01 * n), latency=0.3) for n in range(1, TURNS)]
FINE = answers({"answer": "Nothing is wrong.", "ruled_out": ["naps"]}, latency=0.3)

SCRIPT = Script(
    roles=(
        role("crowd", "agent [0-9]+", says("{{find:agent [0-9]+}}", latency=0.5)),
        role("synthesis", "You sum up", says("Nothing is wrong anywhere.", latency=0.3)),
        role("napper", "Nap", *NAPS, FINE),
        role("rest", None, says("Well.")),
    ),
    key=PROVIDER_KEY,
    models=("scripted",),
)


@pytest.fixture(scope="module")
def servers() -> Generator[tuple[ModelServer, ModelServer]]:
    """Two places where the same model is served."""
    with ModelServer(SCRIPT) as one, ModelServer(SCRIPT) as other:
        yield one, other


@pytest.fixture(scope="module")
def keys_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The keys of single hosts."""
    return tmp_path_factory.mktemp("keys") / "keys"


@pytest.fixture(scope="module")
def proxy(
    tmp_path_factory: pytest.TempPathFactory,
    servers: tuple[ModelServer, ModelServer],
    keys_file: Path,
) -> Generator[RouterProxy]:
    """The router in front of both, for all tests: it takes seconds to start."""
    directory = tmp_path_factory.mktemp("router")
    (directory / "fleet_key").write_text(FLEET_KEY)
    (directory / "provider_key").write_text(PROVIDER_KEY)
    keys_file.write_text(f"alpha {digest_of(HOST_KEY)}\n")
    one, other = servers
    with RouterProxy(
        directory,
        HOSTSWARM_ROUTER_KEY_FILE=str(directory / "fleet_key"),
        ROUTER_KEYS_FILE=str(keys_file),
        ROUTER_WORKER_MODEL="openai/scripted",
        ROUTER_WORKER_API_BASE=one.url,
        ROUTER_WORKER_API_KEY_FILE=str(directory / "provider_key"),
        ROUTER_WORKER_2_MODEL="openai/scripted",
        ROUTER_WORKER_2_API_BASE=other.url,
        ROUTER_WORKER_2_API_KEY_FILE=str(directory / "provider_key"),
    ) as running:
        yield running


def settings(proxy: RouterProxy, key: str = FLEET_KEY) -> Settings:
    return Settings.model_validate({"router_url": proxy.url, "router_key": key})


def asks(content: str = "How are you?") -> ModelRequest:
    return ModelRequest(messages=({"role": "user", "content": content},))


async def opened(given: Settings) -> Model:
    model = open_model(given, Tier.WORKER)
    assert model is not None
    return model


def ask(given: Settings) -> ModelReply:
    """One question over the proxy."""

    async def whole() -> ModelReply:
        model = await opened(given)
        try:
            return await model.complete(asks(), 20.0)
        finally:
            await model.close()

    return asyncio.run(whole())


def test_a_host_s_key_is_good_until_its_line_is_taken_out(
    proxy: RouterProxy, keys_file: Path
) -> None:
    assert ask(settings(proxy, HOST_KEY)).text == "Well."
    keys_file.write_text("")
    with pytest.raises(ModelRefused, match="HOSTSWARM_ROUTER_KEY"):
        ask(settings(proxy, HOST_KEY))
    assert ask(settings(proxy)).text == "Well."


@pytest.mark.parametrize(
    ("key", "path", "status"),
    [
        (FLEET_KEY, "/v1/models", 200),
        (FLEET_KEY, "/model/info", 403),
        (FLEET_KEY, "/get/config/callbacks", 403),
        (FLEET_KEY, "/key/list", 403),
        ("sk-nobody", "/v1/models", 401),
        ("", "/v1/models", 401),
        ("", "/health/liveliness", 200),
    ],
)
def test_a_host_s_key_asks_models_and_nothing_else(
    proxy: RouterProxy, key: str, path: str, status: int
) -> None:
    connection = HTTPConnection(urlsplit(proxy.url).netloc, timeout=20.0)
    with closing(connection):
        headers = {"Origin": "https://page.example"}
        headers |= {"Authorization": f"Bearer {key}"} if key else {}
        connection.request("GET", path, headers=headers)
        with connection.getresponse() as reply:
            assert reply.status == status
            assert reply.getheader("Access-Control-Allow-Origin") is None


def test_what_a_provider_charges_is_unknown_where_litellm_knows_no_price(
    proxy: RouterProxy,
) -> None:
    charge = ask(settings(proxy)).charge
    assert charge.prompt_tokens > 0
    assert charge.cost_usd is None


async def crowd(given: Settings, while_they_wait: Callable[[], object]) -> list[ModelReply]:
    """Many calls at once, and something that happens meanwhile."""
    model = await opened(given)
    try:
        calls = [
            asyncio.ensure_future(model.complete(asks(f"agent {n}"), 30.0)) for n in range(CROWD)
        ]
        await asyncio.to_thread(while_they_wait)
        return await asyncio.gather(*calls)
    finally:
        await model.close()


def test_nothing_is_lost_when_one_of_two_servers_is_killed_in_the_middle_of_a_job(
    proxy: RouterProxy, servers: tuple[ModelServer, ModelServer], tmp_path: Path
) -> None:
    one, other = servers
    one.forget()
    other.forget()

    def under_way() -> int:
        return sum(1 for seen in one.requests() if not seen.replied)

    def kill_one() -> None:
        wait_until("both are busy", lambda: under_way() >= 5 and other.requests())
        one.kill()

    with TestFleet(
        tmp_path,
        tool_modules=["tests.support.fake_tools"],
        specialists={"napper": specialist("napper", "nap", seconds=0.0)},
        router_url=proxy.url,
        router_key=FLEET_KEY,
    ) as fleet:
        fleet.start_control()
        fleet.start_workers(*HOSTS)
        request = AuditRequest(
            specialists=("napper",), brain=BrainChoice.LLM, deadline_seconds=60.0
        )
        job = fleet.fleet.audit(request)
        replies = asyncio.run(crowd(settings(proxy), kill_one))
        report = fleet.fleet.wait(job.id)

    assert [reply.text for reply in replies] == [f"agent {n}" for n in range(CROWD)]
    assert under_way() > 0, "it was killed too late"
    assert report.job.status is JobStatus.COMPLETE
    assert report.degraded == ()
    assert report.job.brain == "llm"
    assert sorted(report.coverage.answered) == sorted(HOSTS)
    calls = {charge.tier: charge.calls for charge in report.charges}
    assert calls == {Tier.WORKER: TURNS * len(HOSTS), Tier.ORCHESTRATOR: 1}
    assert report.summary == "Nothing is wrong anywhere."
    assert len(one.requests()) < len(other.requests())


def test_it_ends_by_a_signal_and_leaves_nothing(proxy: RouterProxy) -> None:
    """The last one: it ends the router of them all."""
    running = proxy.processes()
    assert running
    proxy.stop()
    wait_until("all have ended", lambda: not any(one.is_running() for one in running))
    for secret in (FLEET_KEY, HOST_KEY, PROVIDER_KEY):
        assert secret not in proxy.log
