"""The trust record for people and for scripts."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from orchestrator.render.words import one_line
from orchestrator.surfaces.page import page
from swarm_tasks.models.tally import Tally
from swarm_tasks.store.trust import (
    COUNTED,
    LEAST_CHECKED,
    is_doubted,
    wrong_at_least_percent,
    wrong_percent,
)


def trust_json(tallies: Sequence[Tally], limit_percent: float) -> str:
    """A row for each model and specialist, with the shares and whether it is doubted."""
    rows = [
        {
            **tally.model_dump(),
            "claims": tally.made,
            "checked": tally.checked,
            "wrong": tally.wrong,
            "wrong_percent": round(wrong_percent(tally), 3),
            "wrong_at_least_percent": round(wrong_at_least_percent(tally), 3),
            "limit_percent": limit_percent,
            "doubted": is_doubted(tally, limit_percent),
        }
        for tally in tallies
    ]
    return json.dumps(rows, indent=2)


def print_trust(tallies: Sequence[Tally], limit_percent: float, days: int) -> None:
    """The same as a table."""
    if not tallies:
        since = "today" if days == 1 else f"in the last {days} days"
        page().print(f"No model made a claim {since}. Rules measure, and are not in question here.")
        return
    counted = [name for name in COUNTED if name != "opinions"]
    table = Table("model", "specialist", box=None)
    for name in ("claims", *counted, "wrong", "at least"):
        table.add_column(name, justify="right")
    table.add_column("")
    for tally in tallies:
        table.add_row(
            Text(one_line(tally.model), "bold"),
            Text(one_line(tally.specialist)),
            f"{tally.made:,}",
            *(f"{getattr(tally, name):,}" for name in counted),
            f"{wrong_percent(tally):.1f} %" if tally.checked else "",
            f"{wrong_at_least_percent(tally):.1f} %" if tally.checked else "",
            _said(tally, limit_percent),
        )
    page().print(table)


def _said(tally: Tally, limit_percent: float) -> Text:
    if is_doubted(tally, limit_percent):
        return Text("doubted", "bold red")
    return Text("too few to tell", "dim") if tally.checked < LEAST_CHECKED else Text("")
