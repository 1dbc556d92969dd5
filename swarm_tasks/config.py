"""The settings: flags over environment over `hostswarm.toml`, built by whoever needs them."""

from __future__ import annotations

import os
import socket
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from swarm_tasks.environment import ENV_PREFIX, Environment, SecretFiles
from swarm_tasks.errors import SettingsError
from swarm_tasks.measures import measures
from swarm_tasks.models.base import HostName
from swarm_tasks.models.charge import Allowance, Price, Tier
from swarm_tasks.models.job import ANY_HOST, DEADLINE_LIMIT_SECONDS, Specialist
from swarm_tasks.models.policy import Checks, Limits, Override, Policy
from swarm_tasks.models.schedule import Schedule
from swarm_tasks.specialists import shipped_specialists

CONFIG_NAME = "hostswarm.toml"


class Settings(BaseSettings):
    """Everything an operator can set. `docs/settings.md` describes each.

    Made from values alone; `load_settings` gathers them from file, environment and flags.

    Args:
        broker_url: The URL of the store, or of another broker; None means an embedded store.
        store_url: Where state is kept; None means in the broker. RabbitMQ keeps none.
        broker_ca: A file of certificates that those of broker and store are checked against.
        allow_plaintext_broker: Accept a store on another machine without TLS.
        allow_passwordless_broker: Accept a store on another machine without a password.
        host: This host's name in the fleet.
        expected_hosts: Hosts that belong to the fleet even while they never came.
        agents: How many agents may run on this host at the same time.
        deadline_seconds: After this a job is reported with what there is.
        heartbeat_seconds: How often a worker gives a sign of life; after three it is dark.
        sample_seconds: How often a worker samples volumes and interfaces for its history.
        result_ttl_seconds: How long jobs and reports are kept.
        forget_seconds: After this a host that gave no sign is no longer part of the fleet.
        state_dir: Where the embedded store and beat keep their files.
        store_fsync: When what the embedded store was told is on the disk: before it answers
            (`always`), or within a second (`everysec`).
        log_roots: The only directories that log tools may read below.
        tool_modules: Importable modules with tools of the operator's own.
        flower_port: Where Flower listens, on the loopback address.
        flower_address: The address Flower binds to.
        role: What this host is among others, such as `web`: hosts of one role are compared.
        router_url: Base URLs of OpenAI-compatible endpoints: the shared brain. The least busy
            that answers is asked.
        router_key: The key for them.
        model: The model of the worker tier, as the endpoint or litellm names it.
        orchestrator_model: The model that plans and joins; None takes `model`.
        fallback_models: Tried in turn by litellm where `model` fails; with a router, that is its.
        context_length: Tokens that the worker's model takes; None asks the endpoint.
        orchestrator_context_length: The same for the orchestrator's model.
        max_reply_tokens: The longest reply of the worker's model.
        orchestrator_max_reply_tokens: The same for the orchestrator's; None takes the worker's.
            A model that thinks aloud needs more.
        model_timeout_seconds: How long one reply may take, tries again included.
        tool_calling: How tools are offered: `native`, as `json` in the prompt, or `auto`, which
            tries native first.
        agent_steps: Turns of one agent with a model.
        agent_tokens: Prompt and completion tokens of one agent; None sets no bound.
        budget_usd: What a job's model calls may cost where the asker sets nothing.
        max_tokens: Tokens that a job's model calls may take where the asker sets nothing.
        prices: Dollars by model name, where the endpoint does not tell what a call cost.
        grace_seconds: How long a worker that is told to stop lets its agents go on; what is not
            done by then is put back.
        host_queue_limit: Parts that may wait for one host; more are refused as busy.
        fleet_queue_limit: Parts that may wait in the whole fleet.
        busy_load_per_cpu: Above this load average for each CPU, a host has fewer agents and tools
            at a time, if work waits for a processor or a disk at that moment.
        busy_memory_percent: The same for its memory in use.
        tool_niceness: By how much tools give way to what else the host does; see nice(1).
        distrust_percent: A model is doubted if more than this share of its checked claims was wrong
            of late; 100 doubts nobody.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        env_ignore_empty=True,
    )

    broker_url: SecretStr | None = None
    store_url: SecretStr | None = None
    broker_ca: Path | None = None
    allow_plaintext_broker: bool = False
    allow_passwordless_broker: bool = False
    host: HostName = Field(default_factory=lambda: socket.gethostname().split(".")[0])
    expected_hosts: tuple[HostName, ...] = ()
    agents: int = Field(default=8, ge=1, le=1000)
    deadline_seconds: float = Field(default=300.0, gt=0, le=DEADLINE_LIMIT_SECONDS)
    heartbeat_seconds: float = Field(default=2.0, ge=0.1, le=60)
    sample_seconds: float = Field(default=300.0, ge=1)
    result_ttl_seconds: int = Field(default=7 * 86_400, ge=60)
    forget_seconds: int = Field(default=30 * 86_400, ge=60)
    state_dir: Path = Field(default_factory=lambda: default_state_dir())
    store_fsync: Literal["everysec", "always"] = "everysec"
    log_roots: tuple[Path, ...] = (Path("/var/log"),)
    tool_modules: tuple[str, ...] = ()
    flower_port: int = Field(default=5555, ge=1, le=65_535)
    flower_address: str = "127.0.0.1"
    grace_seconds: float = Field(default=10.0, ge=0, le=3600)
    host_queue_limit: int = Field(default=500, ge=1)
    fleet_queue_limit: int = Field(default=50_000, ge=1)
    busy_load_per_cpu: float = Field(default=2.0, gt=0)
    busy_memory_percent: float = Field(default=92.0, gt=0, le=100)
    tool_niceness: int = Field(default=10, ge=0, le=19)
    role: str = Field(default="", pattern=r"^([a-z0-9][a-z0-9_-]{0,40})?$")

    router_url: tuple[str, ...] = ()
    router_key: SecretStr | None = None
    model: str | None = Field(default=None, min_length=1, max_length=200)
    orchestrator_model: str | None = Field(default=None, min_length=1, max_length=200)
    fallback_models: tuple[str, ...] = ()
    context_length: int | None = Field(default=None, ge=2048)
    orchestrator_context_length: int | None = Field(default=None, ge=2048)
    max_reply_tokens: int = Field(default=2048, ge=64, le=128_000)
    orchestrator_max_reply_tokens: int | None = Field(default=None, ge=64, le=128_000)
    model_timeout_seconds: float = Field(default=60.0, gt=0, le=3600)
    tool_calling: Literal["auto", "native", "json"] = "auto"
    agent_steps: int = Field(default=12, ge=1, le=100)
    agent_tokens: int | None = Field(default=100_000, ge=1)
    budget_usd: float | None = Field(default=None, ge=0)
    max_tokens: int | None = Field(default=None, ge=0)
    prices: dict[str, Price] = Field(default_factory=dict[str, Price])
    distrust_percent: float = Field(default=10.0, ge=0, le=100)

    thresholds: dict[str, Limits] = Field(default_factory=dict[str, Limits])
    overrides: tuple[Override, ...] = ()
    checks: Checks = Checks()
    specialists: dict[str, Specialist] = Field(default_factory=dict[str, Specialist])
    schedules: tuple[Schedule, ...] = ()

    @field_validator("host")
    @classmethod
    def _one_host(cls, value: str) -> str:
        if value == ANY_HOST:
            raise ValueError(
                f"{ANY_HOST} is what reports call a host that was not found: give it another name"
            )
        return value

    @field_validator("specialists", mode="before")
    @classmethod
    def _named_by_their_table(cls, value: object) -> object:
        """`[specialists.web]` is called web without saying so twice."""
        if not isinstance(value, Mapping):
            return value
        tables = cast(Mapping[str, object], value)
        return {
            name: {"name": name, **cast(Mapping[str, object], table)}
            if isinstance(table, Mapping)
            else table
            for name, table in tables.items()
        }

    @field_validator("router_url", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        """One URL is a list of one."""
        return value.split(",") if isinstance(value, str) else value

    @field_validator("router_url")
    @classmethod
    def _base_urls(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(base_url(url) for url in value)

    @field_validator("router_key")
    @classmethod
    def _one_word(cls, value: SecretStr | None) -> SecretStr | None:
        """It is sent in one line; HTTP takes no other. The message must not tell it."""
        key = value.get_secret_value().strip() if value is not None else ""
        if any(one.isspace() or not one.isprintable() for one in key):
            raise ValueError("a key is one word: no line break, white space or control character")
        return value if value is None else SecretStr(key)

    @field_validator("state_dir")
    @classmethod
    def _wherever_it_is_used(cls, value: Path) -> Path:
        """Its own processes must find it too, and they run elsewhere."""
        return value.expanduser().absolute()

    @field_validator("thresholds")
    @classmethod
    def _known_metrics(cls, value: dict[str, Limits]) -> dict[str, Limits]:
        unknown = sorted(set(value) - set(measures()))
        if unknown:
            raise ValueError(
                f"there is no metric called {', '.join(unknown)}; see docs/thresholds.md"
            )
        return value

    @property
    def policy(self) -> Policy:
        """What these settings want judged, and how."""
        return Policy(thresholds=self.thresholds, overrides=self.overrides, checks=self.checks)

    @property
    def allowance(self) -> Allowance:
        """What a job may cost where the asker says nothing."""
        return Allowance(budget_usd=self.budget_usd, max_tokens=self.max_tokens)

    @property
    def has_model(self) -> bool:
        """Whether these settings lead to a model."""
        return bool(self.router_url) or self.model is not None

    def model_of(self, tier: Tier) -> str:
        """The name of a tier's model. A router without one set is asked for the tier's own name,
        as the `router.yaml` that comes with hostswarm calls its deployments."""
        own = self.orchestrator_model if tier is Tier.ORCHESTRATOR else None
        return own or self.model or tier.value

    def context_length_of(self, tier: Tier) -> int | None:
        """The window that is set for a tier's model, in tokens."""
        own = self.orchestrator_context_length if tier is Tier.ORCHESTRATOR else None
        return own or self.context_length

    def max_reply_tokens_of(self, tier: Tier) -> int:
        """The longest reply of a tier's model, in tokens."""
        own = self.orchestrator_max_reply_tokens if tier is Tier.ORCHESTRATOR else None
        return own or self.max_reply_tokens

    @property
    def all_specialists(self) -> dict[str, Specialist]:
        """The specialists that come with the program, then the operator's own."""
        return {**shipped_specialists(), **self.specialists}

    @property
    def presence_ttl_seconds(self) -> float:
        """A host that missed three signs of life is dark."""
        return 3 * self.heartbeat_seconds

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Nothing but what the caller gives: `load_settings` alone looks around."""
        return (init_settings,)


def base_url(url: str) -> str:
    """An endpoint's base URL, without a slash at its end; `/v1` where it names no path.

    Raises:
        ValueError: It is none.
    """
    url = url.strip()
    try:
        parts = urlsplit(url)
        port_fits = parts.port is None or parts.port > 0
    except ValueError:
        raise ValueError(f"{url!r} is not a URL such as http://router:4000/v1") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_fits:
        raise ValueError(f"{url!r} is not a URL such as http://router:4000/v1")
    if parts.username or parts.password:
        raise ValueError("a router's URL holds no key: set HOSTSWARM_ROUTER_KEY")
    if parts.query or parts.fragment:
        raise ValueError(f"{url!r} has a query: name the base URL alone")
    path = parts.path.rstrip("/").removesuffix("/chat/completions")
    return f"{parts.scheme}://{parts.netloc}{path or '/v1'}"


def default_state_dir() -> Path:
    """Where state goes: root's under /var/lib, a user's in the XDG state directory."""
    if os.geteuid() == 0:
        return Path("/var/lib/hostswarm")
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "hostswarm"


def find_config(explicit: Path | None) -> Path | None:
    """The settings file: the one that was named, or the first of the usual places.

    Raises:
        SettingsError: The file that was named is not there.
    """
    named = explicit or (Path(os.environ["HOSTSWARM_CONFIG"]) if _config_named() else None)
    if named is not None:
        if not named.is_file():
            raise SettingsError(f"there is no settings file {named}", "check --config")
        return named
    places = (
        Path(CONFIG_NAME),
        Path.home() / ".config" / "hostswarm" / CONFIG_NAME,
        Path("/etc/hostswarm") / CONFIG_NAME,
    )
    return next((place for place in places if place.is_file()), None)


def _config_named() -> bool:
    return bool(os.environ.get("HOSTSWARM_CONFIG"))


def load_settings(config: Path | None = None, **flags: object) -> Settings:
    """Read the settings.

    Args:
        config: A TOML file; None looks in the usual places.
        flags: Settings given on the command line; None means not given.

    Raises:
        SettingsError: A file or a value is wrong; the message names it.
    """
    path = find_config(config)
    values = _read_toml(path) if path else {}
    for source in (SecretFiles(Settings), Environment(Settings)):
        values = _over(values, source())
    values |= {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**values)
    except ValidationError as error:
        raise SettingsError(_explain(error, path), "mend it and run `hostswarm doctor`") from None


def _over(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """`own` laid over `base`, table by table."""
    merged = {**base, **own}
    for name in base.keys() & own.keys():
        if isinstance(base[name], Mapping) and isinstance(own[name], Mapping):
            merged[name] = _over(base[name], own[name])
    return merged


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not TOML: {error}", "mend that line") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error


def _explain(error: ValidationError, path: Path | None) -> str:
    """Every wrong setting in one line, by its name and where it came from."""
    wrong: list[str] = []
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        steps = [str(step) for step in item["loc"]]
        said = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            said = "there is no such setting"
            if len(steps) == 1 and (close := get_close_matches(steps[0], Settings.model_fields, 1)):
                said += f"; did you mean {close[0]}?"
        wrong.append(f"{_place(steps, path)}: {said}")
    return "; ".join(wrong)


def _place(steps: list[str], path: Path | None) -> str:
    """Where a setting came from: the variable that holds it or a part of it, else the file."""
    name = ".".join(steps) or "settings"
    for length in range(len(steps), 0, -1):
        stem = ENV_PREFIX + "__".join(steps[:length]).upper()
        for variable in (stem, f"{stem}_FILE"):
            if os.environ.get(variable):
                return f"{variable}: {name}" if length < len(steps) else variable
    return f"{name} in {path}" if path else name


def unknown_variables() -> tuple[str, ...]:
    """Variables that begin with HOSTSWARM_ and mean nothing: most likely misspelt."""
    known = {f"{ENV_PREFIX}{name.upper()}" for name in Settings.model_fields}
    known |= {f"{name}_FILE" for name in known} | {"HOSTSWARM_CONFIG", "HOSTSWARM_ROLES"}
    return tuple(
        sorted(
            variable
            for variable in os.environ
            if variable.startswith(ENV_PREFIX)
            and variable.split("__")[0] not in known
            and not variable.startswith("HOSTSWARM_TEST_")
        )
    )
