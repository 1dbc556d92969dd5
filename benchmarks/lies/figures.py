"""What a run comes to: the confusion matrix, precision and recall, and what checking adds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from statistics import mean, median, quantiles
from typing import get_args

from benchmarks.lies.told import Kind, Outcome, PartCost, Round, Row
from benchmarks.support import Figure

WRONG: tuple[Outcome, ...] = ("refuted", "unsupported", "rejected")
LEAST_CLAIMS = 300

MOST_FALSE_VERIFIED = 0.3
MOST_TRUE_REFUTED = 1.0
"""Of true claims; those that come out stale though nothing changed are among them."""
MOST_RECALL_LOST = 2.0
OF_TIME = "×"
ADDED_SHARE = 0.10
ADDED_SECONDS = 0.3
"""Checking may add a tenth of the part or this, whichever is more."""

MOST_ADDED = 1.0
"""Of what it may add: for the part in the middle, and for nine parts in ten."""

MOST_PROBES = 1.5
"""A claim that does not hold is measured twice; those of one tool's answer share it."""


def counted(rows: Iterable[Row], *, true: bool) -> list[Row]:
    """The statements that are so, or are not, without those that were folded into another
    finding of the same thing: those got no verdict of their own."""
    return [row for row in rows if row.true is true and row.outcome != "folded"]


def false_verified(found: Round) -> float:
    """Percent of false statements that passed for a fact."""
    lies = counted(found.rows, true=False)
    passed = sum(row.passed for row in lies)
    return 100 * max(passed, len(found.false_verified)) / len(lies)


def true_refuted(found: Round) -> float:
    """Percent of true statements that were refuted, unsupported or rejected, or called stale:
    nothing that they are about has changed."""
    told = counted(found.rows, true=True)
    return 100 * sum(row.outcome in (*WRONG, "stale") for row in told) / len(told)


def true_left(found: Round, outcome: Outcome) -> float:
    """Percent of the plainly true statements that came to something else than a fact."""
    told = [row for row in counted(found.rows, true=True) if row.kind is Kind.TRUE]
    return 100 * sum(row.outcome == outcome for row in told) / len(told)


def hidden(found: Round) -> int:
    """How many lies were dropped behind another finding: nobody sees that they were told."""
    return sum(row.outcome == "hidden" for row in found.rows)


def recall_lost(found: Round) -> float:
    """Percent of the faults that were truthfully told in a part and raise no alarm after it."""
    return 100 * (1 - _share(found.ill.kept, found.ill.said))


def added(taken: Callable[[Sequence[float]], float]) -> Callable[[Round], float]:
    """The seconds that checking added to a part over what it may add."""
    return lambda one: taken([_over(part) for part in _checked(one)])


def added_in_the_middle(found: Round) -> float:
    """The same of the part in the middle."""
    return added(median)(found)


def _over(part: PartCost) -> float:
    return part.check_seconds / max(ADDED_SHARE * part.seconds, ADDED_SECONDS)


def _checked(found: Round) -> list[PartCost]:
    return [part for part in found.costs if part.claims >= 20]


def _ninth(values: Sequence[float]) -> float:
    return quantiles(values, n=10)[-1] if len(values) > 1 else values[0]


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 1.0


def cpu_of_claims(found: Round) -> float:
    """Milliseconds of CPU that a claim adds to its part: read, checked and measured again."""
    silent = [part.cpu_seconds for part in found.costs if part.part.split()[0].endswith("/silent")]
    told = _checked(found)
    added = mean(part.cpu_seconds for part in told) - mean(silent)
    return 1000 * added / mean(part.claims for part in told)


def probes_of_claims(found: Round) -> float:
    """How often something is measured again for a claim; claims share what they can."""
    told = _checked(found)
    return sum(part.probes for part in told) / sum(part.claims for part in told)


def figures(rounds: Sequence[Round]) -> tuple[Figure, ...]:
    """All that is measured; those with a target must reach it in every run."""

    def of(
        name: str,
        unit: str,
        value: Callable[[Round], float],
        target: float | None = None,
        digits: int = 2,
    ) -> Figure:
        return Figure(name, unit, [value(one) for one in rounds], target, digits)

    def percent(part: str, whole: str) -> Callable[[Round], float]:
        return lambda one: 100 * _share(getattr(one.ill, part), getattr(one.ill, whole))

    return (
        of("false claims", "", lambda one: len(counted(one.rows, true=False)), None, 0),
        of("… that passed as verified", "%", false_verified, MOST_FALSE_VERIFIED),
        of("true claims", "", lambda one: len(counted(one.rows, true=True)), None, 0),
        of("… refuted, unsupported, rejected or stale", "%", true_refuted, MOST_TRUE_REFUTED),
        of("… stale though nothing changed", "%", _left("stale"), MOST_TRUE_REFUTED),
        of("… unverifiable", "%", _left("unverifiable")),
        of("lies that another finding hides", "", hidden, 0, 0),
        of("crowded answers that went wrong", "", lambda one: len(one.crowded), 0, 0),
        of("alarms that are right, before checking", "%", percent("right_before", "alarms_before")),
        of("… after", "%", percent("right", "alarms")),
        of("faults told, before checking", "%", percent("said", "planted")),
        of("… after", "%", percent("kept", "planted")),
        of("… lost of those told", "%", recall_lost, MOST_RECALL_LOST),
        of("alarms on a healthy host, before", "", lambda one: one.well.alarms_before, None, 0),
        of("… after", "", lambda one: one.well.alarms, 0, 0),
        of("checking a part, median", "ms", _milliseconds(median), None, 0),
        of("… nine in ten", "ms", _milliseconds(_ninth), None, 0),
        of("… median over the larger of 10 % and 300 ms", OF_TIME, added(median), MOST_ADDED),
        of("… nine in ten over the same", OF_TIME, added(_ninth), MOST_ADDED),
        of("measurements that a claim takes", "", probes_of_claims),
        of("CPU that a claim adds", "ms", cpu_of_claims),
    )


def _left(outcome: Outcome) -> Callable[[Round], float]:
    return lambda one: true_left(one, outcome)


def _milliseconds(taken: Callable[[Sequence[float]], float]) -> Callable[[Round], float]:
    return lambda one: 1000 * taken([part.check_seconds for part in _checked(one)])


def missed(rows: Iterable[Figure]) -> list[str]:
    """The figures that miss their target: in any run, or in the middle one where it is a matter of
    time, which the machine's load decides as well."""
    return [
        one.name
        for one in rows
        if one.target is not None
        and (one.median if one.unit == OF_TIME else max(one.values)) > one.target
    ]


def matrix(rounds: Sequence[Round]) -> str:
    """What became of each kind of statement, of all runs together, as a Markdown table."""
    outcomes: tuple[Outcome, ...] = get_args(Outcome)
    counts = {kind: Counter[str]() for kind in Kind}
    for row in (row for one in rounds for row in one.rows):
        counts[row.kind].update([row.outcome, *(["passed"] if row.passed else [])])
    head = ["", "all", *outcomes, "passed"]
    lines = [head, ["---"] * len(head)]
    for kind, found in counts.items():
        total = sum(found[name] for name in outcomes)
        lines.append(
            [kind, str(total), *(str(found[name] or "") for name in (*outcomes, "passed"))]
        )
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def examples(rounds: Sequence[Round], each: int = 2) -> list[str]:
    """Of each kind the first lies that passed and the first true statements that were called
    wrong, with their seed."""
    shown = Counter[Kind]()
    found: list[str] = []
    for one in rounds:
        for row in one.rows:
            wrong = row.true and row.outcome in (*WRONG, "stale")
            if row.passed or wrong or row.outcome == "hidden":
                shown[row.kind] += 1
                if shown[row.kind] <= each:
                    found.append(
                        f"{one.seed}: {row.kind} → {row.outcome}: {row.said} {row.why}".strip()
                    )
        found += [*one.false_verified[:each], *one.crowded[:each]]
    return found
