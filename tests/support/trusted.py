"""Puts claims on the trust record as the end of a job does."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime

from swarm_tasks.models.tally import Tally
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.ledger import Ledger
from swarm_tasks.store.trust import increments
from tests.support import scenes


def count_claims(client: Commands, tallies: Iterable[Tally], at: datetime | None = None) -> None:
    """End a job without parts that counted this.

    Args:
        at: Whose day it is added to; None for now.
    """
    job = scenes.job("web1", id=secrets.token_hex(4))
    ledger = Ledger(client, 3600)
    ledger.open(job, (), ledger.now())
    assert ledger.close_job(scenes.report(job), increments(tallies, at))
