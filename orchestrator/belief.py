"""Whether agents' models are to be believed, and which tier's model an agent gets by that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from swarm_tasks.config import Settings
from swarm_tasks.models.charge import Tier
from swarm_tasks.models.job import BrainChoice, Specialist
from swarm_tasks.models.report import Doubt
from swarm_tasks.store.trust import TrustRecord


@dataclass(frozen=True, slots=True)
class Belief:
    """What the trust record says of the agents of one job.

    Args:
        worker: The agents' model, as these settings name it.
        other: The orchestrator's.
        doubted: Specialists that the agents' model was too often wrong for, with the doubt.
        raised: Those of them whose agents are to think with the orchestrator's model in its place.
    """

    worker: str = ""
    other: str = ""
    doubted: Mapping[str, Doubt] = field(default_factory=dict[str, Doubt])
    raised: frozenset[str] = frozenset()

    def notes(self, used: Sequence[str]) -> tuple[str, ...]:
        """What follows for a plan with these specialists, for people."""
        raised = [name for name in used if name in self.raised]
        kept = [name for name in used if name in self.doubted and name not in self.raised]
        told: list[str] = []
        if raised:
            told.append(
                f"agents of {', '.join(raised)} are to think with the orchestrator's model "
                f"{self.other}: {self.worker} was wrong too often ({self._shares(raised)})"
            )
        if kept:
            alone = self.worker == self.other
            why = "no other model is set" if alone else f"so was {self.other}"
            told.append(
                f"agents of {', '.join(kept)} are to think with a model that is doubted: "
                f"{self.worker} was wrong too often ({self._shares(kept)}); {why}"
            )
        return tuple(told)

    def _shares(self, names: Sequence[str]) -> str:
        tallies = {name: self.doubted[name].tally for name in names}
        return ", ".join(
            f"{name}: {one.wrong:,} of {one.checked:,} checked claims"
            for name, one in tallies.items()
        )


def belief_in(
    record: TrustRecord, settings: Settings, brain: BrainChoice, specialists: Sequence[Specialist]
) -> Belief:
    """Which of these specialists' model is doubted, as far as these settings know the model."""
    if brain is BrainChoice.RULES or not settings.has_model or settings.distrust_percent >= 100:
        return Belief()
    worker, other = settings.model_of(Tier.WORKER), settings.model_of(Tier.ORCHESTRATOR)
    pairs = [(model, one.name) for one in specialists for model in (worker, other)]
    return believed(worker, other, record.doubts(pairs, settings.distrust_percent))


def believed(worker: str, other: str, doubts: Iterable[Doubt]) -> Belief:
    """What follows from doubts. Pure.

    An agent whose model is doubted for its specialist thinks with the orchestrator's, where that is
    another one and not doubted for it too.

    Args:
        worker: The agents' model.
        other: The orchestrator's.
    """
    known = list(doubts)
    doubted = {one.tally.specialist: one for one in known if one.tally.model == worker}
    spoilt = {one.tally.specialist for one in known if one.tally.model == other}
    return Belief(worker, other, doubted, frozenset(doubted.keys() - spoilt))
