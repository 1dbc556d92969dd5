"""The same trouble on several hosts. Pure."""

from __future__ import annotations

from orchestrator.across.scene import Scene, gravest, hosts_of, ids_of, place_of
from swarm_tasks.models.across import Pattern
from swarm_tasks.models.finding import Finding

LEAST_HOSTS = 2


def find_patterns(scene: Scene) -> tuple[Pattern, ...]:
    """The same trouble on several hosts, gravest and widest first.

    Two findings are the same trouble if they measured the same metric of the same thing, where a
    thing is the same if it differs only by what differs from host to host (`subjects.py`).
    """
    same: dict[tuple[str, str], list[Finding]] = {}
    for finding in scene.findings:
        same.setdefault(place_of(finding), []).append(finding)
    found: list[Pattern] = []
    for (metric, subject), findings in same.items():
        hosts = hosts_of(findings)
        if len(hosts) < LEAST_HOSTS:
            continue
        severity = gravest(findings)
        # The rules' own title where they raised it: a model may call the same thing anything.
        titles = [one for one in findings if one.severity is severity]
        first = min(titles, key=lambda one: (one.source == "model", one.title))
        found.append(
            Pattern(
                id="",
                metric=metric,
                subject=subject,
                title=first.title,
                severity=severity,
                hosts=hosts,
                findings=ids_of(findings),
                well=len(scene.readings.get((metric, subject), {}).keys() - {*hosts}),
            )
        )
    found.sort(key=lambda one: (one.severity.rank, -len(one.hosts), one.title, one.subject))
    return tuple(one.model_copy(update={"id": f"p{number}"}) for number, one in enumerate(found, 1))
