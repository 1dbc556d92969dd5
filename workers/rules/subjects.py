"""What a subject is called, and which of several a text means. Pure.

A reading's subject is written by a rule, such as `/var (/dev/sda2, ext4)` or `web (nginx:1.25)`.
What models and other hosts say of it is held against its precise names: a mount point, a device,
a unit, a process id, an address. Vague words are no lie; they only have to mean one thing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from workers.rules.names import DIRECTORIES, GENERIC, VAGUE, Named, is_named, precise
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

SUFFIX = re.compile(r"\.(?:service|socket|timer|mount|target|path|scope|slice)$")
WHOLE_DISK = re.compile(r"(?:p(?=\d+$)|(?<=[a-z])(?=\d+$)|s(?=\d+$))\d*$")
PLAIN_DEVICE = re.compile(r"(?:/dev/)?(?:[shv]d|xvd|nvme|mmcblk|disk)\w+")
"""A device that is what it is called; behind a mapper's or an array's there are others."""

VOLUME = re.compile(r"/.*\([^()]*, [\w.-]+\)")
ROOT = re.compile(r"\broot(?:fs|(?:'s)? (?:volume|file ?system|disk|partition|mount)\b)")
MEMORY = re.compile(r"(?:\bmemory\b|\bram\b|^$)")
SITE = re.compile(r"https?://[^/?#]+/?")
WORD = re.compile(r"[a-z0-9][\w.:@/+-]*")


@lru_cache(maxsize=4_096)
def names_of(subject: str) -> frozenset[str]:
    """The precise names in a reading's subject; none where it is made of plain words.

    `/var (/dev/sda2, ext4)` is called `/var`, `/dev/sda2` and `ext4`; `nginx.service` also
    `nginx`; `python3 (pid 12)` is called `python3` and `pid 12`.
    """
    head, _, rest = subject.removeprefix("GPU ").partition(" (")
    before, asking, asked = head.partition(" asking for ")
    parts = [before, *asked.split(" ")[:1]] if asking else [head]
    names = {part for part in parts if is_named(part)}
    if names:
        names |= {part for part in rest.removesuffix(")").split(", ") if is_named(part)}
    names |= {one.name for one in precise(subject)}
    return frozenset(names | {SUFFIX.sub("", name) for name in names})


def resolve(said: str, readings: Sequence[Reading]) -> Reading | None:
    """The one reading that words mean; None where they name none, or could mean several.

    Args:
        said: What a model or another host calls the subject: the subject itself, the key that
            overrides name it by, a precise name, or vague words such as "the root volume".
        readings: All readings of the metric.
    """
    known = _distinct(readings)
    said = _bare(said)
    exact = [one for one in known if said == one.reading.subject]
    exact = exact or [one for one in known if said and said == one.reading.key]
    if exact:
        return _only(exact)
    told = precise(said)
    if told:
        return _only([one for one in known if all(one.is_called(name) for name in told)])
    called = [one for one in known if any(_says(said, name, prose=False) for name in one.bare)]
    if called:
        return _only(called)
    return _vaguely(said.casefold(), known)


def contradicts(
    said: str,
    own: Reading,
    readings: Sequence[Reading],
    also: Sequence[Reading] = (),
    *,
    title: bool = False,
) -> str:
    """The name in a text that is not of the reading that the text is about; empty for none.

    That is a name of another known reading, or something precise of the same kind as a name of
    the reading's own: another path, another device, another unit. Vague words are none.

    Args:
        readings: All known readings of the metric.
        also: Other readings that the text may name as well.
        title: Whether it is a sentence, which may tell of other things too: only a known subject
            that it names in place of its own is a contradiction.
    """
    mine = [_Subject(one) for one in (own, *also)]
    theirs = [one for one in _distinct(readings) if all(one.reading != me.reading for me in mine)]
    theirs = [one for one in theirs if one.reading.subject != own.subject]
    if _bare(said) in (own.subject, own.key) or not any(one.names for one in (*mine, *theirs)):
        return ""
    told = [(name, _holds(name, mine, theirs)) for name in precise(said)]
    shared = frozenset[str]().union(*(one.names for one in theirs))
    own_told = (
        any(held for _, held in told)
        or any(_says(said, name, prose=False) for me in mine for name in me.bare - shared)
        or (ROOT.search(said.casefold()) is not None and any("/" in me.names for me in mine))
    )
    if title and own_told:
        return ""
    for name, held in told:
        if held:
            continue
        if _holds(name, theirs, mine):
            return name.name
        if not title and _strange(name, [one for one, held in told if held], mine):
            return name.name
    if own_told:
        return ""
    foreign = {name for one in theirs for name in one.bare}.difference(*(me.bare for me in mine))
    return next((name for name in sorted(foreign) if _says(said, name, prose=True)), "")


@lru_cache(maxsize=4_096)
def _names(subject: str, key: str) -> tuple[frozenset[str], tuple[Named, ...], frozenset[str]]:
    """All names of a subject, those that look precise, and those that are words like any other."""
    names = names_of(subject) | ({key} if is_named(key) else frozenset[str]())
    told = tuple(one for name in sorted(names) for one in precise(name))
    short = {part for one in told for part in _parts(one)}
    return names, told, frozenset(name for name in names | short if not precise(name))


def _parts(one: Named) -> Iterable[str]:
    """What a precise name is called in short: the last part of a path, a host, a port."""
    if one.kind == "address":
        port = one.name.rpartition(":")[2]
        yield from (_host(one.name), *([port] if len(port) > 2 else []))
    elif one.kind in ("path", "url"):
        last = one.name.rstrip("/").rpartition("/")[2]
        if is_named(last) or last in DIRECTORIES or (last.isdigit() and len(last) > 2):
            yield last


@dataclass(frozen=True, slots=True)
class _Subject:
    """A reading, and what it is called."""

    reading: Reading

    @property
    def names(self) -> frozenset[str]:
        """All its precise names, its key among them."""
        return _names(self.reading.subject, self.reading.key)[0]

    @property
    def told(self) -> tuple[Named, ...]:
        """Those of its names that look precise in any text."""
        return _names(self.reading.subject, self.reading.key)[1]

    @property
    def bare(self) -> frozenset[str]:
        """Those of its names that are words like any other, the host of a port among them."""
        return _names(self.reading.subject, self.reading.key)[2]

    def is_called(self, said: Named) -> bool:
        """Whether a precise name is one of this subject."""
        folded = Named(said.kind, said.name.casefold())
        return any(
            name in (folded.name, SUFFIX.sub("", folded.name)) or _same(folded, name)
            for name in (name.casefold() for name in self.names)
        )

    def holds(self, said: Named) -> bool:
        """Whether a precise name is of this subject or of something in it, such as a file."""
        return self.depth(said) > 0

    def depth(self, said: Named) -> int:
        """How closely it holds a name: of two volumes that a file could be on, it is on the one
        with the longer mount point."""
        if self.is_called(said):
            return 1 << 16
        path = said.name.casefold()
        within = (len(name) for name in self.names if self._within(path, name.casefold()))
        return max(within, default=0)

    def _within(self, path: str, name: str) -> bool:
        if not (path.startswith("/") and name.startswith("/")) or path.startswith("/dev/"):
            return False
        if VOLUME.fullmatch(self.reading.subject):
            return path.startswith(f"{name.rstrip('/')}/")
        # A certificate or a file that is looked for: its directory, or one that the glob finds.
        stem = name.partition("*")[0]
        return name.startswith(f"{path.rstrip('/')}/") or ("*" in name and path.startswith(stem))


def _same(said: Named, name: str) -> bool:
    """Whether a precise name is another way to write a known one."""
    if said.kind == "device":
        one, other = said.name.removeprefix("/dev/"), name.removeprefix("/dev/")
        return one == other or one == WHOLE_DISK.sub("", other)
    if said.kind == "address":
        # A port belongs to its host, and a host to the port that is meant.
        host, other = _host(said.name), _host(name)
        return name == host or (host == other and said.name == host)
    if said.kind == "url":
        return SITE.fullmatch(said.name) is not None and f"{name}/".startswith(
            f"{said.name.rstrip('/')}/"
        )
    return False


def _host(address: str) -> str:
    """An address without its port."""
    head, colon, port = address.rpartition(":")
    return (
        head.strip("[]")
        if colon and port.isdigit() and (":" not in head or "]" in head)
        else (address.strip("[]"))
    )


def _holds(said: Named, those: Iterable[_Subject], others: Iterable[_Subject]) -> bool:
    """Whether a name belongs to one of those subjects, and to no other more closely."""
    depth = max((one.depth(said) for one in those if one.holds(said)), default=0)
    return depth > 0 and depth >= max((one.depth(said) for one in others), default=0)


def _strange(said: Named, held: Sequence[Named], mine: Sequence[_Subject]) -> bool:
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
    return re.search("[A-Za-z]", _host(address)) is None or ":" in _host(address)


def _says(text: str, name: str, *, prose: bool) -> bool:
    """Whether a text has a name as a word of its own.

    Args:
        prose: Whether a name that is a word of the language too must be marked as a name.
    """
    if name.casefold() not in text.casefold():
        return False
    folded, word = text.casefold(), re.escape(name.casefold())
    whole = rf"(?<![\w./-]){word}(?![\w/-]|\.\w)"
    if not prose or (name.casefold() not in GENERIC and len(name) > 2):
        return re.search(whole, folded) is not None
    beside = "container|interface|nic|process|service|unit|sensor|array|pool|gpu|host"
    marked = (
        rf"[\"'`]{word}[\"'`]|\b(?:{beside}) {whole}|{whole} (?:{beside})\b"
        rf"|^{word}:|^(?:the )?{word}$"
    )
    return re.search(marked, folded) is not None


def _vaguely(said: str, known: Sequence[_Subject]) -> Reading | None:
    """What words without a name mean, if they can mean one reading only."""
    if ROOT.search(said) or said in ("root", "the root"):
        return _only([one for one in known if "/" in one.names])
    words = set(WORD.findall(said.replace("'s", "")))
    named = any(one.names for one in known)
    if len(known) == 1:
        # "backup" may be a service that is not there; "the service" is the one that is.
        return known[0].reading if not named or words <= VAGUE else None
    if named:
        return None
    shared = [len(words & set(WORD.findall(one.reading.subject.casefold()))) for one in known]
    best = [one for one, count in zip(known, shared, strict=True) if count == max(shared) > 0]
    if len(best) == 1:
        return best[0].reading
    physical = [one for one in known if one.reading.subject == "physical memory"]
    return _only(physical) if MEMORY.search(said) else None


def _distinct(readings: Iterable[Reading]) -> list[_Subject]:
    """Each subject once, however often it was measured."""
    return [_Subject(one) for one in {one.subject: one for one in readings}.values()]


def _only(found: Sequence[_Subject]) -> Reading | None:
    return found[0].reading if len(found) == 1 else None


def _bare(said: str) -> str:
    """A text without white space and quotes around it."""
    return " ".join(said.split()).strip("\"'`")
