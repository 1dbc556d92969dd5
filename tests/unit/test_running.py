"""Claims about single processes: named so that no later one is taken for them."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from swarm_tasks.models.evidence import Evidence, ToolCall
from swarm_tasks.models.finding import Claim, EvidenceRef, Finding, Severity, Verdict
from swarm_tasks.models.policy import Policy
from workers.checker import Checker
from workers.investigate import evidence_of
from workers.rules.brain import RulesBrain
from workers.rules.running import of_that_pid, subject_of
from workers.tools.access import this_machine
from workers.tools.book import rulebook, toolbook

RULES = RulesBrain(toolbook(), rulebook(), {})


async def call(asked: ToolCall, call_id: str) -> Evidence:
    """A real tool on this machine."""
    outcome = await toolbook().call(asked.tool, asked.arguments, this_machine())
    return evidence_of(outcome, call_id, "alpha", "processes")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing."""
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            yield process
        finally:
            process.kill()


def memory_claim(pid: int) -> tuple[Evidence, Claim]:
    """That a process takes at least as much memory as it does now."""
    evidence = asyncio.run(call(ToolCall(tool="process", arguments={"pid": pid}), "c"))
    ((_, reading),) = RULES.readings(evidence)
    return evidence, Claim(
        metric="process.memory_bytes",
        subject=reading.subject,
        comparator=">=",
        value=reading.value,
        unit="bytes",
        observed=reading.value,
        observed_at=evidence.started,
        evidence=(EvidenceRef(call_id="c", pointer=reading.pointer, sha256=evidence.sha256()),),
    )


def checked(claim: Claim, evidence: Evidence) -> Finding:
    """A model's finding with this claim, checked here."""
    told = Finding(
        id="0" * 16,
        fingerprint="0" * 16,
        host="alpha",
        specialist="processes",
        severity=Severity.INFO,
        said_severity=Severity.CRITICAL,
        title="A process takes much memory",
        subject=claim.subject,
        advice="",
        verdict=Verdict.UNVERIFIABLE,
        claims=(claim,),
        source="model",
    )
    checker = Checker("alpha", toolbook(), RULES, Policy(), call, "again")
    return asyncio.run(checker.check([told], [evidence], 5.0)).findings[0]


def test_what_a_process_takes_is_verified_and_is_no_alarm(
    sleeper: subprocess.Popen[bytes],
) -> None:
    evidence, claim = memory_claim(sleeper.pid)
    found = checked(claim, evidence)
    assert (found.verdict, found.severity) == (Verdict.VERIFIED, Severity.INFO)
    assert claim.subject.startswith(f"pid {sleeper.pid} sleep, since 20")


def test_another_process_under_the_same_id_is_not_taken_for_it(
    sleeper: subprocess.Popen[bytes],
) -> None:
    evidence, claim = memory_claim(sleeper.pid)
    before = subject_of(sleeper.pid, "sleep", datetime(2001, 1, 1, tzinfo=UTC))
    found = checked(claim.model_copy(update={"subject": before}), evidence)
    assert found.verdict is Verdict.UNSUPPORTED


def test_a_process_that_has_ended_cannot_be_measured(sleeper: subprocess.Popen[bytes]) -> None:
    evidence, claim = memory_claim(sleeper.pid)
    sleeper.kill()
    sleeper.wait()
    found = checked(claim, evidence)
    assert found.verdict is Verdict.UNVERIFIABLE
    assert str(sleeper.pid) in found.claims[0].reason


def test_only_a_subject_with_a_process_id_can_be_looked_at() -> None:
    assert of_that_pid("pid 12 x, since y") == {"pid": 12}
    assert of_that_pid("nginx") is None
