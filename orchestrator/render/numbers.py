"""The numbers in a model's words: measured ones are put in, all others are taken out. Pure.

A model writes `{f3.1}` where it means the first claim of the third finding, and the measured value
is put in here, in the units of the rest of the report. Any other number is looked at: a name that
holds digits stays, and so does a number with its unit that was measured. What is left was measured
by nobody, and is replaced by a mark, since a sentence that silently lost its number would say
something else. Numbers written out in English are taken out always: there is no need for them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain

from orchestrator.render.names import EDGES, Names, has_digit
from orchestrator.render.quantities import UNIT, UNITS, Measurements, quantities_at
from orchestrator.render.spelled import COUNTED_NOUN, FRACTION, SPELLED
from swarm_tasks.unseen import UNSEEN

REMOVED = "[number removed]"

PLACEHOLDER = re.compile(r"\{{1,2}\s*([A-Za-z]\w*(?:\.\w+)*)\s*\}{1,2}")

ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\|\Z)"  # operating system commands, such as links
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # control sequences, such as colours
    r"|\x1b[@-_]"
)

SPELLED_TERMS = re.compile(
    r"\b(?:zero-(?:day|trust|copy)|two-factor|(?:one|two|three)-way|one-(?:off|time))\b", re.I
)
"""Words of the trade that begin with a number and measure nothing."""

TOKEN = re.compile(r"(?:[^\s\"'`“”‘’„«»()\[\]{}<>,;!?|*…]|(?<=\d),(?=\d))+")
"""A word that may hold a number; commas stand between digits only."""

LIST_MARK = re.compile(r"(?m)^[ \t]*(?P<number>\d{1,2})[.)](?=[ \t])")
SIGNS = "-−+~≈<>≤≥±$€£×^"
GLUED = re.compile(r"[^\W\d_]+(?!\w)")
"""Letters that touch a value, such as a `k` that would make it a thousand times as much."""

SIGN_BEFORE = re.compile(rf"(?<!\w)[{re.escape(SIGNS)}]+\s?\Z")

OTHER_NUMERAL = "0\ue000"
"""Stands for a numeral that is not written in digits of ASCII: no name, and never measured."""

CHINESE_SHARE = re.compile("百分之[零〇一二两三四五六七八九十百千点]+")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a model may speak of.

    Args:
        values: What stands for each placeholder, such as `f3.1`.
        measured: Numbers that may also be written out.
    """

    values: Mapping[str, str] = field(default_factory=dict[str, str])
    measured: Measurements = field(default_factory=Measurements)
    names: Names = field(default_factory=Names)


@dataclass(frozen=True, slots=True)
class Settled:
    """Words of a model with their numbers settled.

    Args:
        removed: How many numbers and placeholders were taken out.
        placed: How many measured values were put in.
    """

    text: str
    removed: int = 0
    placed: int = 0


def bare(text: str) -> str:
    """A model's words without what acts unseen: escape sequences, control characters, overrides of
    the direction, zero-width characters. Unlike a host's words they hide nothing worth seeing."""
    return UNSEEN.sub("", ESCAPES.sub("", text)).strip()


def settle(text: str, facts: Facts) -> Settled:
    """A model's words, with each placeholder filled in and each other number settled."""
    text = _with_plain_numerals(bare(text))
    page = _Page(text)
    for found in PLACEHOLDER.finditer(text):
        _place(page, found, facts.values.get(found[1].lower()))
    _keep_names(page, facts.names)
    for found in TOKEN.finditer(text):
        if has_digit(found[0]):
            for start, end in page.free_parts(*found.span()):
                _judge(page, start, end, facts)
    for found in FRACTION.finditer(page.open_text()):
        page.remove(*found.span())
    rest = page.open_text()
    for found in SPELLED.finditer(rest):
        unit = UNIT.match(rest, found.end())
        counts = unit or COUNTED_NOUN.match(rest, found.end())
        if found[0].casefold() in facts.names.spelled and not counts:
            continue
        if unit or found[0].lower() != "one":
            page.remove(found.start(), unit.end() if unit else found.end())
    return page.settled()


class _Page:
    """A text and what becomes of its parts; each character is decided about once."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._taken = bytearray(len(text))
        self._edits: list[tuple[int, int, str]] = []
        self._removed = self._placed = 0

    def free(self, start: int, end: int) -> bool:
        """Whether nothing in this part is decided yet."""
        return not any(self._taken[start:end])

    def free_parts(self, start: int, end: int) -> list[tuple[int, int]]:
        """What in this part nothing is decided about yet."""
        parts: list[tuple[int, int]] = []
        while start < end:
            taken = self._taken.find(1, start, end)
            taken = end if taken < 0 else taken
            if taken > start:
                parts.append((start, taken))
            free = self._taken.find(0, taken, end)
            start = end if free < 0 else free
        return parts

    def open_text(self) -> str:
        """The text with what is decided about blotted out, each character in its place."""
        return "".join(
            "\0" if taken else one for one, taken in zip(self.text, self._taken, strict=True)
        )

    def keep(self, start: int, end: int) -> None:
        """Leave this part as it is."""
        self._taken[start:end] = b"\1" * (end - start)

    def remove(self, start: int, end: int) -> None:
        """Put the mark in place of this part."""
        self.keep(start, end)
        self._edits.append((start, end, REMOVED))
        self._removed += 1

    def put(self, start: int, end: int, value: str) -> None:
        """Put a measured value in place of this part."""
        self.keep(start, end)
        self._edits.append((start, end, value))
        self._placed += 1

    def settled(self) -> Settled:
        """The text as it is now."""
        said, at = list[str](), 0
        for start, end, instead in sorted(self._edits):
            said += (self.text[at:start], instead)
            at = end
        said.append(self.text[at:])
        mark = re.escape(REMOVED)
        whole = re.sub(rf"{mark}(?:(?: ?[-–/] ?| )?{mark})+", REMOVED, "".join(said))
        return Settled(whole.strip(), self._removed, self._placed)


def _place(page: _Page, found: re.Match[str], value: str | None) -> None:
    """Fill in a placeholder, and keep what stands beside it from making its value another: a sign
    before it, a unit said twice behind it, letters and digits that touch it."""
    start, end = found.span()
    before = SIGN_BEFORE.search(page.text[max(start - 4, 0) : start])
    signed = start - len(before[0]) if before else start
    unit = UNIT.match(page.text, end)
    glued = GLUED.match(page.text, end)
    if unit and value and _says_again(value, unit["unit"].lower()):
        past = unit.end()
    else:
        past = glued.end() if glued else end
    if page.free(signed, past):
        start, end = signed, past
    if value is None:
        page.remove(start, end)
        return
    lead = " " if re.match(r"[\w-]", page.text[start - 1 : start]) else ""
    tail = " " if re.match(r"[.,:/'’]?[\w{]", page.text[end : end + 2]) else ""
    page.put(start, end, f"{lead}{value}{tail}")


def _says_again(value: str, unit: str) -> bool:
    """Whether a value has this unit already: `97.3 %` and `percent`."""
    tail = value.rpartition(" ")[2].lower()
    return bool(tail) and UNITS.get(tail, ("",))[0] == UNITS[unit][0]


def _keep_names(page: _Page, names: Names) -> None:
    """Names of several words, words of the trade, and the numbers of a list that counts up."""
    kept = [SPELLED_TERMS.finditer(page.text)]
    if names.phrases is not None:
        kept.append(names.phrases.finditer(page.text))
    for found in chain.from_iterable(kept):
        if page.free(*found.span()):
            page.keep(*found.span())
    wanted = 1
    for found in LIST_MARK.finditer(page.text):
        if int(found["number"]) == wanted:
            page.keep(*found.span())
            wanted += 1


def _judge(page: _Page, begin: int, end: int, facts: Facts) -> None:
    """Keep or remove a word that holds digits, with the unit that belongs to it."""
    word = page.text[begin:end]
    core = word.strip(EDGES)
    if not has_digit(core):
        return
    start = begin + word.index(core)
    end = start + len(core)
    if facts.names.holds(core):
        page.keep(start, end)
        return
    if value := facts.values.get(core.lower()):
        # The braces of a placeholder were forgotten, or are others.
        page.put(start, end, value)
        return
    signed = len(core) - len(core.lstrip(SIGNS))
    written, whole = quantities_at(page.text, start + signed)
    minus = bool({*"-−"} & {*word[: start - begin]})
    if whole >= end and not signed and not minus and facts.measured.carry(written):
        page.keep(start, whole)
        return
    unit = UNIT.match(page.text, end)
    past = max(end, whole, unit.end() if unit else end)
    first = begin if minus else start
    page.remove(first, past if page.free(first, past) else end)


def _with_plain_numerals(text: str) -> str:
    """`text` with digits of other scripts, fractions and circled numbers as one plain sign."""
    if text.isascii():
        return text
    marked = "".join(
        OTHER_NUMERAL if not one.isascii() and unicodedata.category(one)[0] == "N" else one
        for one in text
    )
    return CHINESE_SHARE.sub(OTHER_NUMERAL, marked)
