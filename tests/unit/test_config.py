"""Settings: where they come from, which one wins, and what is said of a wrong one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from swarm_tasks.config import Settings, find_config, load_settings, unknown_variables
from swarm_tasks.errors import SettingsError
from swarm_tasks.models.job import DEADLINE_LIMIT_SECONDS
from swarm_tasks.models.schedule import Schedule

Write = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    """A home and a working directory without settings."""
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)


@pytest.fixture
def toml(tmp_path: Path) -> Write:
    """Writes a settings file."""

    def write(text: str) -> Path:
        path = tmp_path / "some.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def refusal(config: Path | None = None, **flags: object) -> str:
    """What is said of wrong settings, in one line."""
    with pytest.raises(SettingsError) as caught:
        load_settings(config, **flags)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_without_any_settings_everything_has_a_default() -> None:
    settings = load_settings()
    assert settings.broker_url is None
    assert settings.host
    assert settings.agents == 8
    assert settings.deadline_seconds == 300
    assert settings.presence_ttl_seconds == 6
    assert settings.policy.overrides == ()
    assert "storage" in settings.all_specialists


def test_a_flag_wins_over_the_environment_and_that_over_files(
    toml: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = toml("agents = 2\n")
    assert load_settings(path).agents == 2
    secret = tmp_path / "agents"
    secret.write_text("3\n")
    monkeypatch.setenv("HOSTSWARM_AGENTS_FILE", str(secret))
    assert load_settings(path).agents == 3
    monkeypatch.setenv("HOSTSWARM_AGENTS", "4")
    assert load_settings(path).agents == 4
    assert load_settings(path, agents=5).agents == 5
    assert load_settings(path, agents=None).agents == 4


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTSWARM_AGENTS", "")
    monkeypatch.setenv("HOSTSWARM_AGENTS_FILE", "")
    monkeypatch.setenv("HOSTSWARM_CONFIG", "")
    assert load_settings().agents == 8


def test_a_secret_is_read_from_its_file_and_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "url"
    secret.write_text("redis://:hunter2@127.0.0.1:6379/0\n")
    monkeypatch.setenv("HOSTSWARM_BROKER_URL_FILE", str(secret))
    settings = load_settings()
    assert settings.broker_url is not None
    assert settings.broker_url.get_secret_value() == "redis://:hunter2@127.0.0.1:6379/0"
    assert "hunter2" not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_a_secret_s_file_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTSWARM_BROKER_URL_FILE", "/nowhere/secret")
    said = refusal()
    assert said.startswith("HOSTSWARM_BROKER_URL_FILE names /nowhere/secret, which cannot be read")


def test_a_secret_s_file_that_is_not_text_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"\xff\xfe\x00")
    monkeypatch.setenv("HOSTSWARM_BROKER_URL_FILE", str(secret))
    assert "cannot be read (it is not text)" in refusal()


def test_the_usual_places_are_looked_at_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_config(None) in (None, Path("/etc/hostswarm/hostswarm.toml"))
    homely = tmp_path / "home" / ".config" / "hostswarm" / "hostswarm.toml"
    homely.parent.mkdir(parents=True)
    homely.write_text("agents = 2")
    assert find_config(None) == homely
    Path("hostswarm.toml").write_text("agents = 3")
    assert load_settings().agents == 3
    named = tmp_path / "named.toml"
    named.write_text("agents = 4")
    monkeypatch.setenv("HOSTSWARM_CONFIG", str(named))
    assert load_settings().agents == 4
    explicit = tmp_path / "explicit.toml"
    explicit.write_text("agents = 5")
    assert load_settings(explicit).agents == 5


def test_a_settings_file_that_was_named_must_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "there is no settings file" in refusal(tmp_path / "none.toml")
    monkeypatch.setenv("HOSTSWARM_CONFIG", str(tmp_path))
    assert f"there is no settings file {tmp_path}" in refusal()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("agents = [", "is not TOML"),
        ("agents = 1\nagents = 2", "is not TOML"),
        ('agents = "many"', "agents in "),
        ("agents = 0", "greater than or equal to 1"),
        ("agentz = 3", "agentz in .*: there is no such setting; did you mean agents?"),
        ("wibble = 3", "wibble in .*: there is no such setting: mend it"),
        ("deadline_seconds = 90000", "less than or equal to 86400"),
        ("deadline_seconds = nan", "deadline_seconds in "),
        ('host = "a b"', "host in "),
        ("checks = 5", "checks in "),
        ("[checks]\nhttps = []", "checks.https in .*: there is no such setting"),
        ('[thresholds."disk.usedd"]\nwarning = 1', "there is no metric called disk.usedd"),
        ("[[overrides]]\nwarning = 1", r"overrides.0.metric in .*: Field required"),
        ('[specialists.web]\ntitle = "Web"', "specialists.web.prompt in .*: Field required"),
        ("specialists = 3", "specialists in "),
        ("[specialists]\nweb = 3", "specialists.web in "),
        ('[[schedules]]\nname = "nightly"', "schedules.0 in .*: say either every_seconds or cron"),
        (
            '[[schedules]]\nname = "nightly"\ncron = "0 3 * *"',
            "schedules.0.cron in .*: a cron line has five fields",
        ),
    ],
)
def test_a_wrong_file_is_told_with_the_place_and_the_reason(
    toml: Write, text: str, said: str
) -> None:
    path = toml(text)
    line = refusal(path)
    assert str(path) in line
    with pytest.raises(SettingsError, match=said):
        load_settings(path)


def test_a_file_that_is_not_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "binary.toml"
    path.write_bytes(b"agents = \xff\xfe")
    assert f"{path} cannot be read" in refusal(path)


def test_every_wrong_setting_is_told_at_once(toml: Write) -> None:
    said = refusal(toml('agents = "many"\nwibble = 1\n'))
    assert "agents in" in said
    assert "wibble in" in said


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("HOSTSWARM_AGENTS", "many", "HOSTSWARM_AGENTS: Input should be a valid integer"),
        ("HOSTSWARM_HOST", "../etc", "HOSTSWARM_HOST: String should match pattern"),
        ("HOSTSWARM_HOST", "any-host", "HOSTSWARM_HOST: any-host is what reports call a host that"),
        ("HOSTSWARM_DEADLINE_SECONDS", "-1", "HOSTSWARM_DEADLINE_SECONDS: "),
        ("HOSTSWARM_CHECKS", "http", "HOSTSWARM_CHECKS is not JSON: "),
        ("HOSTSWARM_SPECIALISTS", "{", "HOSTSWARM_SPECIALISTS is not JSON: "),
        ("HOSTSWARM_EXPECTED_HOSTS", '["a", ', "HOSTSWARM_EXPECTED_HOSTS is not JSON: "),
        ("HOSTSWARM_CHECKS__HTTP", '["a', "HOSTSWARM_CHECKS__HTTP is not JSON: "),
        ("HOSTSWARM_EXPECTED_HOSTS", "a,b c", "HOSTSWARM_EXPECTED_HOSTS: expected_hosts.1: "),
        ("HOSTSWARM_SPECIALISTS", '{"web": {}}', "HOSTSWARM_SPECIALISTS: specialists.web.title: "),
    ],
)
def test_a_wrong_variable_is_told_by_its_name(
    toml: Write, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert refusal(toml("agents = 2")).startswith(said)


def test_a_value_of_a_wrong_secret_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "agents"
    secret.write_text("hunter2")
    monkeypatch.setenv("HOSTSWARM_AGENTS_FILE", str(secret))
    said = refusal()
    assert said.startswith("HOSTSWARM_AGENTS_FILE: ")
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("value", "hosts"),
    [
        ("alpha", ("alpha",)),
        ("alpha,bravo", ("alpha", "bravo")),
        (" alpha , bravo, ", ("alpha", "bravo")),
        ('["alpha", "bravo"]', ("alpha", "bravo")),
        (",", ()),
    ],
)
def test_a_list_in_a_variable_is_written_with_commas_or_as_json(
    monkeypatch: pytest.MonkeyPatch, value: str, hosts: tuple[str, ...]
) -> None:
    monkeypatch.setenv("HOSTSWARM_EXPECTED_HOSTS", value)
    assert load_settings().expected_hosts == hosts


def test_two_underscores_reach_a_setting_within_a_table(
    toml: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = toml('[checks]\ntcp = ["db:5432"]\n')
    monkeypatch.setenv("HOSTSWARM_CHECKS__HTTP", "https://a.example/,https://b.example/")
    checks = load_settings(path).checks
    assert checks.http == ("https://a.example/", "https://b.example/")
    assert checks.tcp == ("db:5432",)


def test_a_relative_state_directory_is_the_same_for_every_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOSTSWARM_STATE_DIR", "state")
    assert load_settings().state_dir == tmp_path / "here" / "state"
    monkeypatch.setenv("HOSTSWARM_STATE_DIR", "~/state")
    assert load_settings().state_dir == tmp_path / "home" / "state"


def test_a_specialist_is_called_as_its_table(toml: Write) -> None:
    web: dict[str, Any] = {"title": "Web", "prompt": "Look.", "tools": ["http_check"]}
    path = toml("[specialists]\nweb = " + json.dumps(web).replace(": ", " = "))
    found = load_settings(path).all_specialists
    assert found["web"].name == "web"
    assert list(found)[-1] == "web"


def test_a_sweep_may_only_call_the_specialist_s_own_tools() -> None:
    web = {"title": "Web", "prompt": "Look.", "tools": ["ping"], "sweep": [{"tool": "load"}]}
    with pytest.raises(ValidationError, match="the sweep calls load, not among its tools"):
        Settings.model_validate({"specialists": {"web": web}})


def test_variables_that_mean_nothing_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert unknown_variables() == ()
    for name in ("HOSTSWARM_AGENTZ", "HOSTSWARM_AGENTS", "HOSTSWARM_CHECKS__HTTP"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HOSTSWARM_BROKER_URL_FILE", "x")
    monkeypatch.setenv("HOSTSWARM_TEST_COMPOSE", "1")
    assert unknown_variables() == ("HOSTSWARM_AGENTZ",)


def test_settings_are_not_changed_once_they_are_made() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_settings().agents = 3


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"every_seconds": 60, "cron": "* * * * *"},
        {"every_seconds": 1},
        {"cron": "* * * *"},
        {"every_seconds": 60, "deadline_seconds": DEADLINE_LIMIT_SECONDS + 1},
        {"every_seconds": 60, "name": "Not A Name"},
    ],
)
def test_a_schedule_says_when_in_exactly_one_way(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Schedule.model_validate({"name": "nightly", **wrong})


def test_a_schedule_asks_once_whoever_beats() -> None:
    nightly = Schedule(name="nightly", cron="0 3 * * *", hosts=("web*",)).request()
    assert (nightly.slot, nightly.asked_by) == ("nightly", "schedule nightly")
    assert nightly.hosts == ("web*",)
    assert 0 < nightly.slot_seconds < 60
    assert Schedule(name="often", every_seconds=100).request().slot_seconds == 90


@pytest.mark.parametrize("key", ["sk-canary\nsecond", "sk-canary second", "sk-\x00canary"])
def test_a_key_is_one_word_and_is_never_told(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key"
    path.write_text(key)
    monkeypatch.setenv("HOSTSWARM_ROUTER_KEY_FILE", str(path))
    said = refusal()
    assert said.startswith("HOSTSWARM_ROUTER_KEY_FILE: a key is one word")
    assert "canary" not in said
    monkeypatch.delenv("HOSTSWARM_ROUTER_KEY_FILE")
    monkeypatch.setenv("HOSTSWARM_ROUTER_KEY", " sk-canary\n")
    held = load_settings().router_key
    assert held is not None
    assert held.get_secret_value() == "sk-canary"
