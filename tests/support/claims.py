"""Claims and findings with verdicts, for the tests of what becomes of them in control."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from swarm_tasks.measures import measure
from swarm_tasks.models.finding import Claim, Finding, Severity, Verdict, fingerprint
from tests.support.scenes import AT

USED = "disk.used_percent"
VAR = "/var (/dev/sda2, ext4)"


def claimed(metric: str = USED, subject: str = VAR, *, after: float = 1.0, **more: Any) -> Claim:
    """A claim, made a while ago, and measured again `after` seconds later if at all."""
    known = measure(metric)
    given: dict[str, Any] = {
        "metric": metric,
        "subject": subject,
        "comparator": known.comparator,
        "value": 90.0,
        "unit": known.unit,
        "observed": more.get("value", 90.0),
        **more,
    }
    given.setdefault("observed_at", None if given["observed"] is None else AT)
    if given.get("remeasured") is not None:
        given.setdefault("remeasured_at", AT + timedelta(seconds=after))
    return Claim.model_validate(given)


def said(host: str, *claims: Claim, **more: Any) -> Finding:
    """A finding of a host with these claims."""
    first = claims[0]
    mark = fingerprint(host, first.metric, first.subject)
    given: dict[str, Any] = {
        "id": mark,
        "fingerprint": mark,
        "host": host,
        "specialist": "storage",
        "severity": Severity.CRITICAL,
        "title": "Volume nearly full",
        "subject": first.subject,
        "advice": "Free space.",
        "verdict": Verdict.worst(claim.verdict for claim in claims),
        "claims": claims,
    }
    return Finding.model_validate({**given, **more})
