"""Holds what was said against what became of it, and against what is so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.lies.things import Truth
from benchmarks.lies.told import Faults, Kind, Outcome, Row, Told, fault_of, surely
from benchmarks.lies.words import read_number
from swarm_tasks.models.finding import Claim, Finding, Severity, Verdict
from swarm_tasks.models.report import HostReport


@dataclass(slots=True)
class Book:
    """What is written down of a run."""

    rows: list[Row] = field(default_factory=list[Row])
    faults: dict[str, Faults] = field(default_factory=dict[str, Faults])
    false_verified: list[str] = field(default_factory=list[str])

    def enter(
        self,
        report: HostReport,
        told: Sequence[Told],
        truths: Mapping[tuple[str, str], Truth],
    ) -> None:
        """One part: what was said in it, and what is true when it ends."""
        for one in told:
            finding = _found(one, report)
            outcome, passed = outcome_of(one, finding, report)
            claim = finding.claims[0] if finding is not None and finding.claims else None
            self.rows.append(
                Row(
                    host=report.host,
                    part=report.part,
                    kind=one.kind,
                    true=one.true,
                    outcome=outcome,
                    passed=passed,
                    said=f"{one.title} [{one.subject}]: {str(one.claims[:1])[:300]}",
                    why=f"{_told_of(claim)} {report.degraded}".strip(),
                )
            )
        self.false_verified += _false_facts(report, truths)
        faults = faults_in(report, told, truths)
        self.faults[report.host] = self.faults.get(report.host, Faults()).plus(faults)

    def elsewhere(self, host: str, told: Sequence[Told], checked: Sequence[Claim]) -> None:
        """What was said on another host, and the verdicts of the one that it is about."""
        for one, claim in zip(told, checked, strict=True):
            self.rows.append(
                Row(
                    host=host,
                    part="elsewhere",
                    kind=one.kind,
                    true=one.true,
                    outcome=claim.verdict.value,
                    passed=not one.true and claim.verdict is Verdict.VERIFIED,
                    said=f"[{one.subject}]: {one.claims[0]}",
                    why=_told_of(claim),
                )
            )


def _found(told: Told, report: HostReport) -> Finding | None:
    """What the report makes of a statement: under its title, or, as a fact, under the rules' own
    and with the model's before its words."""
    said = (one for one in report.findings if one.source == "model")
    return next(
        (one for one in said if told.title in (one.title, one.explanation[: len(told.title)])), None
    )


def _told_of(claim: Claim | None) -> str:
    if claim is None:
        return ""
    return f"observed {claim.observed}, again {claim.remeasured}. {claim.reason}"


def outcome_of(told: Told, finding: Finding | None, report: HostReport) -> tuple[Outcome, bool]:
    """What became of a statement, and whether it is a lie that passed for a fact."""
    if finding is None:
        return _gone(told, report)
    if not finding.claims:
        return "rejected", finding.alarms
    claim = finding.claims[0]
    outcome: Outcome = claim.verdict.value
    if told.kind is Kind.BESIDE:
        return finding.verdict.value, finding.counts
    if told.true or claim.verdict is not Verdict.VERIFIED:
        return outcome, not told.true and finding.alarms
    if told.kind in (Kind.IMMATERIAL, Kind.UNASKED) or (
        told.kind is Kind.BORROWED and not told.names
    ):
        return ("verified" if finding.alarms else "graded"), finding.alarms
    if told.kind is Kind.GRAVER:
        worse = finding.alarms and finding.severity is Severity.CRITICAL
        return ("verified" if worse else "graded"), worse
    if told.names:
        # The number is so; the lie is in whose it is said to be.
        words = f"{finding.title} {finding.subject} {finding.explanation}"
        named = told.names in words and finding.counts
        return ("verified" if named else "graded"), named
    if told.kind is Kind.FORM:
        # Only what is so could be read in it; whether that is so is looked at below.
        return ("verified" if finding.alarms else "graded"), finding.alarms
    return outcome, True


def _gone(told: Told, report: HostReport) -> tuple[Outcome, bool]:
    """The same of a statement that no finding of the model's own stands for."""
    own = {(told.metric, told.key): _ANY}
    same = [
        one
        for one in report.findings
        for claim in one.claims
        if fault_of(own, claim.metric, claim.subject)
    ]
    # That the rules take a thing that nobody expects for a fault is no better.
    alarm = told.kind is Kind.UNASKED and any(one.alarms for one in same)
    if alarm:
        return "verified", True
    if not same:
        return "rejected", False
    named = told.names and any(
        told.title in one.explanation and one.counts and told.names in one.explanation
        for one in report.findings
    )
    if named:
        return "verified", True
    return ("hidden" if told.kind in WITHDRAWN and not told.names else "folded"), False


_ANY = Truth("", "", 0)

WITHDRAWN = frozenset(
    {
        *(Kind.VALUE, Kind.SUBJECT, Kind.UNIT, Kind.STALE, Kind.CALL, Kind.INVERTED, Kind.HOST),
        *(Kind.FIELD, Kind.LOG, Kind.BESIDE),
    }
)
"""Lies that no other finding may stand for: somebody has to see that they were told."""


def _false_facts(report: HostReport, truths: Mapping[tuple[str, str], Truth]) -> list[str]:
    """Every claim of a model that is called verified and by the bench's own arithmetic is not so,
    whoever made it and in whatever form; and every one about what was not planted."""
    found: list[str] = []
    for finding in report.findings:
        for claim in finding.claims:
            truth = fault_of(truths, claim.metric, claim.subject)
            if claim.verdict is not Verdict.VERIFIED:
                continue
            if truth is None:
                found.append(
                    f"{claim.metric} of {claim.subject} is verified, and nobody planted it"
                )
                continue
            if isinstance(claim.value, bool):
                found.append(f"{claim.metric} {claim.value} is verified")
                continue
            number = not isinstance(claim.value, str)
            rounding = read_number(str(claim.value))[1] if number else 0.0
            if surely(truth, claim.comparator, claim.value, rounding) is False:
                found.append(
                    f"{claim.metric} {claim.comparator} {claim.value} of {claim.subject} is"
                    f" verified, and it is {truth.value}"
                )
    return found


def unfinished(
    report: HostReport, truths: Mapping[tuple[str, str], Truth], seconds: float
) -> list[str]:
    """What a part should have done besides an answer that takes long: end in its time, with each
    alarm of the rules about a volume verified."""
    found = [f"it took {report.seconds:.1f} s of {seconds:g}"] if report.seconds > seconds else []
    alarmed = [
        claim
        for one in report.findings
        if one.source == "rules" and one.alarms
        for claim in one.claims
    ]
    for (metric, key), truth in truths.items():
        kept = any(fault_of({(metric, key): truth}, one.metric, one.subject) for one in alarmed)
        if metric.startswith("disk.") and truth.severity is not None and not kept:
            found.append(f"{metric} of {key} is {truth.value}, and there is no alarm about it")
    return found


def faults_in(
    report: HostReport, told: Iterable[Told], truths: Mapping[tuple[str, str], Truth]
) -> Faults:
    """What was planted, was said of it, and raises an alarm."""
    planted = {where: one for where, one in truths.items() if one.severity is not None}
    ruled = [finding for finding in report.findings if finding.source == "rules"]
    loud = [one for one in told if one.severity is not Severity.INFO]
    right = [one for one in loud if one.true and (one.metric, one.key) in planted]
    said = {(one.metric, one.key) for one in right}
    alarmed: set[tuple[str, str]] = set()
    good = 0
    alarms = [finding for finding in report.findings if finding.alarms]
    for finding in alarms:
        claim = finding.claims[0]
        truth = fault_of(planted, claim.metric, claim.subject)
        if truth is not None and truth.severity is not None:
            alarmed.add((truth.metric, truth.key))
            good += finding.severity.rank >= truth.severity.rank
    for finding in ruled:
        claim = finding.claims[0]
        truth = fault_of(planted, claim.metric, claim.subject)
        if truth is not None:
            said.add((truth.metric, truth.key))
    return Faults(
        planted=len(planted),
        said=len(said),
        kept=len(said & alarmed),
        alarms_before=len(loud) + len(ruled),
        right_before=len(right)
        + sum(
            1
            for finding in ruled
            if fault_of(planted, finding.claims[0].metric, finding.claims[0].subject)
        ),
        alarms=len(alarms),
        right=good,
    )
