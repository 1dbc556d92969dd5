"""Rules about services."""

from __future__ import annotations

from collections.abc import Iterable

from swarm_tasks.models.evidence import ToolCall
from workers.rules.rule import Reading, Rule
from workers.tools.catalog.restarts import ServiceRestarts
from workers.tools.catalog.services import FailedServices, ServiceStatus


def failed_units(answer: FailedServices) -> Iterable[Reading]:
    """Each unit that failed; on macOS none of the system's own."""
    for index, unit in enumerate(answer.failed):
        if not unit.vendor:
            yield Reading(
                subject=unit.unit,
                value=unit.state,
                pointer=f"/failed/{index}/state",
                detail=unit.description,
            )


def expected_unit(answer: ServiceStatus) -> Iterable[Reading]:
    """A unit that the operator's checks name."""
    ending = answer.exit_signal or (f"exit code {answer.exit_code}" if answer.exit_code else "")
    yield Reading(subject=answer.unit, value=answer.state.value, pointer="/state", detail=ending)


def recent_restarts(answer: ServiceRestarts) -> Iterable[Reading]:
    """Restarts of each unit in the window; none where nobody counted them."""
    for index, unit in enumerate(answer.units):
        if unit.recent is not None:
            yield Reading(
                subject=unit.unit,
                value=unit.recent,
                pointer=f"/units/{index}/recent",
                detail=f"{unit.total} restarts in all",
            )


def its_log(reading: Reading) -> tuple[ToolCall, ...]:
    """Read what the unit said."""
    return (ToolCall(tool="service_logs", arguments={"unit": reading.subject, "lines": 100}),)


RULES = (
    Rule(
        name="service-failed",
        tool="failed_services",
        metric="service.state",
        readings=failed_units,
        title="Service failed",
        advice="Read its log for the cause, mend that, and start it again.",
        dig=its_log,
    ),
    Rule(
        name="service-expected",
        tool="service",
        metric="service.expected",
        readings=expected_unit,
        title="Service that must run does not",
        advice="Start it, or take it from checks.services if it is not needed any more.",
        dig=its_log,
    ),
    Rule(
        name="service-restarts",
        tool="service_restarts",
        metric="service.restarts",
        readings=recent_restarts,
        title="Service restarts again and again",
        advice="Read its log for why it ends; each start only hides that.",
        dig=its_log,
    ),
)
