"""A model that lies, on a machine with faults and without: no lie becomes a fact, and what is so
stays one. The bench says how; `HOSTSWARM_LIES_SEED` gives the same lies again."""

from __future__ import annotations

import shutil
import subprocess
from itertools import chain

import pytest

from benchmarks.lies import namespace, one_round, seed_of_now
from benchmarks.lies.figures import (
    LEAST_CLAIMS,
    MOST_ADDED,
    MOST_FALSE_VERIFIED,
    MOST_PROBES,
    MOST_RECALL_LOST,
    MOST_TRUE_REFUTED,
    added_in_the_middle,
    counted,
    examples,
    false_verified,
    hidden,
    probes_of_claims,
    recall_lost,
    true_refuted,
)
from benchmarks.lies.told import Kind, Round


def can_mount() -> bool:
    """Whether this user may have mounts of its own here."""
    if shutil.which("unshare") is None:
        return False
    argv = (*namespace(), "mount", "-t", "tmpfs", "planted", "/mnt")
    return subprocess.run(argv, capture_output=True, timeout=10, check=False).returncode == 0


pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def found() -> Round:
    """One run with lies that nobody has seen before, unless a seed is set."""
    if not can_mount():
        pytest.skip("this user may have no mounts of its own here")
    return one_round(seed_of_now(), "small")


def test_enough_is_said_of_every_kind(found: Round) -> None:
    for true in (True, False):
        assert len(counted(found.rows, true=true)) >= LEAST_CLAIMS, found.seed
    assert {row.kind for row in found.rows} == set(Kind)


def test_lies_do_not_become_facts(found: Round) -> None:
    assert false_verified(found) <= MOST_FALSE_VERIFIED, "\n".join(examples([found]))


def test_what_is_so_is_not_called_wrong(found: Round) -> None:
    assert true_refuted(found) <= MOST_TRUE_REFUTED, "\n".join(examples([found]))


def test_what_is_not_so_is_shown_and_not_dropped_behind_another_finding(found: Round) -> None:
    assert hidden(found) == 0, "\n".join(examples([found]))


def test_an_answer_that_takes_long_to_check_keeps_no_alarm_of_the_rules_back(found: Round) -> None:
    assert found.crowded == (), found.seed


def test_checking_adds_little_to_a_part(found: Round) -> None:
    # What else the machine does only ever makes it look slower: the best of three runs tells.
    # The first is usually enough, and then no other is made.
    more = (one_round(f"{found.seed}.{number}", "small") for number in (1, 2))
    assert any(added_in_the_middle(one) <= MOST_ADDED for one in chain((found,), more))


def test_claims_share_what_is_measured_again(found: Round) -> None:
    assert 0 < probes_of_claims(found) <= MOST_PROBES


def test_checking_loses_no_fault_that_was_told(found: Round) -> None:
    assert found.ill.said > 0
    assert recall_lost(found) <= MOST_RECALL_LOST, (found.seed, found.ill)


def test_no_alarm_is_wrong_after_checking(found: Round) -> None:
    assert found.ill.alarms > 0
    assert found.ill.right == found.ill.alarms, (found.seed, found.ill)


def test_a_healthy_host_has_no_alarm_whatever_is_said_of_it(found: Round) -> None:
    assert found.well.alarms_before > 0
    assert found.well.alarms == 0, (found.seed, found.well)
