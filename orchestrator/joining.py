"""The findings of all parts, joined: in order, named, each trouble of a host once. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from swarm_tasks.models.evidence import Evidence
from swarm_tasks.models.finding import Acknowledgement, Finding, fingerprint
from swarm_tasks.models.report import Doubt, HostReport

UNCITED_BYTES = 4 << 20
"""How much evidence that no finding rests on is carried in a report, as JSON. What is over stays
listed without its data: a report on a thousand hosts must still open."""

Spot = tuple[int, int]
"""A finding among the parts: the part and the finding, each by number."""


@dataclass(frozen=True, slots=True)
class Known:
    """What control knows of findings, which no host can say for it.

    Args:
        acknowledged: What somebody wants no alarm for, by fingerprint.
        doubts: Models whose claims were wrong too often of late.
    """

    acknowledged: Mapping[str, Acknowledgement] = field(default_factory=dict[str, Acknowledgement])
    doubts: tuple[Doubt, ...] = ()


def joined(
    parts: Sequence[HostReport], known: Known, disputed: Collection[Spot] = ()
) -> dict[Spot, Finding]:
    """All findings, gravest first and facts before all else, numbered in that order.

    A host's same trouble is told once, by the finding that holds best. One that was withdrawn
    beside it, or that contradicts another agent, stands under a mark of its own: what somebody
    said and was not so must not vanish behind what is.
    """
    marks: dict[str, Spot] = {}
    found: dict[Spot, Finding] = {}
    for at, part in enumerate(parts):
        for number, finding in enumerate(part.findings):
            found[at, number] = finding
            best = marks.get(finding.fingerprint)
            if best is None or _order(finding) < _order(found[best]):
                marks[finding.fingerprint] = (at, number)
    kept: dict[Spot, Finding] = {}
    for spot, finding in found.items():
        best = marks[finding.fingerprint]
        if spot == best:
            kept[spot] = finding
            continue
        beside = found[best].verdict.counts and not finding.verdict.counts
        if spot in disputed or beside:
            own = _own_mark(finding, parts[spot[0]].part)
            if own not in marks:
                marks[own] = spot
                kept[spot] = finding.model_copy(update={"fingerprint": own})
    ordered = sorted(kept.items(), key=lambda pair: (*_order(pair[1]), *_place(pair[1])))
    doubted = {(one.tally.model, one.tally.specialist) for one in known.doubts}
    return {
        spot: _named(finding, f"f{number}", known, doubted)
        for number, (spot, finding) in enumerate(ordered, 1)
    }


def _order(finding: Finding) -> tuple[bool, bool, bool, int]:
    """How much a finding says: facts, what is unsure, opinions, what was withdrawn; the gravest of
    each first."""
    return (
        not finding.verdict.counts,
        not finding.counts,
        finding.opinion,
        finding.severity.rank,
    )


def _place(finding: Finding) -> tuple[str, str, str]:
    return finding.host, finding.title, finding.subject


def _own_mark(finding: Finding, part: str) -> str:
    """A mark of its own for what one source says of a trouble that another one has; a specialist
    may have several parts on a host."""
    source = f"said by {finding.model or 'the rules'} as {finding.specialist} in {part}"
    return fingerprint(finding.host, source, finding.fingerprint)


def _named(
    finding: Finding, name: str, known: Known, doubted: Collection[tuple[str, str]]
) -> Finding:
    """A finding with its id and its claims', and with what only control knows of it."""
    ack = known.acknowledged.get(finding.fingerprint)
    if ack is not None and finding.severity.rank < ack.severity.rank:
        ack = None  # it is graver than what was acknowledged
    source = (finding.model, finding.specialist)
    claims = tuple(
        claim.model_copy(update={"id": f"{name}.c{number}", "host": claim.host or finding.host})
        for number, claim in enumerate(finding.claims, 1)
    )
    return finding.model_copy(
        update={
            "id": name,
            "claims": claims,
            "acknowledged": ack,
            "doubted": finding.source == "model" and source in doubted,
        }
    )


def bounded(
    parts: Sequence[HostReport], findings: Sequence[Finding], measured: Sequence[Evidence] = ()
) -> tuple[Evidence, ...]:
    """All evidence; what findings rest on whole, the rest while there is room.

    Args:
        measured: What hosts measured for others, beside their parts.
    """
    cited = {ref.call_id for one in findings for claim in one.claims for ref in claim.evidence}
    cited |= {call for finding in findings for call in finding.related}
    room = UNCITED_BYTES
    kept: list[Evidence] = []
    for items in (*(part.evidence for part in parts), measured):
        for item in items:
            if item.call_id not in cited:
                size = len(str(item.data))
                if size <= room:
                    room -= size
                else:
                    # `truncated` stays what it was: it says whether the tool told all that it saw.
                    item = item.model_copy(update={"data": None, "reason": "left out for its size"})
            kept.append(item)
    return tuple(kept)
