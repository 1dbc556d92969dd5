"""The specialists that come with the program, read from `specialists.toml` beside this file."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from swarm_tasks.models.job import Specialist


@cache
def shipped_specialists() -> dict[str, Specialist]:
    """All of them by name, in the order of the file."""
    text = files("swarm_tasks").joinpath("specialists.toml").read_text(encoding="utf-8")
    return {name: Specialist(name=name, **row) for name, row in tomllib.loads(text).items()}
