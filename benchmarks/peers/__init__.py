"""Agent frameworks beside ours: the same four-call task, the same model, the same run.

Its modules are run by each framework's own Python as well, so nothing is imported here at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.support import Table


def run(runs: int) -> Table:
    """Measure. The first time it makes the virtual environments, which takes minutes."""
    from benchmarks.peers.compare import compare

    return compare(runs)
