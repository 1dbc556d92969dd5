"""A question at the command line: planned, looked into and answered by a model, or without it."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Asker
from tests.support.fleets import NAPPER, as_variables, specialist
from tests.support.model_script import Role, Script, answers, call, calls, role, says
from tests.support.model_server import ModelServer

KEY = "sk-canary-31c7aa"
QUESTION = "why is the shop slow?"
PRICE = {"input_usd_per_million": 1.0, "output_usd_per_million": 2.0}
PLAN = answers(
    {
        "why": "a nap tells most",
        "left_out": "",
        "assignments": [
            {"hosts": ["all"], "specialist": "napper", "question": "Tired?", "why": "it naps"},
            {"hosts": ["mars"], "specialist": "gauger", "question": "Far?", "why": "it is red"},
        ],
    }
)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


def script(*more: Role) -> Script:
    """A planner, an agent, and whoever else speaks to the endpoint: told nothing of use."""
    nap = calls(call("nap", seconds=0.01))
    fine = answers({"answer": "It is well rested.", "ruled_out": ["tiredness"]})
    return Script(
        roles=(
            *more,
            role("planner", r"(?m)^control/planner$", PLAN),
            role("agent", r"(?m)^\S+/napper$", nap, fine),
            role("rest", None, says("well")),
        ),
        key=KEY,
    )


@pytest.fixture(scope="module")
def server() -> Generator[ModelServer]:
    """The model, for the module's tests."""
    with ModelServer(script()) as running:
        yield running


@pytest.fixture
def curious(asker: Asker, server: ModelServer) -> Asker:
    """Somebody with that model, and two specialists that are quick."""
    own = asker.with_variables(ROUTER_URL=server.url, ROUTER_KEY=KEY, MODEL="scripted")
    own.environment |= as_variables(
        {
            "tool_modules": ["tests.support.fake_tools"],
            "specialists": {"napper": NAPPER, "gauger": specialist("gauger", "gauge")},
            "prices": {"scripted": PRICE},
        }
    )
    server.forget()
    return own


def asked(asker: Asker, *words: str) -> dict[str, Any]:
    """The report on the question."""
    done = asker.run("audit", QUESTION, "--specialists", "napper,gauger", "--json", *words)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert KEY not in done.stdout + done.stderr
    return json.loads(done.stdout)


def test_a_question_is_planned_looked_into_and_billed(curious: Asker, server: ModelServer) -> None:
    server.play(script())
    (curious.state.parent / "graph.png").write_bytes(PNG)
    report = asked(curious, "--img", "graph.png", "--budget", "0.50", "--max-tokens", "500_000")
    seen = {one.role: one for one in server.requests()}
    assert {"planner", "agent"} <= set(seen)
    for one in (seen["planner"], seen["agent"]):
        assert "data:image/png;base64,iVBORw0KGgo" in json.dumps(one.body)
    assert QUESTION in json.dumps(seen["planner"].body)
    assert "Tired?" in json.dumps(seen["agent"].body)
    plan = report["job"]["plan"]
    assert (plan["by"], plan["why"]) == ("model", "a nap tells most")
    assert "no host that was asked is called 'mars'" in plan["notes"]
    (host,) = report["hosts"]
    assert [part["specialist"] for part in host["parts"]] == ["napper"]
    usage, tally = report["usage"], server.tally()
    assert usage["llm_calls"] == tally.requests
    assert usage["prompt_tokens"] == tally.prompt_tokens
    assert usage["cost_usd"] == pytest.approx(
        (tally.prompt_tokens + 2 * tally.completion_tokens) / 1e6
    )
    assert curious.run("show", report["job"]["id"], "--json").returncode == 0


def test_a_planner_that_cannot_be_asked_costs_the_plan_and_nothing_else(
    curious: Asker, server: ModelServer, tmp_path: Path
) -> None:
    server.play(script(role("planner", r"(?m)^control/planner$", PLAN, key="another")))
    report = asked(curious, "--html", "report.html")
    assert (report["job"]["status"], report["job"]["brain"]) == ("complete", "degraded")
    assert report["job"]["plan"]["by"] == "default"
    assert "HOSTSWARM_ROUTER_KEY" in report["job"]["plan"]["degraded"]
    (host,) = report["hosts"]
    assert [part["specialist"] for part in host["parts"]] == ["napper", "gauger"]
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert tmp_path / "report.html" in kept
    assert [path for path in kept if KEY.encode() in path.read_bytes()] == []
