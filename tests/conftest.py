"""Fixtures that rungs share. Each fleet is made of real processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from pathlib import Path

import pytest

from swarm_tasks.embedded import EmbeddedStore
from swarm_tasks.store.client import connect
from swarm_tasks.store.commands import Commands
from tests.support.fleets import NAPPER, TestFleet


def pytest_configure() -> None:
    """Heed signals even where the suite was started in the background, as CI may do.

    A shell's background job ignores SIGINT, nohup's SIGHUP, and both hand that on to children.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # as under nohup
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    """A developer's own fleet is none of the tests' business."""
    for name in list(os.environ):
        if name.startswith("HOSTSWARM_") and not name.startswith("HOSTSWARM_TEST_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Generator[EmbeddedStore]:
    """A real Valkey for tests that need no workers."""
    with EmbeddedStore(tmp_path_factory.mktemp("store")) as running:
        yield running


@pytest.fixture
def client(store: EmbeddedStore) -> Generator[Commands]:
    """A client of an empty store."""
    from pydantic import SecretStr

    from swarm_tasks.config import Settings

    connection = connect(Settings(broker_url=SecretStr(store.url)))
    for key in list(connection.scan_iter(match="*")):
        connection.delete(key)
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Generator[TestFleet]:
    """Control and three hosts with the fake tools, for a module's tests."""
    directory = tmp_path_factory.mktemp("fleet")
    with TestFleet(
        directory,
        tool_modules=["tests.support.fake_tools"],
        specialists={"napper": NAPPER},
    ) as running:
        running.start_control()
        running.start_workers("alpha", "bravo", "charlie")
        yield running


@pytest.fixture
def lone_fleet(tmp_path: Path) -> Generator[TestFleet]:
    """A store with the fake tools known, and no process yet: for tests that kill."""
    with TestFleet(
        tmp_path,
        tool_modules=["tests.support.fake_tools"],
        specialists={"napper": NAPPER},
    ) as running:
        yield running
