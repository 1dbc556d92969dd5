"""One part of a job, from its task to its report. Whatever happens, there is a report."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from swarm_tasks.brain.base import Answer, ToolSheet
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.event import Event
from swarm_tasks.models.evidence import Evidence, ToolCall
from swarm_tasks.models.finding import Severity
from swarm_tasks.models.job import HostTask
from swarm_tasks.models.report import HostReport, HostStatus, StopReason, Usage
from workers.blocking import in_thread
from workers.loop import Agent, Budget, Ending
from workers.rules.brain import RulesBrain
from workers.rules.judge import Raised
from workers.rules.rule import Rule
from workers.tools.access import Machine
from workers.tools.registry import Outcome, Registry
from workers.verify import recheck, standing

CHECK_SHARE = 0.25
CHECK_SECONDS = 5.0
"""How long the second measurement of a part's findings may take. It is kept free of the part's
time, a quarter of it at most: a finding that comes too late counts for nothing."""


@dataclass(frozen=True, slots=True)
class Investigated:
    """A part's report, and what to remember until the next audit."""

    report: HostReport
    raised: dict[str, Severity]
    cleared: frozenset[str]


class Investigator:
    """What a host needs to work on parts.

    Args:
        registry: The catalog.
        rules: What judges its answers.
        machine: The machine that the tools read.
        tell: Takes a job's id and an event of its progress.
        keep: Takes each successful outcome, for the host's history.
        tools_at_once: How many tools may run on this host at the same time, over all agents.
    """

    def __init__(
        self,
        registry: Registry,
        rules: tuple[Rule, ...],
        machine: Machine,
        tell: Callable[[str, Event], None],
        keep: Callable[[Outcome], None],
        tools_at_once: int = 6,
    ) -> None:
        self.registry = registry
        self._rules = rules
        self._machine = machine
        self._tell = tell
        self._keep = keep
        self._slots = asyncio.Semaphore(tools_at_once)
        self._sheets: dict[str, ToolSheet] = {}

    async def investigate(self, task: HostTask, seconds: float, raised: Raised) -> Investigated:
        """Work on one part for at most `seconds`."""
        started, clock = now_utc(), time.monotonic()
        brain = RulesBrain(self.registry, self._rules, raised)
        calls = _Calls(self, task)
        agent = Agent(
            task=task,
            brain=brain,
            sheets=self.sheets(task.specialist.tools),
            call_tool=calls.call,
            budget=Budget(seconds=seconds - min(CHECK_SECONDS, seconds * CHECK_SHARE)),
            tell=lambda event: self._tell(task.job, event),
        )
        ending = await agent.run()
        review = brain.review(ending.transcript)
        answer = ending.answer or Answer(
            findings=review.findings, ruled_out=review.ruled_out, not_seen=review.not_seen
        )
        findings, again = await recheck(
            answer.findings,
            ending.transcript.evidence,
            brain,
            calls.call,
            min(CHECK_SECONDS, seconds - (time.monotonic() - clock)),
        )
        report = HostReport(
            job=task.job,
            part=task.part,
            host=task.host,
            specialist=task.specialist.name,
            status=HostStatus.ANSWERED if ending.answer else HostStatus.FAILED,
            stop=ending.stop,
            reason=_why(ending),
            started=started,
            seconds=time.monotonic() - clock,
            findings=findings,
            ruled_out=answer.ruled_out,
            not_seen=answer.not_seen,
            evidence=(*ending.transcript.evidence, *again),
            usage=Usage(tool_calls=calls.made, wall_seconds=time.monotonic() - clock),
        )
        stands = standing(findings)
        return Investigated(report, stands, review.cleared | (set(review.raised) - set(stands)))

    def sheets(self, names: tuple[str, ...]) -> tuple[ToolSheet, ...]:
        """What a brain is told of these tools; names that the catalog lacks are left out."""
        for name in names:
            if name in self.registry and name not in self._sheets:
                tool = self.registry.get(name)
                self._sheets[name] = ToolSheet(
                    name=name,
                    summary=tool.summary,
                    parameters=tool.arguments.model_json_schema(),
                )
        return tuple(self._sheets[name] for name in names if name in self._sheets)

    async def outcome(self, call: ToolCall) -> Outcome:
        """Call a tool on this machine, in turn with the other agents."""
        async with self._slots:
            outcome = await self.registry.call(call.tool, call.arguments, self._machine)
        await in_thread(self._keep, outcome)
        return outcome


class _Calls:
    """One part's tool calls, counted."""

    def __init__(self, investigator: Investigator, task: HostTask) -> None:
        self._investigator = investigator
        self._task = task
        self.made = 0

    async def call(self, call: ToolCall, call_id: str) -> Evidence:
        self.made += 1
        outcome = await self._investigator.outcome(call)
        return evidence_of(outcome, call_id, self._task.host, self._task.specialist.name)


def evidence_of(outcome: Outcome, call_id: str, host: str, specialist: str) -> Evidence:
    """An outcome as evidence of an agent."""
    return Evidence(
        call_id=call_id,
        host=host,
        specialist=specialist,
        tool=outcome.tool,
        arguments=outcome.arguments,
        source=outcome.source,
        started=outcome.started,
        seconds=outcome.seconds,
        status=outcome.status,
        truncated=outcome.truncated,
        reason=outcome.reason,
        remedy=outcome.remedy,
        data=outcome.result.model_dump(mode="json") if outcome.result else None,
    )


def failed_report(task: HostTask, stop: StopReason, reason: str) -> HostReport:
    """The report of a part that has nothing else to say."""
    return HostReport(
        job=task.job,
        part=task.part,
        host=task.host,
        specialist=task.specialist.name,
        status=HostStatus.FAILED,
        stop=stop,
        reason=reason,
    )


def _why(ending: Ending) -> str:
    match ending.stop:
        case StopReason.ANSWERED:
            return ""
        case StopReason.DEADLINE:
            return "did not finish by the deadline; what it had seen by then is reported"
        case StopReason.STEPS:
            return "used up its steps; what it had seen by then is reported"
        case _:
            return f"stopped: {ending.stop.value}; what it had seen by then is reported"
