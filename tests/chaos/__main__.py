"""A long round by command: `python -m tests.chaos --parts 1200 --seed 7`.

It plays the same jobs twice, first without faults, measures what one death and one joining cost,
and prints each figure beside its target. It ends with 1 if one of them is missed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import failover
from benchmarks.support import Figure, Table
from tests.chaos.arena import arena
from tests.chaos.faults import Spell
from tests.chaos.play import Outcome, Round, play

WALL_RATIO = 1.5
"""How much longer a round with faults may take than the same without."""


def main() -> int:
    """Play, print, and answer with 1 where a figure is missed."""
    given = _given()
    print(f"seed {given.seed}", flush=True)
    figures: list[Figure] = []
    baseline = None if given.no_baseline else _played(given, None)
    hurt = _played(given, given.every)
    figures += _figures(hurt)
    if baseline is not None:
        figures.append(
            Figure(
                "wall with faults / without",
                "times",
                [hurt.seconds / baseline.seconds],
                WALL_RATIO,
                digits=2,
            )
        )
    if not given.no_failover:
        figures += failover.run(1).figures
    print(Table(f"chaos: {hurt.books.parts} parts, seed {given.seed}", figures))
    whole = baseline is None or (baseline.books.add_up and not baseline.left)
    return 0 if whole and not missed(figures) else 1


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--parts", type=int, default=1200, help="about how many parts in all")
    parser.add_argument("--jobs", type=int, default=12, help="in how many jobs")
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--agents", type=int, default=4, help="places on each")
    parser.add_argument("--heartbeat", type=float, default=2.0, help="seconds")
    parser.add_argument("--deadline", type=float, default=240.0, help="of each job, in seconds")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two faults")
    parser.add_argument("--longest", type=float, default=20.0, help="of a fault that passes")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    parser.add_argument("--no-baseline", action="store_true", help="only with faults")
    parser.add_argument("--no-failover", action="store_true", help="no single death and joining")
    return parser.parse_args()


def _played(given: argparse.Namespace, every: float | None) -> Outcome:
    """A round in a fleet of its own."""
    with (
        tempfile.TemporaryDirectory() as directory,
        arena(
            Path(directory),
            given.workers,
            given.seed,
            agents=given.agents,
            own_disk=True,
            heartbeat_seconds=given.heartbeat,
        ) as found,
    ):
        spell = Spell(1.0, given.longest)
        asked = Round(given.parts, given.jobs, given.deadline, given.seed, every, spell)
        outcome = play(found, asked)
    tell("without faults" if every is None else "with faults", outcome)
    return outcome


def _figures(outcome: Outcome) -> list[Figure]:
    """What a round with faults is judged by."""
    books = outcome.books
    counts = {
        ("lost a part", "jobs"): books.lost,
        ("closed twice", "parts"): books.twice,
        ("late by more than 5 s", "jobs"): books.late,
        ("not answered without a reason", "parts"): books.unexplained,
        ("kept as under way at the end", "entries"): outcome.left,
    }
    return [Figure(name, unit, [len(found)], 0, digits=0) for (name, unit), found in counts.items()]


def missed(figures: Sequence[Figure]) -> list[Figure]:
    """Those that have a target and do not reach it."""
    return [one for one in figures if one.target is not None and one.median > one.target]


def tell(what: str, outcome: Outcome) -> None:
    """Say what came of a round."""
    books = outcome.books
    print(f"{what}: {books.parts} parts in {outcome.seconds:.1f} s, {books.answered} answered")
    print(f"  begun again {books.redone}, put back {books.put_back}, sent again {books.sent_again}")
    print(f"  answered by the rules in place of a model {books.degraded}")
    if books.unanswered:
        print("  not answered:", ", ".join(f"{why} {n}" for why, n in books.unanswered.items()))
    if outcome.faults:
        print("  faults:", ", ".join(f"{name} {n}" for name, n in sorted(outcome.faults.items())))
    for line in (*books.lost, *books.twice, *books.late, *books.unexplained, *outcome.left):
        print("  ", line)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
