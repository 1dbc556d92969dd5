"""The operator's schedules as Celery beat reads them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from celery.schedules import crontab, schedule

from swarm_tasks import contracts, routing
from swarm_tasks.models.schedule import Schedule


def beat_schedule(schedules: Iterable[Schedule]) -> dict[str, dict[str, Any]]:
    """An entry per schedule: `swarm.audit` to control, with its request as arguments."""
    return {
        one.name: {
            "task": contracts.AUDIT,
            "schedule": _when(one),
            "kwargs": one.request().model_dump(mode="json", exclude_defaults=True),
            "options": {"queue": routing.CONTROL, "expires": one.every_seconds or 3600},
        }
        for one in schedules
    }


def _when(one: Schedule) -> Any:
    if one.every_seconds is not None:
        return schedule(one.every_seconds)
    minute, hour, day_of_month, month, day_of_week = (one.cron or "").split()
    return crontab(
        minute=minute,
        hour=hour,
        day_of_month=day_of_month,
        month_of_year=month,
        day_of_week=day_of_week,
    )
