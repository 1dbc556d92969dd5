"""The lie bench: planted truth against scripted models that lie, all the way of a part."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.lies.figures import LEAST_CLAIMS, counted, examples, figures, matrix
from benchmarks.lies.told import Round
from benchmarks.support import Table
from tests.support.fleets import REPOSITORY

SEED_VARIABLE = "HOSTSWARM_LIES_SEED"
"""What half of the templates are drawn from; a fresh one where it is not set."""

ROUND_SECONDS = 300.0


def run(runs: int) -> Table:
    """Measure."""
    seed = seed_of_now()
    seeds = [seed, *(f"{seed}.{number}" for number in range(1, runs))]
    rounds = [one_round(one, "full") for one in seeds]
    few = [
        one.seed
        for one in rounds
        if min(len(counted(one.rows, true=true)) for true in (True, False)) < LEAST_CLAIMS
    ]
    if few:
        raise RuntimeError(f"fewer than {LEAST_CLAIMS} claims of a sort with seed {few[0]}")
    print(f"\n{matrix(rounds)}", flush=True)
    return Table(
        "lies: what checking makes of a model that lies",
        figures(rounds),
        (
            f"Seed {seed}: set {SEED_VARIABLE} to it to have the same lies again.",
            "A target that any run misses ends with exit code 1; of time, the middle run decides.",
            *examples(rounds),
        ),
    )


def seed_of_now() -> str:
    """The seed that is set, or one that nobody has seen before."""
    return os.environ.get(SEED_VARIABLE) or secrets.token_hex(4)


def one_round(seed: str, size: str) -> Round:
    """One run, in a mount namespace of its own: nothing that it mounts is seen outside.

    Raises:
        RuntimeError: It could not be run here, or broke.
    """
    with tempfile.TemporaryDirectory(prefix="hostswarm-lies-") as directory:
        done = subprocess.run(
            (
                *namespace(),
                *(sys.executable, "-m", "benchmarks.lies.bench"),
                *("--seed", seed, "--size", size, "--directory", directory),
            ),
            cwd=REPOSITORY,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), "HOME": directory},
            capture_output=True,
            text=True,
            timeout=ROUND_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"the run with seed {seed} broke:\n{done.stderr[-4000:]}")
        return Round.model_validate_json((Path(directory) / "round.json").read_bytes())


def namespace() -> tuple[str, ...]:
    """What gives a program mounts of its own; without root in a user namespace.

    Raises:
        RuntimeError: This machine has nothing that does.
    """
    if shutil.which("unshare") is None:
        raise RuntimeError("the lie bench needs Linux and unshare of util-linux")
    user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    return ("unshare", *user, "--mount", "--propagation", "private")
