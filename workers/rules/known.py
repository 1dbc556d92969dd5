"""All known subjects of a metric by what they are called, so that none is looked for twice. Pure.

What a model writes is held against hundreds of subjects, and it writes what it likes: a name is
looked up rather than compared with each, and what was found of a text is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from workers.rules.names import (
    DIRECTORIES,
    GENERIC,
    SUFFIX,
    Named,
    is_named,
    names_of,
    precise,
)
from workers.rules.rule import Reading

WHOLE_DISK = re.compile(r"(?:p(?=\d+$)|(?<=[a-z])(?=\d+$)|s(?=\d+$))\d*$")
VOLUME = re.compile(r"/.*\([^()]*, [\w.-]+\)")
SITE = re.compile(r"https?://[^/?#]+/?")
CALLED = 1 << 16
"""How closely a subject holds its own name: more so than any directory what is in it."""


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
        yield from (host_of(one.name), *([port] if len(port) > 2 else []))
    elif one.kind in ("path", "url"):
        last = one.name.rstrip("/").rpartition("/")[2]
        if is_named(last) or last in DIRECTORIES or (last.isdigit() and len(last) > 2):
            yield last


@dataclass(frozen=True, slots=True)
class Subject:
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

    @property
    def mark(self) -> tuple[str, str]:
        """What all its names follow from."""
        return self.reading.subject, self.reading.key

    @property
    def directory(self) -> str:
        """The last part of its mount point; empty for what is no volume, and for the root."""
        if not VOLUME.fullmatch(self.reading.subject):
            return ""
        mount = self.reading.subject.rpartition(" (")[0]
        return mount.rstrip("/").rpartition("/")[2].casefold()

    def is_called(self, said: Named) -> bool:
        """Whether a precise name is one of this subject."""
        folded = Named(said.kind, said.name.casefold())
        return any(
            name in (folded.name, SUFFIX.sub("", folded.name)) or _same(folded, name)
            for name in (name.casefold() for name in self.names)
        )

    def depth(self, said: Named) -> int:
        """How closely it holds a name, of itself or of something in it, such as a file; 0 for not
        at all. Of two volumes that a file could be on, it is on the one with the longer mount
        point."""
        if self.is_called(said):
            return CALLED
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


class Known:
    """The subjects that readings of a metric are of, looked up by name.

    Args:
        readings: However often each subject was measured; the last reading of one counts.
        more: Others that are known already.

    Attributes:
        looked_at: How often a name was held against a subject, or a text against a word.
    """

    def __init__(self, readings: Iterable[Reading], more: Known | None = None) -> None:
        self.subjects = distinct(readings)
        self.looked_at = 0
        self._more = more
        self._called: dict[str, list[Subject]] = {}
        self._below: dict[str, list[Subject]] = {}
        self._globs: list[Subject] = []
        self._owners: dict[str, set[str]] = {}
        self._bare: dict[str, set[str]] = {}
        self._directories: dict[str, set[str]] = {}
        self._depths: dict[Named, dict[str, int]] = {}
        self._words: dict[str, tuple[str, ...]] = {}
        self._whole: dict[str, set[str]] = {}
        for one in self.subjects:
            self._add(one)

    @property
    def named(self) -> bool:
        """Whether any of them has a precise name."""
        return bool(self._owners) or (self._more is not None and self._more.named)

    def exactly(self, said: str) -> set[str]:
        """The subjects whose whole name or key a text is, whatever else could be read in it."""
        more = self._more.exactly(said) if self._more else set[str]()
        return self._whole.get(said, set[str]()) | more

    def depths(self, said: Named) -> Mapping[str, int]:
        """The subjects that hold a precise name, and how closely."""
        folded = Named(said.kind, said.name.casefold())
        if folded not in self._depths:
            found = dict(self._more.depths(said)) if self._more else {}
            for one in self._candidates(folded):
                self.looked_at += 1
                if depth := one.depth(folded):
                    found[one.reading.subject] = max(depth, found.get(one.reading.subject, 0))
            self._depths[folded] = found
        return self._depths[folded]

    def owners(self, name: str) -> set[str]:
        """The subjects that have a name."""
        return self._owners.get(name, set()) | (self._more.owners(name) if self._more else set())

    def owners_of_word(self, word: str) -> set[str]:
        """The subjects that are called by a word like any other."""
        own = self._bare.get(word, set[str]())
        return own | (self._more.owners_of_word(word) if self._more else set())

    def words_in(self, text: str) -> tuple[str, ...]:
        """Those of their names that are words like any other and stand in a text as names."""
        if text not in self._words:
            folded = text.casefold()
            found = {name for name in self._bare if name.casefold() in folded}
            self.looked_at += len(self._bare)
            told = {name for name in found if says(text, name, prose=True)}
            self._words[text] = tuple(
                sorted(told.union(self._more.words_in(text) if self._more else ()))
            )
        return self._words[text]

    def of_directory(self, name: str) -> set[str]:
        """The volumes whose mount point ends in a directory of that name."""
        own = self._directories.get(name, set[str]())
        return own | (self._more.of_directory(name) if self._more else set())

    def _add(self, one: Subject) -> None:
        subject = one.reading.subject
        for whole in filter(None, (subject, one.reading.key)):
            self._whole.setdefault(whole, set()).add(subject)
        for word in one.bare:
            self._bare.setdefault(word, set()).add(subject)
        if one.directory:
            self._directories.setdefault(one.directory, set()).add(subject)
        for name in one.names:
            self._owners.setdefault(name, set()).add(subject)
            folded = name.casefold()
            for key in _keys(folded):
                self._called.setdefault(key, []).append(one)
            if "*" in folded:
                self._globs.append(one)
            for above in _above(folded):
                self._below.setdefault(above, []).append(one)

    def _candidates(self, said: Named) -> Iterable[Subject]:
        """Every subject that may hold a name, and few others; each once."""
        keys = {*_keys(said.name), SUFFIX.sub("", said.name)}
        paths = set(_above(said.name)) if not said.name.startswith("/dev/") else set[str]()
        found = [one for key in keys | paths for one in self._called.get(key, ())]
        found += self._below.get(said.name.rstrip("/"), ())
        return distinct_subjects([*found, *self._globs])


def distinct(readings: Iterable[Reading]) -> list[Subject]:
    """Each subject once, however often it was measured."""
    return [Subject(one) for one in {one.subject: one for one in readings}.values()]


def distinct_subjects(found: Sequence[Subject]) -> list[Subject]:
    """Each of them once, in order."""
    return list({one.reading.subject: one for one in found}.values())


def _keys(name: str) -> set[str]:
    """What a known name is looked up by: itself, its device, its disk, its host and its site."""
    device = name.removeprefix("/dev/")
    site = SITE.match(name)
    keys = {name, name.rstrip("/"), device, WHOLE_DISK.sub("", device), host_of(name)}
    return keys | ({site[0].rstrip("/")} if site else set())


def _above(path: str) -> list[str]:
    """The directories above a path: of `/var/log` the root, which is the empty one, and `/var`."""
    if not path.startswith("/"):
        return []
    return [path[:at] for at, sign in enumerate(path) if sign == "/"]


def _same(said: Named, name: str) -> bool:
    """Whether a precise name is another way to write a known one."""
    if said.kind == "device":
        one, other = said.name.removeprefix("/dev/"), name.removeprefix("/dev/")
        return one == other or one == WHOLE_DISK.sub("", other)
    if said.kind == "address":
        # A port belongs to its host, and a host to the port that is meant.
        host, other = host_of(said.name), host_of(name)
        return name == host or (host == other and said.name == host)
    if said.kind == "url":
        return SITE.fullmatch(said.name) is not None and f"{name}/".startswith(
            f"{said.name.rstrip('/')}/"
        )
    return False


def host_of(address: str) -> str:
    """An address without its port."""
    head, colon, port = address.rpartition(":")
    return (
        head.strip("[]")
        if colon and port.isdigit() and (":" not in head or "]" in head)
        else (address.strip("[]"))
    )


def says(text: str, name: str, *, prose: bool) -> bool:
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
