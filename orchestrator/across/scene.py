"""A job's findings and readings as the rules over hosts look at them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from orchestrator.across.readings import Peers, Readings
from orchestrator.across.subjects import comparable
from swarm_tasks.models.evidence import Evidence
from swarm_tasks.models.finding import Finding, Severity
from swarm_tasks.models.report import HostReport


@dataclass(frozen=True)
class Scene:
    """What there is to see.

    Args:
        findings: Those that count, with their ids, gravest first.
        answered: The hosts that answered.
        dark: The hosts that gave no sign of life.
    """

    findings: Sequence[Finding]
    parts: Sequence[HostReport]
    readings: Readings
    peers: Peers
    answered: frozenset[str] = field(default_factory=frozenset[str])
    dark: frozenset[str] = field(default_factory=frozenset[str])

    @cached_property
    def by_host(self) -> Mapping[str, Sequence[Finding]]:
        """Findings by host, gravest first."""
        hosts: dict[str, list[Finding]] = {}
        for finding in self.findings:
            hosts.setdefault(finding.host, []).append(finding)
        return hosts

    @cached_property
    def by_metric(self) -> Mapping[str, Sequence[Finding]]:
        """Findings by what they measured first, gravest first."""
        metrics: dict[str, list[Finding]] = {}
        for finding in self.findings:
            metrics.setdefault(metric_of(finding), []).append(finding)
        return metrics

    def about(self, metrics: Iterable[str]) -> Iterator[Finding]:
        """The findings about some metrics."""
        for metric in metrics:
            yield from self.by_metric.get(metric, ())

    @cached_property
    def groups(self) -> Mapping[str, frozenset[str]]:
        """The hosts that answered, by whom they are compared with; those with peers only."""
        groups: dict[str, set[str]] = {}
        for host in self.answered:
            groups.setdefault(self.peers.group(host), set()).add(host)
        groups.pop("", None)
        return {group: frozenset(hosts) for group, hosts in groups.items()}

    @cached_property
    def evidence(self) -> Mapping[str, Evidence]:
        """All evidence by its call's id. Only rules that read logs need it."""
        return {item.call_id: item for part in self.parts for item in part.evidence}

    def cited(self, finding: Finding) -> Iterable[Evidence]:
        """What a finding rests on, and what shows its cause."""
        calls = [ref.call_id for claim in finding.claims for ref in claim.evidence]
        for call in dict.fromkeys((*calls, *finding.related)):
            if item := self.evidence.get(call):
                yield item

    def measured_on(self, findings: Iterable[Finding]) -> set[str]:
        """The hosts that measured what these findings are about, whatever came of it."""
        hosts: set[str] = set()
        for finding in findings:
            hosts.add(finding.host)
            hosts |= self.readings.get(place_of(finding), {}).keys()
        return hosts


def metric_of(finding: Finding) -> str:
    """What a finding measured first; empty for one without a claim."""
    return finding.claims[0].metric if finding.claims else ""


def place_of(finding: Finding) -> tuple[str, str]:
    """What a finding is about, in words that all hosts share."""
    if not finding.claims:
        return "", finding.title
    claim = finding.claims[0]
    return claim.metric, comparable(claim.metric, claim.subject, finding.host)


def word_of(finding: Finding) -> str:
    """The word that a finding about a state observed, such as `unresolved`; empty for a number."""
    value = finding.claims[0].observed if finding.claims else ""
    return value if isinstance(value, str) else ""


def gravest(findings: Iterable[Finding]) -> Severity:
    """The gravest severity among some findings."""
    return min((finding.severity for finding in findings), key=lambda one: one.rank)


def hosts_of(findings: Iterable[Finding]) -> tuple[str, ...]:
    """The hosts of some findings, sorted, each once."""
    return tuple(sorted({finding.host for finding in findings}))


def ids_of(findings: Iterable[Finding]) -> tuple[str, ...]:
    """The ids of some findings, in their order, each once."""
    return tuple(dict.fromkeys(finding.id for finding in findings))
