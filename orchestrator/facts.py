"""What a model may speak of: measured values by placeholder, and names. Pure.

Only facts are here. What could not be measured again, a claim that was refuted, that went stale or
that its evidence does not say has no placeholder, and its numbers are no measurements.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

from orchestrator.render import tally
from orchestrator.render.claims import claim_digits, reading_of
from orchestrator.render.honesty import OTHERS, WRONG
from orchestrator.render.names import has_digit, names_in
from orchestrator.render.numbers import Facts, Settled, settle
from orchestrator.render.quantities import Measurements
from orchestrator.render.values import value_text
from orchestrator.render.words import cut_words
from swarm_tasks.measures import measures
from swarm_tasks.models.base import JsonScalar
from swarm_tasks.models.finding import Claim, Finding
from swarm_tasks.models.report import HostReport, NotSeen, Report

ANSWER_CHARACTERS = 2_000
EXPLANATION_CHARACTERS = 1_000
TITLE_CHARACTERS = 200
"""The longest words of an agent's model that a report takes."""

COUNTED_WELL = re.compile(r"(.+): \d+ checked")
"""What the rules rule out, by its meaning in the metric table, with how many they looked at."""

STATUS = re.compile(r"\bstatus (\d{3})\b")


def facts_of_report(report: Report, parts: Iterable[HostReport]) -> Facts:
    """What the words about a whole job may speak of.

    Args:
        parts: For the names of what was measured and is well.
    """
    standing = tally.standing(report.findings)
    values = dict(_counts_of(report, standing))
    measured: list[tuple[JsonScalar | None, str]] = []
    for finding in standing:
        for number, claim in _claims_of(finding):
            digits = claim_digits(claim)
            if (value := reading_of(claim)) is None:
                continue
            values[f"{finding.id}.{number}"] = value_text(value, claim.unit, digits)
            values[f"{finding.id}.{number}.limit"] = value_text(claim.value, claim.unit, digits)
            measured += _numbers_of(claim)
    for outlier in report.outliers:
        values[f"{outlier.id}.value"] = value_text(outlier.value, outlier.unit)
        values[f"{outlier.id}.median"] = value_text(outlier.median, outlier.unit)
        measured += [(outlier.value, outlier.unit), (outlier.median, outlier.unit)]
    texts = {line.platform for line in report.hosts}
    texts |= {one.subject for part in parts for one in part.measured}
    for finding in standing:
        texts.update(_names_of(finding))
    return Facts(values, Measurements.of(measured), names_in(texts, report.coverage.asked))


def _counts_of(report: Report, standing: Sequence[Finding]) -> Iterator[tuple[str, str]]:
    """The counts that code itself can vouch for."""
    coverage = report.coverage
    for name in ("asked", "answered", "dark", "failed"):
        yield f"n.{name}", f"{len(getattr(coverage, name)):,}"
    yield "n.findings", f"{len(standing):,}"
    severities = Counter(finding.severity.value for finding in standing)
    for name in ("critical", "warning", "info"):
        yield f"n.{name}", f"{severities[name]:,}"
    yield "n.claims", f"{report.claims.made:,}"
    for name in (*WRONG, *OTHERS):
        yield f"n.{name}", f"{getattr(report.claims, name):,}"
    for one in (*report.patterns, *report.causes):
        yield f"{one.id}.hosts", f"{len(one.hosts):,}"
    for pattern in report.patterns:
        yield f"{pattern.id}.well", f"{pattern.well:,}"
    for outlier in report.outliers:
        yield f"{outlier.id}.peers", f"{outlier.peers:,}"


def all_settled(parts: Sequence[HostReport]) -> tuple[list[HostReport], int]:
    """All parts with the numbers in their models' words settled, and how many were taken out."""
    settled: list[HostReport] = []
    removed = 0
    for part in parts:
        part, gone = settled_words(part)
        removed += gone
        settled.append(part)
    return settled, removed


def settled_words(part: HostReport) -> tuple[HostReport, int]:
    """A part with the numbers in its model's words settled, and how many were taken out.

    What explains a finding may say the numbers of its claims; an agent's answer, what it ruled out
    and what it could not see also those that stand in the evidence of the part. What code wrote
    stays as it is.
    """
    counted = _counted_by_rules(part)
    seen = {(item.tool, item.reason) for item in part.evidence}
    if (
        not part.answer
        and counted.issuperset(part.ruled_out)
        and all(_met_by_code(miss, seen) for miss in part.not_seen)
        and not any(map(_spoken, part.findings))
    ):
        return part, 0
    removed = 0
    findings: list[Finding] = []
    said = _Said(part)
    for finding in part.findings:
        settled, gone = _settled_finding(finding, said)
        findings.append(settled)
        removed += gone
    facts = _facts_of_part(part, said)
    answer = settle(part.answer, facts)
    well = [Settled(text) if text in counted else settle(text, facts) for text in part.ruled_out]
    blind = [
        Settled(miss.reason) if _met_by_code(miss, seen) else settle(miss.reason, facts)
        for miss in part.not_seen
    ]
    changed = {
        "findings": tuple(findings),
        "answer": cut_words(answer.text, ANSWER_CHARACTERS),
        "ruled_out": tuple(cut_words(one.text, TITLE_CHARACTERS) for one in well),
        "not_seen": tuple(
            miss.model_copy(update={"reason": one.text})
            for miss, one in zip(part.not_seen, blind, strict=True)
        ),
    }
    removed += sum(one.removed for one in (answer, *well, *blind))
    return part.model_copy(update=changed), removed


def _counted_by_rules(part: HostReport) -> set[str]:
    """What is ruled out in the words that the rules use, which hold a count of code's own."""
    meanings = {measure.meaning for measure in measures().values()}
    found = ((text, COUNTED_WELL.fullmatch(text)) for text in part.ruled_out)
    return {text for text, told in found if told and told[1] in meanings}


def _met_by_code(miss: NotSeen, seen: Collection[tuple[str, str]]) -> bool:
    """Whether code said why something was not seen: a model's words have no remedy and name no
    arguments, and are no tool's own."""
    return bool(miss.remedy or miss.arguments) or (miss.tool, miss.reason) in seen


def _spoken(finding: Finding) -> bool:
    """Whether there are words of a model in a finding."""
    return bool(finding.explanation) or finding.source == "model"


class _Said:
    """What tools answered in a part, as case-folded text; each answer is written out once."""

    def __init__(self, part: HostReport) -> None:
        self._items = {item.call_id: item for item in part.evidence}
        self._texts: dict[str, str] = {}

    def text(self, call_ids: Collection[str] | None = None) -> str:
        """The answers to these calls, or all."""
        wanted = [one for one in self._items if call_ids is None or one in call_ids]
        for one in wanted:
            if one not in self._texts:
                self._texts[one] = str(self._items[one].data).casefold()
        return " ".join(self._texts[one] for one in wanted)


def _settled_finding(finding: Finding, said: _Said) -> tuple[Finding, int]:
    fields = {"explanation": EXPLANATION_CHARACTERS}
    if finding.source == "model":
        fields |= {"title": TITLE_CHARACTERS, "advice": EXPLANATION_CHARACTERS}
        # With a claim, the subject is what was measured.
        fields |= {} if finding.claims else {"subject": TITLE_CHARACTERS}
    words = {name: str(getattr(finding, name)) for name in fields}
    if not any(words.values()):
        return finding, 0
    facts = _facts_of_finding(finding, said, any(map(has_digit, words.values())))
    settled = {name: settle(text, facts) for name, text in words.items()}
    changed = {name: cut_words(one.text, fields[name]) for name, one in settled.items()}
    return finding.model_copy(update=changed), sum(one.removed for one in settled.values())


def _facts_of_finding(finding: Finding, said: _Said, digits: bool) -> Facts:
    """What the words about one finding may speak of."""
    calls = {ref.call_id for claim in finding.claims for ref in claim.evidence}
    calls |= {*finding.related}
    return Facts(
        measured=Measurements.of(
            number for _, claim in _claims_of(finding) for number in _numbers_of(claim)
        ),
        names=names_in(_names_of(finding), (finding.host,), said.text(calls) if digits else ""),
    )


def _facts_of_part(part: HostReport, said: _Said) -> Facts:
    """What an agent's answer may speak of."""
    blind = (miss.reason for miss in part.not_seen)
    digits = any(map(has_digit, (part.answer, *part.ruled_out, *blind)))
    evidence = said.text() if digits else ""
    known = measures()
    values: list[tuple[JsonScalar | None, str]] = [
        (one.value, known[one.metric].unit) for one in part.measured if one.metric in known
    ]
    for finding in part.findings:
        for _, claim in _claims_of(finding):
            values += _numbers_of(claim)
    texts = {one.subject for one in part.measured}
    for finding in part.findings:
        texts.update(_names_of(finding))
    names = names_in(texts, (part.host,), evidence)
    return Facts(measured=Measurements.of(values, evidence), names=names)


def _claims_of(finding: Finding) -> Iterator[tuple[int, Claim]]:
    """The claims that stand, each with its place among all."""
    for number, claim in enumerate(finding.claims, 1):
        if claim.verdict.counts and finding.verdict.counts:
            yield number, claim


def _numbers_of(claim: Claim) -> list[tuple[JsonScalar | None, str]]:
    """What was measured, and the limit; nothing where only the claim itself says a number."""
    if reading_of(claim) is None:
        return []
    return [(value, claim.unit) for value in (claim.observed, claim.remeasured, claim.value)]


def _names_of(finding: Finding) -> Iterator[str]:
    """Texts about a finding that were not written by a model."""
    for claim in finding.claims:
        yield claim.subject
    if finding.source == "rules":
        yield finding.subject
        yield finding.specialist
        if code := STATUS.search(finding.advice):
            yield f"status {code[1]}"
            yield f"HTTP {code[1]}"
