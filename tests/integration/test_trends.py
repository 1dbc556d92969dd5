"""A trend over what audits kept in a real store, and claims about it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from swarm_tasks.models.evidence import Evidence, EvidenceStatus, ToolCall
from swarm_tasks.models.finding import Claim, Comparator, EvidenceRef, Finding, Severity, Verdict
from swarm_tasks.models.policy import Policy
from swarm_tasks.models.report import Measured
from swarm_tasks.store import keys
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.history import History
from workers.checker import Checker
from workers.history import StoreHistory, keep
from workers.investigate import evidence_of
from workers.rules.brain import RulesBrain
from workers.tools.access import Machine, this_machine
from workers.tools.book import rulebook, toolbook

RULES = RulesBrain(toolbook(), rulebook(), {})
HOUR = 3600.0


@pytest.fixture
def machine(client: Commands) -> Machine:
    """This machine with an empty history in a real store."""
    return this_machine(StoreHistory(History(client, "alpha", 3600)))


def call(machine: Machine, tool: str, **arguments: object) -> Evidence:
    """One call on this machine."""
    outcome = asyncio.run(toolbook().call(tool, arguments, machine))
    return evidence_of(outcome, "c1", "alpha", "storage")


def root_volume(machine: Machine) -> tuple[str, float]:
    """The subject of the root volume and how full it is."""
    reading = next(
        one
        for rule, one in RULES.readings(call(machine, "disk_usage", mount="/"))
        if rule.metric == "disk.used_percent"
    )
    return reading.subject, float(reading.value)


def grown(client: Commands, machine: Machine, per_hour: float) -> str:
    """A day of audits in which the root volume grew to what it is now."""
    subject, now = root_volume(machine)
    history = History(client, "alpha", 3600)
    for hours in range(25, 0, -1):
        sample = ("disk.used_percent", subject, now - hours * per_hour)
        history.add([sample], time.time() - hours * HOUR)
    return subject


def test_what_a_part_measured_is_kept_for_a_while(client: Commands) -> None:
    history = History(client, "alpha", 3600)
    keep(history, [Measured(metric="memory.used_percent", subject="physical memory", value=41.5)])
    keep(history, [Measured(metric="memory.used_percent", subject="physical memory", value=42)])
    kept = history.samples("memory.used_percent", "physical memory")
    assert [value for _, value in kept] == [41.5, 42.0]
    key = keys.SAMPLES.at(host="alpha", metric="memory.used_percent", subject="physical memory")
    assert 0 < client.ttl(key) <= keys.HISTORY_TTL_SECONDS


def test_a_trend_measures_its_last_point_itself(client: Commands, machine: Machine) -> None:
    subject = grown(client, machine, 1.0)
    kept = History(client, "alpha", 3600).samples("disk.used_percent", subject)
    told = call(machine, "trend", metric="disk.used_percent", subject="/")
    assert told.status is EvidenceStatus.OK, told.reason
    assert told.data is not None
    assert (told.data["subject"], told.data["samples"]) == (subject, 24)
    assert told.data["per_hour"] == pytest.approx(1.0, abs=0.05)
    assert told.data["since_yesterday"] == pytest.approx(24.0, abs=0.5)
    assert f"history(disk.used_percent, {subject})" in told.source
    # It reads: nothing was added.
    assert History(client, "alpha", 3600).samples("disk.used_percent", subject) == kept


def test_without_a_past_there_is_no_trend(machine: Machine) -> None:
    told = call(machine, "trend", metric="disk.used_percent", subject="/")
    assert told.status is EvidenceStatus.UNAVAILABLE
    assert told.reason.startswith("0 samples of disk.used_percent are too few")


def test_a_subject_that_is_not_there_is_told_with_those_that_are(machine: Machine) -> None:
    told = call(machine, "trend", metric="memory.used_percent", subject="/dev/sdz")
    assert told.status is EvidenceStatus.FAILED
    assert "physical memory" in told.remedy


def test_nothing_is_measured_that_no_audit_measured(machine: Machine) -> None:
    for metric in ("ping.rtt_ms", "tls.left_seconds", "file.age_seconds"):
        told = call(machine, "trend", metric=metric, subject="127.0.0.1:9")
        assert told.status is EvidenceStatus.FAILED
        assert told.source == (f"history({metric}, 127.0.0.1:9)",)


def checked(
    machine: Machine,
    metric: str,
    sign: Comparator,
    value: float,
    meanwhile: Callable[[], object] = str,
) -> Claim:
    """What becomes of a model's claim on a trend of the root volume.

    Args:
        meanwhile: What happens before it is checked.
    """
    evidence = call(machine, "trend", metric="disk.used_percent", subject="/", limit=1000)
    reading = next(one for rule, one in RULES.readings(evidence) if rule.metric == metric)
    claim = Claim(
        metric=metric,
        subject=reading.subject,
        comparator=sign,
        value=value,
        unit="units",
        observed=reading.value,
        observed_at=evidence.started,
        evidence=(EvidenceRef(call_id="c1", pointer=reading.pointer, sha256=evidence.sha256()),),
    )
    told = Finding(
        id="0" * 16,
        fingerprint="0" * 16,
        host="alpha",
        specialist="storage",
        severity=Severity.INFO,
        said_severity=Severity.CRITICAL,
        title="It grows",
        subject=reading.subject,
        advice="",
        verdict=Verdict.UNVERIFIABLE,
        claims=(claim,),
        source="model",
    )

    async def ask(asked: ToolCall, call_id: str) -> Evidence:
        outcome = await toolbook().call(asked.tool, asked.arguments, machine)
        return evidence_of(outcome, call_id, "alpha", "storage")

    meanwhile()
    checker = Checker("alpha", toolbook(), RULES, Policy(), ask, "check")
    (finding,) = asyncio.run(checker.check([told], [evidence], 10.0)).findings
    assert finding.severity is Severity.INFO
    return finding.claims[0]


@pytest.mark.parametrize(
    ("metric", "sign", "value", "verdict"),
    [
        ("trend.per_hour", ">=", 0.9, Verdict.VERIFIED),
        ("trend.per_hour", ">=", 5.0, Verdict.UNSUPPORTED),
        ("trend.per_hour", "<=", 0.0, Verdict.UNSUPPORTED),
        ("trend.since_yesterday", ">=", 20.0, Verdict.VERIFIED),
        ("trend.since_yesterday", "<", 0.0, Verdict.UNSUPPORTED),
        ("trend.reaches_in_seconds", "<=", 5_000_000.0, Verdict.VERIFIED),
        ("trend.reaches_in_seconds", "<=", 3600.0, Verdict.UNSUPPORTED),
    ],
)
def test_claims_about_change_are_measured_again_and_alarm_nobody(
    client: Commands,
    machine: Machine,
    metric: str,
    sign: Comparator,
    value: float,
    verdict: Verdict,
) -> None:
    grown(client, machine, 1.0)
    assert checked(machine, metric, sign, value).verdict is verdict


def test_growth_that_has_ended_since_is_stale(client: Commands, machine: Machine) -> None:
    subject = grown(client, machine, 1.0)

    def shrunk() -> None:
        client.delete(keys.SAMPLES.at(host="alpha", metric="disk.used_percent", subject=subject))
        grown(client, machine, -1.0)

    for metric, value in (("trend.per_hour", 0.9), ("trend.since_yesterday", 20.0)):
        grown(client, machine, 1.0)
        assert checked(machine, metric, ">=", value, shrunk).verdict is Verdict.STALE
        client.delete(keys.SAMPLES.at(host="alpha", metric="disk.used_percent", subject=subject))
