"""Agents with a model behind them: real workers, real HTTP, and a model that follows a script."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from swarm_tasks.brain.base import Asked, Mind, Reply, Step
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.charge import Allowance, Tier
from swarm_tasks.models.evidence import Evidence, EvidenceStatus
from swarm_tasks.models.finding import Verdict
from swarm_tasks.models.job import AuditRequest, BrainChoice
from swarm_tasks.models.report import PartLine, Report, StopReason
from swarm_tasks.store import keys
from swarm_tasks.store.leases import Lease
from swarm_tasks.store.steps import PartSteps
from tests.support.fleets import TestFleet, specialist
from tests.support.model_script import (
    Fault,
    Role,
    Script,
    Turn,
    answers,
    call,
    calls,
    fails,
    faulty,
    role,
    says,
)
from tests.support.model_server import ModelServer
from tests.support.waiting import wait_until

KEY = "sk-canary-5c1d9e"
GAUGE = "cpu.busy_percent"
FINE = answers({"answer": "Nothing is wrong.", "ruled_out": ["naps"]})


def nap(seconds: float) -> Turn:
    return calls(call("nap", seconds=seconds))


GOOD: Mapping[str, tuple[Turn, ...]] = {
    "plain": (nap(0.01), nap(0.02), FINE),
    "several": (calls(call("nap", seconds=0.01), call("nap", seconds=0.02), call("gauge")), FINE),
    "bad-json": (calls(call("nap", "{seconds: ")), nap(0.01), FINE),
    "unknown-tool": (calls(call("rm", path="/")), nap(0.01), FINE),
    "bad-argument": (calls(call("nap", seconds=-1)), nap(0.01), FINE),
    "prose-first": (says("I think all is well."), FINE),
    "too-many": (faulty(nap(0.01), Fault(status=429, retry_after=0.05, times=2)), FINE),
    "broken-once": (faulty(nap(0.01), Fault(status=500, times=1)), FINE),
    "cut-once": (faulty(nap(0.01), Fault(cut=True, times=1)), FINE),
    "html-once": (faulty(nap(0.01), Fault(nonsense="html", times=1)), FINE),
    "flood-once": (faulty(nap(0.01), Fault(flood_bytes=50_000_000, times=1)), FINE),
}

MINDLESS: Mapping[str, tuple[tuple[Turn, ...], StopReason, str]] = {
    "looping": ((nap(0.01),), StopReason.STEPS, "used up its 6 steps"),
    "babbling": (
        (says("Well, well."),),
        StopReason.MALFORMED,
        "it holds no JSON object of the form",
    ),
    "inventing": ((calls(call("rm")),), StopReason.MALFORMED, "there is no tool 'rm' here"),
}

BROKEN: Mapping[str, tuple[tuple[Turn, ...], StopReason, str]] = {
    "trickling": ((fails(trickle=True, trickle_seconds=0.2),), StopReason.MODEL, ""),
    "hanging": ((fails(hang=True),), StopReason.MODEL, ""),
    "nonsense": ((fails(nonsense="html"),), StopReason.MODEL, "nonsense"),
    "refusing": ((fails(status=401),), StopReason.MODEL, "HOSTSWARM_ROUTER_KEY"),
    "quota": ((fails(status=429, retry_after=3600),), StopReason.MODEL, "429"),
}
"""What makes an endpoint look broken to all agents of a host; hence in a job of their own."""

DEGRADED = {**MINDLESS, **BROKEN}


def napper(name: str) -> dict[str, object]:
    """A specialist that sweeps with a short nap, and may read the gauge."""
    return {**specialist(name, "nap", seconds=0.0), "tools": ["nap", "gauge"]}


def played() -> Script:
    """Every agent's script, by the specialist's name."""
    roles = [role(name, f"(?m)^alpha/{name}$", *turns) for name, turns in GOOD.items()]
    roles += [role(name, f"(?m)^alpha/{name}$", *turns) for name, (turns, _, _) in DEGRADED.items()]
    return Script(roles=tuple(roles), key=KEY)


@pytest.fixture(scope="module")
def server() -> Generator[ModelServer]:
    """The model, for the module's tests."""
    with ModelServer(played()) as running:
        yield running


@pytest.fixture(scope="module")
def thinkers(tmp_path_factory: pytest.TempPathFactory, server: ModelServer) -> Generator[TestFleet]:
    """One host, whose agents think through that server."""
    directory = tmp_path_factory.mktemp("thinkers")
    (directory / "gauge").write_text("12")
    reading = {
        **specialist("reader", "gauge", path=str(directory / "gauge")),
        "tools": ["gauge", "nap"],
    }
    own = {name: napper(name) for name in (*GOOD, *DEGRADED, "resumed", "seeing")}
    with TestFleet(
        directory,
        tool_modules=["tests.support.fake_tools"],
        specialists={**own, "reader": reading},
        router_url=server.url,
        router_key=KEY,
        model="scripted",
        model_timeout_seconds=2.0,
        agent_steps=6,
        agents=40,
        prices={"scripted": {"input_usd_per_million": 1.0, "output_usd_per_million": 2.0}},
    ) as running:
        running.start_control()
        running.start_workers("alpha")
        yield running


def audit(fleet: TestFleet, *names: str, **more: object) -> Report:
    """A job with models for these specialists."""
    request = AuditRequest.model_validate(
        {"specialists": names, "brain": BrainChoice.LLM, "deadline_seconds": 30, **more}
    )
    return fleet.fleet.wait(fleet.fleet.audit(request).id)


def lines(report: Report) -> dict[str, PartLine]:
    """Each part's line, by its specialist."""
    return {line.specialist: line for host in report.hosts for line in host.parts}


@pytest.fixture(scope="module")
def answered(thinkers: TestFleet) -> Report:
    """All that an endpoint that works can bring, in one job."""
    return audit(thinkers, *GOOD, *MINDLESS)


@pytest.fixture(scope="module")
def broken(answered: Report, thinkers: TestFleet) -> Report:
    """All that an endpoint that does not work can bring; the host has got over it."""
    report = audit(thinkers, *BROKEN)

    def over() -> bool:
        return not any(line.degraded for line in lines(audit(thinkers, "plain")).values())

    wait_until("the circuit is closed again", over)
    return report


@pytest.mark.parametrize("name", GOOD)
def test_an_agent_answers_through_whatever_can_be_mended(answered: Report, name: str) -> None:
    line = lines(answered)[name]
    assert (line.degraded, line.stop) == ("", StopReason.ANSWERED)
    assert line.answer == "Nothing is wrong."
    assert "naps" in line.ruled_out
    assert line.usage.llm_calls >= 2
    assert line.usage.prompt_tokens > 100
    assert line.usage.cost_usd == pytest.approx(
        (line.usage.prompt_tokens + 2 * line.usage.completion_tokens) / 1e6
    )


@pytest.mark.parametrize("name", DEGRADED)
def test_where_it_cannot_the_rules_have_answered(
    answered: Report, broken: Report, name: str
) -> None:
    line = (lines(answered) | lines(broken))[name]
    _, stop, why = DEGRADED[name]
    assert line.status.value == "answered"
    assert line.stop is stop
    assert line.degraded
    assert why in line.degraded
    assert KEY not in line.degraded


def test_a_job_in_which_some_agents_fell_back_is_degraded_and_whole(answered: Report) -> None:
    assert (answered.job.status.value, answered.job.brain) == ("complete", "degraded")
    assert {one.specialist for one in answered.degraded if one.specialist} == set(MINDLESS)
    made = sum(line.usage.llm_calls for line in lines(answered).values())
    joined = [charge for charge in answered.charges if charge.tier is Tier.ORCHESTRATOR]
    assert answered.usage.llm_calls == made + sum(charge.calls for charge in joined)


def test_what_a_model_is_shown_of_a_malformed_call_is_the_reason(
    answered: Report, server: ModelServer
) -> None:
    told = {
        seen.role: str(seen.body["messages"][-1]["content"])
        for seen in server.requests()
        if seen.role in GOOD and seen.turn == 1
    }
    assert told["bad-json"].startswith("error: the arguments are no JSON")
    assert "there is no tool 'rm' here" in told["unknown-tool"]
    assert "greater than or equal to 0" in told["bad-argument"]
    assert "it holds no JSON object of the form" in told["prose-first"]


def test_the_router_s_key_is_nowhere_but_in_requests(
    answered: Report, broken: Report, thinkers: TestFleet, server: ModelServer
) -> None:
    assert any(KEY in str(seen.headers) for seen in server.requests())
    assert KEY not in answered.to_json() + broken.to_json()
    assert KEY not in thinkers.log("alpha") + thinkers.log("control")
    dump = "".join(everything_in(thinkers))
    for held in ("hostswarm.report/1", "hostswarm:jobs", "part_closed"):
        assert held in dump
    assert KEY not in dump


def everything_in(fleet: TestFleet) -> Iterator[str]:
    """Each key of the store with all that it holds, whatever its type."""
    client: Any = fleet.fleet.client
    reads: dict[str, Callable[[str], object]] = {
        "string": client.get,
        "hash": client.hgetall,
        "set": client.smembers,
        "list": lambda key: client.lrange(key, 0, -1),
        "zset": lambda key: client.zrange(key, 0, -1),
        "stream": client.xrange,
        "none": str,  # it ended just now
    }
    for key in client.scan_iter(match="*"):
        yield f"{key} {reads[client.type(key)](key)}"


def gauging(claim: str) -> Role:
    finding = {"title": "The gauge is high", "severity": "critical", "claims": [claim]}
    return role(
        "reader", "(?m)^alpha/reader$", answers({"answer": "It is.", "findings": [finding]})
    )


def test_a_claim_that_the_evidence_contradicts_is_no_alarm(
    thinkers: TestFleet, server: ModelServer
) -> None:
    server.play(Script(roles=(gauging(f"{GAUGE} >= 90 @c1/busy_percent"),), key=KEY))
    (finding,) = audit(thinkers, "reader").findings
    assert finding.verdict is Verdict.UNSUPPORTED
    assert finding.claims[0].observed == 12.0
    assert (finding.severity.value, finding.source) == ("info", "model")


def test_a_claim_that_holds_is_measured_again(thinkers: TestFleet, server: ModelServer) -> None:
    server.play(Script(roles=(gauging(f"{GAUGE} <= 12 @c1/busy_percent"),), key=KEY))
    (finding,) = audit(thinkers, "reader").findings
    assert finding.verdict is Verdict.VERIFIED
    assert (finding.claims[0].remeasured, finding.claims[0].subject) == (12.0, "the gauge")


def test_evidence_that_was_never_gathered_is_cited_in_vain(
    thinkers: TestFleet, server: ModelServer
) -> None:
    server.play(Script(roles=(gauging(f"{GAUGE} >= 90 @c9/busy_percent"),), key=KEY))
    server.forget()
    report = audit(thinkers, "reader")
    assert [one.verdict for one in report.findings] == [Verdict.UNSUPPORTED]
    asked = [seen for seen in server.requests() if seen.role == "reader"]
    assert len(asked) == 3
    assert "c9 was never gathered" in str(asked[1].body["messages"][-1])


def test_a_model_without_tool_calling_is_asked_in_words(
    thinkers: TestFleet, server: ModelServer
) -> None:
    wanted = says('{"calls": [{"tool": "nap", "arguments": {"seconds": 0.03}}]}')
    server.play(Script(roles=(Role(turns=(wanted, FINE), no_tools=True),), key=KEY))
    thinkers.start_workers("alpha")  # a new process knows nothing of the model yet
    line = lines(audit(thinkers, "plain"))["plain"]
    assert (line.degraded, line.answer) == ("", "Nothing is wrong.")
    assert line.tool_calls == 2


def test_images_reach_the_model(thinkers: TestFleet, server: ModelServer) -> None:
    server.play(Script(roles=(Role(turns=(FINE,)),), key=KEY))
    server.forget()
    image = "data:image/png;base64," + base64.b64encode(b"\x89PNG not really").decode()
    audit(thinkers, "seeing", img=(image,))
    asked = [seen for seen in server.requests() if seen.body["user"] == "alpha/seeing"]
    content = asked[0].body["messages"][1]["content"]
    assert content[1] == {"type": "image_url", "image_url": {"url": image}}


def test_a_job_s_tokens_stop_further_calls_and_say_so(
    thinkers: TestFleet, server: ModelServer
) -> None:
    server.play(Script(roles=(Role(turns=(nap(0.01), nap(0.02), nap(0.03), FINE)),), key=KEY))
    report = audit(thinkers, "plain", "several", allowance=Allowance(max_tokens=300))
    for line in lines(report).values():
        assert line.stop is StopReason.COST
        assert "the job's 300 tokens are used up" in line.degraded
        assert line.usage.llm_calls < 4
    assert report.job.brain == "degraded"


def test_a_redone_part_goes_on_from_its_last_saved_step(
    tmp_path: Path, server: ModelServer
) -> None:
    """Without control, since that would close what an earlier life of the worker left behind."""
    server.play(Script(roles=(role("resumed", None, nap(0.01), FINE),), key=KEY))
    server.forget()
    with TestFleet(
        tmp_path,
        tool_modules=["tests.support.fake_tools"],
        specialists={"resumed": napper("resumed")},
        router_url=server.url,
        router_key=KEY,
    ) as running:
        running.start_workers("alpha")
        running.freeze("alpha")
        fleet = running.fleet
        request = AuditRequest(specialists=("resumed",), brain=BrainChoice.LLM)
        job = fleet.audit(request).id
        (part,) = fleet.ledger.parts(job)
        lease = fleet.ledger.leases.take(job, part.part, "an earlier life", "alpha", 60.0)
        assert isinstance(lease, Lease)
        steps = earlier_steps(part.part)
        saved = PartSteps.of(job, part.part, lease.attempt, 0, steps)
        assert fleet.ledger.steps.save([saved]) == [True]
        running.thaw("alpha")
        wait_until("the part is closed", lambda: fleet.record(job).closed == 1)
        assert not fleet.client.exists(keys.STEPS.at(job=job, part=part.part))
        report = fleet.wait(job)
    line = lines(report)["resumed"]
    assert (line.degraded, line.answer, line.stop) == ("", "Nothing is wrong.", "answered")
    assert [one.call_id for one in report.evidence] == [f"{part.part}#1.1", f"{part.part}#1.2"]
    (asked,) = server.requests()
    assert asked.turn == 1


def earlier_steps(part: str) -> tuple[Step, ...]:
    """A sweep by the rules and one step of the model, as an earlier attempt saved them."""
    found: list[Step] = []
    for at, (mind, seconds) in enumerate(((Mind.RULES, 0.0), (Mind.MODEL, 0.01)), 1):
        evidence = Evidence(
            call_id=f"{part}#1.{at}",
            host="alpha",
            specialist="resumed",
            tool="nap",
            arguments={"seconds": seconds},
            started=now_utc(),
            seconds=0.0,
            status=EvidenceStatus.OK,
            data={"slept_seconds": seconds},
        )
        asked = Asked(tool="nap", arguments=evidence.arguments)
        reply = Reply(asked=asked, call_id=evidence.call_id)
        found.append(Step(by=mind, replies=(reply,), evidence=(evidence,)))
    return tuple(found)


def test_a_router_that_dies_costs_the_words_and_comes_back_by_itself(
    thinkers: TestFleet, server: ModelServer
) -> None:
    server.play(Script(roles=(Role(turns=(nap(0.01), FINE)),), key=KEY))
    server.kill()
    dark = audit(thinkers, "plain", "several", deadline_seconds=20)
    assert (dark.job.brain, dark.job.status.value) == ("degraded", "complete")
    assert all(line.degraded for line in lines(dark).values())
    assert all(server.url in line.degraded for line in lines(dark).values())
    server.restart()

    def answered() -> bool:
        return not any(line.degraded for line in lines(audit(thinkers, "plain")).values())

    wait_until("the circuit is closed again", answered)


def test_rules_are_asked_of_no_model(
    thinkers: TestFleet, server: ModelServer, tmp_path: Path
) -> None:
    server.forget()
    report = audit(thinkers, "plain", brain=BrainChoice.RULES)
    assert (report.job.brain, report.usage.llm_calls) == ("rules", 0)
    assert server.requests() == []
    assert json.loads(report.to_json())["charges"] == []
