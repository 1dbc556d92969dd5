"""Measure figures and print a table for each: `python -m benchmarks [NAME …]`."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time

from benchmarks.lies import SEED_VARIABLE
from benchmarks.lies.figures import missed as figures_missed
from benchmarks.support import RUNS, Table, about_this_machine, own_settings_only

NAMES = (
    *("startup", "audit", "rest", "part", "story", "join", "brain", "lies"),
    *("durability", "failover"),
)
"""The modules beside this one, each with `run(runs) -> Table`, in the order of the README."""

ASKED_FOR = ("peers",)
"""More of them, which run only where they are named: they install what they compare with."""

BINDING = ("lies",)
"""Whose targets must be reached: no load of the machine excuses a lie."""


def main() -> None:
    """Run the figures that were named, or all. A figure that is missed is no error, but for those
    that are binding."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of: {', '.join((*NAMES, *ASKED_FOR))}"
    )
    parser.add_argument("--runs", type=int, default=RUNS, help="samples of each figure")
    given = parser.parse_args()
    known = (*NAMES, *ASKED_FOR)
    unknown = [name for name in given.names if name not in known]
    if unknown:
        parser.error(f"there is no figure {unknown[0]!r}; there are: {', '.join(known)}")
    if given.runs < 1:
        parser.error("--runs must be at least 1")
    began, missed = time.monotonic(), False
    seed = os.environ.get(SEED_VARIABLE)
    with own_settings_only():
        if seed:
            os.environ[SEED_VARIABLE] = seed
        print(about_this_machine(), flush=True)
        for name in given.names or NAMES:
            load = os.getloadavg()[0]
            table: Table = importlib.import_module(f"benchmarks.{name}").run(given.runs)
            print(f"\n{table}\n- The load was {load:.1f} when this began.", flush=True)
            missed |= name in BINDING and bool(figures_missed(table.figures))
    print(f"\nAll of it took {time.monotonic() - began:.0f} s.")
    if missed:
        sys.exit(1)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
