"""What a host does for others beside its parts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from swarm_tasks.contracts import ClaimCheck
from swarm_tasks.models.finding import Claim
from swarm_tasks.models.policy import Policy
from tests.support import fake_tools
from workers.checker import Checker
from workers.errands import checked
from workers.investigate import CHECK_SECONDS, Investigator
from workers.tools.access import this_machine
from workers.tools.registry import Registry


@pytest.mark.parametrize("waits", [1.5, 1000.0])
def test_a_host_that_measures_for_others_is_done_before_they_wait_no_more(
    waits: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float] = []
    real = Checker.check_for_others

    async def noting(self: Checker, claims: Sequence[Claim], seconds: float) -> tuple[Claim, ...]:
        given.append(seconds)
        return await real(self, claims, seconds)

    monkeypatch.setattr(Checker, "check_for_others", noting)
    investigator = Investigator(
        Registry(fake_tools.TOOLS),
        fake_tools.RULES,
        this_machine(),
        tell=lambda job, event: None,
        keep=lambda outcome: None,
        thinker=cast(Any, None),
    )
    asked = ClaimCheck(call="one", job="abcdefgh", host="alpha", claims=(), expires_at=0.0)
    asyncio.run(checked(investigator, asked, Policy(), waits))
    (seconds,) = given
    assert 0.5 * min(waits, CHECK_SECONDS) < seconds <= min(0.85 * waits, CHECK_SECONDS)
