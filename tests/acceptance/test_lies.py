"""A model that lies, on a machine with faults and without: no lie becomes a fact, and what is so
stays one. The bench says how; `HOSTSWARM_LIES_SEED` gives the same lies again."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from benchmarks.lies import namespace, one_round, seed_of_now
from benchmarks.lies.figures import (
    LEAST_CLAIMS,
    MOST_FALSE_VERIFIED,
    MOST_RECALL_LOST,
    MOST_TRUE_REFUTED,
    counted,
    examples,
    false_verified,
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


def test_checking_loses_no_fault_that_was_told(found: Round) -> None:
    assert found.ill.said > 0
    assert recall_lost(found) <= MOST_RECALL_LOST, (found.seed, found.ill)


def test_no_alarm_is_wrong_after_checking(found: Round) -> None:
    assert found.ill.alarms > 0
    assert found.ill.right == found.ill.alarms, (found.seed, found.ill)


def test_a_healthy_host_has_no_alarm_whatever_is_said_of_it(found: Round) -> None:
    assert found.well.alarms_before > 0
    assert found.well.alarms == 0, (found.seed, found.well)
