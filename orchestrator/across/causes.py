"""What several findings likely come from: how each rule of the table is applied. Pure.

Nothing here is proven by what was measured, so every sentence says `likely`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

from orchestrator.across.cause_table import (
    CHAINS,
    ENDPOINTS,
    SERVICES,
    SHARED,
    Chain,
    Shared,
    machine_reached,
)
from orchestrator.across.scene import (
    Scene,
    gravest,
    hosts_of,
    ids_of,
    metric_of,
    place_of,
    word_of,
)
from swarm_tasks.models.across import Cause
from swarm_tasks.models.finding import Finding

LEAST_HOSTS = 2
NAMED_PACKAGES = 5


def find_causes(scene: Scene) -> tuple[Cause, ...]:
    """Every likely cause, gravest and widest first.

    A finding that one rule explains is not explained again by a later one.
    """
    found: list[Cause] = []
    explained: set[str] = set()
    for rule in (_peers, _shared, _chains):
        for cause in rule(scene, explained):
            found.append(cause)
    found.sort(key=lambda one: (one.severity.rank, -len(one.hosts), one.title))
    return tuple(one.model_copy(update={"id": f"c{number}"}) for number, one in enumerate(found, 1))


def _peers(scene: Scene, explained: set[str]) -> Iterator[Cause]:
    """Endpoints that do not answer on a machine of this very fleet, which is not well itself."""
    named = {host.lower(): host for host in (*scene.by_host, *scene.answered, *scene.dark)}
    reached_for: dict[str, list[Finding]] = {}
    for finding in scene.about((*ENDPOINTS, "ping.loss_percent")):
        machine = machine_reached(scene, finding)
        host = named.get(machine) or named.get(machine.partition(".")[0])
        if host and host != finding.host:
            reached_for.setdefault(host, []).append(finding)
    for host, failed in reached_for.items():
        own = [one for one in scene.by_host.get(host, ()) if metric_of(one) in SERVICES]
        if host in scene.dark:
            title, why = f"Likely {host} itself, which is dark", "it gives no sign of life"
        elif own:
            title, why = f"Likely {host} itself", "what runs there is not well"
        else:
            continue
        explained |= {one.id for one in failed}
        yield Cause(
            id="",
            kind="peer",
            title=title,
            why=f"{why}, and {_counted(hosts_of(failed))} cannot reach it",
            advice=f"Mend {host} first.",
            severity=gravest((*own, *failed)),
            hosts=tuple(sorted({host, *hosts_of(failed)})),
            findings=ids_of(own) if own else ids_of(failed),
            symptoms=ids_of(failed) if own else (),
        )


def _shared(scene: Scene, explained: set[str]) -> Iterator[Cause]:
    """One thing that several hosts share."""
    for rule in SHARED:
        groups: dict[str, list[Finding]] = {}
        for finding in scene.about(rule.metrics):
            fits = not rule.states or word_of(finding) in rule.states
            key = rule.key(scene, finding) if fits and finding.id not in explained else ""
            if key:
                groups.setdefault(key, []).append(finding)
        for key, same in groups.items():
            if why := _spoken_for(scene, rule, same):
                explained |= {one.id for one in same}
                symptoms = _endpoints_of(scene, hosts_of(same), rule.symptoms, explained)
                yield _cause_of(rule, key, why, same, symptoms)


def _cause_of(
    rule: Shared, key: str, why: str, same: Sequence[Finding], symptoms: Sequence[Finding]
) -> Cause:
    return Cause(
        id="",
        kind=rule.kind,
        title=rule.title.format(key=key),
        why=why,
        advice=rule.advice.format(key=key),
        severity=gravest((*same, *symptoms)),
        hosts=hosts_of(same),
        findings=ids_of(same),
        symptoms=ids_of(symptoms),
    )


def _spoken_for(scene: Scene, rule: Shared, same: Sequence[Finding]) -> str:
    """What speaks for a shared cause; empty where too little does."""
    hosts = hosts_of(same)
    if len(hosts) < LEAST_HOSTS:
        return ""
    if rule.whole_group:
        return _whole_groups(scene, hosts)
    looked = scene.measured_on(same)
    if len(hosts) < rule.share * len(looked):
        return ""
    if rule.kind == "updates":
        return _same_packages(scene, same)
    if len(looked) == len(hosts):
        return f"{_counted(hosts)} say so, and no host that looked says otherwise"
    return f"{len(hosts)} of the {len(looked)} hosts that looked say so"


def _whole_groups(scene: Scene, hosts: Sequence[str]) -> str:
    """Which groups of hosts are struck as a whole; empty unless all hosts are of such groups."""
    struck = {scene.peers.group(host) for host in hosts}
    members = [scene.groups.get(group, frozenset[str]()) for group in struck]
    if not all(len(one) >= LEAST_HOSTS and one <= {*hosts} for one in members):
        return ""
    return f"it is so on all {sum(map(len, members))} {' and '.join(sorted(struck))}"


def _same_packages(scene: Scene, same: Sequence[Finding]) -> str:
    """The packages that are missing on all of these hosts; empty where no package is."""
    missing = [_packages(scene, finding) for finding in same]
    common = sorted(set[str].intersection(*missing)) if missing else []
    if not common:
        return ""
    more = len(common) - NAMED_PACKAGES
    named = ", ".join(common[:NAMED_PACKAGES]) + (f" and {more} more" if more > 0 else "")
    return f"{_counted(hosts_of(same))} lack the same: {named}"


def _packages(scene: Scene, finding: Finding) -> set[str]:
    """What is missing for security by the evidence of one finding, whatever form it has."""
    lists = [(item.data or {}).get("packages") for item in scene.cited(finding)]
    rows = [row for rows in lists if isinstance(rows, list) for row in cast(list[Any], rows)]
    read = [cast(dict[str, Any], row) for row in rows if isinstance(row, dict)]
    return {str(row["package"]) for row in read if row.get("security") and "package" in row}


def _endpoints_of(
    scene: Scene, hosts: Iterable[str], states: frozenset[str], explained: set[str]
) -> list[Finding]:
    """Findings of endpoints on these hosts that failed with one of these words."""
    found = [
        finding
        for host in (hosts if states else ())
        for finding in scene.by_host.get(host, ())
        if metric_of(finding) in ENDPOINTS
        and word_of(finding) in states
        and finding.id not in explained
    ]
    explained |= {one.id for one in found}
    return found


def _chains(scene: Scene, explained: set[str]) -> Iterator[Cause]:
    """What one trouble of a host leads to on the same host, over all hosts where it is so."""
    for chain in CHAINS:
        by_place: dict[str, tuple[list[Finding], list[Finding]]] = {}
        for findings in scene.by_host.values():
            if len(findings) < 2:
                continue
            roots = [one for one in findings if metric_of(one) in chain.causes]
            led = [one for one in findings if roots and _led_to(scene, chain, one, explained)]
            if led:
                explained |= {one.id for one in led}
                causes, symptoms = by_place.setdefault(place_of(roots[0])[1], ([], []))
                causes.extend(roots)
                symptoms.extend(led)
        for place, (causes, symptoms) in by_place.items():
            yield Cause(
                id="",
                kind=chain.kind,
                title=chain.title.format(place=place),
                why=chain.why,
                advice=causes[0].advice,
                severity=gravest((*causes, *symptoms)),
                hosts=hosts_of(causes),
                findings=ids_of(causes),
                symptoms=ids_of(symptoms),
            )


def _led_to(scene: Scene, chain: Chain, finding: Finding, explained: set[str]) -> bool:
    """Whether a finding is what a chain ends in."""
    if metric_of(finding) not in chain.symptoms or finding.id in explained:
        return False
    if chain.states and word_of(finding) and word_of(finding) not in chain.states:
        return False
    if not chain.words:
        return True
    said = " ".join(str(item.data) for item in scene.cited(finding)).lower()
    return any(word in said for word in chain.words)


def _counted(hosts: Sequence[str]) -> str:
    return "1 host" if len(hosts) == 1 else f"{len(hosts)} hosts"
