"""A written claim becomes one that can be checked, held against the evidence that it cites. Pure.

What is measured at a place in a result, and of what, is read by the rules, not taken from the
model. What the model calls it must not be the name of something else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from swarm_tasks.brain.base import Transcript
from swarm_tasks.measures import Measure, measures
from swarm_tasks.models.base import HOST_PATTERN, JsonScalar
from swarm_tasks.models.evidence import Evidence
from swarm_tasks.models.finding import MOST, Claim, EvidenceRef, Verdict
from swarm_tasks.unseen import plain_line
from workers.comparing import compares
from workers.paging import cited, resolve
from workers.rules.brain import RulesBrain
from workers.rules.known import Known
from workers.rules.names import names_of
from workers.rules.rule import Reading
from workers.rules.subjects import WHOLE_HOST, contradicts
from workers.units import NUMBER, number_of, precision_in, state_of
from workers.verify import TO_BE_CHECKED_THERE
from workers.written import FORM, Written, written

OWN_NAMES = frozenset({"localhost", "self"})
MOST_SHOWN = 5
SUBJECT_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Read:
    """A claim that could be read.

    Args:
        reading: What stands at the place that it cites; None for a claim about another host.
        doubt: What a model should be told of it once; empty for nothing.
    """

    claim: Claim
    reading: Reading | None = None
    doubt: str = ""

    def of(self, subject: str) -> Read:
        """The same claim, of what its finding is about where it does not say of what itself."""
        if self.claim.subject:
            return self
        return replace(self, claim=self.claim.model_copy(update={"subject": subject}))

    def but(self, doubt: str) -> Read:
        """The same claim, which its own evidence does not bear out after all."""
        update = {"verdict": Verdict.UNSUPPORTED, "reason": doubt}
        return replace(self, claim=self.claim.model_copy(update=update), doubt=doubt)

    @property
    def subject(self) -> Reading:
        """What stands at its place, or for another host the name that it gives."""
        return self.reading or Reading(self.claim.subject, "", "")


@dataclass(slots=True)
class ClaimReader:
    """Reads the claims of one answer.

    Args:
        rules: What reads values in evidence.
        transcript: What was gathered.
    """

    rules: RulesBrain
    transcript: Transcript
    _known: dict[str, Known] = field(default_factory=dict[str, Known])

    def read(self, said: object) -> Read:
        """The claim that a text or an object makes, with what the evidence says of it.

        Raises:
            ValueError: It cannot be read; the message says why.
        """
        parts = written(said)
        if parts.metric not in measures():
            raise ValueError(f"there is no metric {parts.metric}")
        metric = measures()[parts.metric]
        host = self._other_host(parts.host)
        value = self._value(metric, parts, host)
        return self._there(parts, metric, value, host) if host else self._here(parts, metric, value)

    def known(self, metric: str) -> Known:
        """Every subject of a metric in all that was gathered. Looked up once."""
        if metric not in self._known:
            self._known[metric] = Known(
                reading
                for evidence in self.transcript.evidence
                for rule, reading in self.rules.readings(evidence)
                if rule.metric == metric
            )
        return self._known[metric]

    def contradiction(self, at: int, reads: Sequence[Read], subject: str, title: str) -> str:
        """What a finding's words name in place of what a claim of it is about; empty for nothing.

        The subjects of its other claims may be named as well, but a finding is about that of its
        first claim: what is so of that must not stand under the name of another.

        Args:
            at: Which of the claims that could be read.
        """
        own = reads[at].reading
        if own is None:
            return ""
        known = self.known(reads[at].claim.metric)
        beside = [read for read in reads if read is not reads[at]]
        also = [read.subject for read in beside]
        name = contradicts(subject, own, known, also)
        name = name or contradicts(title, own, known, also, title=True)
        if not name and at == 0 and names_of(own.subject):
            seen = [read.reading for read in beside if read.reading is not None]
            others = Known(seen, known) if seen else known
            name = contradicts(subject, own, others, title=True)
            name = name or contradicts(title, own, others, title=True)
        return _other_than(name, own) if name else ""

    def _value(self, metric: Measure, parts: Written, host: str) -> JsonScalar:
        """What is claimed. What another host may say is not known here, but for the table."""
        if metric.states:
            known = [] if host else self.known(metric.name).subjects
            seen = {str(one.reading.value) for one in known}
            return state_of(metric, parts.value, parts.unit, parts.comparator, seen)
        if not NUMBER.fullmatch(parts.value):
            raise ValueError(f"{parts.value[:40]!r} is no {metric.unit}")
        return number_of(metric, parts.value, parts.unit)

    def _other_host(self, said: str) -> str:
        """The host that a claim is about; empty for this one."""
        if said.casefold() in ("", self.transcript.task.host.casefold(), *OWN_NAMES):
            return ""
        if not re.fullmatch(HOST_PATTERN, said):
            raise ValueError(f"{said!r} is no host's name")
        return said

    def _there(self, parts: Written, metric: Measure, value: JsonScalar, host: str) -> Read:
        """A claim about another host: what was gathered on this one cannot bear it out."""
        subject = plain_line(parts.subject, SUBJECT_CHARACTERS)
        if metric.name in WHOLE_HOST and subject.casefold() == host.casefold():
            subject = ""
        if not subject and metric.name not in WHOLE_HOST:
            raise ValueError(f"it does not say of what: write `{host}:{metric.name} of SUBJECT`")
        claim = Claim(
            metric=metric.name,
            host=host,
            subject=subject,
            comparator=parts.comparator,
            value=value,
            unit=metric.unit,
            observed=None,
            observed_at=None,
            reason=TO_BE_CHECKED_THERE,
        )
        return self._invented(parts, claim) or Read(claim)

    def _invented(self, parts: Written, claim: Claim) -> Read | None:
        """A claim that names a result which was never gathered; None for one that does not."""
        for place in parts.places:
            if self._evidence(place.call) is None:
                return Read(claim).but(f"{place.call[:60] or 'its result'} was never gathered")
        return None

    def _here(self, parts: Written, metric: Measure, value: JsonScalar) -> Read:
        """A claim about this host, held against the evidence."""
        if not parts.places:
            raise ValueError(f"it names no evidence: the form is `{FORM}`")
        claim = Claim(
            metric=metric.name,
            subject=plain_line(parts.subject, SUBJECT_CHARACTERS),
            comparator=parts.comparator,
            value=value,
            unit=metric.unit,
            observed=None,
            observed_at=None,
        )
        if invented := self._invented(parts, claim):
            return invented
        given = [(place, self._evidence(place.call)) for place in parts.places]
        found = [(place, item) for place, item in given if item is not None]
        readings = [self._reading(metric.name, item, place.pointer) for place, item in found]
        own = readings[0]
        evidence = tuple(
            EvidenceRef(
                call_id=item.call_id, pointer=reading.pointer, sha256=self.rules.digest_of(item)
            )
            for (_, item), reading in zip(found, readings, strict=True)
        )
        claim = claim.model_copy(
            update={
                "subject": own.subject,
                "observed": own.value,
                "observed_at": found[0][1].started,
                "evidence": evidence,
            }
        )
        read = Read(claim, own)
        if any(place.sha256 not in ("", self.rules.digest_of(item)) for place, item in found):
            return read.but("the digest is not that of the evidence")
        strays = [reading for reading in readings if reading.subject != own.subject]
        if strays:
            return read.but(f"its evidence is of {own.subject} and of {strays[0].subject}")
        if name := contradicts(parts.subject, own, self.known(metric.name)):
            return read.but(_other_than(name, own))
        if not all(_says(reading, metric, parts, value) for reading in readings):
            # That is no mistake of form, so the answer is not sent back for it.
            return replace(read.but("the evidence does not say so"), doubt="")
        return read

    def _evidence(self, call: str) -> Evidence | None:
        """The evidence under a short name, or under the id of its call."""
        return cited(self.transcript, call) or self.transcript.by_id.get(call)

    def _reading(self, metric: str, evidence: Evidence, pointer: str) -> Reading:
        """The rules' reading of a metric at a place in a result."""
        found = self.rules.reading_at(metric, pointer, evidence)
        if found is None:
            raise ValueError(self._not_there(metric, evidence, pointer))
        if not isinstance(found.value, str) and not -MOST <= found.value <= MOST:
            raise ValueError(f"what stands at {pointer} is no measurement")
        return found

    def _not_there(self, metric: str, evidence: Evidence, pointer: str) -> str:
        """Why a metric does not stand at a place, and where it does."""
        stands = [
            reading.pointer
            for rule, reading in self.rules.readings(evidence)
            if rule.metric == metric
        ]
        where = ", ".join(stands[:MOST_SHOWN])
        told = f"it stands at {where}" if where else "that result does not tell it"
        try:
            resolve(evidence.data, pointer)
        except LookupError as error:
            if where and pointer:
                return f"{error}; {metric}: {told}"
        return f"{metric} does not stand at {pointer or 'the top'} of that result; {told}"


def _says(reading: Reading, metric: Measure, parts: Written, value: JsonScalar) -> bool:
    """Whether a reading is what a claim says, as precisely as that is written."""
    within = None if metric.states else precision_in(metric, parts.value, parts.unit)
    return compares(reading.value, parts.comparator, value, precision=within)


def _other_than(name: str, own: Reading) -> str:
    """What is wrong with words that name something else."""
    return f"it names {name[:100]}, and what stands there is of {own.subject}"
