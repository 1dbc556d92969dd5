"""Two reports side by side: what is new, worse, the same, better or resolved, and of what that
cannot be said. Pure.

Findings are the same if their fingerprint is. Compared is what stands: a finding that a check
withdrew is as if it were not there, and an opinion of a model is none. One that is acknowledged is
compared like any other, and marked.

A finding that is gone is resolved only if somebody looked: an agent of its specialist answered on
its host, and called again what had shown it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from orchestrator.change import DIFF_SCHEMA, Change, Compared, Diff, Difference, Side
from swarm_tasks.measures import measures
from swarm_tasks.models.evidence import Evidence, EvidenceStatus, ToolCall
from swarm_tasks.models.finding import Claim, Finding, MeasuredValue, Severity, Verdict
from swarm_tasks.models.report import HostStatus, PartLine, Report


def compare(old: Report, new: Report) -> Diff:
    """The change of every finding that stands in either report.

    Args:
        old: What is compared with: the earlier job, as a rule.
    """
    before, after = _standing(old.findings), _standing(new.findings)
    earlier, later = _Look(old), _Look(new)
    told: list[Difference] = []
    for mark in before.keys() | after.keys():
        was, now = before.get(mark), after.get(mark)
        if was is not None and now is not None:
            told.append(_moved(was, now))
        elif now is not None:
            told.append(_appeared(now, earlier, new))
        elif was is not None:
            told.append(_gone(was, later, old, withdrawn=_withdrawn(new, mark)))
    told.sort(key=_order)
    counts = Counter(one.change for one in told)
    return Diff(
        schema=DIFF_SCHEMA,
        old=_compared(old),
        new=_compared(new),
        counts={change: counts[change] for change in Change},
        notes=_notes(old, new),
        findings=tuple(told),
    )


def _standing(findings: Iterable[Finding]) -> dict[str, Finding]:
    """What is compared, by fingerprint; of two with the same, the one that weighs more."""
    found: dict[str, Finding] = {}
    for one in findings:
        if not one.verdict.counts or one.opinion:
            continue
        known = found.get(one.fingerprint)
        if known is None or _weight(one) < _weight(known):
            found[one.fingerprint] = one
    return found


def _weight(one: Finding) -> tuple[bool, int]:
    return not one.counts, one.severity.rank


def _withdrawn(report: Report, mark: str) -> Finding | None:
    """A finding that was claimed and measured again, and did not hold."""
    measured = (Verdict.REFUTED, Verdict.STALE)
    same = (one for one in report.findings if one.fingerprint == mark)
    return next((one for one in same if one.verdict in measured), None)


def _moved(was: Finding, now: Finding) -> Difference:
    """What became of a finding that both have."""
    pairs = [
        (first, second) for first in was.claims for second in now.claims if _alike(first, second)
    ]
    steps = [(_step(first, second), first, second) for first, second in pairs]
    change, why = Change.SAME, ""
    if was.severity is not now.severity:
        change = Change.WORSE if now.severity.rank < was.severity.rank else Change.BETTER
    elif any(step > 0 for step, _, _ in steps):
        change = Change.WORSE
    elif any(step < 0 for step, _, _ in steps):
        change = Change.BETTER
    if was.verdict is Verdict.VERIFIED and now.verdict is not Verdict.VERIFIED:
        why = "nothing could measure it again this time"
    sign = {Change.WORSE: 1, Change.BETTER: -1}.get(change, 0)
    told = next(((one, two) for step, one, two in steps if step == sign), None)
    first, second = told or (None, None)
    return _difference(change, now, why, _side(was, first), _side(now, second))


def _alike(first: Claim, second: Claim) -> bool:
    """Whether two claims are about the same thing."""
    return (first.metric, first.subject) == (second.metric, second.subject)


def _step(first: Claim, second: Claim) -> int:
    """1 if the second value is further past the limit by more than the slack, -1 if it is further
    on the good side, 0 for no difference that two measurements could not have anyhow."""
    way = {">": 1, ">=": 1, "<": -1, "<=": -1}.get(second.comparator, 0)
    before, after = _value(first), _value(second)
    if not way or isinstance(before, (str, bool)) or isinstance(after, (str, bool)):
        return 0
    if before is None or after is None or first.unit != second.unit:
        return 0
    known = measures().get(second.metric)
    slack = known.slack(float(before)) if known else 0.0
    if abs(after - before) <= slack:
        return 0
    return way if after > before else -way


def _value(claim: Claim) -> MeasuredValue | None:
    return claim.observed if claim.remeasured is None else claim.remeasured


def _appeared(now: Finding, earlier: _Look, new: Report) -> Difference:
    """What to say of a finding that the earlier job does not have."""
    change, why = earlier.at(now, new)
    said = "" if change is Change.RESOLVED else f"it may have been there before: {why}"
    return _difference(Change.NEW, now, said, None, _side(now, None))


def _gone(was: Finding, later: _Look, old: Report, withdrawn: Finding | None) -> Difference:
    """What to say of a finding that the later job does not have."""
    if withdrawn is not None:
        change, why = Change.RESOLVED, "it did not hold when it was measured again"
    else:
        change, why = later.at(was, old)
    return _difference(change, was, why, _side(was, None), None)


class _Look:
    """What one job looked at."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._asked = frozenset(report.coverage.asked)
        self._parts: dict[tuple[str, str], list[PartLine]] = {}
        for line in report.hosts:
            for part in line.parts:
                self._parts.setdefault((line.host, part.specialist), []).append(part)
        self._lines = {line.host: line for line in report.hosts}
        self._calls: dict[tuple[str, str], list[Evidence]] = {}
        for item in report.evidence:
            self._calls.setdefault((item.host, item.tool), []).append(item)

    def at(self, finding: Finding, seen_in: Report) -> tuple[Change, str]:
        """Whether this job would have seen a finding that it does not have: resolved if so, else
        unknown or not asked, with why."""
        job, host, specialist = self._report.job.id, finding.host, finding.specialist
        if host not in self._asked:
            return Change.NOT_ASKED, f"{job} did not ask {host}"
        line = self._lines.get(host)
        parts = self._parts.get((host, specialist), [])
        if not parts and (line is None or line.status is not HostStatus.ANSWERED):
            return Change.UNKNOWN, f"{host} did not answer in {job}"
        if not parts:
            return Change.NOT_ASKED, f"{job} had no agent for {specialist} on {host}"
        if all(part.status is not HostStatus.ANSWERED for part in parts):
            reason = f" ({parts[0].reason})" if parts[0].reason else ""
            return Change.UNKNOWN, f"{specialist} did not answer on {host} in {job}{reason}"
        return self._called(finding, seen_in)

    def _called(self, finding: Finding, seen_in: Report) -> tuple[Change, str]:
        """Whether a call that showed the finding in the other job was made in this one too."""
        job = self._report.job.id
        refs = {ref.call_id for claim in finding.claims for ref in claim.evidence}
        shown = [item for item in seen_in.evidence if item.call_id in refs]
        if not shown and finding.source == "rules":
            return Change.RESOLVED, ""
        why = f"nothing tells what {job} would have had to call"
        for item in shown:
            wanted = ToolCall(tool=item.tool, arguments=item.arguments)
            same = [
                one
                for one in self._calls.get((finding.host, item.tool), [])
                if wanted.same_as(ToolCall(tool=one.tool, arguments=one.arguments))
            ]
            good = [one for one in same if one.status is EvidenceStatus.OK]
            if any(not one.truncated or one.data is None for one in good):
                return Change.RESOLVED, ""
            if good:
                why = f"the output of {item.tool} was cut in {job}"
            elif same:
                why = f"{item.tool} gave no answer in {job} ({same[0].reason or same[0].status})"
            else:
                why = f"{job} did not call {item.tool} in the same way"
        return Change.UNKNOWN, why


def _difference(
    change: Change, of: Finding, why: str, old: Side | None, new: Side | None
) -> Difference:
    return Difference(
        change=change,
        fingerprint=of.fingerprint,
        host=of.host,
        specialist=of.specialist,
        title=of.title,
        subject=of.subject,
        source=of.source,
        why=why,
        old=old,
        new=new,
        alarms=change in (Change.NEW, Change.WORSE) and of.alarms,
    )


def _side(finding: Finding, claim: Claim | None) -> Side:
    """A finding as one job has it, with this claim; with its first where none is given."""
    claim = claim or (finding.claims[0] if finding.claims else None)
    side = Side(
        id=finding.id,
        severity=finding.severity,
        verdict=finding.verdict,
        acknowledged=finding.acknowledged is not None,
    )
    if claim is None:
        return side
    return side.model_copy(
        update={
            "metric": claim.metric,
            "value": _value(claim),
            "comparator": claim.comparator,
            "limit": claim.value,
            "unit": claim.unit,
        }
    )


def _order(one: Difference) -> tuple[int, int, str, str, str]:
    side = one.new or one.old
    rank = side.severity.rank if side else len(Severity)
    return list(Change).index(one.change), rank, one.host, one.title, one.subject


def _compared(report: Report) -> Compared:
    job = report.job
    return Compared(id=job.id, question=job.question, created=job.created, status=job.status)


def _notes(old: Report, new: Report) -> tuple[str, ...]:
    notes: list[str] = []
    if new.job.created < old.job.created:
        notes.append(f"{new.job.id} is older than {old.job.id}: they are compared as given")
    if old.job.id == new.job.id:
        notes.append("it is the same job twice")
    opinions = sum(one.opinion for report in (old, new) for one in report.findings)
    if opinions:
        plural = "opinion" if opinions == 1 else "opinions"
        notes.append(f"not compared: {opinions:,} {plural} of models that nothing confirmed")
    return tuple(notes)
