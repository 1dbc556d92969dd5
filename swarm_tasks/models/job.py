"""A question to the fleet, and the parts it is broken into."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal, cast

from pydantic import Field, field_validator, model_validator

from swarm_tasks.models.base import NAME_PATTERN, Frozen, HostName, HostOrAny, Moment, Name
from swarm_tasks.models.charge import Allowance, Tier
from swarm_tasks.models.policy import Policy, SweepCall

QUESTION_LIMIT = 8_000
"""The longest question, in characters: it travels with every part."""

MOST_ANYWHERE = 5_000
"""Questions for any host in one request …"""

ANYWHERE_LIMIT_CHARACTERS = 4 << 20
"""… and how long they may be in all: each is kept with its part, and again in the report."""

DEADLINE_LIMIT_SECONDS = 86_400.0
"""The longest deadline: a day. A message that is being worked on is kept back for longer."""

IMAGE_COUNT_LIMIT = 4
IMAGE_LIMIT_CHARACTERS = 4 << 20
"""The longest image URL, `data:` ones included: each agent's model is sent all of them."""

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


class PlanLine(Frozen):
    """One thing that a planner wants looked at.

    A part belongs to the line with its specialist and its question.

    Args:
        hosts: As the planner named them: names, globs, `role:NAME`, or `all`.
        parts: How many agents came of it.
        question: What each of them is asked.
        why: The planner's reason, in a line.
    """

    hosts: tuple[str, ...]
    parts: int = Field(ge=0)
    specialist: Name
    question: str
    why: str = ""


class Plan(Frozen):
    """How a job was broken into its parts.

    Args:
        by: The default plan is every specialist on every host, with the job's own question. The
            asker's own is a question to one agent each, on any host.
        why: The planner's reason as a whole; for the default plan, why it was taken.
        lines: What a model planned; the default plan has none.
        notes: What of a model's plan was left out or added, and why: for people.
        degraded: Why the default plan stands in for a model's; empty if none was to be asked.
    """

    by: Literal["default", "model", "asker"] = "default"
    why: str = ""
    lines: tuple[PlanLine, ...] = ()
    notes: tuple[str, ...] = ()
    degraded: str = ""


class Job(Frozen):
    """One question to some hosts.

    Args:
        hosts: Every host that was asked, sorted; each will be accounted for. None for a job whose
            parts any host may take.
        specialists: Names, in the order of the report.
        deadline_seconds: From `created`; what is not closed by then is reported as it stands.
        plan: How it was broken into parts; None for a job of an older version.
    """

    id: str = Field(pattern=JOB_ID_PATTERN)
    question: str = Field(default="", max_length=QUESTION_LIMIT)
    hosts: tuple[HostName, ...] = ()
    specialists: tuple[Name, ...] = Field(min_length=1)
    brain: BrainChoice = BrainChoice.AUTO
    created: Moment
    deadline_seconds: float = Field(gt=0)
    asked_by: str = ""
    allowance: Allowance = Allowance()
    plan: Plan | None = None


PART_FORMAT = 1
"""What a worker must understand to do a part. It grows when an older worker would do it wrong."""

ANY_HOST = "any-host"
"""What stands for the host of a part that any host may do, while none has taken it."""

ANY_SIGN = "*"
"""What stands for the host in the name of such a part: no host can be called so."""

LANES = 8
"""Lines in one queue, the first of them before the others. See `swarm_tasks.routing`."""


class HostTask(Frozen):
    """One part of a job: one specialist on one host. All that the host needs to know.

    Args:
        part: Unique in the job; also the name under which the ledger keeps it.
        host: Where it is to be done; empty for whichever host takes it.
        format: What must be understood to do it: `PART_FORMAT` of the version that made it.
        version: The version of hostswarm that made it.
        lane: Which line of its queue it waits in; 0 goes first.
        deadline_at: Unix time in seconds on the store's clock, which all share.
        allowance: What all model calls of the whole job may cost.
        images: How many images the job carries; the store has them once for all parts.
        tier: Which of the host's models thinks; one that it lacks is the worker's.
    """

    job: str = Field(pattern=JOB_ID_PATTERN)
    part: str
    host: HostOrAny
    specialist: Specialist
    format: int = Field(default=1, ge=1)
    version: str = ""
    lane: int = Field(default=0, ge=0, lt=LANES)
    question: str = Field(default="", max_length=QUESTION_LIMIT)
    brain: BrainChoice = BrainChoice.RULES
    policy: Policy = Policy()
    deadline_at: float
    allowance: Allowance = Allowance()
    images: int = Field(default=0, ge=0)
    tier: Tier = Tier.WORKER


class Anywhere(Frozen):
    """One question to one agent, on whichever host takes it.

    Args:
        specialist: Who is asked; empty for the only one that the request names.
        question: Empty for the request's own.
    """

    specialist: str = Field(default="", pattern=f"{NAME_PATTERN}|^$")
    question: str = Field(default="", max_length=QUESTION_LIMIT)


class AuditRequest(Frozen):
    """What a producer, beat or the command line asks for: a job not yet planned.

    `budget_usd` and `max_tokens` may also be given as they are, without `allowance` around them.

    Args:
        hosts: Names or globs; empty means the whole fleet.
        specialists: Names; empty means all. With `anywhere`, at most one: who is asked where a
            question names nobody.
        anywhere: Questions to one agent each, on any host; then no host may be named.
        deadline_seconds: None takes the setting.
        slot: Which schedule asks, so that two beats ask once; empty for anybody else.
        slot_seconds: For how long another request of the same slot is a repeat.
        priority: A person waits for an interactive one; a periodic one gives way to those.
        allowance: What all model calls of the job may cost; unset takes the setting's.
        img: Images that belong to the question, as `data:image/…;base64,` or `https:` URLs.
    """

    question: str = Field(default="", max_length=QUESTION_LIMIT)
    hosts: tuple[str, ...] = ()
    specialists: tuple[str, ...] = ()
    brain: BrainChoice = BrainChoice.AUTO
    deadline_seconds: float | None = Field(default=None, gt=0, le=DEADLINE_LIMIT_SECONDS)
    asked_by: str = ""
    slot: str = ""
    slot_seconds: float = Field(default=0.0, ge=0)
    priority: Literal["interactive", "periodic"] = "interactive"
    allowance: Allowance = Allowance()
    img: tuple[str, ...] = Field(default=(), max_length=IMAGE_COUNT_LIMIT)
    anywhere: tuple[Anywhere, ...] = Field(default=(), max_length=MOST_ANYWHERE)

    @property
    def wanted(self) -> tuple[str, ...]:
        """The specialists that are to be asked, each once; empty means all."""
        named = (one.specialist or self.specialists[0] for one in self.anywhere)
        return tuple(dict.fromkeys(named)) or self.specialists

    @property
    def periodic(self) -> bool:
        """Whether no person waits for it."""
        return bool(self.slot) or self.priority == "periodic"

    @model_validator(mode="before")
    @classmethod
    def _bounds_without_their_table(cls, value: Any) -> Any:
        """Producers write `budget_usd=0.5`, as the settings and schedules do."""
        if not isinstance(value, Mapping):
            return value
        given = dict(cast(Mapping[str, Any], value))
        bounds = {name: given.pop(name) for name in Allowance.model_fields if name in given}
        if bounds and "allowance" in given:
            raise ValueError(f"say {' and '.join(bounds)} once: here or in `allowance`")
        return {**given, "allowance": bounds} if bounds else given

    @model_validator(mode="after")
    def _anywhere_is_clear(self) -> AuditRequest:
        """Who is asked anywhere must be said, and where must not."""
        if not self.anywhere:
            return self
        if self.hosts:
            raise ValueError("`anywhere` asks any host: leave out `hosts`, or ask those")
        if len(self.specialists) > 1:
            raise ValueError("beside `anywhere`, `specialists` names one at most")
        for number, one in enumerate(self.anywhere, 1):
            if not one.specialist and not self.specialists:
                raise ValueError(f"question {number} of `anywhere` names no specialist")
        length = sum(len(one.question) for one in self.anywhere)
        if length > ANYWHERE_LIMIT_CHARACTERS:
            raise ValueError(
                f"the questions of `anywhere` have {length:,} characters, "
                f"and may have {ANYWHERE_LIMIT_CHARACTERS:,} together"
            )
        return self

    @field_validator("hosts")
    @classmethod
    def _no_files(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        """Control must not read a file because a message names it."""
        files = [word for word in hosts if word.startswith("@")]
        if files:
            raise ValueError(f"{files[0]} names a file: only the command line reads files")
        return hosts

    @field_validator("img")
    @classmethod
    def _image_urls(cls, images: tuple[str, ...]) -> tuple[str, ...]:
        for image in images:
            if not image.startswith(("data:image/", "https://")):
                raise ValueError("an image is a `data:image/…;base64,` or an `https:` URL")
            if len(image) > IMAGE_LIMIT_CHARACTERS:
                raise ValueError(f"an image is longer than {IMAGE_LIMIT_CHARACTERS:,} characters")
        return images


def new_job_id() -> str:
    """Ten characters that are easy to read aloud and hard to guess."""
    alphabet = "23456789abcdefghjkmnpqrstuvwxyz"
    return "".join(secrets.choice(alphabet) for _ in range(10))
