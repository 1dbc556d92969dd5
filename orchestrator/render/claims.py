"""Claims in words for people: what was measured, its limit, and how it was checked. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

from orchestrator.render.values import duration_text, value_text
from orchestrator.render.words import one_line, shorten
from swarm_tasks.measures import measures
from swarm_tasks.models.finding import Claim, Verdict

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
