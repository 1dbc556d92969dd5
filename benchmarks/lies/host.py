"""A host whose agents think through the scripted model, as far as parts go."""

from __future__ import annotations

import resource
from collections.abc import Callable, Sequence

from pydantic import SecretStr

from benchmarks.lies.stage import CHANGE_TOOL, Stage
from benchmarks.lies.told import PartCost
from swarm_tasks.config import Settings
from swarm_tasks.contracts import ClaimCheck
from swarm_tasks.models.event import Event, EventKind
from swarm_tasks.models.finding import Claim
from swarm_tasks.models.job import BrainChoice, HostTask, Specialist
from swarm_tasks.models.report import HostReport
from tests.support.model_script import Script, Turn, role
from tests.support.model_server import ModelServer
from workers.errands import checked
from workers.investigate import Investigator
from workers.thinker import Thinker
from workers.tools.access import this_machine
from workers.tools.book import rulebook, toolbook

JOB = "liesbench1"
KEY = "sk-lies"
PART_SECONDS = 60.0
CHECK_MARK = ".check"
"""In the id of a measurement that trusted code made."""


class Host:
    """One host's worker, as far as parts go, with a model behind a real endpoint.

    Attributes:
        on_change: What is done when the scripted model asks for a change.
        costs: What each part took.
    """

    def __init__(self, name: str, stage: Stage, server: ModelServer) -> None:
        self.name, self.stage, self.server = name, stage, server
        self.on_change: Callable[[], None] | None = None
        self.costs: list[PartCost] = []
        settings = Settings(
            host=name,
            router_url=(server.url,),
            router_key=SecretStr(KEY),
            model="scripted",
            context_length=128_000,
            max_reply_tokens=32_000,
            agent_tokens=None,
        )
        self.thinker = Thinker(settings, "Debian GNU/Linux 12 (bookworm)")
        self.investigator = Investigator(
            toolbook(()),
            rulebook(()),
            this_machine(log_roots=(stage.logs,)),
            tell=self._tell,
            keep=lambda _: None,
            thinker=self.thinker,
        )

    def _tell(self, job: str, event: Event) -> None:
        """The bench changes the machine when the scripted model calls the tool for it."""
        if event.kind is EventKind.TOOL_STARTED and event.tool == CHANGE_TOOL and self.on_change:
            self.on_change()

    async def part(
        self,
        specialist: Specialist,
        *turns: Turn,
        brain: BrainChoice = BrainChoice.LLM,
        seconds: float = PART_SECONDS,
    ) -> HostReport:
        """One part, whose model says these turns."""
        task = HostTask(
            job=JOB,
            part=f"{self.name}/{specialist.name}",
            host=self.name,
            specialist=specialist,
            brain=brain,
            policy=self.stage.policy,
            deadline_at=0,
        )
        if turns:
            self.server.play(Script(roles=(role("liar", None, *turns),), key=KEY))
        before = _cpu_seconds()
        report = (await self.investigator.investigate(task, seconds, {})).report
        self.costs.append(
            PartCost(
                part=f"{task.part} {len(self.costs) + 1}",
                claims=sum(len(finding.claims) for finding in report.findings),
                probes=sum(CHECK_MARK in item.call_id for item in report.evidence),
                seconds=report.seconds,
                check_seconds=report.check_seconds,
                cpu_seconds=_cpu_seconds() - before,
            )
        )
        return report

    async def check(self, claims: Sequence[Claim]) -> tuple[Claim, ...]:
        """Measure what others say of this host."""
        asked = ClaimCheck(
            call="lies", job=JOB, host=self.name, claims=tuple(claims), expires_at=0.0
        )
        found = await checked(self.investigator, asked, self.stage.policy, PART_SECONDS)
        return found.claims


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
