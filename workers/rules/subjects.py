"""What a subject is called, and which of several a text means. Pure.

A reading's subject is written by a rule, such as `/var (/dev/sda2, ext4)` or `web (nginx:1.25)`.
What models and other hosts say of it is held against its precise names: a mount point, a device,
a unit, a process id, an address. Vague words are no lie; they only have to mean one thing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from workers.rules.known import Known, Subject, distinct, host_of, says
from workers.rules.names import VAGUE, Named, precise
from workers.rules.rule import Reading

WHOLE_HOST = frozenset(
    {
        *("cpu.busy_percent", "cpu.iowait_percent", "cpu.steal_percent", "load.per_core"),
        *("memory.used_percent", "swap.used_percent", "processes.pids_percent"),
        *("fds.used_percent", "time.offset_seconds", "time.synchronised", "updates.security"),
        *("reboot.required", "uptime.seconds"),
    }
)
"""Metrics that a host has once: a claim about one need not say of what."""

PLAIN_DEVICE = re.compile(r"(?:/dev/)?(?:[shv]d|xvd|nvme|mmcblk|disk)\w+")
"""A device that is what it is called; behind a mapper's or an array's there are others."""

ROOT = re.compile(r"\broot(?:fs|(?:'s)? (?:volume|file ?system|disk|partition|mount)\b)")
MEMORY = re.compile(r"(?:\bmemory\b|\bram\b|^$)")
WORD = re.compile(r"[a-z0-9][\w.:@/+-]*")
PLACES = r"(?:volume|disk|drive|partition|file ?system|mount)"
BESIDE = re.compile(rf"([\w.-]+)(?:'s)? (?={PLACES}\b)|\b{PLACES} (?=([\w.-]*\w))")
"""What stands beside the word for a volume may be the last part of its mount point."""

ARTICLES = frozenset({"a", "all", "an", "and", "any", "at", "in", "its", "of", "on", "the", "this"})
"""Vague words that say nothing at all: they do not make a strange name a known one."""

OF_ROOT = frozenset({"system", "main", "local", "host", "machine", "server"})
"""What the root volume is called as well."""


def resolve(said: str, readings: Sequence[Reading]) -> Reading | None:
    """The one reading that words mean; None where they name none, or could mean several.

    Args:
        said: What a model or another host calls the subject: the subject itself, the key that
            overrides name it by, a precise name, or vague words such as "the root volume".
        readings: All readings of the metric.
    """
    known = distinct(readings)
    said = _bare(said)
    exact = [one for one in known if said == one.reading.subject]
    exact = exact or [one for one in known if said and said == one.reading.key]
    if exact:
        return _only(exact)
    told = precise(said)
    if told:
        return _only([one for one in known if all(one.is_called(name) for name in told)])
    called = [one for one in known if any(says(said, name, prose=False) for name in one.bare)]
    if called:
        return _only(called)
    return _vaguely(said.casefold(), known)


def contradicts(
    said: str,
    own: Reading,
    readings: Sequence[Reading] | Known,
    also: Sequence[Reading] = (),
    *,
    title: bool = False,
) -> str:
    """The name in a text that is not of the reading that the text is about; empty for none.

    That is a name of another known reading, or something precise of the same kind as a name of
    the reading's own: another path, another device, another unit. Vague words are none.

    Args:
        readings: All known readings of the metric; who asks more than once makes a `Known`.
        also: Other readings that the text may name as well.
        title: Whether it is a sentence, which may tell of other things too: only a known subject
            that it names in place of its own is a contradiction.
    """
    known = readings if isinstance(readings, Known) else Known(readings)
    mine = list({one.mark: one for one in map(Subject, (own, *also))}.values())
    if _bare(said) in (own.subject, own.key):
        return ""
    if known.exactly(_bare(said)) - {one.reading.subject for one in mine}:
        return _bare(said)
    if not known.named and not any(one.names for one in mine):
        return ""
    names = tuple(dict.fromkeys(precise(said)))
    depths = [max(_depth(*me.mark, name) for me in mine) for name in names]
    subjects = {me.reading.subject for me in mine}
    theirs = [
        max((deep for one, deep in known.depths(name).items() if one not in subjects), default=0)
        for name in names
    ]
    held = [0 < deep >= other for deep, other in zip(depths, theirs, strict=True)]
    own_told = any(held) or _called(said, mine, known)
    if title and own_told:
        return ""
    own_names = [name for name, holds in zip(names, held, strict=True) if holds]
    for name, holds, other in zip(names, held, theirs, strict=True):
        if not holds and (other or (not title and _strange(name, own_names, mine))):
            return name.name
    return "" if own_told else _foreign_word(said, mine, known)


@lru_cache(maxsize=4_096)
def _depth(subject: str, key: str, name: Named) -> int:
    return Subject(Reading(subject, "", "", key=key)).depth(name)


def _called(said: str, mine: Sequence[Subject], known: Known) -> bool:
    """Whether a text calls one of these subjects by a word that no other is called by."""
    subjects = {me.reading.subject for me in mine}
    if ROOT.search(said.casefold()) is not None and any("/" in me.names for me in mine):
        return True
    return any(
        not known.owners(name) - subjects and says(said, name, prose=False)
        for me in mine
        for name in me.bare
    )


def _foreign_word(said: str, mine: Sequence[Subject], known: Known) -> str:
    """A word in a text that is the name of another known subject; empty for none."""
    subjects = {me.reading.subject for me in mine}
    own = frozenset[str]().union(*(me.bare for me in mine))
    for word in known.words_in(said):
        if word not in own and known.owners_of_word(word) - subjects:
            return word
    # "The data volume" is /data where there is one, and no other volume that it could be.
    words = {word for one in subjects for word in re.findall("[a-z0-9]+", one.casefold())}
    if any("/" in me.names for me in mine):
        words |= OF_ROOT
    for found in BESIDE.finditer(said.casefold()):
        word = found[1] or found[2]
        if word not in words and known.of_directory(word) - subjects:
            return word
    return ""


def _strange(said: Named, held: Sequence[Named], mine: Sequence[Subject]) -> bool:
    """Whether a name that nobody knows stands in place of one of the same kind."""
    same = [one for me in mine for one in me.told if one.kind == said.kind]
    if not same or any(one.kind == said.kind for one in held):
        return False
    if said.kind == "device":
        return all(PLAIN_DEVICE.fullmatch(one.name) for one in (said, *same))
    if said.kind == "address":
        # A name and a number may well be the same machine; two ports are not the same.
        return any(_numeric(one.name) == _numeric(said.name) for one in same)
    return True


def _numeric(address: str) -> bool:
    return re.search("[A-Za-z]", host_of(address)) is None or ":" in host_of(address)


def _vaguely(said: str, known: Sequence[Subject]) -> Reading | None:
    """What words without a name mean, if they can mean one reading only."""
    if ROOT.search(said) or said in ("root", "the root"):
        return _only([one for one in known if "/" in one.names])
    words = set(WORD.findall(said.replace("'s", "")))
    named = any(one.names for one in known)
    if len(known) == 1:
        # "backup" may be a service that is not there; "the service" is the one that is.
        own = set(WORD.findall(known[0].reading.subject.casefold()))
        meant = words <= VAGUE if named else words <= ARTICLES or words & (VAGUE - ARTICLES | own)
        return known[0].reading if meant else None
    if named:
        return None
    shared = [len(words & set(WORD.findall(one.reading.subject.casefold()))) for one in known]
    best = [one for one, count in zip(known, shared, strict=True) if count == max(shared) > 0]
    if len(best) == 1:
        return best[0].reading
    physical = [one for one in known if one.reading.subject == "physical memory"]
    return _only(physical) if MEMORY.search(said) else None


def _only(found: Sequence[Subject]) -> Reading | None:
    return found[0].reading if len(found) == 1 else None


def _bare(said: str) -> str:
    """A text without white space and quotes around it."""
    return " ".join(said.split()).strip("\"'`")
