"""The words around a claim: titles that no two findings share, and how numbers are written."""

from __future__ import annotations

import random
from decimal import Decimal

FIRST = (
    *("amber", "brisk", "coral", "dusky", "early", "faint", "gaunt", "hazel", "ivory", "jolly"),
    *("keen", "lucid", "mossy", "noble", "ochre", "plain", "quiet", "rusty", "sandy", "tawny"),
)
SECOND = (
    *("badger", "curlew", "dunlin", "egret", "falcon", "gannet", "heron", "ibis", "jackdaw"),
    *("kestrel", "linnet", "marten", "newt", "otter", "plover", "quail", "rook", "stoat", "tern"),
)

GRAVE = {
    "disk.used_percent": ("Volume nearly full", "{key} is running out of space", "No room left"),
    "disk.inodes_percent": ("Inodes nearly used up", "{key} has no inodes left"),
    "disk.free_bytes": ("Little space left", "{key} has little space left"),
    "tls.left_seconds": ("A certificate runs out", "{key} has expired or soon will"),
    "tcp.answer": ("A port takes no connection", "{key} is down"),
    "http.answer": ("A web address fails", "{key} does not answer as it should"),
    "file.state": ("Expected file missing", "{key} is not there"),
    "file.age_seconds": ("No fresh file", "{key} is too old"),
    "kernel.oom_kills": ("Process killed for want of memory", "{key} was killed"),
}
CALM = ("Looked at and noted", "{key} was looked at", "As it should be", "{key} is in order")
ANY_GRAVE = ("Something is badly wrong", "{key} needs attention at once")


def titles(rng: random.Random) -> list[str]:
    """Marks to tell findings apart, in an order of their own."""
    marks = [f"{first} {second}" for first in FIRST for second in SECOND]
    rng.shuffle(marks)
    return marks


def title(rng: random.Random, mark: str, metric: str, key: str, *, grave: bool) -> str:
    """A title, with or without the subject's name in it."""
    phrases = GRAVE.get(metric, ANY_GRAVE) if grave else CALM
    return f"{rng.choice(phrases).format(key=key)} ({mark})"


def named(rng: random.Random, key: str) -> str:
    """A subject's name as a model may write it: whole, adorned, or by its last part."""
    short = key.rstrip("/").rpartition(":" if key.startswith("127.") else "/")[2] or key
    return rng.choice((key, key, key, f"{key}/", f"`{key}`", key.upper(), short, f"the {short}"))


def plain_number(value: float, digits: int) -> str:
    """A number with so many decimals."""
    return f"{value:.{digits}f}"


def fancy_number(rng: random.Random, value: float, digits: int) -> str:
    """The same as models write it: with thousands, zeros, a sign or an exponent."""
    text = plain_number(value, digits)
    way = rng.randrange(6)
    if way == 0 and abs(value) >= 1000:
        return f"{value:,.{digits}f}"
    if way == 1 and value >= 0:
        return f"+{text}"
    if way == 2 and value:
        return f"{value:.{rng.randint(3, 6)}e}"
    return f"{text}0" if way == 3 and digits else text


MEANT = {
    **{"": 1.0, "%": 1.0, "percent": 1.0, "s": 1.0, "seconds": 1.0, "B": 1.0, "bytes": 1.0},
    **{"ratio": 100.0, "minutes": 60.0, "hours": 3_600.0, "days": 86_400.0},
    **{"MB": 1e6, "GB": 1e9, "MiB": 2.0**20, "GiB": 2.0**30},
}
"""What a unit stands for, in the unit of the metrics that can be written with it."""

WRITTEN = {
    "percent": ("%", "percent", "ratio"),
    "seconds": ("s", "seconds", "minutes", "hours", "days"),
    "bytes": ("B", "bytes", "MB", "GB", "MiB", "GiB"),
}


def with_unit(rng: random.Random, value: float, unit: str) -> str:
    """A number with a unit behind it, in which it is written as a person would."""
    chosen = rng.choice(WRITTEN[unit])
    return f"{value / MEANT[chosen]:.{rng.randint(2, 3)}f} {chosen}"


def read_number(text: str) -> tuple[float, float]:
    """A number as it is written, in the metric's unit, and half a unit of its last digit. Zeros
    behind the point are no digits, since a number does not keep them."""
    digits, _, unit = text.partition(" ")
    value = float(digits.replace(",", ""))
    exponent = 0 if value.is_integer() else Decimal(repr(value)).as_tuple().exponent
    assert isinstance(exponent, int)
    return value * MEANT[unit], 0.5 * 10.0**exponent * MEANT[unit]


def spaced(rng: random.Random, metric: str, comparator: str, said: str) -> str:
    """`METRIC COMPARATOR VALUE` with the spaces that a model may leave out."""
    gap = rng.choice(("", " ", "  "))
    return f"{metric}{gap}{comparator}{gap}{said}"
