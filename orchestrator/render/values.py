"""What a report says, in words for people: values, claims, headlines, blind spots. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from swarm_tasks.measures import measures
from swarm_tasks.models.base import JsonScalar
from swarm_tasks.models.finding import Claim, Finding, Severity, Verdict
from swarm_tasks.models.report import (
    HostLine,
    HostStatus,
    JobStatus,
    PartLine,
    Report,
    StopReason,
    Usage,
)

UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""What acts on a terminal or a page without being seen: control characters, escapes, bidi
overrides, zero-width characters, lone surrogates and tags. Line ends and tabs are not here."""

SIGNS = {">=": "≥", "<=": "≤", ">": ">", "<": "<", "==": "=", "!=": "≠"}

PHRASES = {
    "disk.used_percent": "{} used",
    "disk.free_bytes": "{} free",
    "disk.inodes_percent": "{} of inodes used",
    "disk.full_in_seconds": "full in {}",
    "disk.io_busy_percent": "busy {} of the time",
    "disk.io_queue": "{} waiting",
    "cpu.busy_percent": "{} busy",
    "cpu.iowait_percent": "{} waiting for disks",
    "cpu.steal_percent": "{} taken by the hypervisor",
    "load.per_core": "load {} per core",
    "memory.used_percent": "{} used",
    "swap.used_percent": "{} used",
    "kernel.oom_kills": "{} in 30 min",
    "processes.pids_percent": "{} of process ids used",
    "fds.used_percent": "{} of file handles used",
    "service.restarts": "{} in 5 min",
    "net.errors": "{} in 10 min",
    "net.drops_percent": "{} dropped",
    "ping.loss_percent": "{} lost",
    "ping.rtt_ms": "{} round trip",
    "tls.left_seconds": "expires in {}",
    "time.offset_seconds": "{} off",
    "updates.security": "{} not installed",
    "file.age_seconds": "{} old",
    "uptime.seconds": "up for {}",
}
"""How a value of a metric reads; a metric that is not here reads as its meaning and the value."""

WITHDRAWN = frozenset({Verdict.REFUTED, Verdict.STALE, Verdict.UNSUPPORTED})
"""Verdicts under which a finding did not stand up: shown apart, and never counted."""

STOPS = {
    StopReason.STEPS: "used up its steps",
    StopReason.DEADLINE: "was stopped by the deadline",
    StopReason.OUTPUT: "used up its output",
    StopReason.CANCELLED: "was cancelled",
    StopReason.ERROR: "ended in an error",
    StopReason.DARK: "never began: the host is dark",
    StopReason.LOST: "was lost with its worker",
}
"""Why a part ended before it had looked at everything."""


def clean(text: str) -> str:
    r"""`text` with every character that acts unseen written out, as `\x1b` or `\u202e`.

    Nothing is dropped: what a host tried to hide is itself worth seeing.
    """
    return UNSEEN.sub(lambda match: ascii(match[0])[1:-1], text)


def one_line(text: str) -> str:
    """`text`, clean and on one line, with its white space folded."""
    return " ".join(clean(text).split())


def shorten(text: str, limit: int) -> str:
    """`text` in at most `limit` characters; the middle goes, for both ends tell names apart."""
    if len(text) <= limit:
        return text
    tail = (limit - 1) // 2
    return f"{text[: limit - 1 - tail]}…{text[len(text) - tail :]}"


def count_text(count: int, noun: str) -> str:
    """A count with its noun: `1 host`, `1,204 events`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def names_text(names: Sequence[str], limit: int = 5) -> str:
    """The first `limit` names, and how many more there are."""
    shown = ", ".join(names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown


def moment_text(moment: datetime) -> str:
    """A moment in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def number_text(value: float, digits: int = 1) -> str:
    """A number to `digits` decimals without trailing zeros; small ones to two figures."""
    if 0 < abs(value) < 1 and digits == 1:
        return f"{value:.2g}"
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def bytes_text(value: float, digits: int = 1) -> str:
    """A size in binary units: `3.1 GiB`."""
    size = float(value)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(round(size, digits)) < 1024:
            return f"{number_text(size, digits)} {unit}"
        size /= 1024
    return f"{number_text(size, digits)} PiB"


def duration_text(seconds: float, digits: int = 1) -> str:
    """A duration in its two largest units, rounded down: `14 h`, `3 d 4 h`, `200 ms`."""
    if seconds < 0:
        return f"−{duration_text(-seconds, digits)}"
    if 0 < seconds < 1 and round(seconds * 1000, digits) < 1000:
        return f"{number_text(seconds * 1000, digits)} ms"
    if round(seconds, digits) < 60:
        return f"{number_text(seconds, digits)} s"
    left, parts = round(seconds), list[str]()
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        whole, left = divmod(left, size)
        if whole:
            parts.append(f"{whole:,} {unit}")
        if parts and (len(parts) == 2 or not whole or unit == "s"):
            break
    return " ".join(parts)


def percent_text(value: float, digits: int = 1) -> str:
    """A share of 0 to 100; what is not quite all of it never reads as 100 %."""
    if value < 100 <= round(value, digits):
        return f"> {100 - 10**-digits:.{digits}f} %"
    return f"{number_text(value, digits)} %"


def milliseconds_text(value: float, digits: int = 1) -> str:
    """A duration that was measured in milliseconds."""
    return duration_text(value / 1000, digits)


IN_UNITS: Mapping[str, Callable[[float, int], str]] = {
    "percent": percent_text,
    "bytes": bytes_text,
    "seconds": duration_text,
    "milliseconds": milliseconds_text,
    "ratio": number_text,
}
COUNTED = {"requests", "events", "restarts", "errors", "packages"}


def value_text(value: JsonScalar, unit: str, digits: int = 1) -> str:
    """A claim's value with its unit, for people. A word, or a unit unknown, stays as it is."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return one_line(value).replace("_", " ") if unit == "state" else one_line(value)
    if unit in IN_UNITS:
        return IN_UNITS[unit](float(value), digits)
    if unit in COUNTED:
        noun = unit.removesuffix("s")
        return f"{number_text(value, digits)} {noun if value == 1 else unit}"
    return one_line(f"{number_text(value, digits)} {unit}")


def observed_text(claim: Claim, digits: int = 1) -> str:
    """What was measured, as a phrase: `97.3 % used`, `expired 2 d ago`."""
    left = claim.observed
    if claim.metric == "tls.left_seconds" and not isinstance(left, str) and left < 0:
        return f"expired {duration_text(-left, digits)} ago"
    value = value_text(claim.observed, claim.unit, digits)
    if claim.metric in PHRASES:
        return PHRASES[claim.metric].format(value)
    known = measures().get(claim.metric)
    return f"{known.meaning if known else one_line(claim.metric)}: {value}"


def limit_text(claim: Claim, digits: int = 1) -> str:
    """The limit that is said to be crossed: `limit ≥ 90 %`; nothing for a word that it is."""
    if claim.unit == "state" and claim.comparator == "==" and claim.observed == claim.value:
        return ""
    sign = SIGNS.get(claim.comparator, one_line(claim.comparator))
    return f"limit {sign} {value_text(claim.value, claim.unit, digits)}"


def claim_digits(claim: Claim) -> int:
    """Decimals enough that a number beside the limit never reads as the limit when it is not."""
    numbers = [claim.observed] if claim.remeasured is None else [claim.observed, claim.remeasured]
    unlike = [number for number in numbers if number != claim.value]
    for digits in (1, 2, 3):
        limit = value_text(claim.value, claim.unit, digits)
        if all(value_text(number, claim.unit, digits) != limit for number in unlike):
            return digits
    return 1


def claim_text(claim: Claim) -> str:
    """A claim in one phrase: `97.3 % used (limit ≥ 90 %)`."""
    digits = claim_digits(claim)
    limit = limit_text(claim, digits)
    return f"{observed_text(claim, digits)} ({limit})" if limit else observed_text(claim, digits)


def check_text(claim: Claim) -> str:
    """What became of a claim when it was checked, with the second number where there is one."""
    if claim.verdict is Verdict.UNSUPPORTED:
        return "unsupported: the evidence does not say so"
    if claim.verdict is Verdict.UNVERIFIABLE:
        return "measured once: nothing could measure it again"
    said = {
        Verdict.VERIFIED: "verified",
        Verdict.REFUTED: "refuted",
        Verdict.STALE: "stale: it has changed since",
    }[claim.verdict]
    if claim.remeasured is None:
        return said
    again = value_text(claim.remeasured, claim.unit, claim_digits(claim))
    return f"{said}{',' if ':' in said else ':'} {again} when measured again"


def call_text(tool: str, arguments: Mapping[str, object], limit: int = 200) -> str:
    """A tool call as one line: `disk_usage(mount="/var")`; arguments left empty go."""
    given = (
        f"{key}={json.dumps(value, ensure_ascii=False, default=str)}"
        for key, value in arguments.items()
        if value not in (None, [], ())
    )
    return shorten(one_line(f"{tool}({', '.join(given)})"), limit)


def by_severity(findings: Iterable[Finding]) -> dict[Severity, list[Finding]]:
    """Findings under each severity that has any, gravest first, otherwise in their order."""
    groups: dict[Severity, list[Finding]] = {}
    for finding in sorted(findings, key=lambda one: one.severity.rank):
        groups.setdefault(finding.severity, []).append(finding)
    return groups


def standing(findings: Iterable[Finding]) -> list[Finding]:
    """The findings that count: those that no check withdrew."""
    return [finding for finding in findings if finding.verdict not in WITHDRAWN]


def withdrawn(findings: Iterable[Finding]) -> list[Finding]:
    """The findings that did not hold when they were checked."""
    return [finding for finding in findings if finding.verdict in WITHDRAWN]


def tally_text(findings: Iterable[Finding]) -> str:
    """How many of each severity: `1 critical, 2 warnings`; empty where there are none."""
    groups = by_severity(findings)
    return ", ".join(
        count_text(len(found), "warning")
        if severity is Severity.WARNING
        else f"{len(found):,} {severity}"
        for severity, found in groups.items()
    )


def prose_of(report: Report) -> str:
    """What the summary adds to the page: a model's prose.

    Without a model the summary is made of the counts that every page begins with; it is for
    those who read the report as JSON, and would only be said twice here.
    """
    return "" if report.job.brain == "rules" else report.summary.strip()


def headline(report: Report) -> str:
    """The report in a few words. Silence from a host is never told as health."""
    answered, asked = len(report.coverage.answered), len(report.coverage.asked)
    if not answered:
        return "No host answered"
    tally = tally_text(standing(report.findings))
    if tally or answered == asked:
        return tally or "No findings"
    return f"No findings on the {count_text(answered, 'host')} that answered"


def coverage_text(report: Report) -> str:
    """Who answered and who did not: `4 of 6 hosts answered; 1 dark (db-2)`."""
    coverage = report.coverage
    asked = count_text(len(coverage.asked), "host")
    said = [f"{len(coverage.answered):,} of {asked} answered"]
    for word, hosts in (("dark", coverage.dark), ("failed", coverage.failed)):
        if hosts:
            said.append(f"{len(hosts):,} {word} ({names_text(hosts)})")
    return "; ".join(said)


def absence_text(report: Report, line: HostLine) -> str:
    """Why a host did not answer and when it was last seen."""
    said = one_line(line.reason) or "gave no reason"
    if line.last_seen is None:
        return said
    before = (report.job.created - line.last_seen).total_seconds()
    relation = "before" if before >= 0 else "after"
    return (
        f"{said}; last seen {moment_text(line.last_seen)}, "
        f"{duration_text(abs(before))} {relation} the question"
    )


def cost_text(usage: Usage) -> str:
    """What the model took. An unknown price is not nothing."""
    tokens = f"{usage.prompt_tokens:,} tokens in, {usage.completion_tokens:,} out"
    cost = "cost unknown" if usage.cost_usd is None else f"${usage.cost_usd:,.4f}"
    return f"{tokens}, {cost}"


def plugin_exit_code(report: Report) -> int:
    """The report as an exit code of monitoring plugins: 0 ok, 1 warning, 2 critical, 3 unknown.

    The gravest wins in the order of monitoring-plugins' `max_state_alt`: critical, warning,
    unknown, ok. Information and what a check withdrew count for nothing.
    """
    severities = {finding.severity for finding in standing(report.findings)}
    if Severity.CRITICAL in severities:
        return 2
    if Severity.WARNING in severities:
        return 1
    whole = report.coverage.whole and report.job.status is JobStatus.COMPLETE
    return 0 if whole else 3


@dataclass(frozen=True, slots=True)
class BlindSpot:
    """Something that was not looked at, on all the hosts where it was for the same reason.

    Args:
        what: Tools, or the one specialist that ended early.
    """

    what: tuple[str, ...]
    hosts: tuple[str, ...]
    reason: str
    remedy: str = ""


def part_shortfall(part: PartLine) -> str:
    """Why a part did not look at everything; empty where it did."""
    if part.status is HostStatus.ANSWERED and part.stop is StopReason.ANSWERED:
        return ""
    said = STOPS.get(part.stop, f"is {part.status}")
    return f"{said} ({one_line(part.reason)})" if part.reason else said


def blind_spots(report: Report) -> tuple[BlindSpot, ...]:
    """What could not be seen on hosts that answered: parts cut short, then tools, widest first."""
    short: dict[tuple[str, str], set[str]] = {}
    tools: dict[tuple[str, str], tuple[set[str], set[str]]] = {}
    for line in report.hosts:
        if line.status is not HostStatus.ANSWERED:
            continue
        for part in line.parts:
            if shortfall := part_shortfall(part):
                short.setdefault((part.specialist, shortfall), set()).add(line.host)
            for miss in part.not_seen:
                what, hosts = tools.setdefault((miss.reason, miss.remedy), (set(), set()))
                what.add(miss.tool)
                hosts.add(line.host)
    cut = [BlindSpot((name,), tuple(sorted(hosts)), said) for (name, said), hosts in short.items()]
    missed = [
        BlindSpot(tuple(sorted(what)), tuple(sorted(hosts)), reason, remedy)
        for (reason, remedy), (what, hosts) in tools.items()
    ]
    return (*cut, *sorted(missed, key=lambda spot: (-len(spot.hosts), spot.what)))


def hosts_text(report: Report, hosts: Sequence[str], limit: int = 5) -> str:
    """Hosts by name, or `every host` where they are all that answered."""
    answered = report.coverage.answered
    if len(answered) > 1 and set(hosts) == set(answered):
        return "every host that answered"
    return names_text(hosts, limit)


def ruled_out(report: Report) -> dict[str, tuple[str, ...]]:
    """What was looked at and found well, with the hosts that say so, the most common first."""
    said: dict[str, list[str]] = {}
    for line in report.hosts:
        for part in line.parts:
            for statement in part.ruled_out:
                said.setdefault(statement, []).append(line.host)
    ordered = sorted(said.items(), key=lambda pair: -len(pair[1]))
    return {statement: tuple(dict.fromkeys(hosts)) for statement, hosts in ordered}
