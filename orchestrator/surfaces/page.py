"""Where the verbs' tables and lines go."""

from __future__ import annotations

from rich.console import Console

WHOLE_LINE = 10_000


def page() -> Console:
    """Standard output: folded to a terminal's width, and one line per row where there is none,
    so that `grep` and `awk` see whole rows."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WHOLE_LINE)
