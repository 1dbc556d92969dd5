"""A claim as a model writes it: one line, or an object. Pure.

`METRIC COMPARATOR VALUE [UNIT] @RESULT/POINTER` takes a third of the tokens of an object. The
metric may be followed by `of SUBJECT`, and a claim about another host begins with `HOST:`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from swarm_tasks.models.finding import MOST, Comparator
from workers.paging import ALIAS
from workers.units import NUMBER

LINE = re.compile(
    r"\s*(?:(?P<host>[A-Za-z0-9][A-Za-z0-9._-]{0,62}):\s*)?(?P<metric>[a-z][a-z0-9_.]*)"
    r"(?:\s+of\s+(?P<subject>\S.*?))?"
    r"\s*(?P<comparator>>=|<=|==|!=|>|<|=|≥|≤)\s*"
    rf"(?:(?P<number>{NUMBER.pattern})\s*(?P<unit>%|[A-Za-zµ]{{1,20}})?"
    r"|\"(?P<quoted>[^\"]{1,80})\"|(?P<word>[A-Za-z][\w.-]{0,80}))"
    rf"(?:\s*@\s*(?P<call>{ALIAS.pattern})(?P<pointer>[^\s\w]\S{{0,500}})?)?\s*"
)
SECOND_CLAIM = re.compile(r"[<>≤≥]|\s(?:==?|!=)\s|@\s?c\d+/")
"""What no subject has in it: then a line makes two claims at once."""

VALUE = re.compile(rf"\s*(?P<number>{NUMBER.pattern})\s*(?P<unit>%|[A-Za-zµ]{{1,20}})?\s*")
PLACE = re.compile(r"\s*@?\s*(?P<call>[^\s/]{1,200})(?P<pointer>/\S*)?\s*")
FORM = "METRIC COMPARATOR VALUE @RESULT/POINTER"

COMPARATORS: dict[str, Comparator] = {
    **{">=": ">=", "<=": "<=", ">": ">", "<": "<", "==": "==", "!=": "!="},
    **{"=": "==", "≥": ">=", "≤": "<="},
}
LONGEST = 800
MOST_PLACES = 5
SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a model says that a value stands.

    Args:
        call: Its short name for a result, or the id of the call.
        sha256: Empty where none was given.
    """

    call: str
    pointer: str
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """A claim in its parts, none of them checked.

    Args:
        value: A number or a word, as text.
        places: None for a claim that rests on no evidence.
    """

    metric: str
    comparator: Comparator
    value: str
    unit: str = ""
    host: str = ""
    subject: str = ""
    places: tuple[Place, ...] = ()


def written(claim: object) -> Written:
    """A claim in its parts.

    Raises:
        ValueError: It is of neither form; the message says what is wrong with it.
    """
    if isinstance(claim, str):
        return _of_line(claim)
    if isinstance(claim, Mapping):
        return _of_object(cast(Mapping[str, Any], claim))
    raise ValueError(f"a claim is text of the form `{FORM}`")


def _of_line(text: str) -> Written:
    match = LINE.fullmatch(text) if len(text) <= LONGEST else None
    if match is None or SECOND_CLAIM.search(match["subject"] or ""):
        raise ValueError(f"{text[:100]!r} is not `{FORM}`")
    places = ()
    if match["call"]:
        places = (Place(match["call"], _pointer(match["pointer"] or "")),)
    return Written(
        host=match["host"] or "",
        metric=match["metric"],
        subject=(match["subject"] or "").strip("\"'` "),
        comparator=COMPARATORS[match["comparator"]],
        value=match["number"] or match["quoted"] or match["word"],
        unit=match["unit"] or "",
        places=places,
    )


def _of_object(claim: Mapping[str, Any]) -> Written:
    sign = _text(claim, "comparator", 10) or ">="
    if sign not in COMPARATORS:
        raise ValueError(f"{sign!r} is no comparator: it is one of {', '.join(COMPARATORS)}")
    value, unit = _value(claim.get("value"))
    given = claim.get("evidence")
    if given is None:
        given = [claim] if claim.keys() & {"call", "call_id"} else []
    rows: list[object] = cast("list[object]", given) if isinstance(given, list) else [given]
    if len(rows) > MOST_PLACES:
        raise ValueError(f"it names {len(rows)} places: at most {MOST_PLACES} are read")
    return Written(
        host=_text(claim, "host", 64),
        metric=_text(claim, "metric", 100),
        subject=_text(claim, "subject", 300),
        comparator=COMPARATORS[sign],
        value=value,
        # What stands at the number is its unit, whatever unit the metric is said to have.
        unit=unit or _text(claim, "unit", 40),
        places=tuple(_place(row) for row in rows),
    )


def _value(value: object) -> tuple[str, str]:
    """The text of a value in an object, and the unit behind it."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("its value is neither a number nor a word")
    if isinstance(value, str):
        match = VALUE.fullmatch(value[:200])
        if match is not None:
            return match["number"], match["unit"] or ""
        return value.strip()[:200], ""
    if not -MOST <= value <= MOST:
        raise ValueError("its value is beyond anything that can be measured")
    return repr(value), ""


def _place(row: object) -> Place:
    if isinstance(row, str):
        match = PLACE.fullmatch(row[:LONGEST])
        if match is not None:
            return Place(match["call"], _pointer(match["pointer"] or ""))
    if not isinstance(row, Mapping):
        raise ValueError("its evidence is not of the form @RESULT/POINTER")
    given = cast(Mapping[str, Any], row)
    sha256 = _text(given, "sha256", 200)
    if sha256 and not SHA256.fullmatch(sha256):
        raise ValueError(f"{sha256[:20]!r} is no SHA-256: that is 64 hexadecimal digits")
    call = _text(given, "call_id", 200) or _text(given, "call", 200)
    pointer = _text(given, "pointer", 500) or _text(given, "json_pointer", 500)
    return Place(call.removeprefix("@"), _pointer(pointer), sha256)


def _pointer(text: str) -> str:
    if text and not text.startswith("/"):
        raise ValueError(f"the pointer {text[:60]!r} does not begin with /")
    return text


def _text(given: Mapping[str, Any], name: str, limit: int) -> str:
    value = given.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > limit:
        raise ValueError(f"its {name} is no text of at most {limit} characters")
    return value.strip()
