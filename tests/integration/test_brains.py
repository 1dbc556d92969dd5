"""What holds for an agent whatever thinks in it: rules, a router's model, or litellm's."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from swarm_tasks.config import Settings
from swarm_tasks.models.event import Event
from swarm_tasks.models.finding import Severity, Verdict
from swarm_tasks.models.job import BrainChoice, HostTask, Specialist
from swarm_tasks.models.policy import SweepCall
from swarm_tasks.models.report import HostReport, HostStatus, StopReason
from tests.support import fake_tools
from tests.support.model_script import Script, Turn, answers, call, calls, fails, role
from tests.support.model_server import ModelServer
from workers.investigate import Attempt, Investigator
from workers.thinker import Thinker
from workers.tools.access import this_machine
from workers.tools.registry import Registry

# litellm silences this warning of its own when it is imported; pytest puts it back.
pytestmark = pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier.*:UserWarning")

BRAINS = ("rules", "router", "litellm")
TOLD = "cpu.busy_percent >= 95 @c1/busy_percent"
PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"


def turns(gauge: Path) -> tuple[Turn, ...]:
    """A model that looks twice, at once and again, and says what it saw."""
    return (
        calls(call("nap", seconds=0.01), call("gauge", path=str(gauge))),
        calls(call("missing"), call("broken"), call("rm", path="/")),
        answers(
            {
                "answer": "The gauge is high.",
                "findings": [{"title": "High", "claims": [TOLD], "cause": "A stuck valve."}],
                "explained": {"f1": "A stuck valve."},
            }
        ),
    )


@pytest.fixture(scope="module")
def gauge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gauge that stands at 97."""
    path = tmp_path_factory.mktemp("brains") / "gauge"
    path.write_text("97")
    return path


@pytest.fixture(scope="module")
def server(gauge: Path) -> Generator[ModelServer]:
    """The model behind both ways."""
    with ModelServer(Script(roles=(role("looks", None, *turns(gauge)),))) as running:
        yield running


def specialist(gauge: Path) -> Specialist:
    """One that sweeps the gauge and a tool that this machine lacks."""
    return Specialist(
        name="gauges",
        title="Gauges",
        prompt="You read gauges.",
        tools=("gauge", "nap", "missing", "broken"),
        sweep=(
            SweepCall(tool="gauge", arguments={"path": str(gauge)}),
            SweepCall(tool="missing"),
        ),
    )


def investigated(
    brain: str,
    server: ModelServer,
    gauge: Path,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float = 30.0,
    images: tuple[str, ...] = (),
) -> tuple[HostReport, list[Event]]:
    """One part, worked on by an agent with this brain."""
    ways: dict[str, dict[str, Any]] = {
        "rules": {},
        "router": {"router_url": (server.url,)},
        "litellm": {"model": "openai/scripted"},
    }
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    monkeypatch.setenv("OPENAI_API_BASE", server.url)
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    settings = Settings(context_length=32_768, model_timeout_seconds=20.0, **ways[brain])
    events: list[Event] = []

    async def work() -> HostReport:
        thinker = Thinker(settings, "Debian")
        investigator = Investigator(
            Registry(fake_tools.TOOLS),
            fake_tools.RULES,
            this_machine(),
            tell=lambda _, event: events.append(event),
            keep=lambda outcome: None,
            thinker=thinker,
        )
        task = HostTask(
            job="abcdefgh",
            part="alpha/gauges",
            host="alpha",
            specialist=specialist(gauge),
            brain=BrainChoice.AUTO,
            deadline_at=0,
        )
        try:
            done = await investigator.investigate(task, seconds, {}, Attempt(images=images))
        finally:
            await thinker.close()
        return done.report

    return asyncio.run(work()), events


@pytest.fixture(scope="module", params=BRAINS)
def outcome(
    request: pytest.FixtureRequest, server: ModelServer, gauge: Path
) -> Generator[tuple[str, HostReport, list[Event]]]:
    """Each brain's report on the same host."""
    with pytest.MonkeyPatch.context() as patch:
        yield (request.param, *investigated(request.param, server, gauge, patch))


Outcome = tuple[str, HostReport, list[Event]]


def test_it_answers_and_says_so(outcome: Outcome) -> None:
    _, report, _ = outcome
    assert (report.status, report.stop) == (HostStatus.ANSWERED, StopReason.ANSWERED)
    assert (report.reason, report.degraded) == ("", "")


def test_what_is_wrong_is_found_and_measured_again(outcome: Outcome) -> None:
    brain, report, _ = outcome
    (finding,) = report.findings
    assert (finding.severity, finding.verdict) == (Severity.CRITICAL, Verdict.VERIFIED)
    assert (finding.subject, finding.claims[0].remeasured) == ("the gauge", 97.0)
    assert finding.explanation == ("" if brain == "rules" else "A stuck valve.")
    assert finding.source == "rules"


def test_what_it_cites_was_gathered(outcome: Outcome) -> None:
    _, report, _ = outcome
    gathered = {item.call_id: item for item in report.evidence}
    assert len(gathered) == len(report.evidence)
    for finding in report.findings:
        for claim in finding.claims:
            for ref in claim.evidence:
                assert gathered[ref.call_id].sha256() == ref.sha256


def test_it_calls_nothing_but_its_own_tools_and_nothing_twice(outcome: Outcome) -> None:
    brain, report, events = outcome
    called = [event.tool for event in events if event.kind.value == "tool_started"]
    expected = ["gauge", "missing"] if brain == "rules" else ["gauge", "missing", "nap", "broken"]
    assert called == expected
    assert report.usage.tool_calls == len(called) + 1  # the finding was measured again


def test_what_could_not_be_seen_is_told(outcome: Outcome) -> None:
    brain, report, _ = outcome
    missed = {one.tool for one in report.not_seen}
    assert missed == ({"missing"} if brain == "rules" else {"missing", "broken"})


def test_what_it_cost_is_told(outcome: Outcome) -> None:
    brain, report, _ = outcome
    assert report.usage.llm_calls == (0 if brain == "rules" else 3)
    assert report.usage.cost_usd == (0.0 if brain == "rules" else None)
    assert sum(charge.prompt_tokens for charge in report.charges) == report.usage.prompt_tokens


def test_every_value_that_was_read_is_kept_to_compare_hosts_by(outcome: Outcome) -> None:
    _, report, _ = outcome
    assert [(one.metric, one.value) for one in report.measured] == [("cpu.busy_percent", 97.0)]


@pytest.mark.parametrize("brain", BRAINS)
def test_it_ends_at_its_deadline_with_what_the_rules_know(
    brain: str, server: ModelServer, gauge: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Script(roles=(role("looks", None, *turns(gauge)),))
    server.play(Script(roles=(role("silent", None, fails(hang=True)),)))
    try:
        report, _ = investigated(brain, server, gauge, monkeypatch, seconds=1.5)
    finally:
        server.play(before)
    assert report.status is HostStatus.ANSWERED
    assert len(report.findings) == 1
    expected = StopReason.ANSWERED if brain == "rules" else StopReason.DEADLINE
    assert (report.stop, bool(report.degraded)) == (expected, brain != "rules")


@pytest.mark.parametrize("brain", ["router", "litellm"])
def test_an_image_goes_with_the_question(
    brain: str, server: ModelServer, gauge: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.forget()
    investigated(brain, server, gauge, monkeypatch, images=(PIXEL,))
    content = server.requests()[0].body["messages"][1]["content"]
    assert content[1]["image_url"]["url"] == PIXEL
