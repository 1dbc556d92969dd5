"""An audit that is asked for again and again."""

from __future__ import annotations

from pydantic import Field, field_validator

from swarm_tasks.models.base import Frozen, Name
from swarm_tasks.models.charge import Allowance
from swarm_tasks.models.job import DEADLINE_LIMIT_SECONDS, AuditRequest, BrainChoice


class Schedule(Frozen):
    """An audit that beat asks for again and again: every so often, or by a cron line.

    Args:
        every_seconds: The period; or …
        cron: … five fields: minute, hour, day of month, month, day of week (UTC).
    """

    name: Name
    every_seconds: float | None = Field(default=None, ge=10)
    cron: str | None = None
    question: str = ""
    hosts: tuple[str, ...] = ()
    specialists: tuple[str, ...] = ()
    deadline_seconds: float | None = Field(default=None, gt=0, le=DEADLINE_LIMIT_SECONDS)
    brain: BrainChoice = BrainChoice.AUTO
    budget_usd: float | None = Field(default=None, ge=0)
    max_tokens: int | None = Field(default=None, ge=0)

    @field_validator("cron")
    @classmethod
    def _five_fields(cls, value: str | None) -> str | None:
        if value is not None and len(value.split()) != 5:
            raise ValueError("a cron line has five fields, such as `0 3 * * *`")
        return value

    def model_post_init(self, context: object, /) -> None:
        """Check that exactly one way to say when is there."""
        if (self.every_seconds is None) == (self.cron is None):
            raise ValueError("say either every_seconds or cron")

    def request(self) -> AuditRequest:
        """The audit that this schedule asks for."""
        return AuditRequest(
            question=self.question,
            hosts=self.hosts,
            specialists=self.specialists,
            deadline_seconds=self.deadline_seconds,
            brain=self.brain,
            allowance=Allowance(budget_usd=self.budget_usd, max_tokens=self.max_tokens),
            asked_by=f"schedule {self.name}",
            slot=self.name,
            # A cron line fires at most once a minute; a period may come a little early.
            slot_seconds=50.0 if self.every_seconds is None else 0.9 * self.every_seconds,
            priority="periodic",
        )
