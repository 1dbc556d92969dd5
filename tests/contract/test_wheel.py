"""The wheel ships our three packages with all they need, nothing else, and runs by itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

from swarm_tasks import __version__
from tests.support.fleets import REPOSITORY

PACKAGES = ("swarm_tasks", "workers", "orchestrator")
SHIPPED = {".py", ".toml", ".html", ".css", ".typed", ".yaml"}

PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-cache-dir")

RUN = "from orchestrator.surfaces.cli import main; main()"
"""What the command `hostswarm` does."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without any network from a copy: a build leaves files in its tree."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    leave = shutil.ignore_patterns("__pycache__", "golden")
    for name in (*PACKAGES, "tests", "benchmarks", "docs"):
        if (REPOSITORY / name).is_dir():
            shutil.copytree(REPOSITORY / name, source / name, ignore=leave)
    target = tmp_path_factory.mktemp("wheel")
    command = (*PIP, "wheel", "--no-deps", "--no-build-isolation", "--no-index")
    done = subprocess.run(
        (*command, "--wheel-dir", str(target), str(source)),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    (built,) = target.iterdir()
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> list[str]:
    """Every file in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with nothing but what the wheel holds."""
    target = tmp_path_factory.mktemp("installed")
    command = (*PIP, "install", "--no-deps", "--no-index", "--no-compile", "--target", str(target))
    subprocess.run((*command, str(wheel)), check=True, capture_output=True, timeout=120)
    return target


def info(wheel: Path, name: str) -> str:
    """One of the wheel's own files."""
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (one for one in archive.namelist() if one.endswith(f".dist-info/{name}"))
        return archive.read(path).decode()


def run(
    installed: Path, *words: str, cwd: Path, code: str = RUN
) -> subprocess.CompletedProcess[str]:
    """The command from the wheel, whose packages are found before the project's tree."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("HOSTSWARM_")}
    return subprocess.run(
        (sys.executable, "-P", "-c", code, *words),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=cwd,
        env={
            **clean,
            "PYTHONPATH": str(installed),
            "HOSTSWARM_STATE_DIR": str(cwd / "state"),
        },
    )


def test_it_ships_exactly_our_three_packages(wheel: Path, names: list[str]) -> None:
    assert wheel.name == f"hostswarm-{__version__}-py3-none-any.whl"
    assert sorted(info(wheel, "top_level.txt").split()) == sorted(PACKAGES)
    tops = {name.split("/")[0] for name in names}
    assert tops == {*PACKAGES, f"hostswarm-{__version__}.dist-info"}
    recorded = [line.rsplit(",", 2)[0] for line in info(wheel, "RECORD").splitlines()]
    assert sorted(recorded) == sorted(names)


def test_it_ships_every_file_of_them_and_no_other(names: list[str]) -> None:
    ours = {
        str(path.relative_to(REPOSITORY))
        for package in PACKAGES
        for path in (REPOSITORY / package).rglob("*")
        if path.suffix in SHIPPED
    }
    assert {name for name in names if ".dist-info/" not in name} == ours
    for package in PACKAGES:
        assert f"{package}/py.typed" in names
    for data in ("swarm_tasks/measures.toml", "swarm_tasks/specialists.toml"):
        assert data in names
    assert {"orchestrator/render/report.html", "orchestrator/render/report.css"} <= set(names)
    assert "orchestrator/router/router.yaml" in names


def test_it_says_who_it_is(wheel: Path) -> None:
    said = message_from_string(info(wheel, "METADATA"))
    assert said["Name"] == "hostswarm"
    assert said["Version"] == __version__
    assert said["License-Expression"] == "Apache-2.0"
    assert said["Requires-Python"] == ">=3.11"
    assert "Apache License" in info(wheel, "licenses/LICENSE")
    scripts = info(wheel, "entry_points.txt").split()
    assert scripts == ["[console_scripts]", "hostswarm", "=", "orchestrator.surfaces.cli:main"]


def test_it_runs_where_the_project_s_tree_is_not(installed: Path, tmp_path: Path) -> None:
    where = "import orchestrator, workers; print(orchestrator.__file__, workers.__file__)"
    found = run(installed, cwd=tmp_path, code=where).stdout.split()
    assert [Path(one).parent.parent for one in found] == [installed, installed]
    done = run(installed, "--version", cwd=tmp_path)
    assert (done.stdout, done.returncode) == (f"hostswarm {__version__}\n", 0)
    tools = run(installed, "tools", "--json", cwd=tmp_path)
    assert tools.stderr == ""
    assert len(json.loads(tools.stdout)) > 40
    doctor = run(installed, "doctor", cwd=tmp_path)
    assert doctor.returncode == 0, doctor.stdout


def test_a_stranger_s_files_in_the_working_directory_are_not_taken_for_ours(
    installed: Path, tmp_path: Path
) -> None:
    for name in ("celery.py", "workers.py", "redis.py"):
        (tmp_path / name).write_text("raise SystemExit('not ours')")
    done = run(installed, "tool", "load", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "ok"
