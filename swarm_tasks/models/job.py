"""A question to the fleet, and the parts it is broken into."""

from __future__ import annotations

import secrets
from enum import StrEnum

from pydantic import Field, field_validator, model_validator

from swarm_tasks.models.base import Frozen, HostName, Moment, Name
from swarm_tasks.models.policy import Policy, SweepCall

QUESTION_LIMIT = 8_000
"""The longest question, in characters: it travels with every part."""

DEADLINE_LIMIT_SECONDS = 86_400.0
"""The longest deadline: a day. A message that is being worked on is kept back for longer."""

JOB_ID_PATTERN = r"^[0-9a-z]{6,40}$"


class BrainChoice(StrEnum):
    """Which brain a job asks for; auto takes a model where one is set."""

    AUTO = "auto"
    RULES = "rules"
    LLM = "llm"


class Specialist(Frozen):
    """An agent's competence, as data: what it may use and what it looks at first.

    Args:
        title: For people.
        prompt: What a model is told about its task.
        tools: The only tools the agent may call.
        sweep: The calls it always starts with.
        rules: Names of the rules that judge its evidence; empty means every rule whose tool
            is among `tools`.
    """

    name: Name
    title: str
    prompt: str
    tools: tuple[Name, ...]
    sweep: tuple[SweepCall, ...] = ()
    rules: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _sweep_within_tools(self) -> Specialist:
        strays = sorted({call.tool for call in self.sweep} - set(self.tools))
        if strays:
            raise ValueError(f"the sweep calls {', '.join(strays)}, not among its tools")
        return self


class Job(Frozen):
    """One question to some hosts.

    Args:
        hosts: Every host that was asked, sorted; each will be accounted for.
        specialists: Names, in the order of the report.
        deadline_seconds: From `created`; what is not closed by then is reported as it stands.
    """

    id: str = Field(pattern=JOB_ID_PATTERN)
    question: str = Field(default="", max_length=QUESTION_LIMIT)
    hosts: tuple[HostName, ...] = Field(min_length=1)
    specialists: tuple[Name, ...] = Field(min_length=1)
    brain: BrainChoice = BrainChoice.AUTO
    created: Moment
    deadline_seconds: float = Field(gt=0)
    asked_by: str = ""


class HostTask(Frozen):
    """One part of a job: one specialist on one host. All that the host needs to know.

    Args:
        part: Unique in the job; also the name under which the ledger keeps it.
        deadline_at: Unix time in seconds on the store's clock, which all share.
    """

    job: str = Field(pattern=JOB_ID_PATTERN)
    part: str
    host: HostName
    specialist: Specialist
    question: str = Field(default="", max_length=QUESTION_LIMIT)
    brain: BrainChoice = BrainChoice.RULES
    policy: Policy = Policy()
    deadline_at: float


class AuditRequest(Frozen):
    """What a producer, beat or the command line asks for: a job not yet planned.

    Args:
        hosts: Names or globs; empty means the whole fleet.
        specialists: Names; empty means all.
        deadline_seconds: None takes the setting.
        slot: Which schedule asks, so that two beats ask once; empty for anybody else.
        slot_seconds: For how long another request of the same slot is a repeat.
    """

    question: str = Field(default="", max_length=QUESTION_LIMIT)
    hosts: tuple[str, ...] = ()
    specialists: tuple[str, ...] = ()
    brain: BrainChoice = BrainChoice.AUTO
    deadline_seconds: float | None = Field(default=None, gt=0, le=DEADLINE_LIMIT_SECONDS)
    asked_by: str = ""
    slot: str = ""
    slot_seconds: float = Field(default=0.0, ge=0)

    @field_validator("hosts")
    @classmethod
    def _no_files(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        """Control must not read a file because a message names it."""
        files = [word for word in hosts if word.startswith("@")]
        if files:
            raise ValueError(f"{files[0]} names a file: only the command line reads files")
        return hosts


def new_job_id() -> str:
    """Ten characters that are easy to read aloud and hard to guess."""
    alphabet = "23456789abcdefghjkmnpqrstuvwxyz"
    return "".join(secrets.choice(alphabet) for _ in range(10))
