"""What came of asking a model for words about a report, and the report with it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from orchestrator.usage import brain_of, total
from swarm_tasks.models.charge import Charge, summed
from swarm_tasks.models.job import Job
from swarm_tasks.models.report import Degraded, Report, Usage


@dataclass(frozen=True, slots=True)
class Told:
    """What came of asking.

    Args:
        text: The words, numbers settled; empty where there are none.
        removed: How many numbers were taken out of them.
        degraded: Why there are none; empty where there are.
    """

    text: str = ""
    removed: int = 0
    degraded: str = ""
    charges: tuple[Charge, ...] = ()


def with_words(report: Report, job: Job, told: Told, finished: datetime) -> Report:
    """A report with what came of asking a model for words about it.

    Args:
        finished: When that was done.
    """
    degraded = report.degraded
    if told.degraded:
        degraded = (*degraded, Degraded(step="synthesis", reason=told.degraded))
    charges = summed((*report.charges, *told.charges))
    usage = total((report.usage, Usage.of(told.charges)))
    wall = (finished - job.created).total_seconds()
    brain = brain_of(job, charges, degraded)
    changed = report.model_copy(
        update={
            "job": report.job.model_copy(update={"finished": finished, "brain": brain}),
            "usage": usage.model_copy(update={"wall_seconds": wall}),
            "charges": charges,
            "degraded": degraded,
            "prose_removed": report.prose_removed + told.removed,
        }
    )
    if not told.text:
        return changed
    return changed.model_copy(update={"summary": told.text, "summary_source": "model"})
