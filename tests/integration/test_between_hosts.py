"""Claims that a model on one host makes about another are measured there: two real workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from swarm_tasks.models.finding import Finding, Verdict
from swarm_tasks.models.job import AuditRequest, BrainChoice
from swarm_tasks.models.report import Report
from swarm_tasks.store.trust import TrustRecord
from tests.support.fleets import TestFleet
from tests.support.model_script import Script, answers, role
from tests.support.model_server import ModelServer
from tests.support.waiting import wait_until

LOOKER: dict[str, Any] = {
    "name": "looker",
    "title": "Looker",
    "prompt": "You look at hosts.",
    "tools": ["memory"],
    "sweep": [{"tool": "memory"}],
}
TRUE = "bravo:uptime.seconds >= 1"
FALSE = "bravo:memory.used_percent of physical memory <= 0.001"
NOWHERE = "charlie:memory.used_percent of physical memory >= 0.001"


def finding(title: str, *claims: str) -> dict[str, object]:
    return {"title": title, "severity": "critical", "claims": claims}


SAID = answers(
    {
        "answer": "The other host is short of memory.",
        "findings": [
            finding("The other host is up", TRUE),
            finding("The other host is idle", FALSE),
            finding("A host that is not here is busy", NOWHERE),
        ],
    }
)
SCRIPT = Script(
    roles=(
        role("alpha", "(?m)^alpha/looker$", SAID),
        role("bravo", "(?m)^bravo/looker$", answers({"answer": "All is well."})),
    ),
    key="sk-between",
)


def by_title(report: Report) -> dict[str, Finding]:
    return {one.title: one for one in report.findings if one.model}


def test_a_host_measures_what_another_one_s_model_says_of_it(tmp_path: Path) -> None:
    with (
        ModelServer(SCRIPT) as server,
        TestFleet(
            tmp_path,
            specialists={"looker": LOOKER},
            router_url=server.url,
            router_key="sk-between",
            model="scripted",
            model_timeout_seconds=2.0,
        ) as running,
    ):
        running.start_control()
        running.start_workers("alpha", "bravo")
        fleet = running.fleet
        request = AuditRequest(specialists=("looker",), brain=BrainChoice.LLM, deadline_seconds=30)
        report = fleet.wait(fleet.audit(request).id)
        record = TrustRecord(fleet.client)
        # It is written when the job is closed, right after its report can be read.
        wait_until("the claims are on record", lambda: bool(record.tallies()))
        (tally,) = record.tallies()
    told = by_title(report)
    true, false = told["The other host is up"], told["The other host is idle"]
    assert (true.verdict, false.verdict) == (Verdict.VERIFIED, Verdict.REFUTED)
    known = {item.call_id: item for item in report.evidence}
    for one in (true, false):
        (claim,) = one.claims
        assert (one.host, claim.host, claim.observed) == ("alpha", "bravo", None)
        assert isinstance(claim.remeasured, float)
        assert claim.remeasured > 0.001
        (ref,) = claim.evidence
        assert known[ref.call_id].host == "bravo"
        assert known[ref.call_id].sha256() == ref.sha256
    # It is so, and harmless: the rules of that host did not call it grave.
    assert (true.severity.value, true.said_severity) == ("info", "critical")
    nowhere = told["A host that is not here is busy"]
    assert nowhere.opinion
    assert nowhere.claims[0].reason == "charlie was not asked in this job"
    assert not any(one.alarms for one in told.values())
    (mine,) = [one for one in report.tallies if one.model]
    assert (mine.verified, mine.refuted, mine.unverifiable) == (1, 1, 1)
    assert (tally.verified, tally.refuted) == (mine.verified, mine.refuted)
