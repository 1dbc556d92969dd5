"""Rules about services."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from swarm_tasks.models.base import JsonScalar
from swarm_tasks.models.evidence import ToolCall
from workers.rules.rule import Reading, Rule
from workers.tools.catalog.launchd import VENDOR
from workers.tools.catalog.restarts import ServiceRestarts
from workers.tools.catalog.service_logs import UNIT_PATTERN
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


def unit_state(answer: ServiceStatus) -> Iterable[Reading]:
    """How the unit that was looked at does; on macOS none of the system's own."""
    if not answer.unit.startswith(VENDOR):
        yield Reading(subject=answer.unit, value=answer.state.value, pointer="/state")


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


def all_failed(answer: FailedServices) -> bool:
    """Whether every unit that failed is listed; nobody misses macOS's own."""
    return sum(not unit.vendor for unit in answer.failed) == answer.total


def all_restarted(answer: ServiceRestarts) -> bool:
    """Whether every unit that was restarted is listed, with how often lately."""
    counted = sum(unit.recent is not None for unit in answer.units)
    return counted == answer.units_total


def its_log(reading: Reading) -> tuple[ToolCall, ...]:
    """Read what the unit said."""
    return (ToolCall(tool="service_logs", arguments={"unit": reading.subject, "lines": 100}),)


def that_unit(subject: str) -> Mapping[str, JsonScalar] | None:
    """The unit alone; None for a name such as `-.mount`, which the tool refuses."""
    return {"name": subject} if re.match(UNIT_PATTERN, subject) else None


def listed_again(subject: str) -> Mapping[str, JsonScalar] | None:
    """Not by the list, which is bounded, where the unit can be asked about by itself."""
    return {} if that_unit(subject) is None else None


RULES = (
    Rule(
        name="service-failed",
        tool="failed_services",
        metric="service.state",
        readings=failed_units,
        title="Service failed",
        advice="Read its log for the cause, mend that, and start it again.",
        dig=its_log,
        probe=listed_again,
        absent_is_well=True,
        complete=all_failed,
    ),
    Rule(
        name="service-state",
        tool="service",
        metric="service.state",
        readings=unit_state,
        title="Service failed",
        advice="Read its log for the cause, mend that, and start it again.",
        dig=its_log,
        probe=that_unit,
    ),
    Rule(
        name="service-expected",
        tool="service",
        metric="service.expected",
        readings=expected_unit,
        title="Service that must run does not",
        advice="Start it, or take it from checks.services if it is not needed any more.",
        dig=its_log,
        probe=that_unit,
        of_choice=True,
    ),
    Rule(
        name="service-restarts",
        tool="service_restarts",
        metric="service.restarts",
        readings=recent_restarts,
        title="Service restarts again and again",
        advice="Read its log for why it ends; each start only hides that.",
        dig=its_log,
        # Units that were not restarted at all are left out.
        absent_is_well=True,
        complete=all_restarted,
    ),
)
