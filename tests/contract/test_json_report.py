"""The report that `audit --json` prints has the contract's fields, and its books add up."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from swarm_tasks.models.report import Report
from swarm_tasks.specialists import shipped_specialists
from tests.support.fleets import run_cli

Json = dict[str, Any]

TOP = {"schema", "job", "coverage", "hosts", "findings", "evidence", "summary", "usage"}
TOP_MORE = {
    *("summary_source", "patterns", "causes", "outliers", "actions"),
    *("charges", "degraded", "prose_removed"),
    *("claims", "tallies", "contradictions", "doubts"),
}
JOB = {"id", "question", "created", "finished", "status", "brain"}
COVERAGE = {"asked", "answered", "dark", "failed"}
HOST = {"host", "status", "reason", "specialists", "tool_calls", "llm_calls", "seconds"}
FINDING = {
    *("id", "fingerprint", "host", "specialist", "severity", "title", "subject", "advice"),
    *("verdict", "claims"),
}
CLAIM = {
    *("metric", "subject", "comparator", "value", "unit", "observed", "remeasured", "verdict"),
    "evidence",
}
REFERENCE = {"call_id", "pointer", "sha256"}
EVIDENCE = {
    *("call_id", "host", "specialist", "tool", "arguments", "started", "seconds", "status"),
    *("truncated", "data"),
}
USAGE = {
    *("tool_calls", "llm_calls", "prompt_tokens", "completion_tokens", "cost_usd"),
    "wall_seconds",
}

JOB_MORE = {"deadline_seconds", "cancelled", "allowance", "plan"}
HOST_MORE = {"platform", "last_seen", "parts", "role", "usage", "outside"}
FINDING_MORE = {
    *("related", "explanation", "source", "model", "said_severity", "doubted"),
    "acknowledged",
}
CLAIM_MORE = {"id", "host", "observed_at", "remeasured_at", "reason"}
TALLY = {
    *("model", "specialist", "verified", "refuted", "stale", "unverifiable", "unsupported"),
    *("rejected", "opinions"),
}
EVIDENCE_MORE = {"source", "reason", "remedy"}
"""What we add to the contract. It grows on purpose only."""

TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z")

LEVELS = {"memory.used_percent": {"critical": 0.001}, "uptime.seconds": {"warning": 1e12}}
"""Levels that every machine crosses."""

VERDICTS = {"verified", "refuted", "stale", "unverifiable", "unsupported"}


class Audited:
    """One real audit of this machine, which is said to have too little memory and uptime."""

    def __init__(self, state_dir: str) -> None:
        self.environment = {
            "HOSTSWARM_STATE_DIR": state_dir,
            "HOSTSWARM_HOST": "here",
            "HOSTSWARM_THRESHOLDS": json.dumps(LEVELS),
        }
        words = ("audit", "is anything wrong?", "--json", "--deadline", "2m")
        self.done = run_cli(*words, environment=self.environment)
        self.report: Json = json.loads(self.done.stdout)


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """The audit."""
    return Audited(str(tmp_path_factory.mktemp("state")))


def moment(text: str) -> datetime:
    assert TIME.fullmatch(text), text
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def at(pointer: str, data: Any) -> Any:
    """What an RFC 6901 pointer points at."""
    for step in pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        data = cast(list[Any], data)[int(key)] if isinstance(data, list) else data[key]
    return data


def test_nothing_else_is_printed(audited: Audited) -> None:
    assert audited.done.stderr == ""
    assert audited.done.returncode == 0
    assert audited.done.stdout.endswith("}\n")


def test_the_fields_are_the_contract_s_and_what_we_added_on_purpose(audited: Audited) -> None:
    report = audited.report
    assert set(report) == TOP | TOP_MORE
    assert report["schema"] == "hostswarm.report/1"
    assert set(report["job"]) == JOB | JOB_MORE
    assert set(report["coverage"]) == COVERAGE
    assert set(report["usage"]) == USAGE
    assert report["hosts"]
    assert report["findings"]
    assert report["evidence"]
    for host in report["hosts"]:
        assert set(host) == HOST | HOST_MORE
    for finding in report["findings"]:
        assert set(finding) == FINDING | FINDING_MORE
        for claim in finding["claims"]:
            assert set(claim) == CLAIM | CLAIM_MORE
            for reference in claim["evidence"]:
                assert set(reference) == REFERENCE
    for item in report["evidence"]:
        assert set(item) == EVIDENCE | EVIDENCE_MORE
    for tally in (report["claims"], *report["tallies"]):
        assert set(tally) == TALLY


def test_the_job_says_what_was_asked_and_how_it_went(audited: Audited) -> None:
    job = audited.report["job"]
    assert re.fullmatch(r"[0-9a-z]{6,40}", job["id"])
    assert job["question"] == "is anything wrong?"
    assert (job["status"], job["brain"], job["cancelled"]) == ("complete", "rules", False)
    assert job["deadline_seconds"] == 120
    wall = (moment(job["finished"]) - moment(job["created"])).total_seconds()
    assert audited.report["usage"]["wall_seconds"] == pytest.approx(wall, abs=0.01)


def test_every_host_asked_is_in_exactly_one_list(audited: Audited) -> None:
    coverage = audited.report["coverage"]
    told = coverage["answered"] + coverage["dark"] + coverage["failed"]
    assert sorted(told) == sorted(coverage["asked"]) == ["here"]
    for host in audited.report["hosts"]:
        assert host["host"] in coverage[host["status"]]


def test_the_host_s_line_adds_up(audited: Audited) -> None:
    (host,) = audited.report["hosts"]
    assert host["specialists"] == list(shipped_specialists())
    assert host["reason"] == ""
    assert host["platform"]
    assert moment(host["last_seen"])
    assert host["tool_calls"] == sum(part["tool_calls"] for part in host["parts"])
    assert host["tool_calls"] == audited.report["usage"]["tool_calls"]
    assert host["llm_calls"] == audited.report["usage"]["llm_calls"] == 0
    assert audited.report["usage"]["cost_usd"] == 0
    first = min(moment(part["started"]) for part in host["parts"])
    last = max(moment(part["started"]).timestamp() + part["seconds"] for part in host["parts"])
    assert host["seconds"] == pytest.approx(last - first.timestamp(), abs=0.01)


def test_a_finding_says_what_about_what_and_how_sure_it_is(audited: Audited) -> None:
    findings = audited.report["findings"]
    assert [one["id"] for one in findings] == [f"f{n}" for n in range(1, len(findings) + 1)]
    marks = [one["fingerprint"] for one in findings]
    assert len(set(marks)) == len(marks)
    for finding in findings:
        assert re.fullmatch(r"[0-9a-f]{16}", finding["fingerprint"])
        assert finding["severity"] in ("critical", "warning", "info")
        assert finding["verdict"] in VERDICTS
        assert finding["host"] in audited.report["coverage"]["asked"]
        for text in ("title", "subject", "advice", "specialist"):
            assert finding[text]
        assert not re.search(r"\d", finding["title"])
    planted = {
        one["claims"][0]["metric"]: (one["severity"], one["verdict"])
        for one in findings
        if one["claims"][0]["metric"] in LEVELS
    }
    assert planted == {
        "memory.used_percent": ("critical", "verified"),
        "uptime.seconds": ("warning", "verified"),
    }


def test_every_claim_has_a_name_and_is_counted_in_the_honesty_line(audited: Audited) -> None:
    report = audited.report
    claims = [
        (f"{finding['id']}.c{number}", claim)
        for finding in report["findings"]
        for number, claim in enumerate(finding["claims"], 1)
    ]
    assert [name for name, _ in claims] == [claim["id"] for _, claim in claims]
    assert {claim["host"] for _, claim in claims} == {"here"}
    total = report["claims"]
    for verdict in VERDICTS:
        told = [claim for _, claim in claims if claim["verdict"] == verdict]
        counted = sum(tally[verdict] for tally in report["tallies"])
        # Two specialists may have found the same, which is told once and was claimed twice.
        assert total[verdict] == counted >= len(told)
    assert total["verified"] >= 2
    assert {tally["model"] for tally in report["tallies"]} == {""}
    made = sum(total[name] for name in (*VERDICTS, "rejected"))
    assert f"{made} claims: " in report["summary"]
    assert report["contradictions"] == report["doubts"] == []


def test_without_a_model_nothing_of_one_is_told(audited: Audited) -> None:
    report = audited.report
    assert report["summary_source"] == "rules"
    assert report["charges"] == report["degraded"] == []
    assert report["prose_removed"] == 0
    for finding in report["findings"]:
        assert (finding["source"], finding["explanation"]) == ("rules", "")
    for part in report["hosts"][0]["parts"]:
        assert (part["answer"], part["degraded"], part["usage"]["llm_calls"]) == ("", "", 0)


def test_the_order_to_act_in_names_findings_that_are_there(audited: Audited) -> None:
    ids = {one["id"] for one in audited.report["findings"]}
    actions = audited.report["actions"]
    assert [one["rank"] for one in actions] == list(range(1, len(actions) + 1))
    for action in actions:
        assert set(action["findings"]) <= ids
        assert action["hosts"] == ["here"]
        assert action["what"]
        assert action["why"]
    # One host has no pattern with itself, and no peers.
    assert audited.report["patterns"] == audited.report["outliers"] == []


def test_every_claim_points_at_the_value_in_evidence_that_was_not_changed(
    audited: Audited,
) -> None:
    evidence = {item["call_id"]: item for item in audited.report["evidence"]}
    assert len(evidence) == len(audited.report["evidence"])
    for finding in audited.report["findings"]:
        assert finding["claims"]
        for claim in finding["claims"]:
            assert claim["comparator"] in (">=", "<=", ">", "<", "==", "!=")
            assert claim["verdict"] in VERDICTS
            assert moment(claim["observed_at"])
            assert claim["evidence"]
            for reference in claim["evidence"]:
                item = evidence[reference["call_id"]]
                assert at(reference["pointer"], item["data"]) == claim["observed"]
                canonical = json.dumps(
                    item["data"], sort_keys=True, separators=(",", ":"), ensure_ascii=False
                )
                assert hashlib.sha256(canonical.encode()).hexdigest() == reference["sha256"]
        assert set(finding["related"]) <= set(evidence)


def test_evidence_says_where_it_is_from_and_why_there_is_none(audited: Audited) -> None:
    created, finished = (moment(audited.report["job"][one]) for one in ("created", "finished"))
    for item in audited.report["evidence"]:
        assert item["status"] in ("ok", "unavailable", "failed", "timeout")
        assert created <= moment(item["started"]) <= finished
        assert item["seconds"] >= 0
        assert isinstance(item["arguments"], dict)
        assert isinstance(item["truncated"], bool)
        assert (item["data"] is not None) == (item["status"] == "ok")
        assert item["source"] if item["status"] == "ok" else item["reason"]


def test_no_answer_of_this_machine_is_beyond_its_tool(audited: Audited) -> None:
    puzzled = [
        f"{item['tool']}: {item['reason']}"
        for item in audited.report["evidence"]
        if "could not read this machine's answer" in item["reason"]
    ]
    assert puzzled == []


def test_it_can_be_read_back_as_it_was_written(audited: Audited) -> None:
    assert Report.model_validate(audited.report).to_json() + "\n" == audited.done.stdout


def test_show_prints_the_same_report_again(audited: Audited) -> None:
    job = audited.report["job"]["id"]
    again = run_cli("show", job, "--json", environment=audited.environment)
    assert again.stdout == audited.done.stdout
