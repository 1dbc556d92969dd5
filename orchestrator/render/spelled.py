"""Numbers written out in English words. Pure."""

from __future__ import annotations

import re

from orchestrator.render.quantities import UNIT

_ONES = (
    "zero|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen"
    "|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
)
_LARGE = "hundreds?|thousands?|millions?|billions?|trillions?|dozens?"
_WORD = rf"(?:one|{_ONES}|{_LARGE})"
SPELLED = re.compile(
    rf"\b(?:a (?={_LARGE}))?{_WORD}(?:[ -](?:(?:and|point)[ -])?{_WORD})*(?![\w'’])", re.I
)
"""A number in English words. `one` alone is more often a pronoun: it is one before a unit only."""

_PARTS = "half|halves|thirds?|quarters?|fifths?|eighths?|tenths?"
FRACTION = re.compile(
    rf"\b(?:(?:an?|one|two|three)[ -])?(?:{_PARTS})(?= (?:of|full|as)\b)"
    rf"|\b(?:one|two|three|four|five|seven)[ -](?:{_PARTS})(?![\w-])"
    r"|\b(?:half|double|triple)(?= (?:the|an?|its|their|that|this|what|all)\b)"
    r"|\bhalf(?=[ -](?:full|empty|used)\b)"
    r"|\b(?:twice|thrice|(?:doubl|tripl|quadrupl|halv)(?:ed|ing)|a couple(?= of\b)"
    r"|(?:two|three|four|five|ten|hundred)fold)\b",
    re.I,
)
"""Shares and multiples. Words such as `half-open` and `double parity` are none."""

COUNTED_NOUN = re.compile(
    r"(?: (?![a-z]*s\b)[a-z]+)?"  # no verb: `seven reports errors`
    r" (?:hosts|machines|servers|nodes|agents|parts|disks|drives|volumes|findings|faults|services"
    r"|units|containers|processes|packages|updates|events|restarts|errors|requests|times)\b"
    r"|[ -](?:of|out of)\b",
    re.I,
)
"""What stands behind a number that counts, where a host of that name would have a verb."""

_QUANTITY = re.compile(rf"(?:{SPELLED.pattern})(?:{UNIT.pattern})?", re.I)


def is_quantity(text: str) -> bool:
    """Whether it is but a number in words, with its unit or without."""
    return bool(_QUANTITY.fullmatch(text))


def without_quantities(text: str) -> str:
    """What is left of it without numbers in words and their units."""
    return _QUANTITY.sub(" ", text)
