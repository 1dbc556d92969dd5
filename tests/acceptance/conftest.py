"""Fixtures of the rung that runs the command as a person does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import Asker


@pytest.fixture
def asker(tmp_path: Path) -> Asker:
    """Somebody with a state directory of their own and no fleet."""
    return Asker(tmp_path / "state")
