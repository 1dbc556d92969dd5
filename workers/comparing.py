"""Whether one value stands to another as a claim says. Pure."""

from __future__ import annotations

import math

from swarm_tasks.models.base import JsonScalar


def compares(observed: JsonScalar, comparator: str, value: JsonScalar) -> bool:
    """Whether `observed` stands to `value` as the comparator says. Words know only == and !=."""
    if isinstance(observed, str) or isinstance(value, str):
        same = str(observed) == str(value)
        return same if comparator == "==" else comparator == "!=" and not same
    one, other = float(observed), float(value)
    match comparator:
        case ">=":
            return one >= other
        case "<=":
            return one <= other
        case ">":
            return one > other
        case "<":
            return one < other
        case "==":
            # A model rounds what it reads: within half a unit of its last digit is the same.
            return math.isclose(one, other, rel_tol=5e-3, abs_tol=1e-9)
        case _:
            return not math.isclose(one, other, rel_tol=5e-3, abs_tol=1e-9)
