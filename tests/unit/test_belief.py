"""What follows for a job from models that were wrong too often."""

from __future__ import annotations

import io

from rich.console import Console

from orchestrator.belief import Belief, believed
from orchestrator.briefing import task_text
from orchestrator.plan import default_parts, host_tasks, select_specialists
from orchestrator.render.console import print_report
from orchestrator.render.html import render_html
from orchestrator.scope import Scope
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.charge import Tier
from swarm_tasks.models.job import Job, Plan
from swarm_tasks.models.policy import Policy
from swarm_tasks.models.report import Doubt
from swarm_tasks.models.tally import Tally
from swarm_tasks.specialists import shipped_specialists
from tests.support import reports
from tests.support.hosts import view

STORAGE, NETWORK = select_specialists(("storage", "network"), shipped_specialists())


def doubt(model: str, specialist: str) -> Doubt:
    tally = Tally(model=model, specialist=specialist, verified=30, refuted=9, unsupported=1)
    return Doubt(tally=tally, wrong_percent=25, limit_percent=10)


def words(belief: Belief) -> list[str]:
    """What the planner's model is told of it."""
    scope = Scope(
        question="Why?",
        views=(view("db1"),),
        specialists=(STORAGE, NETWORK),
        named=False,
        belief=belief,
    )
    text = task_text(scope, 0, 10_000, len)
    assert text is not None
    return [line for line in text.splitlines() if "often wrong" in line]


def test_agents_of_a_doubted_model_get_the_other_one() -> None:
    belief = believed("small", "big", [doubt("small", "storage"), doubt("big", "services")])
    assert belief.raised == {"storage"}
    assert belief.notes(("storage", "network")) == (
        "agents of storage are to think with the orchestrator's model big: small was wrong too "
        "often (storage: 10 of 40 checked claims)",
    )
    assert belief.notes(("network",)) == ()
    (line,) = words(belief)
    assert line.endswith("use few: storage.")


def test_a_model_that_is_no_better_takes_nobody_s_place() -> None:
    belief = believed("small", "big", [doubt("small", "storage"), doubt("big", "storage")])
    assert belief.raised == frozenset()
    (note,) = belief.notes(("storage",))
    assert note.endswith("(storage: 10 of 40 checked claims); so was big")
    (line,) = words(belief)
    assert line.endswith("prefer others that can tell: storage.")


def test_the_only_model_is_doubted_and_used_all_the_same() -> None:
    belief = believed("small", "small", [doubt("small", "storage")])
    assert belief.raised == frozenset()
    (note,) = belief.notes(("storage",))
    assert note.endswith("no other model is set")


def test_where_nobody_is_doubted_there_is_nothing_to_tell() -> None:
    belief = believed("small", "big", [])
    assert belief.notes(("storage", "network")) == ()
    assert words(belief) == []


def test_the_part_s_task_says_whose_model_thinks() -> None:
    job = Job(
        id="abcdefgh",
        hosts=("db1",),
        specialists=("storage", "network"),
        created=now_utc(),
        deadline_seconds=60,
    )
    parts = default_parts(job.hosts, (STORAGE, NETWORK), "")
    tasks = host_tasks(job, parts, Policy(), 0.0, raised={"storage"})
    assert [task.tier for task in tasks] == [Tier.ORCHESTRATOR, Tier.WORKER]
    assert "tier" not in tasks[1].model_dump(mode="json", exclude_defaults=True)


def test_the_report_tells_whose_model_thinks_where_no_model_planned() -> None:
    notes = believed("small", "big", [doubt("small", "storage")]).notes(("storage",))
    report = reports.complete()
    told = report.job.model_copy(update={"plan": Plan(why="no question was asked", notes=notes)})
    console = Console(file=io.StringIO(), width=300, force_terminal=False)
    print_report(report.model_copy(update={"job": told}), console, verbose=True)
    assert isinstance(console.file, io.StringIO)
    assert "The default plan  no question was asked" in console.file.getvalue()
    assert notes[0] in " ".join(console.file.getvalue().split())
    assert "the orchestrator&#39;s model big" in render_html(
        report.model_copy(update={"job": told})
    )
    quiet = report.job.model_copy(update={"plan": Plan(why="no question was asked")})
    assert "Plan</dt>" not in render_html(report.model_copy(update={"job": quiet}))
