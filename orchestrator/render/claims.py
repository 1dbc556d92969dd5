"""Claims in words for people: what was measured, its limit, and how it was checked. Pure.

What was withdrawn is told in `verdicts.py`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from orchestrator.render.values import COUNTED, duration_text, value_text
from orchestrator.render.words import one_line, shorten
from swarm_tasks.measures import measures
from swarm_tasks.models.across import Outlier
from swarm_tasks.models.finding import Claim, MeasuredValue, Verdict

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


DETAIL = re.compile(r" \([^()]*(?:\([^()]*\)[^()]*)*\)\Z")
"""What the rules add to an advice of what they saw on one host."""


def reading_of(claim: Claim) -> MeasuredValue | None:
    """What was measured first: by the evidence or, where none was gathered on that host, when the
    claim was checked there; None for what nobody measured."""
    return claim.remeasured if claim.observed is None else claim.observed


def observed_text(claim: Claim, digits: int = 1) -> str:
    """What was measured, as a phrase: `97.3 % used`, `expired 2 d ago`."""
    left = reading_of(claim)
    if left is None:
        return f"said to be {statement_text(claim)}"
    if claim.metric == "tls.left_seconds" and not isinstance(left, str) and left < 0:
        return f"expired {duration_text(-left, digits)} ago"
    return _phrase(claim, value_text(left, claim.unit, digits))


def statement_text(claim: Claim) -> str:
    """What a claim says, whatever was measured: `≥ 90 % used`."""
    digits = claim_digits(claim)
    return _phrase(claim, f"{_sign(claim)} {value_text(claim.value, claim.unit, digits)}")


def _phrase(claim: Claim, value: str) -> str:
    if claim.metric in PHRASES:
        return PHRASES[claim.metric].format(value)
    known = measures().get(claim.metric)
    return f"{known.meaning if known else one_line(claim.metric)}: {value}"


def _sign(claim: Claim) -> str:
    return SIGNS.get(claim.comparator, one_line(claim.comparator))


def spread_text(claims: Sequence[Claim]) -> str:
    """What was measured of one metric in several places: `82 % to 97.3 % used (limit ≥ 80 %)`."""
    measured = [(value, claim) for claim in claims if (value := reading_of(claim)) is not None]
    if not measured:
        return ""
    first = claims[0]
    if any(claim.metric != first.metric or claim.unit != first.unit for claim in claims):
        return ""
    numbers = [(float(value), claim) for value, claim in measured if not isinstance(value, str)]
    if len(numbers) < len(measured):
        counts = Counter(observed_text(claim) for _, claim in measured)
        several = len(counts) > 1
        return "; ".join(
            f"{said} ({count:,})" if several else said for said, count in counts.most_common(3)
        )
    digits = max(map(claim_digits, claims))
    lowest, low = min(numbers, key=lambda pair: pair[0])
    highest, _ = max(numbers, key=lambda pair: pair[0])
    values = [value_text(value, first.unit, digits) for value in (lowest, highest)]
    if first.unit in COUNTED and values[0] != values[1]:
        values[0] = values[0].partition(" ")[0]
    limits = list(dict.fromkeys(limit_text(claim, digits) for claim in claims))
    limit = f" ({limits[0]})" if len(limits) == 1 and limits[0] else ""
    if values[0] == values[1]:
        return f"{observed_text(low, digits)}{limit}"
    if first.metric not in PHRASES or lowest < 0:
        return f"{observed_text(low, digits)} to {values[1]}{limit}"
    return f"{PHRASES[first.metric].format(' to '.join(values))}{limit}"


def checks_text(claims: Sequence[Claim]) -> str:
    """How several claims were checked: `38 verified, 2 measured once`."""
    names = {
        Verdict.VERIFIED: "verified",
        Verdict.UNVERIFIABLE: "measured once",
        Verdict.STALE: "stale",
        Verdict.REFUTED: "refuted",
        Verdict.UNSUPPORTED: "unsupported",
    }
    counts = Counter(claim.verdict for claim in claims)
    if len(counts) == 1:
        (verdict,) = counts
        return f"all {names[verdict]}" if len(claims) > 1 else names[verdict]
    return ", ".join(f"{counts[one]:,} {name}" for one, name in names.items() if counts[one])


def limit_text(claim: Claim, digits: int = 1) -> str:
    """The limit that is said to be crossed: `limit ≥ 90 %`; nothing for a word that it is."""
    measured = reading_of(claim)
    if measured is None or (
        claim.unit == "state" and claim.comparator == "==" and measured == claim.value
    ):
        return ""
    return f"limit {_sign(claim)} {value_text(claim.value, claim.unit, digits)}"


def claim_digits(claim: Claim) -> int:
    """Decimals enough that a number beside the limit never reads as the limit when it is not."""
    numbers = [one for one in (claim.observed, claim.remeasured) if one is not None]
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
    reason = one_line(claim.reason)
    if claim.verdict is Verdict.UNSUPPORTED:
        return f"unsupported: {reason or 'the evidence does not say so'}"
    if claim.verdict is Verdict.UNVERIFIABLE:
        measured = "not measured" if reading_of(claim) is None else "measured once"
        return f"{measured}: {reason or 'nothing could measure it again'}"
    said = {
        Verdict.VERIFIED: "verified",
        Verdict.REFUTED: "refuted",
        Verdict.STALE: "stale: it has changed since",
    }[claim.verdict]
    if claim.remeasured is None:
        return f"{said}{',' if ':' in said else ':'} {reason}" if reason else said
    again = value_text(claim.remeasured, claim.unit, claim_digits(claim))
    when = "when measured there" if claim.observed is None else "when measured again"
    told = f"{said}{',' if ':' in said else ':'} {again} {when}"
    return f"{told}; {reason}" if reason else told


def call_text(tool: str, arguments: Mapping[str, object], limit: int = 200) -> str:
    """A tool call as one line: `disk_usage(mount="/var")`; arguments left empty go."""
    given = (
        f"{key}={json.dumps(value, ensure_ascii=False, default=str)}"
        for key, value in arguments.items()
        if value not in (None, [], ())
    )
    return shorten(one_line(f"{tool}({', '.join(given)})"), limit)


def plain_advice(advice: str) -> str:
    """An advice without what the rules add to it of one host, in parentheses at its end."""
    return DETAIL.sub("", advice.strip())


def outlier_text(outlier: Outlier) -> str:
    """How a host is unlike its peers: `physical memory: 70 % used, where the median of 12 hosts of
    role web is 20 %`."""
    known = measures().get(outlier.metric)
    value = value_text(outlier.value, outlier.unit)
    phrase = PHRASES.get(outlier.metric)
    meaning = known.meaning if known else one_line(outlier.metric)
    said = phrase.format(value) if phrase else f"{meaning}: {value}"
    usual = value_text(outlier.median, outlier.unit)
    peers = f"{outlier.peers:,} {one_line(outlier.group)}"
    return f"{one_line(outlier.subject)}: {said}, where the median of {peers} is {usual}"
