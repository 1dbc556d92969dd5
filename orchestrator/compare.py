"""Two reports side by side: what is new, worse, the same, better or resolved, and of what that
cannot be said. Pure.

Findings are the same if their fingerprint is. Compared is what stands: a finding that a check
withdrew is as if it were not there, and an opinion of a model is none. One that is acknowledged is
compared like any other, and marked.

A finding that is gone is resolved only if somebody looked (`orchestrator.looked`), or if it was
claimed again and what was measured then does not bear out the earlier claim.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from orchestrator.change import DIFF_SCHEMA, Change, Compared, Diff, Difference, Side
from orchestrator.looked import Look
from orchestrator.render.values import value_text
from swarm_tasks.measures import measures
from swarm_tasks.models.finding import Claim, Finding, MeasuredValue, Severity, Verdict
from swarm_tasks.models.report import Report

MEASURED = (Verdict.REFUTED, Verdict.STALE)
"""The verdicts that a second measurement withdraws a claim with."""

UPWARDS = {">": 1, ">=": 1, "<": -1, "<=": -1}
"""Where a value moves as it gets further past its limit."""


def compare(old: Report, new: Report) -> Diff:
    """The change of every finding that stands in either report.

    Args:
        old: What is compared with: the earlier job, as a rule.
    """
    before, after = _standing(old.findings), _standing(new.findings)
    earlier, later = Look(old), Look(new)
    told: list[Difference] = []
    for mark in before.keys() | after.keys():
        was, now = before.get(mark), after.get(mark)
        if was is not None and now is not None:
            told.append(_moved(was, now))
        elif now is not None:
            told.append(_appeared(now, earlier, new))
        elif was is not None:
            told.append(_gone(was, later, old, new))
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


def _moved(was: Finding, now: Finding) -> Difference:
    """What became of a finding that both have."""
    pairs = _pairs(was, now)
    steps = [(_step(first, second), first, second) for first, second in pairs]
    change = Change.SAME
    if was.severity is not now.severity:
        change = Change.WORSE if now.severity.rank < was.severity.rank else Change.BETTER
    elif any(step > 0 for step, _, _ in steps):
        change = Change.WORSE
    elif any(step < 0 for step, _, _ in steps):
        change = Change.BETTER
    said: list[str] = []
    if change is Change.SAME:
        said += dict.fromkeys(filter(None, (_apart(first, second) for first, second in pairs)))
        if not pairs and (was.claims or now.claims):
            said.append("cannot be compared: they are claims about different things")
    if was.verdict is Verdict.VERIFIED and now.verdict is not Verdict.VERIFIED:
        said.append("nothing could measure it again this time")
    sign = {Change.WORSE: 1, Change.BETTER: -1}.get(change, 0)
    told = next(((one, two) for step, one, two in steps if step == sign), None)
    first, second = told or (None, None)
    return _difference(change, now, "; ".join(said), _side(was, first), _side(now, second))


def _pairs(was: Finding, now: Finding) -> list[tuple[Claim, Claim]]:
    """The claims of the two that are about the same thing."""
    return [
        (first, second)
        for first in was.claims
        for second in now.claims
        if (first.metric, first.subject) == (second.metric, second.subject)
        and (first.host or was.host) == (second.host or now.host)
    ]


def _apart(first: Claim, second: Claim) -> str:
    """Why the values of two claims cannot be compared; empty where they can."""
    if first.unit != second.unit:
        return f"cannot be compared: in {first.unit} then, in {second.unit} now"
    before, after = _value(first), _value(second)
    if before is None and after is None and _gone_from_sight(first) and _gone_from_sight(second):
        return ""
    if before is None or after is None:
        when = "then" if before is None else "now"
        return f"cannot be compared: no value was measured {when}"
    if isinstance(before, str) is not isinstance(after, str):
        return "cannot be compared: one value is a word and the other a number"
    return ""


def _gone_from_sight(claim: Claim) -> bool:
    """Whether it was measured again, and what it is about was not there any more."""
    return claim.remeasured is None and claim.remeasured_at is not None


def _step(first: Claim, second: Claim) -> int:
    """1 if the second value is further past the limit by more than the slack, -1 if it is further
    on the good side, 0 for no difference that two measurements could not have anyhow."""
    way = UPWARDS.get(_direction(second), 0)
    before, after = _value(first), _value(second)
    if not way or isinstance(before, (str, bool)) or isinstance(after, (str, bool)):
        return 0
    if before is None or after is None or first.unit != second.unit:
        return 0
    if abs(after - before) <= _slack(second.metric, float(before)):
        return 0
    return way if after > before else -way


def _direction(claim: Claim) -> str:
    """The comparator that says which values are worse: where a claim names a value and no limit,
    that of its metric."""
    known = measures().get(claim.metric)
    return known.comparator if known and claim.comparator in ("==", "!=") else claim.comparator


def _slack(metric: str, value: float) -> float:
    known = measures().get(metric)
    return known.slack(value) if known else 0.0


def _value(claim: Claim) -> MeasuredValue | None:
    return claim.observed if claim.remeasured is None else claim.remeasured


def _appeared(now: Finding, earlier: Look, new: Report) -> Difference:
    """What to say of a finding that the earlier job does not have."""
    change, why = earlier.at(now, new)
    said = "" if change is Change.RESOLVED else f"it may have been there before: {why}"
    return _difference(Change.NEW, now, said, None, _side(now, None))


def _gone(was: Finding, later: Look, old: Report, new: Report) -> Difference:
    """What to say of a finding that the later job does not have."""
    change, why = _measured(was, new) or later.at(was, old)
    return _difference(change, was, why, _side(was, None), None)


def _measured(was: Finding, new: Report) -> tuple[Change, str] | None:
    """What the later job measured of the same trouble when it withdrew another claim about it.

    A claim may be wrong in its number and the trouble still be there: what counts is whether the
    value that was measured bears out what was claimed before.

    Returns:
        None where nothing was measured that tells.
    """
    measured = [
        (first, second)
        for one in new.findings
        if one.fingerprint == was.fingerprint and one.verdict in MEASURED
        for first, second in _pairs(was, one)
        if second.remeasured_at is not None or second.remeasured is not None
    ]
    held = [(_holds(first, second), second) for first, second in measured]
    if still := [claim for holds, claim in held if holds]:
        said = "another claim about it did not hold, but what was claimed before does"
        value = still[0].remeasured
        number = "" if value is None else f": {value_text(value, still[0].unit, 2)}"
        return Change.UNKNOWN, said + number
    if any(holds is False for holds, _ in held):
        return Change.RESOLVED, "it did not hold when it was measured again"
    return None


def _holds(first: Claim, second: Claim) -> bool | None:
    """Whether the second measurement of the later claim bears out the earlier claim; None where
    the two cannot be compared."""
    value = second.remeasured
    if value is None:
        return first.comparator == "!="  # what is not there any more is no state at all
    if first.unit != second.unit or isinstance(value, str) is not isinstance(first.value, str):
        return None
    if isinstance(value, str) or isinstance(first.value, str):
        return (value == first.value) is (first.comparator == "==")
    number, limit = float(value), float(first.value)
    # Who claims a value claims no limit: a value that is worse does not end the trouble.
    room = _slack(first.metric, limit) if first.comparator == "==" else 0.0
    match first.comparator if first.comparator == "!=" else _direction(first):
        case ">=":
            return number >= limit - room
        case "<=":
            return number <= limit + room
        case ">":
            return number > limit
        case "<":
            return number < limit
        case "==":
            return abs(number - limit) <= room
        case _:
            return number != limit


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
