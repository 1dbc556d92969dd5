"""What LiteLLM Proxy is started with."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr

from orchestrator.router import admission
from orchestrator.router.admission import KEYLESS, MASTER_KEY, SHARED_KEY
from orchestrator.surfaces import router_verb
from orchestrator.surfaces.router_verb import SHIPPED, router_environment, run_router
from swarm_tasks.config import Settings
from swarm_tasks.errors import SettingsError, UsageError

HERE = "127.0.0.1"
NAMED = {"ROUTER_WORKER_MODEL": "openai/small", "ROUTER_WORKER_API_KEY": "sk-provider"}


def environment(
    given: dict[str, str], host: str = HERE, *, key: str | None = None, tiers: bool = True
) -> dict[str, str]:
    settings = Settings(router_key=None if key is None else SecretStr(key))
    return router_environment(settings, given, host, tiers=tiers)


def test_what_is_not_set_is_as_the_deployment_before_it() -> None:
    one_more = {"ROUTER_WORKER_2_API_BASE": "http://second:8000/v1"}
    found = environment({**NAMED, **one_more, "ROUTER_ORCHESTRATOR_MODEL": "anthropic/large"})
    assert found["ROUTER_WORKER_2_MODEL"] == "openai/small"
    assert "ROUTER_WORKER_2_API_KEY" not in found  # another endpoint is not sent this one's key
    assert found["ROUTER_ORCHESTRATOR_2_MODEL"] == "anthropic/large"
    assert "ROUTER_ORCHESTRATOR_API_KEY" not in found
    same = environment({**NAMED, **one_more})
    assert same["ROUTER_ORCHESTRATOR_2_API_BASE"] == "http://second:8000/v1"
    assert "ROUTER_ORCHESTRATOR_API_BASE" not in same
    alone = environment(NAMED)
    tiers = ("WORKER_2", "ORCHESTRATOR", "ORCHESTRATOR_2")
    assert {alone[f"ROUTER_{tier}_API_KEY"] for tier in tiers} == {"sk-provider"}


def test_a_router_without_a_model_says_which_variable_is_missing() -> None:
    with pytest.raises(SettingsError, match="ROUTER_WORKER_MODEL"):
        environment({})
    environment({}, tiers=False)  # a configuration of one's own may name others


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "router.example"])
def test_other_machines_are_let_in_with_a_key_only(host: str, tmp_path: Path) -> None:
    for tiers in (True, False):
        with pytest.raises(SettingsError, match="every machine that can reach it"):
            environment(NAMED, host, tiers=tiers)
        with pytest.raises(SettingsError, match="every machine that can reach it"):
            environment({**NAMED, KEYLESS: "true"}, host, key="", tiers=tiers)
    assert environment(NAMED, host, key="sk-fleet")[SHARED_KEY] == "sk-fleet"
    environment({**NAMED, MASTER_KEY: "sk-master"}, host)
    (tmp_path / "keys").touch()
    found = environment({**NAMED, "ROUTER_KEYS_FILE": str(tmp_path / "keys")}, host)
    assert KEYLESS not in found


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_on_this_machine_alone_no_key_is_needed(host: str) -> None:
    assert environment(NAMED, host)[KEYLESS] == "true"
    assert KEYLESS not in environment(NAMED, host, key="sk-fleet")


def test_where_no_master_key_is_set_nobody_knows_it() -> None:
    one, other = (environment(NAMED)[MASTER_KEY] for _ in range(2))
    assert one != other
    assert len(one) > 60
    assert environment({**NAMED, MASTER_KEY: "sk-mine"})[MASTER_KEY] == "sk-mine"


def test_keys_of_providers_may_stand_in_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-secret\n")
    (tmp_path / "empty").touch()
    given = {
        "ROUTER_WORKER_MODEL": "openai/small",
        "OPENAI_API_KEY_FILE": str(tmp_path / "key"),
        "LITELLM_MASTER_KEY_FILE": str(tmp_path / "key"),
        "ROUTER_WORKER_API_KEY_FILE": str(tmp_path / "empty"),
        "OTHER_FILE": str(tmp_path / "key"),
    }
    found = environment(given)
    assert found["OPENAI_API_KEY"] == found[MASTER_KEY] == "sk-secret"
    assert not {"OTHER", "ROUTER_WORKER_API_KEY"} & set(found)
    with pytest.raises(SettingsError, match="OPENAI_API_KEY_FILE names /none"):
        environment({**NAMED, "OPENAI_API_KEY_FILE": "/none"})


def test_nothing_is_fetched_when_it_starts_unless_somebody_says_so() -> None:
    found = environment(NAMED)
    assert found["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"
    assert found["LITELLM_MODE"] == "PRODUCTION"
    wanted = {**NAMED, "LITELLM_LOCAL_MODEL_COST_MAP": "False"}
    assert environment(wanted)["LITELLM_LOCAL_MODEL_COST_MAP"] == "False"


def test_a_variable_that_is_empty_is_not_set() -> None:
    found = environment({**NAMED, "ROUTER_WORKER_API_BASE": "", "ROUTER_WORKER_2_MODEL": ""})
    assert "ROUTER_WORKER_API_BASE" not in found
    assert found["ROUTER_WORKER_2_MODEL"] == "openai/small"


def test_a_configuration_that_cannot_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(router_verb, "find_spec", bool)
    with pytest.raises(SettingsError, match=r"none\.yaml cannot be read"):
        run_router(Settings(), tmp_path / "none.yaml", HERE, 4000)
    (tmp_path / "copy.yaml").write_bytes(SHIPPED.read_bytes())
    monkeypatch.delenv("ROUTER_WORKER_MODEL", raising=False)
    with pytest.raises(SettingsError, match="ROUTER_WORKER_MODEL"):
        run_router(Settings(), tmp_path / "copy.yaml", HERE, 4000)


def test_without_the_extra_the_remedy_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(_name: str) -> None:
        return None

    monkeypatch.setattr(router_verb, "find_spec", nothing)
    with pytest.raises(UsageError, match=r"hostswarm\[router\]"):
        run_router(Settings(), None, HERE, 4000)


class Refused(Exception):
    """In the place of LiteLLM's, which is not installed where tests run."""


def test_a_web_page_is_not_let_in_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    types = SimpleNamespace(
        ProxyException=Refused, UserAPIKeyAuth=dict, LitellmUserRoles=SimpleNamespace()
    )
    types.LitellmUserRoles.INTERNAL_USER = "host"

    def stand_in(_name: str) -> Any:
        return types

    monkeypatch.setattr(admission, "import_module", stand_in)
    monkeypatch.setattr(admission, "keys", admission.Keys)
    monkeypatch.delenv(MASTER_KEY, raising=False)
    monkeypatch.setenv(KEYLESS, "true")

    def admitted(**headers: str) -> Any:
        url = SimpleNamespace(path="/v1/chat/completions")
        request: Any = SimpleNamespace(url=url, headers=headers)
        return asyncio.run(admission.admit(request, ""))

    assert admitted()["user_id"] == admission.ANYONE
    with pytest.raises(Refused) as told:
        admitted(origin="https://page.example")
    assert told.value.args[-1] == 403
