"""What comes back: a part's report from a host, and the job's report to a person."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Literal

from pydantic import Field

from swarm_tasks.models.across import Action, Cause, Outlier, Pattern
from swarm_tasks.models.base import Frozen, HostName, Moment, Name
from swarm_tasks.models.charge import Allowance, Charge, added
from swarm_tasks.models.evidence import Evidence
from swarm_tasks.models.finding import Finding, MeasuredValue
from swarm_tasks.models.job import Plan
from swarm_tasks.models.outside import OutsideView
from swarm_tasks.models.tally import PartTally, Tally

MOST_SECONDS = 1e9
"""Thirty years: no part takes longer, and what is more could not be added to a date."""

MOST_TALLIES = 20
"""Sources of claims in one part: the rules and a model, with room for others."""

REPORT_SCHEMA = "hostswarm.report/1"


class HostStatus(StrEnum):
    """What became of a host, or of one part on it."""

    ANSWERED = "answered"
    DARK = "dark"
    FAILED = "failed"


class JobStatus(StrEnum):
    """complete: every host answered. partial: some did not. failed: none did."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"


class StopReason(StrEnum):
    """Why an agent stopped."""

    ANSWERED = "answered"
    STEPS = "steps"
    DEADLINE = "deadline"
    OUTPUT = "output"
    TOKENS = "tokens"
    COST = "cost"
    MALFORMED = "malformed"
    MODEL = "model"
    CANCELLED = "cancelled"
    ERROR = "error"
    DARK = "dark"
    LOST = "lost"
    DRAINED = "drained"
    REFUSED = "refused"


class Usage(Frozen):
    """What it took. `cost_usd` is None where a price is unknown: that is not zero."""

    tool_calls: int = 0
    llm_calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = 0.0
    wall_seconds: float = 0.0

    def plus(self, other: Usage) -> Usage:
        """Both together; wall time is not added, since parts run side by side."""
        return Usage(
            tool_calls=self.tool_calls + other.tool_calls,
            llm_calls=self.llm_calls + other.llm_calls,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            cost_usd=added(self.cost_usd, other.cost_usd),
            wall_seconds=max(self.wall_seconds, other.wall_seconds),
        )

    @classmethod
    def of(cls, charges: Iterable[Charge]) -> Usage:
        """What these calls of models took."""
        usage = cls()
        for charge in charges:
            usage = usage.plus(
                cls(
                    llm_calls=charge.calls,
                    prompt_tokens=charge.prompt_tokens,
                    completion_tokens=charge.completion_tokens,
                    cost_usd=charge.cost_usd,
                )
            )
        return usage


class NotSeen(Frozen):
    """Something an agent wanted to look at and could not."""

    tool: Name
    arguments: dict[str, object] = Field(default_factory=dict[str, object])
    reason: str
    remedy: str = ""


class Measured(Frozen):
    """One value that the rules read, healthy or not: what hosts are compared by."""

    metric: str
    subject: str
    value: MeasuredValue


class HostReport(Frozen):
    """One part's answer: one specialist on one host. Failure is an answer too.

    Args:
        question: What this agent was asked.
        degraded: Why the rules answered though a model was asked for; empty if they did not.
        answer: The agent's own words; empty for rules.
        measured: Every value that the rules read in the evidence.
        charges: What its model calls took.
        tallies: What became of the claims made here, by who made them.
        check_seconds: Wall time that the checking of claims took.
        outside: What a peer saw of a host that is dark; None where nobody looked.
    """

    job: str
    part: str
    host: HostName
    specialist: Name
    status: HostStatus
    stop: StopReason
    reason: str = ""
    started: Moment | None = None
    seconds: float = Field(default=0.0, le=MOST_SECONDS)
    findings: tuple[Finding, ...] = ()
    ruled_out: tuple[str, ...] = ()
    not_seen: tuple[NotSeen, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    usage: Usage = Usage()
    question: str = ""
    degraded: str = ""
    answer: str = ""
    measured: tuple[Measured, ...] = ()
    charges: tuple[Charge, ...] = ()
    tallies: tuple[PartTally, ...] = Field(default=(), max_length=MOST_TALLIES)
    check_seconds: float = Field(default=0.0, ge=0, le=MOST_SECONDS)
    outside: OutsideView | None = None


class Contradiction(Frozen):
    """Agents that said what cannot both be so, and what was measured.

    Args:
        findings: The ids of the findings that say it.
        claims: The ids of their claims.
        value: What settled it; None where no new measurement did.
        unit: The metric's.
        settled_at: When that was measured.
        reason: Why nothing was measured anew, where that is known.
    """

    host: HostName
    metric: str
    subject: str
    findings: tuple[str, ...]
    claims: tuple[str, ...]
    value: MeasuredValue | None = None
    unit: str = ""
    settled_at: Moment | None = None
    reason: str = ""


class Doubt(Frozen):
    """A model whose claims were wrong too often of late.

    Args:
        tally: What became of them, for one specialist.
        wrong_percent: The share of its checked claims that were wrong.
        limit_percent: The share that the settings allow.
    """

    tally: Tally
    wrong_percent: float
    limit_percent: float


class Coverage(Frozen):
    """Every host asked stands in exactly one of answered, dark and failed."""

    asked: tuple[HostName, ...]
    answered: tuple[HostName, ...] = ()
    dark: tuple[HostName, ...] = ()
    failed: tuple[HostName, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether every host that was asked answered."""
        return len(self.answered) == len(self.asked)


class PartLine(Frozen):
    """One part in the report's table and timeline.

    Args:
        started: When the agent began; None where it never did.
        question: What this agent was asked, where it differs from the job's question.
        answer: The agent's own words; a number in them that was never measured is taken out.
        degraded: Why the rules answered though a model was asked for; empty if they did not.
        usage: What it took.
    """

    specialist: Name
    status: HostStatus
    stop: StopReason
    reason: str = ""
    started: Moment | None = None
    seconds: float = 0.0
    tool_calls: int = 0
    ruled_out: tuple[str, ...] = ()
    not_seen: tuple[NotSeen, ...] = ()
    question: str = ""
    answer: str = ""
    degraded: str = ""
    usage: Usage = Usage()


class HostLine(Frozen):
    """One host in the report.

    Args:
        specialists: Those that answered.
        last_seen: When its worker last gave a sign of life, where known.
        role: What it is among others; empty where nobody said.
        usage: What all its parts took.
        outside: What a peer saw of it while it was dark; None where nobody looked.
    """

    host: HostName
    status: HostStatus
    reason: str = ""
    specialists: tuple[Name, ...] = ()
    tool_calls: int = 0
    llm_calls: int = 0
    seconds: float = 0.0
    platform: str = ""
    last_seen: Moment | None = None
    role: str = ""
    usage: Usage = Usage()
    parts: tuple[PartLine, ...] = ()
    outside: OutsideView | None = None


class Degraded(Frozen):
    """Somebody who was to think with a model and went on without one.

    Args:
        step: An agent on a host, the job's planning, or the joining of its reports.
        host: The agent's; empty for the other two.
        reason: Why, in a few words.
    """

    step: Literal["agent", "planning", "synthesis"]
    host: str = ""
    specialist: str = ""
    reason: str


class JobLine(Frozen):
    """The head of a report: which job it answers.

    Args:
        brain: `rules` if no model was asked for or used, `llm` if all who wanted one had it,
            `degraded` if any of them went on without.
        allowance: What its model calls might cost together.
        plan: How it was broken into its parts; None for a job of an older version.
    """

    id: str
    question: str
    created: Moment
    finished: Moment
    status: JobStatus
    brain: Literal["rules", "llm", "degraded"]
    deadline_seconds: float
    cancelled: bool = False
    allowance: Allowance = Allowance()
    plan: Plan | None = None


class Report(Frozen):
    """The answer to a job: what `audit --json` prints.

    Args:
        summary_source: Who wrote the summary: code, from the counts, or a model.
        patterns: The same trouble on several hosts, gravest first.
        causes: What several findings likely come from.
        outliers: Hosts unlike their peers, furthest off first.
        actions: What to do, in this order.
        charges: What each model of each tier took.
        degraded: Who was to think with a model and went on without.
        prose_removed: How many numbers were taken out of the words of models, since nothing
            that was measured carries them.
        claims: What became of all claims together.
        tallies: The same by model and specialist.
        contradictions: Where agents disagreed, and what settled it.
        doubts: Models among those used here whose claims were wrong too often of late.
    """

    schema_: Literal["hostswarm.report/1"] = Field(default=REPORT_SCHEMA, alias="schema")
    job: JobLine
    coverage: Coverage
    hosts: tuple[HostLine, ...]
    findings: tuple[Finding, ...]
    evidence: tuple[Evidence, ...]
    summary: str
    usage: Usage
    summary_source: Literal["rules", "model"] = "rules"
    patterns: tuple[Pattern, ...] = ()
    causes: tuple[Cause, ...] = ()
    outliers: tuple[Outlier, ...] = ()
    actions: tuple[Action, ...] = ()
    charges: tuple[Charge, ...] = ()
    degraded: tuple[Degraded, ...] = ()
    prose_removed: int = 0
    claims: Tally = Tally()
    tallies: tuple[Tally, ...] = ()
    contradictions: tuple[Contradiction, ...] = ()
    doubts: tuple[Doubt, ...] = ()

    def to_json(self, indent: int | None = 2) -> str:
        """The report as the contract's JSON text."""
        return self.model_dump_json(by_alias=True, indent=indent)
