"""What the rung in containers stands on: a Docker daemon, and a base image with its wheels."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.containers import BUILD_SECONDS, ROOT, daemon_answers, said
from tests.support.waiting import wait_until

HERE = Path(__file__).parent
LOCAL_BASE = "hostswarm-base:local"
LOCKS = ("requirements.lock", "requirements-router.lock")


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    """A Docker daemon: the one that runs, or one of our own that ends with us."""
    if daemon_answers():
        yield
        return
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        pytest.fail("no Docker daemon answers, and this user cannot start one")
    log = tmp_path_factory.mktemp("dockerd") / "log"
    with log.open("wb") as sink:
        own = subprocess.Popen(
            ["dockerd"], stdout=sink, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        wait_until(f"dockerd answers; it says in {log}", daemon_answers, 60.0)
        yield
    finally:
        own.terminate()
        own.wait(60.0)


@pytest.fixture(scope="session")
def base_image(daemon: None) -> Generator[str]:
    """What the image is built on: the one that was named, or one made here with its wheels."""
    named = os.environ.get("HOSTSWARM_TEST_BASE_IMAGE")
    if named:
        yield named
        return
    said(str(HERE / "base-image"), LOCAL_BASE, timeout=BUILD_SECONDS)
    wheelhouse = ROOT / "build" / "wheelhouse"
    was_there = wheelhouse.exists()
    said(str(HERE / "wheelhouse"), LOCAL_BASE, *LOCKS, timeout=BUILD_SECONDS)
    yield LOCAL_BASE
    if not was_there:
        shutil.rmtree(wheelhouse)
        with contextlib.suppress(OSError):  # something else is in there
            wheelhouse.parent.rmdir()
