"""Names that hold a number, such as `web1`, `10.0.0.5`, `/mnt/two`: they measure nothing. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from orchestrator.render.spelled import SPELLED, is_quantity, without_quantities
from orchestrator.render.words import one_line

TERMS = frozenset(
    {
        *("ipv4", "ipv6", "http/1.0", "http/1.1", "http/2", "http/3", "x86", "x86_64", "amd64"),
        *("arm64", "ext2", "ext3", "ext4", "x509", "utf-8", "utf8", "md5", "sha1", "sha256"),
        *("sha512", "s3", "h2", "k8s", "k3s", "raid0", "raid1", "raid5", "raid6", "raid10"),
        *("raidz1", "raidz2", "raidz3", "log4j", "ec2", "p2p", "l2", "l3", "l4", "l7", "i/o"),
    }
)
"""Words of the trade that hold a digit and measure nothing."""

QUANTITY_LIKE = re.compile(r"\A[~<>=+-]?\d[\d.,]*[a-z%°]{0,8}\Z")
"""A number, or one with a few letters behind it that could be its unit: no name of a thing."""

CHUNK = re.compile(r"[^\s\"'`“”‘’„«»()\[\]{}<>,;!?|*…]+")
"""What stands between spaces, quotes and brackets."""

PIECES = re.compile(r"[/:@=,–—→]+")
BRACKETED = re.compile(r"\[[0-9a-f:.%]+\](?::\d+)?")
"""An address of IPv6 with a port."""

WORD_ALONE = re.compile(r"(?<!\S)[a-z]{2,}(?!\S)")
"""Without one, what stands between numbers is but their units."""

EDGES = ".:;,!?~_-–—/"
LONGEST_PHRASE = 200
MOST_PHRASES = 2000
MOST_FALSE_STARTS = 100


@dataclass(frozen=True, slots=True)
class Names:
    """The names that a text may hold.

    Args:
        words: Names without a space, in lower case.
        phrases: Longer ones in which a number stands alone, such as `all 8 cores`, and those with
            a number in words, such as `/mnt/two`.
        evidence: What tools answered, case-folded: what looks like a name and stands there is one.
        spelled: Names that are but a number in words, such as the host `seven`: they count where
            something is counted.
    """

    words: frozenset[str] = frozenset()
    phrases: re.Pattern[str] | None = field(default=None)
    evidence: str = ""
    spelled: frozenset[str] = frozenset()

    def holds(self, chunk: str) -> bool:
        """Whether a word is a name, or a name with plain words tied to it."""
        word = chunk.casefold()
        if word in self.words or word in TERMS or self._stands_in_evidence(word):
            return True
        pieces = [piece for piece in PIECES.split(word) if piece]
        if len(pieces) > 1 and all(not has_digit(one) or self.holds(one) for one in pieces):
            return True
        head, dash, tail = word.rpartition("-")
        while dash and not has_digit(tail):
            if head in self.words or head in TERMS:
                return True
            head, dash, tail = head.rpartition("-")
        return False

    def _stands_in_evidence(self, word: str) -> bool:
        if not self.evidence or (QUANTITY_LIKE.match(word) and not _is_address(word)):
            return False
        # To find a str is many times as fast as a regular expression, and evidence may be MBs.
        # Where that finds mostly the insides of other words, the expression is the faster one.
        place = -1
        for _ in range(MOST_FALSE_STARTS):
            place = self.evidence.find(word, place + 1)
            if place < 0:
                return False
            end = place + len(word)
            around = self.evidence[max(place - 1, 0) : place] + self.evidence[end : end + 1]
            if not any(one == "_" or one.isalnum() for one in around):
                return True
        whole = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
        return bool(whole.search(self.evidence, place + 1))


def has_digit(text: str) -> bool:
    """Whether a digit of ASCII is in it."""
    return any("0" <= one <= "9" for one in text)


def names_in(texts: Iterable[str], hosts: Iterable[str] = (), evidence: str = "") -> Names:
    """The names in what was measured: subjects, titles, systems.

    Args:
        evidence: What tools answered, case-folded, where names may stand as well.
        hosts: Names for certain, whatever they look like. One that is all digits is a name only
            behind the word `host`.
    """
    words: set[str] = set()
    phrases: set[str] = set()
    spelled: set[str] = set()
    for host in hosts:
        if not has_digit(host):
            _add_spelled(host.casefold(), phrases, spelled)
        elif host.isdigit():
            phrases.add(f"host {host}")
        else:
            words.add(host.casefold())
    for text in dict.fromkeys(texts):
        line = one_line(text).casefold()
        _add_spelled(line, phrases, spelled)
        if not has_digit(text):
            continue
        phrases.update(BRACKETED.findall(line))
        alone = False
        for chunk in CHUNK.findall(line):
            found, bare = _names_of(chunk.strip(EDGES))
            words |= found
            alone = alone or bare
        if alone and len(line) <= LONGEST_PHRASE and WORD_ALONE.search(line):
            phrases.add(line)
    kept = sorted(phrases, key=len, reverse=True)[:MOST_PHRASES]
    pattern = "|".join(map(re.escape, kept))
    return Names(
        frozenset(words),
        re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.I) if kept else None,
        evidence,
        frozenset(spelled),
    )


def _add_spelled(line: str, phrases: set[str], spelled: set[str]) -> None:
    """Add the names in which a number is written out, and the line if it has other words."""
    if not SPELLED.search(line):
        return
    if SPELLED.fullmatch(line):
        spelled.add(line)
        phrases.add(f"host {line}")
        return
    for chunk in CHUNK.findall(line):
        name = chunk.strip(EDGES)
        if SPELLED.search(name) and not is_quantity(name):
            phrases.add(name)
    if len(line) <= LONGEST_PHRASE and WORD_ALONE.search(without_quantities(line)):
        phrases.add(line)


def _names_of(chunk: str) -> tuple[set[str], bool]:
    """The names in one word, and whether a number in it is none."""
    if not has_digit(chunk):
        return set(), False
    if _is_address(chunk):
        return {chunk}, False
    if QUANTITY_LIKE.match(chunk):
        return set(), True
    found = {chunk}
    pieces = [piece.strip(EDGES) for piece in PIECES.split(chunk)]
    found |= {piece for piece in pieces if has_digit(piece) and not QUANTITY_LIKE.match(piece)}
    found |= {piece for piece in pieces if _is_address(piece)}
    if "://" in chunk:
        found.add(chunk.partition("://")[2].partition("/")[0])
    return found, False


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return False
    return not text.isdigit()
