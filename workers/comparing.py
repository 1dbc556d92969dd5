"""Whether one value stands to another as a claim says. Pure."""

from __future__ import annotations

import math
from decimal import Decimal

from swarm_tasks.models.base import JsonScalar

ROUND_FROM = 1_000
"""From here on a number is a size or a duration that people round; below it is a share or a count,
of which every digit is meant."""

ROUND_SHARE = 0.005
"""What rounding may take: three significant digits keep within that. GB for GiB is 7 %."""

UNITS_OF_SPEECH = (1024**4, 1024**3, 1024**2, 1024, 86_400, 3_600, 60)
"""What large values are said in: a claim of `14 GiB` has become 15,032,385,536 bytes by now."""

MOST_DECIMALS = 3


def compares(
    observed: JsonScalar,
    comparator: str,
    value: JsonScalar,
    slack: float = 0.0,
    precision: float | None = None,
) -> bool:
    """Whether `observed` stands to `value` as the comparator says. Words know only == and !=.

    Args:
        slack: By how much `observed` may miss: two measurements of the same thing differ. `!=` is
            not widened, for then everything would be different.
        precision: By how much `value` may differ from what it stands for, where the text that it
            was written as says so; None for what the value itself tells.
    """
    if isinstance(observed, str) or isinstance(value, str):
        same = str(observed) == str(value)
        return same if comparator == "==" else comparator == "!=" and not same
    one, other = _number(observed), _number(value)
    if not (math.isfinite(one) and math.isfinite(other)):
        return False
    within = precision_of(value) if precision is None else precision
    match comparator:
        case ">=":
            return one >= other - slack
        case "<=":
            return one <= other + slack
        case ">":
            return one > other - slack
        case "<":
            return one < other + slack
        case "==":
            return abs(one - other) <= within + slack
        case _:
            return abs(one - other) > within


def precision_of(value: JsonScalar) -> float:
    """By how much a number may differ from what it stands for: half a unit of its last digit.

    12 is from 11.5 to 12.5 and 12.3 from 12.25 to 12.35. The zeros of a round size or duration are
    no digits, be it round in tens, in binary units or in days: 15000000000 and 14 GiB are within
    0.5 % of what they say, and 15032385537 within half a byte. A float without decimals, such as
    0.0 or 1.0, has one: it is what a number in a finer unit becomes.
    """
    if isinstance(value, str):
        return 0.0
    number = abs(_number(value))
    if not math.isfinite(number):
        return 0.0
    places = 0 if isinstance(value, int) else min(_exponent(Decimal(repr(number))), 0)
    # A little more than half: 12.35 is not quite 12.35 in binary.
    half = 0.5 * 10.0**places * (1 + 1e-6)
    if number < ROUND_FROM:
        return half
    return max(half, min(_step(number) / 2, number * ROUND_SHARE))


def _exponent(value: Decimal) -> int:
    """The power of ten of the last digit that is written."""
    exponent = value.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _step(number: float) -> float:
    """The largest unit in which a number is written with at most three decimals."""
    steps = [unit / 10**places for unit in UNITS_OF_SPEECH for places in range(MOST_DECIMALS + 1)]
    fitting = [
        step for step in steps if math.isclose(number, round(number / step) * step, rel_tol=1e-13)
    ]
    fitting.append(10.0 ** _exponent(Decimal(repr(number)).normalize()))
    return max((step for step in fitting if step > 1), default=0.0)


def _number(value: JsonScalar) -> float:
    """`value` as a float; what no float can hold is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf
