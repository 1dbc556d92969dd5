"""Sessions: the parser on golden files, the tool on this machine."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from swarm_tasks.models.evidence import EvidenceStatus
from tests.support.golden import assert_golden, inputs
from workers.tools.access import this_machine
from workers.tools.catalog import sessions
from workers.tools.catalog.sessions import Logins
from workers.tools.registry import Registry

REGISTRY = Registry(sessions.TOOLS)


@pytest.mark.parametrize("source", inputs("lastb"), ids=lambda path: path.stem)
def test_failed_logins_are_parsed(source: Path) -> None:
    assert_golden(sessions.parse_lastb(source.read_text()), source)


def test_a_name_that_is_no_account_is_never_shown() -> None:
    (path,) = (path for path in inputs("lastb") if path.stem == "linux-failures")
    attempts = sessions.parse_lastb(path.read_text())
    found = sessions.grouped(attempts, frozenset({"root", "admin"}))
    assert "hunter2!" not in str(found)
    assert {(one.user, one.source) for one in found} >= {
        ("root", "203.0.113.9"),
        ("(no account here)", "tty1"),
    }


def test_attempts_are_counted_by_account_and_source() -> None:
    (path,) = (path for path in inputs("lastb") if path.stem == "linux-failures")
    attempts = sessions.parse_lastb(path.read_text())
    first = sessions.grouped([*attempts, *attempts], frozenset())[0]
    assert first.attempts == 4
    assert first.source == "203.0.113.9"


def test_the_accounts_are_the_names_in_passwd() -> None:
    text = "root:x:0:0:root:/root:/bin/bash\nsync:x:4:65534::/bin:/bin/sync\n\n"
    assert sessions.parse_accounts(text) == {"root", "sync"}


def test_sessions_are_listed_on_this_machine() -> None:
    outcome = asyncio.run(REGISTRY.call("logins", {}, this_machine()))
    assert outcome.status is EvidenceStatus.OK, outcome.reason
    assert isinstance(outcome.result, Logins)
    assert (outcome.result.failed is None) == bool(outcome.result.failed_unread)
