"""Every value that hosts measured, by what it is about rather than by who said it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from orchestrator.across.subjects import comparable
from swarm_tasks.measures import Measure, measures
from swarm_tasks.models.base import JsonScalar
from swarm_tasks.models.report import HostReport

Place = tuple[str, str]
"""A metric and a subject that is comparable over hosts."""

Readings = Mapping[Place, Mapping[str, JsonScalar]]
"""For each place, what each host measured there. A host with several values in one place, such as
its disks', stands with the worst."""


@dataclass(frozen=True, slots=True)
class Peers:
    """Who is compared with whom.

    Args:
        roles: What each host is among others, where somebody said.
        platforms: Each host's kind of system, `linux` or `darwin`: hosts without a role are
            compared with all others of their kind. What "memory used" means differs by kind, and
            what an operator did not tell apart is one fleet.
    """

    roles: Mapping[str, str] = field(default_factory=dict[str, str])
    platforms: Mapping[str, str] = field(default_factory=dict[str, str])

    def group(self, host: str) -> str:
        """Whom a host is compared with, in words; empty where nothing is known of it."""
        if role := self.roles.get(host):
            return f"hosts of role {role}"
        platform = self.platforms.get(host)
        return f"{platform} hosts without a role" if platform else ""


def readings_of(parts: Iterable[HostReport]) -> Readings:
    """All that was measured, of metrics that are in the table."""
    # Raw subjects first: most hosts share them, and each is then brought into shape once.
    raw: dict[tuple[str, str], list[tuple[str, JsonScalar]]] = {}
    for part in parts:
        host = part.host
        for one in part.measured:
            rows = raw.get((one.metric, one.subject))
            if rows is None:
                rows = raw[one.metric, one.subject] = []
            rows.append((host, one.value))
    shaped: dict[Place, dict[str, JsonScalar]] = {}
    known = measures()
    for (metric, subject), values in raw.items():
        if metric not in known:
            continue
        shape = comparable(metric, subject)
        by_host = dict(values)
        own = any(host in subject for host in by_host)
        if (metric, shape) not in shaped and len(by_host) == len(values) and not own:
            shaped[metric, shape] = by_host  # nearly always: one value a host, named alike
            continue
        for host, value in values:
            same = comparable(metric, subject, host) if own else shape
            by_host = shaped.setdefault((metric, same), {})
            seen = by_host.get(host)
            by_host[host] = value if seen is None else _worse(known[metric], seen, value)
    return shaped


def _worse(measure: Measure, one: JsonScalar, other: JsonScalar) -> JsonScalar:
    """The worse of two values of one host."""
    if measure.states or isinstance(one, str) or isinstance(other, str):
        return one if str(one) in measure.states else other
    return min(one, other) if measure.comparator == "<=" else max(one, other)
