"""What became of claims: the honesty line of a report, and what a model is trusted by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, Field

from swarm_tasks.models.base import Frozen
from swarm_tasks.models.finding import Claim, Verdict

MOST_COUNTED = 10_000
"""The most that one part counts of anything: many times what an agent claims, and little enough to
be added up and shown whatever a host writes. Sums over parts and days have no such bound."""


class Tally(Frozen):
    """How many claims of one source came to what.

    Args:
        model: The model that made them; empty for the rules, or for all together.
        specialist: The specialist whose agent made them; empty for all together.
        rejected: Claims that could not be read at all, such as those of an unknown metric or of a
            value that is none.
        opinions: Findings that made no claim.
    """

    model: str = ""
    specialist: str = ""
    verified: int = Field(default=0, ge=0)
    refuted: int = Field(default=0, ge=0)
    stale: int = Field(default=0, ge=0)
    unverifiable: int = Field(default=0, ge=0)
    unsupported: int = Field(default=0, ge=0)
    rejected: int = Field(default=0, ge=0)
    opinions: int = Field(default=0, ge=0)

    @property
    def made(self) -> int:
        """All claims, those that could not be read among them."""
        return self.checked + self.unverifiable + self.rejected

    @property
    def checked(self) -> int:
        """Claims that a check came to an end with."""
        return self.verified + self.stale + self.wrong

    @property
    def wrong(self) -> int:
        """Claims that were never so: a measurement, or their own evidence, says otherwise."""
        return self.refuted + self.unsupported

    @classmethod
    def of(
        cls,
        claims: Iterable[Claim],
        model: str = "",
        specialist: str = "",
        rejected: int = 0,
        opinions: int = 0,
    ) -> Tally:
        """These claims, counted by verdict."""
        counts = Counter(claim.verdict for claim in claims)
        return cls(
            model=model,
            specialist=specialist,
            rejected=rejected,
            opinions=opinions,
            **{verdict.value: counts[verdict] for verdict in Verdict},
        )


def _bounded(tally: Tally) -> Tally:
    """A tally as one part may have it: what is over counts no more. It is no mistake that voids
    the part, as a model may write claims without end and the rules' findings are beside it."""
    counts = tally.model_dump(exclude={"model", "specialist"})
    over = {name: MOST_COUNTED for name, count in counts.items() if count > MOST_COUNTED}
    return tally.model_copy(update=over) if over else tally


PartTally = Annotated[Tally, AfterValidator(_bounded)]
"""What one part counted."""


def together(tallies: Iterable[Tally]) -> Tally:
    """All of these as one, without a name."""
    total = Counter[str]()
    for tally in tallies:
        total.update(tally.model_dump(exclude={"model", "specialist"}))
    return Tally.model_validate(dict(total))


def by_source(tallies: Iterable[Tally]) -> tuple[Tally, ...]:
    """One for each model and specialist, by name."""
    groups: dict[tuple[str, str], list[Tally]] = {}
    for tally in tallies:
        groups.setdefault((tally.model, tally.specialist), []).append(tally)
    return tuple(
        together(group).model_copy(update={"model": model, "specialist": specialist})
        for (model, specialist), group in sorted(groups.items())
    )
