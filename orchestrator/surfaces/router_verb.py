"""The verb `router`: LiteLLM Proxy in the place of this process, with the right environment."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from orchestrator.router.admission import KEYLESS, KEYS_FILE, MASTER_KEY, SHARED_KEY
from orchestrator.router.keys import Keys
from swarm_tasks.config import Settings
from swarm_tasks.errors import SettingsError, UsageError
from swarm_tasks.store.safety import is_loopback

SHIPPED = Path(__file__).parent.parent / "router" / "router.yaml"

FIELDS = ("MODEL", "API_BASE", "API_KEY")

QUIET = {
    # Else LiteLLM fetches these lists from the network when it starts.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_LOCAL_AUTOROUTER_PRESETS": "True",
    "LITELLM_LOCAL_BLOG_POSTS": "True",
    "LITELLM_LOCAL_POLICY_TEMPLATES": "True",
    # Else it reads a file `.env` of the working directory.
    "LITELLM_MODE": "PRODUCTION",
    # No pages for people: nobody needs them, and they are one more way in.
    "DISABLE_ADMIN_UI": "True",
    "NO_DOCS": "True",
    "NO_REDOC": "True",
    "NO_OPENAPI": "True",
    # Else it lets every web page read its answers. To LiteLLM an empty list is that as well.
    "LITELLM_CORS_ORIGINS": ",",
    # Its own lines on what it does would fill the log; its errors stay.
    "LITELLM_LOG": "ERROR",
}
"""What LiteLLM is told where the environment says nothing else."""


def router_argv(config: Path, host: str, port: int) -> list[str]:
    """LiteLLM's own server. One process: its count of what is under way is not shared."""
    return [
        *(sys.executable, "-m", "litellm.proxy.proxy_cli", "--config", str(config)),
        *("--host", host, "--port", str(port), "--num_workers", "1", "--telemetry", "False"),
    ]


def router_environment(
    settings: Settings, given: Mapping[str, str], host: str, *, tiers: bool
) -> dict[str, str]:
    """The proxy's whole environment.

    Args:
        given: This process's environment.
        tiers: Whether its configuration asks for the models that ROUTER_* variables name.

    Raises:
        SettingsError: No model is named, a file of a secret or of keys cannot be read, or it
            would listen to other machines without a key.
    """
    environment = {**QUIET, **_secrets(given), "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}
    if settings.router_key is not None and settings.router_key.get_secret_value():
        environment[SHARED_KEY] = settings.router_key.get_secret_value()
    if KEYS_FILE in environment:
        Keys(path=Path(environment[KEYS_FILE]))  # says now what is wrong with it
    environment.pop(KEYLESS, None)
    if not any(environment.get(name) for name in (SHARED_KEY, KEYS_FILE, MASTER_KEY)):
        if not is_loopback(host):
            raise SettingsError(
                f"on {host} the router would answer every machine that can reach it",
                f"set {SHARED_KEY}_FILE or {KEYS_FILE}, see docs/router.md",
            )
        environment[KEYLESS] = "true"
    if tiers:
        _fill_in(environment)
    # LiteLLM does not start without one. Where none is set, nobody knows it.
    environment.setdefault(MASTER_KEY, f"sk-{secrets.token_hex(32)}")
    return environment


def run_router(settings: Settings, config: Path | None, host: str, port: int) -> None:
    """Become the proxy: it is this process, so a signal to end reaches it and nothing is left.

    Raises:
        UsageError: LiteLLM Proxy is not installed.
        SettingsError: A setting is wrong; see `router_environment`.
    """
    if find_spec("litellm") is None or find_spec("fastapi") is None:
        raise UsageError("LiteLLM Proxy is not installed", "pip install 'hostswarm[router]'")
    config = config or SHIPPED
    try:
        text = config.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{config} cannot be read: {error}", "check --config-file") from None
    # One of one's own is often a copy of ours.
    tiers = "os.environ/ROUTER_WORKER_MODEL" in text
    environment = router_environment(settings, os.environ, host, tiers=tiers)
    argv = router_argv(config, host, port)
    shown = f"[{host}]" if ":" in host else host
    sys.stdout.write(f"The router listens on http://{shown}:{port} in a few seconds.\n")
    sys.stdout.flush()
    os.execve(argv[0], argv, environment)  # noqa: S606 - argv is ours, and no shell is wanted


def _fill_in(environment: dict[str, str]) -> None:
    """What our configuration asks for and is not set: as the deployment before it, and an
    orchestrator's as the worker's of the same number.

    A model and its endpoint belong together: where one names a model of its own, its base URL and
    key are its own as well.
    """
    if not environment.get("ROUTER_WORKER_MODEL"):
        raise SettingsError(
            "no model is named for the router",
            "set ROUTER_WORKER_MODEL, such as openai/gpt-4o-mini, see docs/router.md",
        )
    own = any(environment.get(f"ROUTER_ORCHESTRATOR_{field}") for field in FIELDS)
    origin = {
        "ROUTER_WORKER_2": "ROUTER_WORKER",
        "ROUTER_ORCHESTRATOR": "ROUTER_WORKER",
        "ROUTER_ORCHESTRATOR_2": "ROUTER_ORCHESTRATOR" if own else "ROUTER_WORKER_2",
    }
    for tier, before in origin.items():
        if not any(environment.get(f"{tier}_{field}") for field in FIELDS):
            for field in FIELDS:
                if value := environment.get(f"{before}_{field}"):
                    environment[f"{tier}_{field}"] = value
        elif not environment.get(f"{tier}_MODEL"):
            environment[f"{tier}_MODEL"] = environment[f"{before}_MODEL"]


def _secrets(given: Mapping[str, str]) -> dict[str, str]:
    """The environment, with each key that stands in a file read from it.

    Raises:
        SettingsError: Such a file cannot be read.
    """
    # To LiteLLM a variable that is empty is an empty value, such as a base URL.
    environment = {name: value for name, value in given.items() if value}
    for name, path in given.items():
        variable = name.removesuffix("_FILE")
        if variable != MASTER_KEY and not variable.endswith("_API_KEY"):
            continue
        if variable == name or not path:
            continue
        try:
            value = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{name} names {path}, which cannot be read: {error}") from None
        if value:
            environment[variable] = value
    return environment
