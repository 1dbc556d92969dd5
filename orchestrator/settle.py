"""Claims that the host which made them could not check: who is to measure them, and what became of
them. Pure: the asking is in `checks.py`.

Those are claims about another host, and claims of several agents that cannot all be so. Each goes
to the host that it is about. What comes back is taken from that host alone: its verdict, its
numbers, its evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.contradict import Place, all_said, disputes
from orchestrator.render.words import one_line, shorten
from swarm_tasks.contracts import MOST_CHECKS, ClaimsChecked
from swarm_tasks.models.evidence import Evidence
from swarm_tasks.models.finding import Claim, Finding, Severity, Verdict
from swarm_tasks.models.report import HostReport
from swarm_tasks.models.tally import Tally, by_source

TOO_MANY = f"more than {MOST_CHECKS} claims about that host were to be checked"
NOT_SAID = "that host's answer does not say what it measured"

CHANGED = "it was so when it was first measured"
"""Of a claim that was borne out once, and no longer is: it is stale, not a lie."""

REASON_CHARACTERS = 300
SUBJECT_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Question:
    """What one host is asked to measure.

    Args:
        claims: What is asked, each once.
        places: Where each of them stands among the parts.
    """

    host: str
    claims: tuple[Claim, ...]
    places: tuple[tuple[Place, ...], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one claim that was asked about.

    Args:
        checked: As the host that was asked sent it; None where it was not measured.
        reason: Why it was not.
    """

    checked: Claim | None = None
    reason: str = ""

    @property
    def measured(self) -> bool:
        """Whether that host measured it."""
        return self.checked is not None and self.checked.verdict is not Verdict.UNVERIFIABLE

    @property
    def why(self) -> str:
        """Why it was not measured, in a line."""
        reason = self.reason if self.checked is None else self.checked.reason
        return shorten(one_line(reason), REASON_CHARACTERS)


@dataclass(frozen=True, slots=True)
class Folded:
    """Parts with the verdicts of other hosts folded in.

    Args:
        evidence: What was measured for that.
        anew: The claims that were measured by it.
        unmeasured: The claims that were to be, and why they were not.
    """

    parts: tuple[HostReport, ...]
    evidence: tuple[Evidence, ...] = ()
    anew: frozenset[Place] = field(default_factory=frozenset[Place])
    unmeasured: Mapping[Place, str] = field(default_factory=dict[Place, str])


def without_hearsay(parts: Sequence[HostReport]) -> tuple[HostReport, ...]:
    """The parts in which no host's own word on another one stands: neither a verdict nor a number,
    whichever it is. Only what is measured there counts; and a forged measurement that withdraws a
    claim would else be shown as what settled a contradiction."""
    return tuple(
        _changed(
            part,
            {
                (number, at): unheard
                for number, finding in enumerate(part.findings)
                for at, claim in enumerate(finding.claims)
                if claim.host not in ("", part.host) and (unheard := _unheard(claim)) != claim
            },
        )
        for part in parts
    )


def _unheard(claim: Claim) -> Claim:
    """A claim about another host as if nobody had looked."""
    return claim.model_copy(
        update={
            "verdict": Verdict.UNVERIFIABLE,
            "observed": None,
            "observed_at": None,
            "remeasured": None,
            "remeasured_at": None,
            "evidence": (),
        }
    )


def questions(parts: Sequence[HostReport]) -> tuple[tuple[Question, ...], dict[Place, Answer]]:
    """What is to be asked, a question for each host, and what is too much to ask.

    Claims about other hosts are always to be checked there.

    Args:
        parts: Without hearsay.
    """
    wanted: dict[str, dict[tuple[object, ...], tuple[Claim, list[Place]]]] = {}
    refused: dict[Place, Answer] = {}
    disputed = {said.place for one in disputes(parts) if one.stands for said in one.said}
    for said in all_said(parts):
        claim = said.claim
        elsewhere = said.host != parts[said.part].host
        if not claim.verdict.counts or not (elsewhere or said.place in disputed):
            continue
        asked = wanted.setdefault(said.host, {})
        key = (claim.metric, claim.subject, claim.comparator, claim.value, elsewhere)
        if key not in asked and len(asked) == MOST_CHECKS:
            refused[said.place] = Answer(reason=TOO_MANY)
            continue
        asked.setdefault(key, (_asked(claim, said.host, elsewhere), []))[1].append(said.place)
    return (
        tuple(
            Question(
                host,
                tuple(claim for claim, _ in asked.values()),
                tuple(tuple(places) for _, places in asked.values()),
            )
            for host, asked in wanted.items()
        ),
        refused,
    )


def _asked(claim: Claim, host: str, elsewhere: bool) -> Claim:
    """A claim as it is sent to the host that is to measure it: without what others made of it."""
    return Claim(
        metric=claim.metric,
        host=host,
        subject=claim.subject,
        comparator=claim.comparator,
        value=claim.value,
        unit=claim.unit,
        observed=None if elsewhere else claim.observed,
        observed_at=None if elsewhere else claim.observed_at,
        evidence=() if elsewhere else claim.evidence,
    )


def unasked(question: Question, reason: str) -> dict[Place, Answer]:
    """The same reason for all that a host was to be asked."""
    return {place: Answer(reason=reason) for places in question.places for place in places}


def answers(
    question: Question, checked: ClaimsChecked, known: frozenset[str]
) -> tuple[dict[Place, Answer], tuple[Evidence, ...]]:
    """What one host's answer says of each claim, and the evidence for it.

    Args:
        known: The calls whose evidence the parts hold already: nobody may put other data there.
    """
    evidence = {
        item.call_id: item
        for item in checked.evidence
        if item.host == question.host and item.call_id not in known
    }
    if len(checked.claims) != len(question.claims):
        return unasked(question, NOT_SAID), ()
    told: dict[Place, Answer] = {}
    for places, claim in zip(question.places, checked.claims, strict=True):
        refs = tuple(ref for ref in claim.evidence if ref.call_id in evidence)
        claim = claim.model_copy(update={"evidence": refs})
        # A state may be borne out by its absence: then only the moment is told.
        unmeasured = claim.remeasured is None and claim.remeasured_at is None
        unmeasured &= claim.verdict is Verdict.VERIFIED
        answer = Answer(reason=NOT_SAID) if unmeasured else Answer(claim)
        told |= dict.fromkeys(places, answer)
    return told, tuple(evidence.values())


def folded(
    parts: Sequence[HostReport],
    told: Mapping[Place, Answer],
    evidence: Iterable[Evidence] = (),
) -> Folded:
    """The parts with these answers folded in: claims, verdicts of findings, and counts."""
    by_part: dict[int, dict[tuple[int, int], Answer]] = {}
    for (part, finding, claim), answer in told.items():
        by_part.setdefault(part, {})[finding, claim] = answer
    anew = {place for place, answer in told.items() if answer.measured}
    return Folded(
        parts=tuple(
            _part(part, by_part[at]) if at in by_part else part for at, part in enumerate(parts)
        ),
        evidence=tuple(evidence),
        anew=frozenset(anew),
        unmeasured={place: told[place].why for place in told.keys() - anew},
    )


def _part(part: HostReport, told: Mapping[tuple[int, int], Answer]) -> HostReport:
    """A part with the answers to its claims, by finding and claim."""
    return _changed(
        part,
        {
            (number, at): _claim(claim, part.host, told[number, at], finding)
            for number, finding in enumerate(part.findings)
            for at, claim in enumerate(finding.claims)
            if (number, at) in told
        },
    )


def _changed(part: HostReport, claims: Mapping[tuple[int, int], Claim]) -> HostReport:
    """A part with these claims in the place of its own, by finding and claim: verdicts of its
    findings and its counts follow them."""
    if not claims:
        return part
    tallies = {(one.model, one.specialist): one for one in tallies_of(part)}
    findings: list[Finding] = []
    for number, finding in enumerate(part.findings):
        held = tuple(claims.get((number, at), one) for at, one in enumerate(finding.claims))
        key = (finding.model, part.specialist)
        tallies[key] = tallies.get(key) or Tally(model=key[0], specialist=key[1])
        for old, new in zip(finding.claims, held, strict=True):
            tallies[key] = _moved(tallies[key], old.verdict, new.verdict)
        settled = _concluded(finding, held) if held != finding.claims else finding
        if finding.opinion is not settled.opinion:
            opinions = max(tallies[key].opinions + (1 if settled.opinion else -1), 0)
            tallies[key] = tallies[key].model_copy(update={"opinions": opinions})
        findings.append(settled)
    kept = tuple(one for one in tallies.values() if one.made or one.opinions)
    return part.model_copy(update={"findings": tuple(findings), "tallies": kept})


def _claim(claim: Claim, own: str, answer: Answer, finding: Finding) -> Claim:
    """A claim with what the host that it is about says of it."""
    elsewhere = claim.host not in ("", own)
    checked = answer.checked
    if checked is None or not answer.measured:
        if not elsewhere:
            return claim  # it was measured where it was made, and that stays
        return claim.model_copy(
            update={
                "verdict": Verdict.UNVERIFIABLE,
                "remeasured": None,
                "remeasured_at": None,
                "reason": answer.why,
            }
        )
    verdict, reason = checked.verdict, shorten(one_line(checked.reason), REASON_CHARACTERS)
    held = claim.verdict is Verdict.VERIFIED or finding.source == "rules"
    if verdict is Verdict.REFUTED and held and not elsewhere:
        verdict, reason = Verdict.STALE, reason or CHANGED
    changed: dict[str, object] = {
        "verdict": verdict,
        "remeasured": checked.remeasured,
        "remeasured_at": checked.remeasured_at,
        "reason": reason,
        "evidence": tuple(dict.fromkeys((*claim.evidence, *checked.evidence))),
    }
    if elsewhere:
        # What was measured, and of what exactly, is for that host alone to say.
        changed |= {
            "subject": shorten(checked.subject, SUBJECT_CHARACTERS),
            "observed": None,
            "observed_at": None,
            "evidence": checked.evidence,
        }
    return claim.model_copy(update=changed)


def _concluded(finding: Finding, claims: tuple[Claim, ...]) -> Finding:
    """A finding whose claims have new verdicts.

    Only the rules of a host say how grave a value is there, and they were not asked: what becomes
    true by another host's measurement is information.
    """
    verdict = Verdict.worst(claim.verdict for claim in claims)
    if finding.verdict is Verdict.UNSUPPORTED:
        verdict = Verdict.worst((verdict, finding.verdict))
    changed: dict[str, object] = {"claims": claims, "verdict": verdict}
    became_true = verdict is Verdict.VERIFIED and finding.verdict is not Verdict.VERIFIED
    if finding.source == "model" and became_true:
        said = finding.said_severity or finding.severity
        changed |= {"severity": Severity.INFO, "said_severity": said}
    return finding.model_copy(update=changed)


def tallies_of(part: HostReport) -> tuple[Tally, ...]:
    """What became of a part's claims: as its worker counted them or, where it did not, as they
    stand in its findings."""
    if part.tallies:
        return part.tallies
    sources = {finding.model for finding in part.findings}
    counted = (
        Tally.of(
            (claim for one in part.findings if one.model == model for claim in one.claims),
            model=model,
            specialist=part.specialist,
            opinions=sum(1 for one in part.findings if one.model == model and one.opinion),
        )
        for model in sources
    )
    return by_source(tally for tally in counted if tally.made or tally.opinions)


def _moved(tally: Tally, old: Verdict, new: Verdict) -> Tally:
    """A tally in which one claim went from one verdict to another."""
    if old is new:
        return tally
    left = max(int(getattr(tally, old.value)) - 1, 0)
    more = int(getattr(tally, new.value)) + 1
    return tally.model_copy(update={old.value: left, new.value: more})
