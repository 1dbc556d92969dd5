"""The documentation tells the truth: its tables, settings, commands, links and examples."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
import tomllib
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest
import typer
from pydantic import BaseModel
from typer.core import TyperGroup

from orchestrator.surfaces.cli import app
from swarm_tasks.config import Settings, default_state_dir, load_settings
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.charge import Price
from swarm_tasks.models.job import Specialist
from swarm_tasks.models.policy import Checks, Override, SweepCall
from swarm_tasks.models.schedule import Schedule
from swarm_tasks.store import keys
from tests.support import documents
from tests.support.documents import DOCUMENTS, REPOSITORY, blocks, named, rows
from tests.support.fleets import run_cli

UPDATE = bool(os.environ.get("HOSTSWARM_TEST_UPDATE_DOCS"))
VERB = re.compile(r"(?<![\w./-])(?:/opt/hostswarm/bin/|\.venv/bin/)?hostswarm(?: --config \S+)?\s")
PICTURE_BYTES = 200_000
IMAGE_TAGS = {"local", "test"}

each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)


@each_document
def test_tables_that_code_writes_are_up_to_date(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    fresh = documents.with_tables(text)
    if UPDATE and fresh != text:
        path.write_text(fresh, encoding="utf-8")
        text = fresh
    assert text == fresh, "write them with HOSTSWARM_TEST_UPDATE_DOCS=1"


def test_every_tool_says_what_it_reads_on_each_platform() -> None:
    unsaid = [row[0] for row in rows(named("docs/tools.md")) if documents.UNKNOWN in row[3:5]]
    assert unsaid == []


@each_document
def test_links_within_the_repository_lead_somewhere(path: Path) -> None:
    for target in documents.links(path.read_text(encoding="utf-8")):
        name, _, fragment = target.partition("#")
        there = (path.parent / name).resolve() if name else path
        assert there.exists(), target
        if fragment:
            assert fragment in documents.anchors(there.read_text(encoding="utf-8")), target


# Settings


def test_every_setting_is_documented_and_every_documented_setting_is_there() -> None:
    described = {row[0].strip("`"): row for row in rows(named("docs/settings.md")) if len(row) == 5}
    assert set(described) == set(Settings.model_fields)
    for name, row in described.items():
        assert row[3] == f"`HOSTSWARM_{name.upper()}`"
        documented, actual = row[2], default_of(name)
        assert actual is None or f"`{actual}`" in documented, name


def default_of(name: str) -> str | None:
    """A setting's default as the documents write it; None where it is nothing, or depends on the
    machine."""
    if name in ("host", "state_dir"):
        return None
    value = Settings.model_fields[name].get_default(call_default_factory=True)
    if name == "checks":
        return "{}"
    match value:
        case None | "":
            return None
        case str():
            return value
        case tuple():
            return json.dumps([str(item) for item in value])  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        case _:
            return json.dumps(value)


def test_the_state_directory_is_where_the_documents_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    home = str(default_state_dir()).replace(str(Path.home()), "~")
    row = next(row for row in rows(named("docs/settings.md")) if row[0] == "`state_dir`")
    assert f"`{home}`" in row[2]
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert f"`{default_state_dir()}`" in row[2]


@pytest.mark.parametrize(
    "model",
    [Override, Checks, Specialist, SweepCall, Schedule, Price],
    ids=lambda model: model.__name__,
)
def test_every_key_of_a_nested_setting_is_documented(model: type[BaseModel]) -> None:
    described = {row[0].strip("`") for row in rows(named("docs/settings.md")) if len(row) < 5}
    assert set(model.model_fields) <= described


def toml_blocks() -> list[tuple[str, str]]:
    return [
        (f"{path.name}-{number}", body)
        for path in DOCUMENTS
        for number, body in enumerate(blocks(path.read_text(encoding="utf-8"), "toml"), 1)
    ]


@pytest.mark.parametrize("body", [pytest.param(body, id=name) for name, body in toml_blocks()])
def test_every_example_of_a_settings_file_is_one(body: str, tmp_path: Path) -> None:
    file = tmp_path / "hostswarm.toml"
    file.write_text(body, encoding="utf-8")
    load_settings(file)


def test_every_setting_has_an_example() -> None:
    shown: set[str] = set()
    for body in blocks(named("docs/settings.md"), "toml"):
        shown |= set(tomllib.loads(body))
    assert shown == set(Settings.model_fields)


@each_document
def test_variables_in_the_documents_mean_something(path: Path) -> None:
    known = {f"HOSTSWARM_{name.upper()}" for name in Settings.model_fields}
    known |= {f"{name}_FILE" for name in known} | {"HOSTSWARM_CONFIG", "HOSTSWARM_ROLES"}
    for variable in re.findall(r"HOSTSWARM_[A-Z][A-Z_]*[A-Z]", path.read_text(encoding="utf-8")):
        stem = variable.split("__")[0]
        assert stem in known or stem.startswith("HOSTSWARM_TEST_"), variable


# Commands


@cache
def command() -> TyperGroup:
    return typer.main.get_group(app)


def commands_in(text: str) -> list[list[str]]:
    """The words after each `hostswarm` that stands in code, up to the end of its command."""
    lines = [
        line
        for language in ("sh", "ini", "")
        for body in blocks(text, language)
        for line in body.replace("\\\n", " ").splitlines()
    ]
    lines += re.findall(r"`([^`]+)`", documents.without_blocks(text))
    found: list[list[str]] = []
    for line in lines:
        for match in VERB.finditer(line):
            words = re.split(r"[|;&<>#`()]", line[match.end() :])[0].split()
            if words and re.fullmatch(r"[a-z]+", words[0]):
                found.append(words)
    return found


@each_document
def test_commands_in_the_documents_are_commands(path: Path) -> None:
    verbs = command().commands
    for verb, *words in commands_in(path.read_text(encoding="utf-8")):
        assert verb in verbs, f"hostswarm {verb}"
        known = {name for one in verbs[verb].params for name in (*one.opts, *one.secondary_opts)}
        for word in words:
            if word.startswith("--"):
                assert word.split("=")[0] in {*known, "--help"}, f"hostswarm {verb} {word}"


def test_the_readme_lists_every_verb() -> None:
    listed = {
        match[1]
        for row in rows(named("README.md"))
        if (match := re.match(r"`hostswarm ([a-z]+)", row[0]))
    }
    assert listed == {name for name, one in command().commands.items() if not one.hidden}


@each_document
def test_what_make_is_asked_for_can_be_made(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", named("Makefile"), re.M))
    asked = re.findall(r"(?:`|^)make ([a-z-]+)", path.read_text(encoding="utf-8"), re.M)
    assert set(asked) <= targets


def test_the_readme_says_why_each_dependency_is_there() -> None:
    project = tomllib.loads(named("pyproject.toml"))
    wanted = [
        *project["project"]["dependencies"],
        *(one for extra in project["project"]["optional-dependencies"].values() for one in extra),
        *project["dependency-groups"]["dev"],
    ]
    names = {re.split(r"[\[<>=~;]", one)[0] for one in wanted}
    reasons = {row[0].strip("`"): row[1] for row in rows(named("README.md")) if len(row) == 2}
    assert names <= set(reasons)


# Files, keys, pictures


@each_document
def test_files_and_keys_that_the_documents_name_are_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    inside = r"`((?:swarm_tasks|workers|orchestrator|tests|docs|benchmarks|\.ci)/[^`\s]*)`"
    for name in re.findall(inside, text):
        if name.upper() != name and not re.search(r"[A-Z*…<]{2,}", name):
            assert (REPOSITORY / name).exists(), name
    families = {key.pattern.split(":")[0] for key in keys.ALL}
    for family in set(re.findall(r"`hostswarm:([a-z_]+)", text)) - IMAGE_TAGS:
        assert family in families, f"hostswarm:{family}"


def test_every_key_of_the_store_is_in_the_walk_through() -> None:
    text = named("docs/how-an-audit-travels.md")
    for key in keys.ALL:
        assert f"`hostswarm:{re.sub(r'{(.*?)}', '', key.pattern).split(':')[0]}" in text


def test_the_picture_of_a_report_is_small_and_wide_enough() -> None:
    data = (REPOSITORY / "docs" / "report.png").read_bytes()
    width, height = struct.unpack(">II", data[16:24])
    assert (width, len(data) <= PICTURE_BYTES) == (1280, True)
    assert height > 600


# The worked example


@pytest.fixture
def example(tmp_path: Path) -> dict[str, str]:
    """The files of docs/extending.md, and the environment that leads to them."""
    text = named("docs/extending.md").replace("/var/lib/acme-backup", str(tmp_path))
    module, test = blocks(text, "python")
    settings = next(body for body in blocks(text, "toml") if "tool_modules" in body)
    for name, body in (
        ("acme_backup.py", module),
        ("test_acme_backup.py", test),
        ("hostswarm.toml", settings),
    ):
        (tmp_path / name).write_text(body, encoding="utf-8")
    return {
        "HOSTSWARM_CONFIG": str(tmp_path / "hostswarm.toml"),
        "HOSTSWARM_STATE_DIR": str(tmp_path / "state"),
        "HOSTSWARM_HOST": "web1",
        "PYTHONPATH": os.pathsep.join((str(REPOSITORY), str(tmp_path))),
    }


def test_the_worked_example_passes_its_own_test(example: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_acme_backup.py"],
        cwd=tmp_path,
        env={**os.environ, **example},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_the_worked_example_finds_a_late_backup(example: dict[str, str], tmp_path: Path) -> None:
    late = now_utc() - timedelta(hours=40)
    status = tmp_path / "status.json"
    status.write_text(json.dumps({"succeeded": late.isoformat(), "files": 3}), encoding="utf-8")
    done = run_cli("audit", "--specialists", "backup", "--json", environment=example)
    assert done.returncode == 0, done.stderr
    found = [one for one in json.loads(done.stdout)["findings"] if one["subject"] == "Acme Backup"]
    assert [(one["severity"], one["verdict"]) for one in found] == [("warning", "verified")]


def test_the_worked_example_without_its_file_is_unavailable(example: dict[str, str]) -> None:
    done = run_cli("tool", "acme_backup", environment=example)
    assert done.returncode == 1
    assert "unavailable" in done.stdout
