"""One part of a job, from its task to its report. Whatever happens, there is a report."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from swarm_tasks.brain.base import Answer, Asked, Step, ToolSheet, Transcript
from swarm_tasks.errors import ModelError, SettingsError
from swarm_tasks.log import logger
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.charge import summed
from swarm_tasks.models.event import Event
from swarm_tasks.models.evidence import Evidence, ToolCall
from swarm_tasks.models.finding import Severity
from swarm_tasks.models.job import HostTask
from swarm_tasks.models.report import HostReport, HostStatus, StopReason, Usage
from swarm_tasks.unseen import plain_line
from workers.blocking import in_thread
from workers.checker import Checker
from workers.loop import Agent, Budget, Ending, Memory
from workers.merge import Thought, Told, merged
from workers.rules.brain import Review, Rules, RulesBrain, chosen_by_model
from workers.rules.judge import Raised
from workers.rules.rule import Rule
from workers.thinker import NO_MODEL, Thinker
from workers.tools.access import Machine
from workers.tools.registry import Outcome, Registry
from workers.turns import Turns
from workers.verify import standing

CHECK_SHARE = 0.25
CHECK_SECONDS = 5.0
"""How long the second measurement of a part's findings may take. It is kept free of the part's
time, a quarter of it at most: a finding that comes too late counts for nothing."""

TOOLS_AT_ONCE = 6
"""How many tools may run on a host at the same time, over all agents, while it is well."""


@dataclass(frozen=True, slots=True)
class Investigated:
    """A part's report, and what to remember until the next audit."""

    report: HostReport
    raised: dict[str, Severity]
    cleared: frozenset[str]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One go at a part.

    Args:
        number: 1 for the first.
        steps: What earlier attempts did.
        memory: Keeps steps for the next one.
        images: URLs that belong to the job's question.
    """

    number: int = 1
    steps: tuple[Step, ...] = ()
    memory: Memory | None = None
    images: tuple[str, ...] = ()


class Investigator:
    """What a host needs to work on parts.

    Args:
        registry: The catalog.
        rules: What judges its answers.
        machine: The machine that the tools read.
        tell: Takes a job's id and an event of its progress.
        keep: Takes each successful outcome, for the host's history.
        thinker: Where agents get a model from; None where rules do all.

    Attributes:
        turns: Tools take turns on their host.
    """

    def __init__(
        self,
        registry: Registry,
        rules: tuple[Rule, ...],
        machine: Machine,
        tell: Callable[[str, Event], None],
        keep: Callable[[Outcome], None],
        thinker: Thinker | None = None,
    ) -> None:
        self.registry = registry
        self._rules = Rules(rules)
        self._machine = machine
        self._tell = tell
        self._keep = keep
        self._thinker = thinker
        self.turns = Turns(TOOLS_AT_ONCE)
        self._sheets: dict[str, ToolSheet] = {}

    async def investigate(
        self, task: HostTask, seconds: float, raised: Raised, attempt: Attempt | None = None
    ) -> Investigated:
        """Work on one part for at most `seconds`: the rules' sweep, then a model if one is wanted.

        Whatever becomes of the model, the rules have answered before it begins.
        """
        attempt = attempt or Attempt()
        started, clock = now_utc(), time.monotonic()
        rules = self.rules(raised)
        hands = _Hands(self, task)
        end = clock + seconds - min(CHECK_SECONDS, seconds * CHECK_SHARE)
        ending = await Agent(
            Transcript(task=task, steps=attempt.steps),
            rules,
            hands,
            Budget(seconds=end - clock),
            tell=lambda event: self._tell(task.job, event),
            attempt=attempt.number,
        ).run()
        swept = rules.review(ending.transcript)
        thought = Thought()
        if ending.answer is not None and self._thinker is not None and self._thinker.wanted(task):
            thought = await self._think(rules, swept, ending.transcript, hands, attempt, end)
        transcript = thought.transcript or ending.transcript
        review = rules.review(transcript) if thought.transcript else swept
        left = min(CHECK_SECONDS, seconds - (time.monotonic() - clock))
        checked = await self._checker(task, rules, hands, attempt).check(
            (*review.findings, *thought.answer.findings),
            transcript.evidence,
            left,
            chosen_by_model(transcript),
        )
        told = Told.of(checked.findings, thought.answer)
        findings = merged(told.raised, told.answer)
        wall = time.monotonic() - clock
        report = HostReport(
            job=task.job,
            part=task.part,
            host=task.host,
            specialist=task.specialist.name,
            status=HostStatus.ANSWERED if ending.answer else HostStatus.FAILED,
            stop=thought.stop or ending.stop,
            reason="" if ending.answer else f"{ending.why}; what it had seen by then is reported",
            started=started,
            seconds=wall,
            findings=findings,
            ruled_out=tuple(dict.fromkeys((*review.ruled_out, *thought.answer.ruled_out))),
            not_seen=(*review.not_seen, *thought.answer.not_seen),
            evidence=(*transcript.evidence, *checked.evidence),
            usage=Usage.of(thought.charges).model_copy(
                update={"tool_calls": hands.made, "wall_seconds": wall}
            ),
            question=task.question,
            degraded=plain_line(thought.degraded, 1_000),
            answer=thought.answer.text,
            measured=review.measured,
            charges=summed(thought.charges),
            tallies=told.tallies(task.specialist.name),
            check_seconds=checked.seconds,
        )
        stands = standing(findings)
        return Investigated(report, stands, review.cleared | (set(review.raised) - set(stands)))

    def _checker(
        self, task: HostTask, rules: RulesBrain, hands: _Hands, attempt: Attempt
    ) -> Checker:
        """What checks one part's claims."""
        prefix = f"{task.part}#{attempt.number}.check"
        return Checker(task.host, self.registry, rules, task.policy, hands.call, prefix)

    async def _think(
        self,
        rules: RulesBrain,
        swept: Review,
        transcript: Transcript,
        hands: _Hands,
        attempt: Attempt,
        end: float,
    ) -> Thought:
        """Let a model go on from the rules' sweep. Whatever breaks, what was gathered is kept."""
        agent: Agent | None = None
        try:
            async with asyncio.timeout(max(end - time.monotonic(), 0.0)):
                agent = await self._thinking(rules, swept, transcript, hands, attempt, end)
            if agent is None:
                return Thought(degraded=NO_MODEL)
            ending = await agent.run()
        except TimeoutError:
            return Thought(stop=StopReason.DEADLINE, degraded="no time was left to ask a model")
        except (SettingsError, ModelError) as error:
            return Thought(stop=StopReason.MODEL, degraded=str(error))
        except Exception as error:  # noqa: BLE001 - told below; the rules' answer must not be lost
            logger("worker").exception("the model's part of %s broke", transcript.task.part)
            reached = agent.transcript if agent else transcript
            ending = Ending(StopReason.ERROR, reached, why=f"{type(error).__name__}: {error}")
        return Thought(
            transcript=ending.transcript,
            answer=ending.answer or Answer(),
            stop=ending.stop,
            degraded=ending.why,
            charges=ending.charges,
        )

    async def _thinking(
        self,
        rules: RulesBrain,
        swept: Review,
        transcript: Transcript,
        hands: _Hands,
        attempt: Attempt,
        end: float,
    ) -> Agent | None:
        """An agent with a model that goes on from here; None where no model is set."""
        assert self._thinker is not None  # noqa: S101 - the caller looked
        task = transcript.task
        brain = await self._thinker.brain(rules, swept, attempt.images, task.tier)
        if brain is None:
            return None
        fresh = transcript.steps[len(attempt.steps) :]
        if attempt.memory is not None and fresh:
            attempt.memory.put(fresh)
        return Agent(
            transcript,
            brain,
            hands,
            Budget(
                steps=self._thinker.steps,
                seconds=max(end - time.monotonic(), 0.0),
                tokens=self._thinker.tokens,
                allowance=task.allowance,
            ),
            tell=lambda event: self._tell(task.job, event),
            memory=attempt.memory,
            attempt=attempt.number,
        )

    def rules(self, raised: Raised | None = None) -> RulesBrain:
        """The rules, with memory of what stood raised."""
        return RulesBrain(self.registry, self._rules, raised or {})

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
        async with self.turns:
            outcome = await self.registry.call(call.tool, call.arguments, self._machine)
        if outcome.result is not None and self.registry.get(outcome.tool).sampled:
            await in_thread(self._keep, outcome)
        return outcome


class _Hands:
    """One part's way to the host's tools, counted."""

    def __init__(self, investigator: Investigator, task: HostTask) -> None:
        self.sheets = investigator.sheets(task.specialist.tools)
        self._investigator = investigator
        self._task = task
        self.made = 0

    def readable(self, asked: Asked) -> ToolCall:
        """The call with its arguments checked and its defaults filled in.

        Raises:
            UsageError: The tool takes no such arguments.
        """
        arguments = self._investigator.registry.get(asked.tool).parse_arguments(asked.arguments)
        return ToolCall(tool=asked.tool, arguments=arguments.model_dump(mode="json"))

    async def call(self, call: ToolCall, call_id: str) -> Evidence:
        """Call one tool and keep its answer as evidence."""
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
