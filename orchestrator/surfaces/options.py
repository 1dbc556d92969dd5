"""What the verbs' options have in common."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swarm_tasks.entry import say
from swarm_tasks.errors import ArgumentError, HostswarmError

if TYPE_CHECKING:
    from orchestrator.surfaces.session import Given

Config = Annotated[
    Path | None,
    typer.Option(
        "--config", help="The settings file; default: hostswarm.toml in the usual places."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def examples(*lines: str) -> str:
    """Command lines for the end of a verb's help, each on a line of its own."""
    shown = (line.replace("[", "\\[") for line in lines)
    return "\n\n".join(("Examples:", *(f"  [bold]{line}[/]" for line in shown)))


UNKNOWN = 3
"""What monitoring plugins leave with when they can tell nothing."""

UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def given(context: typer.Context, **flags: object) -> Given:
    """The settings as the command line, the environment and the file give them.

    Raises:
        SettingsError: One of them is wrong.
    """
    from orchestrator.surfaces.session import Given
    from swarm_tasks.config import find_config, load_settings

    config: Path | None = context.obj
    return Given(settings=load_settings(config, **flags), config=find_config(config))


@contextmanager
def plugin_errors(asked: bool) -> Generator[None]:
    """Under --exit-code, an error of ours leaves with 3.

    To a monitoring system 1 and 2 are findings; no report at all is "unknown".
    """
    try:
        yield
    except HostswarmError as error:
        if not asked:
            raise
        say(error)
        raise typer.Exit(UNKNOWN) from None


def parse_seconds(text: str, option: str) -> float:
    """A duration such as 90s, 5m, 1h or 300 in seconds.

    Raises:
        ArgumentError: It is not one, or not more than zero.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text.strip())
    if match is None:
        raise ArgumentError(f"{option} {text!r} is not a duration", "write 90s, 5m or 1h")
    seconds = float(match[1]) * UNITS[match[2]]
    if seconds <= 0:
        raise ArgumentError(f"{option} must be more than zero", "write 90s, 5m or 1h")
    return seconds


def parse_dollars(text: str, option: str) -> float:
    """An amount such as 0.50 or $2.

    Raises:
        ArgumentError: It is none.
    """
    match = re.fullmatch(r"\$?\s*(\d+(?:\.\d*)?|\.\d+)", text.strip())
    if match is None:
        raise ArgumentError(f"{option} {text!r} is no amount in dollars", "write 0.50")
    return float(match[1])


def parse_count(text: str, option: str) -> int:
    """A whole number such as 50000 or 50_000.

    Raises:
        ArgumentError: It is none.
    """
    if re.fullmatch(r"\d{1,15}", text.strip().replace("_", "").replace(",", "")) is None:
        raise ArgumentError(f"{option} {text!r} is no whole number", "write 50000")
    return int(text.strip().replace("_", "").replace(",", ""))


def split_names(text: str) -> tuple[str, ...]:
    """Names between commas; empty text is none."""
    return tuple(name.strip() for name in text.split(",") if name.strip())
