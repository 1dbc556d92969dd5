"""Numbers in a model's words: measured ones are put in, names stay, all others are taken out."""

from __future__ import annotations

import random
import re
import time
import unicodedata

import pytest

from orchestrator.render.names import TERMS, names_in
from orchestrator.render.numbers import PLACEHOLDER, REMOVED, Facts, bare, settle
from orchestrator.render.quantities import UNITS, Measurements
from orchestrator.render.words import cut_words
from swarm_tasks.unseen import UNSEEN

VALUES = {
    "f1.1": "97.3 %",
    "f1.1.limit": "90 %",
    "f2.1": "3 packages",
    "f3.1": "3.1 GiB",
    "f4.1": "3 d 4 h",
    "f5.1": "failed",
    "n.answered": "4",
}
MEASURED: list[tuple[float | str, str]] = [
    (97.3, "percent"),
    (90, "percent"),
    (3, "packages"),
    (3_328_599_654, "bytes"),
    (273_600, "seconds"),
    (2.4, "ratio"),
    (12.3, "milliseconds"),
    (0.35, "seconds"),
    (-172_800, "seconds"),
    ("failed", "state"),
]
SUBJECTS = (
    "/var (/dev/sda2, ext4)",
    "all 8 cores",
    "10.0.0.53 asking for example.org",
    "[2001:db8::1]:53 asking for .",
    "user@1000.service",
    "http://10.0.0.5:8080/v1/health",
    "Debian GNU/Linux 12",
    "db-1:5432",
    "status 503",
    "postgres (pid 4321)",
)
HOSTS = ("web1", "db-1", "42", "node-7.rack2.example.org")
FACTS = Facts(VALUES, Measurements.of(MEASURED), names_in(SUBJECTS, HOSTS))
X = REMOVED


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{f1.1}", "97.3 %"),
        ("It is {f1.1} full, over {f1.1.limit}.", "It is 97.3 % full, over 90 %."),
        ("{F1.1} { f2.1 } {{f3.1}}", "97.3 % 3 packages 3.1 GiB"),
        ("f1.1 and [f1.1]", "97.3 % and [97.3 %]"),
        ("{n.answered} hosts", "4 hosts"),
        ("the unit {f5.1}", "the unit failed"),
        # What touches a value must not make it another.
        ("-{f1.1} −{f1.1} ~{f1.1} ${n.answered}", "97.3 % 97.3 % 97.3 % 4"),
        ("{f1.1}%", "97.3 %"),
        ("{f1.1} percent", "97.3 %"),
        ("{f2.1} packages", "3 packages"),
        ("{n.answered}k hosts", "4 hosts"),
        ("{f1.1}0", f"97.3 % {X}"),
        ("{n.answered},000", f"4 ,{X}"),
        ("{n.answered} million", f"4 {X}"),
        ("9{f1.1}", f"{X} 97.3 %"),
        ("web-{n.answered}", "web- 4"),
        ("{n.answered}{n.answered}.{n.answered}", "4 4 .4"),
        ("97.3 %{n.answered}", "97.3 %4"),
        ("{n.answered}97.3 %", "4 97.3 %"),
    ],
)
def test_a_placeholder_is_filled_with_what_was_measured(written: str, said: str) -> None:
    assert settle(written, FACTS).text == said


@pytest.mark.parametrize(
    "text",
    [
        "web1 and WEB1, (web1), web1's, `web1`, **web1**, web1: and web1-related",
        "node-7.rack2.example.org.",
        "host 42",
        "/dev/sda2, sda2 and /var on ext4",
        "10.0.0.53 does not answer, nor does [2001:db8::1]:53",
        "db-1:5432 refuses; web1/db-1; web1–db-1",
        "http://10.0.0.5:8080/v1/health, 10.0.0.5:8080 and v1",
        "user@1000.service",
        "all 8 cores",
        "Debian GNU/Linux 12",
        "status 503",
        "postgres (pid 4321)",
        "IPv4, IPv6, HTTP/2, x86_64, sha256, RAID1",
        "a zero-day, two-factor, a three-way handshake, a one-off",
        "No one of the others, one by one, one host, the second, the third",
        "nobody, someone, tenant, often, attention, sixth-former, none, oneself",
        "1. Free space.\n2. Start it.\n3. Look again.",
    ],
)
def test_names_and_plain_words_stay(text: str) -> None:
    settled = settle(text, FACTS)
    assert (settled.text, settled.removed) == (text, 0)


@pytest.mark.parametrize(
    "text",
    [
        *("97.3 %", "97.3%", "97 %", "97 percent", "97-percent", "97,3 %", "90 per cent"),
        *("3.1 GiB", "3.1GiB", "3.3 GB", "3 GB", "3,174 MiB", "3,328,599,654 bytes"),
        *("3 d 4 h", "3 days and 4 hours", "3 days", "76 hours", "2 d"),
        *("3 packages", "3 security updates", "3 missing packages"),
        *("2.4", "2.4 per core", "350 ms", "0.35 s", "12.3 ms"),
    ],
)
def test_a_number_that_was_measured_stays_with_its_unit(text: str) -> None:
    settled = settle(f"There: {text} of it.", FACTS)
    assert (settled.text, settled.removed) == (f"There: {text} of it.", 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("98 %", X),
        ("97.4%", X),
        ("-97.3 %", X),
        ("97.3", X),  # of what?
        ("97 hosts", f"{X} hosts"),
        ("3 hosts", f"{X} hosts"),
        ("3", X),
        ("3 GiB of 8 GiB", f"3 GiB of {X}"),
        ("80–90 %", X),
        ("80 to 85 %", f"{X} to {X}"),
        ("80-90%", X),
        ("97.3/90 %", X),
        ("$5", X),
        ("1e9, 0x61, 97.3e1 %", f"{X}, {X}, {X}"),
        ("2026-03-02 at 08:14", f"{X} at {X}"),
        ("the 3rd disk", f"the {X} disk"),
        ("5432 or 8080", f"{X} or {X}"),
        ("8 cores", f"{X} cores"),
        ("Debian 12", f"Debian {X}"),
        ("pid 4321", f"pid {X}"),
        ("web2, web11 and sda3", f"{X}, {X} and {X}"),
        ("42", X),
        ("97.3%full", X),
        ("97percent", "97percent"),  # as if it were written apart
        ("98percent", X),
        ("7. Then", f"{X}. Then"),
        ("2. Then\n1. First", f"{X}. Then\n1. First"),
        ("p99 of v2.3.1", f"{X} of {X}"),
        ("4,000,000 requests", X),
        ("&#57;&#55; %", f"{X};{X}; %"),
        ("9 7 . 3 %", None),
        ("{f9.9} {f1.2} {n.hosts} {x}", f"{X}"),
        ("{f1.1.again}", X),
        ("{1}", f"{{{X}}}"),
        ("{f1.1", "{97.3 %"),
    ],
)
def test_any_other_number_is_taken_out(text: str, said: str | None) -> None:
    settled = settle(text, FACTS)
    if said is not None:
        assert settled.text == said
    plain = settled.text
    for value in (*VALUES.values(), "3 GiB", "97percent", "1. First"):
        plain = plain.replace(value, "")
    assert not re.search(r"\d", plain)
    assert settled.removed >= 1 or text in ("97percent", "{f1.1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ninety percent", X),
        ("Ninety-seven point three per cent used", f"{X} used"),
        ("one hundred and four hosts", f"{X} hosts"),
        ("a hundred hosts", f"{X} hosts"),
        ("hundreds of errors, dozens more", f"{X} of errors, {X} more"),
        ("three of the six", f"{X} of the {X}"),
        ("one percent, one day, one package", f"{X}, {X}, {X}"),
        ("twenty-four hours", X),
        ("half of the disk", f"{X} of the disk"),
        ("a third of all hosts, two thirds full", f"{X} of all hosts, {X} full"),
        ("one-quarter, three-quarters", f"{X}, {X}"),
        ("half the disk, half-full, half an hour", f"{X} the disk, {X}-full, {X} an hour"),
        ("double the limit, doubling since", f"{X} the limit, {X} since"),
        ("a couple of hosts", f"{X} of hosts"),
        ("it restarted twice and doubled", f"it restarted {X} and {X}"),
        ("four million", X),
        ("THREE hosts", f"{X} hosts"),
    ],
)
def test_numbers_in_words_are_taken_out(text: str, said: str) -> None:
    settled = settle(text, FACTS)
    assert settled.text == said
    assert settled.removed


@pytest.mark.parametrize(
    "text",
    [
        "９８ ％",
        "٩٨ %",
        "½ of it, ² ① Ⅳ ㉑",
        "𝟗𝟖 %",
        "9\u200b8 %",
        "9\u00ad8 %",
        "\u202e89 %\u202c",
        "\x1b[1m98\x1b[0m %",
        "9\ufe0f\u20e38\ufe0f\u20e3 %",
        "百分之九十",
        "९८ %",
        "web１",
    ],
)
def test_numbers_in_disguise_are_taken_out(text: str) -> None:
    settled = settle(f"The disk is {text} full.", FACTS)
    assert settled.removed >= 1
    assert not any(unicodedata.category(one)[0] == "N" for one in settled.text)
    assert "九" not in settled.text


def test_no_number_survives_any_soup() -> None:
    chance = random.Random(3)  # noqa: S311 - the same every time
    pieces = (
        *(
            "{f1.1}",
            "{f9.1}",
            "98",
            "ninety",
            " %",
            "%",
            "-",
            ".",
            ",",
            "web1",
            " ",
            "\n",
            "(",
            "[",
        ),
        *("GiB", "k", "{", "}", "½", "١", "one", "hundred", "and", "/", ":", "97.3 %", "x", "'"),
    )
    kept = {*VALUES.values(), "web1"}
    for _ in range(3_000):
        text = "".join(chance.choice(pieces) for _ in range(chance.randint(1, 14)))
        settled = settle(text, FACTS)
        left = settled.text
        for one in sorted((*kept, "97.3"), key=len, reverse=True):
            left = left.replace(one, "")
        assert not any(unicodedata.category(one)[0] == "N" for one in left), text
        assert "ninety" not in left.lower().split(), text
        # What has been settled holds nothing more to settle.
        assert not PLACEHOLDER.search(settled.text), text


def test_only_evidence_makes_an_agent_s_number_stand() -> None:
    said = "{'lines': ['34,120 errors in 12.5 s'], 'rtt_ms': 8.25, 'pool': 'tank2', 'n': 512}"
    facts = Facts(measured=Measurements.of((), said), names=names_in((), (), said))
    kept = "512 workers, tank2, 8.3 ms, 12.5 s"
    assert settle(kept, facts).text == kept
    assert settle("513 workers, tank3, 8.4 ms", facts).text == f"{X} workers, {X}, {X}"
    assert settle("512 workers and tank2", FACTS).removed == 2


def test_names_are_found_in_long_evidence_faster_than_by_an_expression() -> None:
    said = " ".join(f"pid{number}" for number in range(100_000)) + " x1y x2" + "x2" * 200 + " x2."
    facts = Facts(names=names_in((), (), said))
    started = time.process_time()
    assert settle("x0y x1y x2 x3y x4y pid99999", facts).text == f"{X} x1y x2 {X} pid99999"
    found = time.process_time()
    for word in ("x0y", "x3y", "x4y"):
        assert not re.search(rf"(?<!\w){word}(?!\w)", said)
    # It is some twenty times as fast.
    assert (found - started) * 2 < time.process_time() - found


def test_a_host_cannot_name_a_number_into_being() -> None:
    names = names_in(["97percent", "5gb of data", "-3d", "9"], ["99", "3"])
    facts = Facts(names=names)
    for text in ("97percent", "5gb", "99", "3", "9 hosts", "-3d"):
        assert settle(text, facts).removed == 1
    # A host whose name is a number is one only where that is said.
    assert settle("host 99 and 99", facts).text == f"host 99 and {X}"


@pytest.mark.parametrize(
    "text",
    [
        "seven is dark; Ten-Forward answers, and seven reports errors.",
        "/mnt/two is full on host seven.",
        "seven-day-backup.service failed on seven, not thousand-island.",
        "All six fans stand still.",
        "f1.1 is dark.",
    ],
)
def test_a_name_may_hold_a_number_in_words_or_be_like_a_placeholder(text: str) -> None:
    subjects = ("/mnt/two (/dev/sda, ext4)", "seven-day-backup.service", "all six fans")
    names = names_in(subjects, ("seven", "ten-forward", "thousand-island", "f1.1"))
    settled = settle(text, Facts(VALUES, names=names))
    assert (settled.text, settled.removed) == (text, 0)


def test_words_that_only_look_like_shares_stay() -> None:
    text = (
        "A third-party tool, half-open and half-duplex links, double parity, a double fault, one "
        "third-party unit, a quarter, the couple, on behalf of it, einer von euch, un disque plein."
    )
    assert settle(text, Facts()).text == text


def test_a_host_named_by_a_number_counts_nothing() -> None:
    names = names_in(["ninety percent", "six of the fans"], ["seven", "/mnt/two"])
    facts = Facts(VALUES, names=names)
    for text in ("ninety percent", "seven days", "seven hosts", "seven dark hosts", "six fans"):
        assert settle(f"It is {text}.", facts).removed == 1
    for text in ("twenty-seven is", "seven hundred", "twenty seven", "seven percent", "two"):
        assert REMOVED in settle(text, facts).text
        assert "seven" not in settle(text, facts).text
    assert settle("{f1.1}", facts).text == "97.3 %"


def test_names_are_matched_whole() -> None:
    facts = Facts(names=names_in(["sda1"], ["web1"]))
    for text in ("sda10", "xsda1", "web12", "1web1", "web1x"):
        assert settle(text, facts).text == X


def test_words_of_the_trade_measure_nothing() -> None:
    for term in TERMS:
        assert settle(f"the {term} of it", Facts()).removed == 0


def test_nothing_that_acts_unseen_is_left_in_a_model_s_words() -> None:
    everything = "".join(map(chr, range(1, 0x3000))) + "\U000e0041\ud800"
    assert not UNSEEN.search(bare(everything))
    assert bare("a\x1b]8;;https://example.invalid\x07b\x1b[31mc\x9b2Jd\x1bMe\u202ef") == "abcdef"


def test_every_unit_is_read_again_as_it_is_written() -> None:
    for unit, (kind, scales) in UNITS.items():
        facts = Facts(measured=Measurements.of([(7 * scales[0], kind)]))
        assert settle(f"7 {unit}", facts).removed == 0
        assert settle(f"9 {unit}", facts).text == X


def test_settling_takes_time_in_proportion() -> None:
    text = "The disk on web1 is 98 % full, ninety percent, {f1.1}, " * 4_000
    settled = settle(text, FACTS)
    assert (settled.removed, settled.placed) == (8_000, 4_000)


def test_long_words_are_cut_after_a_sentence() -> None:
    text = "One is so. Two is so. " + "x" * 50
    assert cut_words(text, 30) == "One is so. Two is so. …"
    assert cut_words("a" * 40, 10) == "aaaaaaaa …"
    assert cut_words("short", 10) == "short"
