"""A long round by command: `python -m tests.chaos --parts 1000 --seed 7`.

It plays the same jobs twice, first without faults, and says what came of both.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.arena import arena
from tests.chaos.faults import Spell
from tests.chaos.play import Outcome, Round, play


def main() -> int:
    """Play, print, and answer with 1 where the books do not add up."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--parts", type=int, default=1000, help="about how many parts in all")
    parser.add_argument("--jobs", type=int, default=12, help="in how many jobs")
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--agents", type=int, default=4, help="places on each")
    parser.add_argument("--heartbeat", type=float, default=2.0, help="seconds")
    parser.add_argument("--deadline", type=float, default=240.0, help="of each job, in seconds")
    parser.add_argument("--every", type=float, default=3.0, help="seconds between two faults")
    parser.add_argument("--longest", type=float, default=20.0, help="of a fault that passes")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    parser.add_argument("--no-baseline", action="store_true", help="only with faults")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    baseline = None
    for every in (None, given.every):
        if every is None and given.no_baseline:
            continue
        with (
            tempfile.TemporaryDirectory() as directory,
            arena(
                Path(directory),
                given.workers,
                given.seed,
                agents=given.agents,
                heartbeat_seconds=given.heartbeat,
            ) as found,
        ):
            spell = Spell(1.0, given.longest)
            asked = Round(given.parts, given.jobs, given.deadline, given.seed, every, spell)
            outcome = play(found, asked)
            tell("without faults" if every is None else "with faults", outcome)
        if every is None:
            baseline = outcome.seconds
        elif baseline is not None:
            print(f"wall with faults / without: {outcome.seconds / baseline:.2f}")
        if not outcome.books.add_up:
            return 1
    return 0


def tell(what: str, outcome: Outcome) -> None:
    """Say what came of a round."""
    books = outcome.books
    print(f"{what}: {books.parts} parts in {outcome.seconds:.1f} s, {books.answered} answered")
    print(f"  lost {len(books.lost)}, counted twice {len(books.twice)}, late {len(books.late)}")
    print(f"  begun again {books.redone}, put back {books.put_back}, sent again {books.sent_again}")
    if books.unanswered:
        print("  not answered:", ", ".join(f"{why} {n}" for why, n in books.unanswered.items()))
    if outcome.faults:
        print("  faults:", ", ".join(f"{name} {n}" for name, n in sorted(outcome.faults.items())))
    for line in (*books.lost, *books.twice, *books.late):
        print("  ", line)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
