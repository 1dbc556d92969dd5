"""Kernel messages as each source writes them: journal, ring buffer, log file, macOS log. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from workers.tools.catalog.journal import journal_entries, text_of

FUTURE_SECONDS = 60.0
"""A stamp may be this far ahead of now; further ahead, it belongs to another year."""

REPEAT_SECONDS = 5.0
"""The same text from two sources within this time is one message: both stamp it on receipt."""

RAW = re.compile(
    r"^<(?P<level>\d+)>\[\s*(?P<seconds>\d+\.\d+)\]\s?(?:\[\s*[TC]\d+\]\s?)?(?P<text>.*)"
)
"""`dmesg -r`. The optional bracket is the caller, which CONFIG_PRINTK_CALLER adds."""

SYSLOG = re.compile(
    r"^(?P<stamp>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*)"
    r" \S+ kernel(?:\[\d+\])?: (?:\[\s*\d+\.\d+\]\s?)?(?:\[\s*[TC]\d+\]\s?)?(?P<text>.*)$"
)
"""`Nov 21 06:00:01 host kernel: …` (RFC 3164) or `2026-11-21T06:00:01.5+01:00 host kernel: …`."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the kernel.

    Args:
        at: Unix time in seconds.
        log: Where it was read.
    """

    at: float
    text: str
    log: str


def parse_journal(text: str) -> list[Message]:
    """The messages in `journalctl -o json`."""
    return [
        Message(int(entry["__REALTIME_TIMESTAMP"]) / 1e6, text_of(entry.get("MESSAGE")), "journal")
        for entry in journal_entries(text)
    ]


def parse_dmesg(text: str, booted_at: float) -> list[Message]:
    """The kernel's own messages in `dmesg -r`.

    The number in front is facility * 8 + level. Facility 0 is the kernel; what a program wrote
    into /dev/kmsg has another and is left out.

    Args:
        booted_at: The Unix time at which the kernel's clock stood at 0.
    """
    return [
        Message(booted_at + float(found["seconds"]), found["text"], "dmesg")
        for line in text.splitlines()
        if (found := RAW.match(line)) and int(found["level"]) < 8
    ]


def parse_syslog(lines: Iterable[str], log: str, now: float) -> list[Message]:
    """The lines of a log file that the syslog daemon tagged as the kernel's."""
    messages: list[Message] = []
    for line in lines:
        found = SYSLOG.match(line)
        at = unix_time(found["stamp"], now) if found else None
        if found and at is not None:
            messages.append(Message(at, found["text"], log))
    return messages


def parse_log_show(text: str) -> list[Message]:
    """The messages in macOS `log show --style ndjson`; its last line is a summary."""
    messages: list[Message] = []
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        if "eventMessage" in entry:
            at = datetime.fromisoformat(entry["timestamp"]).timestamp()
            messages.append(Message(at, entry["eventMessage"] or "", "log show"))
    return messages


def unix_time(stamp: str, now: float) -> float | None:
    """The Unix time of a syslog stamp; None where there is no such time.

    A classic stamp names neither year nor zone: it is this machine's local time, in the latest
    year that does not lie ahead. In the hour that autumn repeats, it is the later of the two.
    """
    if stamp[0].isdigit():
        try:
            return datetime.fromisoformat(stamp).timestamp()
        except ValueError:
            return None
    year = datetime.fromtimestamp(now).astimezone().year
    past = [
        at
        for candidate in (year + 1, year, year - 1)
        for at in _local_times(candidate, stamp)
        if at <= now + FUTURE_SECONDS
    ]
    return max(past, default=None)


def _local_times(year: int, stamp: str) -> Iterator[float]:
    try:
        naive = datetime.strptime(f"{year} {stamp}", "%Y %b %d %H:%M:%S")  # noqa: DTZ007 - local
    except ValueError:  # 29 February, in most years
        return
    for fold in (0, 1):
        yield naive.replace(fold=fold).astimezone().timestamp()


def merged(sources: Sequence[Sequence[Message]], since: float) -> list[Message]:
    """All messages since a Unix time, oldest first.

    What two sources both have is taken once, from the earlier source in the list.
    """
    taken: list[Message] = []
    for messages in sources:
        known: dict[str, list[float]] = {}
        for message in taken:
            known.setdefault(message.text, []).append(message.at)
        taken += [
            message
            for message in messages
            if message.at >= since
            and not any(
                abs(message.at - at) <= REPEAT_SECONDS for at in known.get(message.text, ())
            )
        ]
    return sorted(taken, key=lambda message: message.at)
