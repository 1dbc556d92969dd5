"""Claims of several agents that cannot all be so. Pure.

Two claims about the same metric of the same thing on the same host contradict each other where no
single measurement could bear both out within the metric's slack, or where what the two agents read
is further apart than that. Readings of the rules alone are not held against each other: trusted
code read both, and the value moved. What was measured settles it, never a vote.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType

from swarm_tasks.measures import Measure, measures
from swarm_tasks.models.finding import Claim, Finding, MeasuredValue, Verdict
from swarm_tasks.models.report import Contradiction, HostReport

ROUNDED = 0.5000005
ROUNDED_SHARE = 0.005
"""The most that `workers.comparing.precision_of` lets a written number stand for: half a unit, or
half a percent of a size or a duration. Rather too much: a report is to tell of no contradiction
that is none."""

MOST_COMPARED = 60
"""Different claims about one thing that are held against each other; each costs with all others."""

MOST_OF_A_PART = 10
"""How many of those one part makes: its many claims are not to hide another's."""

MOST_CONTRADICTIONS = 100
"""How many a report tells. A host makes as many claims as it likes."""

Place = tuple[int, int, int]
"""A claim among the parts: the part, its finding, the claim, each by number."""

NOTHING: Mapping[Place, str] = MappingProxyType({})

About = tuple[str, str, str]
"""Host, metric and subject."""


@dataclass(frozen=True, slots=True)
class Said:
    """A claim, who made it, and of which host it is.

    Args:
        trusted: Whether it is the rules'.
    """

    place: Place
    claim: Claim
    host: str
    trusted: bool = False

    @property
    def part(self) -> int:
        """The part whose agent made it."""
        return self.place[0]

    @property
    def measured(self) -> bool:
        """Whether it was measured after it was made; what is gone has a time and no value."""
        return self.claim.remeasured is not None or self.claim.remeasured_at is not None


@dataclass(frozen=True, slots=True)
class Dispute:
    """Claims about one thing, each of which contradicts another one's agent.

    Args:
        said: In the order of the parts.
        stands: Whether two that contradict each other still stand, or nothing was measured at all:
            then only a new measurement can tell.
    """

    about: About
    said: tuple[Said, ...]
    stands: bool


def all_said(parts: Sequence[HostReport]) -> Iterator[Said]:
    """Every claim of every part."""
    for at, part in enumerate(parts):
        for number, finding in enumerate(part.findings):
            for place, claim in enumerate(finding.claims):
                host, trusted = claim.host or part.host, finding.source == "rules"
                yield Said((at, number, place), claim, host, trusted)


def disputes(parts: Sequence[HostReport]) -> tuple[Dispute, ...]:
    """What agents disagree about, in the order in which it is first spoken of."""
    groups: dict[About, list[Said]] = {}
    for said in all_said(parts):
        about = (said.host, said.claim.metric, said.claim.subject)
        groups.setdefault(about, []).append(said)
    found: list[Dispute] = []
    for about, same in groups.items():
        metric = measures().get(about[1])
        if metric is None or len({said.part for said in same}) < 2:
            continue
        dispute = _dispute(about, same, metric)
        if dispute is not None:
            found.append(dispute)
            if len(found) == MOST_CONTRADICTIONS:
                break
    return tuple(found)


def _dispute(about: About, same: Iterable[Said], metric: Measure) -> Dispute | None:
    """What is disputed of one thing; None where all agree."""
    unlike = {_words(said): said for said in same}
    heads = _heads(unlike.values())
    involved: set[Place] = set()
    open_pair = False
    for one, other in combinations(heads, 2):
        standing = one.claim.verdict.counts + other.claim.verdict.counts
        # Of two that were both withdrawn, the report says enough.
        if one.part == other.part or not standing:
            continue
        trusted = one.trusted and other.trusted
        if contradicts(one.claim, other.claim, metric, trusted=trusted):
            involved |= {one.place, other.place}
            open_pair |= standing == 2
    if not involved:
        return None
    said = tuple(one for one in heads if one.place in involved)
    measured = any(one.measured for one in said)
    return Dispute(about, said, open_pair or not measured)


def _heads(unlike: Iterable[Said]) -> list[Said]:
    """Those that are compared, in the order of the parts: some of every part, and first of all
    those that stand, so that no part hides its own behind what it withdrew."""
    by_part: dict[int, list[Said]] = {}
    for said in unlike:
        by_part.setdefault(said.part, []).append(said)
    ranked = [
        (rank, said)
        for same in by_part.values()
        for rank, said in enumerate(sorted(same, key=lambda one: not one.claim.verdict.counts))
        if rank < MOST_OF_A_PART
    ]
    ranked.sort(key=lambda pair: (pair[0], pair[1].place))
    return sorted((said for _, said in ranked[:MOST_COMPARED]), key=lambda said: said.place)


def _words(said: Said) -> tuple[object, ...]:
    claim = said.claim
    return said.part, claim.comparator, claim.value, claim.observed, claim.verdict


def contradicts(one: Claim, other: Claim, metric: Measure, *, trusted: bool = False) -> bool:
    """Whether two claims about the same thing cannot both be so.

    Readings that are far apart count only where one of the claims was not verified: of two that
    were both measured again and hold, the value moved within what both say.

    Args:
        trusted: Whether both are the rules'.
    """
    if not compatible(one, other, metric):
        return True
    if trusted or one.verdict is other.verdict is Verdict.VERIFIED:
        return False
    if one.observed is None or other.observed is None:
        return False
    return _apart(one.observed, other.observed, metric)


def compatible(one: Claim, other: Claim, metric: Measure) -> bool:
    """Whether some measurement would bear out both, within the metric's slack.

    A claim holds on a value that is at most the slack away from what it says (`workers.verify`),
    so each interval reaches that much further, and two that do not meet then never hold together.
    """
    if isinstance(one.value, str) or isinstance(other.value, str):
        return _words_agree(one, other, metric)
    if "!=" in (one.comparator, other.comparator):
        exact = {one.comparator, other.comparator} == {"==", "!="}
        return not (exact and one.value == other.value)
    (low, at_low), (high, at_high) = _lowest(one, metric), _highest(one, metric)
    (other_low, at_other_low), (other_high, at_other_high) = (
        _lowest(other, metric),
        _highest(other, metric),
    )
    return _meet(low, at_low, other_high, at_other_high) and _meet(
        other_low, at_other_low, high, at_high
    )


def _meet(low: float, at_low: bool, high: float, at_high: bool) -> bool:
    """Whether something lies between two bounds, each of which may itself belong to it."""
    return low < high or (low == high and at_low and at_high)


def _lowest(claim: Claim, metric: Measure) -> tuple[float, bool]:
    """The least value that bears a claim out, and whether that value itself does."""
    if claim.comparator in ("<=", "<"):
        return -math.inf, True
    value = float(claim.value)
    return value - _reach(claim, metric), claim.comparator != ">"


def _highest(claim: Claim, metric: Measure) -> tuple[float, bool]:
    """The greatest value that bears a claim out, and whether that value itself does."""
    if claim.comparator in (">=", ">"):
        return math.inf, True
    value = float(claim.value)
    return value + _reach(claim, metric), claim.comparator != "<"


def _reach(claim: Claim, metric: Measure) -> float:
    """How far from its value a claim still holds: the slack and, for one of equality, as much as
    its value may have been rounded by."""
    value = float(claim.value)
    rounded = max(ROUNDED, abs(value) * ROUNDED_SHARE) if claim.comparator == "==" else 0.0
    return metric.slack(value) + rounded


def _words_agree(one: Claim, other: Claim, metric: Measure) -> bool:
    """Whether two words may be said of the same thing: words that are as bad as each other mean
    the same."""
    same = not _apart(one.value, other.value, metric)
    comparators = {one.comparator, other.comparator}
    if comparators == {"=="}:
        return same
    return not (comparators == {"==", "!="} and same)


def _apart(one: MeasuredValue, other: MeasuredValue, metric: Measure) -> bool:
    """Whether two values differ by more than the metric moves by itself."""
    if isinstance(one, str) or isinstance(other, str):
        if metric.states:
            return metric.states.get(str(one)) != metric.states.get(str(other))
        return one != other
    first, second = float(one), float(other)
    return abs(first - second) > max(metric.slack(first), metric.slack(second))


def contradictions(
    found: Iterable[Dispute],
    named: Mapping[tuple[int, int], Finding],
    anew: frozenset[Place] = frozenset(),
    unmeasured: Mapping[Place, str] = NOTHING,
) -> tuple[Contradiction, ...]:
    """Disputes as a report tells them.

    Args:
        named: The findings of the report, with their ids, by part and finding.
        anew: The claims that were measured anew because of a dispute.
        unmeasured: Those that were to be, and why they were not.
    """
    told: list[Contradiction] = []
    for dispute in found:
        host, metric, subject = dispute.about
        shown = [said for said in dispute.said if said.place[:2] in named]
        settled = _settled(dispute, anew)
        reasons = (unmeasured.get(said.place, "") for said in dispute.said)
        told.append(
            Contradiction(
                host=host,
                metric=metric,
                subject=subject,
                findings=tuple(dict.fromkeys(named[said.place[:2]].id for said in shown)),
                claims=tuple(f"{named[said.place[:2]].id}.c{said.place[2] + 1}" for said in shown),
                value=settled.remeasured if settled else None,
                unit=measures()[metric].unit,
                settled_at=settled.remeasured_at if settled else None,
                reason="" if settled else "; ".join(dict.fromkeys(filter(None, reasons))),
            )
        )
    return tuple(told)


def _settled(dispute: Dispute, anew: frozenset[Place]) -> Claim | None:
    """The claim whose new measurement tells who was right; None where nothing does."""
    measured = [said for said in dispute.said if said.measured]
    if dispute.stands:
        measured = [said for said in measured if said.place in anew]
    if not measured:
        return None
    return max(measured, key=_worth).claim


def _worth(said: Said) -> tuple[bool, float]:
    claim = said.claim
    taken = claim.remeasured_at.timestamp() if claim.remeasured_at else 0.0
    return claim.verdict is Verdict.VERIFIED, taken
