"""How control waits for what hosts measure of others' claims."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.checks import LEAST_WAIT_SECONDS, Checks
from orchestrator.service import Fleet
from orchestrator.settle import Question


class Waits:
    """A store of which only the lengths of the waits are wanted."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def blpop(self, _: list[str], timeout: float) -> None:
        self.seconds.append(timeout)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    """The waits for an answer of which hardly any time is left."""
    moments = iter((0.0, 0.9999999, 2.0))
    clock = SimpleNamespace(monotonic=lambda: next(moments))
    monkeypatch.setattr("orchestrator.checks.time", clock)
    monkeypatch.setattr("orchestrator.service.time", clock)
    return Waits()


def test_no_wait_for_hosts_that_check_is_so_short_that_it_never_ends(waits: Waits) -> None:
    nobody_is_cancelled: Any = frozenset[str]
    ledger: Any = SimpleNamespace(client=waits, cancelled=nobody_is_cancelled)
    nobody: Any = None
    checks: Any = Checks(nobody, ledger, nobody)
    checks._heard("abcdefgh", {"call": Question("web1", (), ())}, 1.0, frozenset())
    assert waits.seconds == [LEAST_WAIT_SECONDS]


def test_no_wait_for_a_tool_s_answer_is_so_short_that_it_never_ends(waits: Waits) -> None:
    await_answer: Any = vars(Fleet)["_await_answer"]
    await_answer(SimpleNamespace(client=waits), "call", 1.0)
    assert waits.seconds == [LEAST_WAIT_SECONDS]
