"""Closes parts in their runners' stead, many at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from celery import Celery

from swarm_tasks import sending
from swarm_tasks.models.charge import summed
from swarm_tasks.models.outside import OutsideView
from swarm_tasks.models.report import HostReport, Usage
from swarm_tasks.store.ledger import Ledger
from swarm_tasks.store.records import PartRecord
from swarm_tasks.watch.verdicts import Verdict, report_of

AT_ONCE = 200
"""Parts that are closed in one round trip: some ten milliseconds of the store's time."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A part that is to be closed.

    Args:
        part: As it was seen.
        whoever: Whether it is closed even if it has been begun since then: its time is over.
        view: What a peer saw of its host, if that is dark.
    """

    job: str
    part: PartRecord
    verdict: Verdict
    whoever: bool = False
    view: OutsideView | None = None


class Closer:
    """Closes parts and sees to it that their jobs go on.

    Args:
        app: To count parts.
        ledger: Where they stand.
        still: Whether who decided is still the one to decide; asked before each round trip.
    """

    def __init__(self, app: Celery, ledger: Ledger, still: Callable[[], bool]) -> None:
        self._app = app
        self._ledger = ledger
        self._still = still

    def close(self, sentences: Sequence[Sentence]) -> None:
        """Close these parts, and count them."""
        closed: list[Sentence] = []
        for some in _portions(sentences):
            if not self._still():
                break
            closed += self._close(some)
        self._count(closed)

    def _close(self, some: Sequence[Sentence]) -> list[Sentence]:
        for one in some:
            if one.part.broken:
                self._ledger.mend_part(one.job, one.part)
        closings = [(self._report(one), self._seen(one)) for one in some]
        answers = self._ledger.close_parts(closings)
        return [one for one, answer in zip(some, answers, strict=True) if answer.ours]

    def _report(self, one: Sentence) -> HostReport:
        """The report, with what the part's own saved steps say that it took of a model."""
        report = report_of(one.job, one.part, one.verdict, one.view)
        if not one.part.attempt:
            return report
        steps = self._ledger.steps.load(one.job, one.part.part)
        charges = summed(step.charge for step in steps if step.charge is not None)
        if not charges:
            return report
        return report.model_copy(update={"charges": charges, "usage": Usage.of(charges)})

    @staticmethod
    def _seen(one: Sentence) -> PartRecord | None:
        return None if one.whoever or one.part.broken else one.part

    def _count(self, closed: Sequence[Sentence]) -> None:
        """Count parts towards their chords; where a job has none left, its synthesis is sent
        itself, which is one message in place of thousands of counts."""
        heads = self._ledger.heads(sorted({one.job for one in closed}))
        for job, head in heads.items():
            if head.closed >= head.total:
                sending.send_synthesis(self._app, job)
        for one in closed:
            head = heads.get(one.job)
            if head is not None and head.closed < head.total:
                sending.tell_chord(self._app, one.job, one.part.part)


def _portions(sentences: Sequence[Sentence]) -> Iterator[Sequence[Sentence]]:
    for first in range(0, len(sentences), AT_ONCE):
        yield sentences[first : first + AT_ONCE]
