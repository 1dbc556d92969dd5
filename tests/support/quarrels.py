"""A report in which not all is agreed: what is known of, unsure, an opinion, withdrawn, disputed,
and a model that is doubted. Nothing here is random."""

from __future__ import annotations

from datetime import timedelta

from swarm_tasks.models.finding import Acknowledgement, Finding, Severity, Verdict
from swarm_tasks.models.report import Contradiction, Doubt, Report
from swarm_tasks.models.tally import Tally
from tests.support import reports

MODEL = "qwen3-8b"


def quarrelsome() -> Report:
    """The complete report with an acknowledged finding, one that could not be measured again, a
    lie about the database's volume and one about another host, a contradiction and a doubt."""
    report = reports.complete()
    findings = (*map(_reasoned, report.findings), *_lies(report), _opinion(report))
    tally = Tally(model=MODEL, specialist="services", verified=19, refuted=2, unverifiable=1)
    tally = tally.model_copy(update={"rejected": 1, "opinions": 1})
    rules = Tally(specialist="storage", verified=6, refuted=1, unverifiable=1)
    return report.model_copy(
        update={
            "findings": findings,
            "actions": tuple(one for one in report.actions if "Service failed" not in one.why),
            "claims": Tally(verified=25, refuted=3, unverifiable=2, rejected=1),
            "tallies": (rules, tally),
            "contradictions": (
                Contradiction(
                    host="db-1",
                    metric="disk.used_percent",
                    subject="/var/lib/postgresql (/dev/nvme1n1p1, xfs)",
                    findings=("f4", "f20"),
                    claims=("f4.c1", "f20.c1"),
                    value=97.31,
                    unit="percent",
                    settled_at=reports.CREATED + timedelta(seconds=4),
                ),
            ),
            "doubts": (Doubt(tally=tally, wrong_percent=14.2857, limit_percent=10.0),),
        }
    )


def _reasoned(finding: Finding) -> Finding:
    """What the complete report has, with names for claims, an acknowledgement and a reason."""
    claims = tuple(
        claim.model_copy(update={"id": f"{finding.id}.c{number}", "host": finding.host})
        for number, claim in enumerate(finding.claims, 1)
    )
    finding = finding.model_copy(update={"claims": claims})
    if finding.unsure:
        reason = "mail.example.org:993 did not answer within 5 s"
        slow = tuple(claim.model_copy(update={"reason": reason}) for claim in claims)
        return finding.model_copy(update={"claims": slow})
    if finding.title != "Service failed":
        return finding
    ack = Acknowledgement(
        fingerprint=finding.fingerprint,
        severity=Severity.CRITICAL,
        until=reports.CREATED + timedelta(days=2),
        reason="the queue moves to another host on Wednesday",
        by="anna",
        at=reports.CREATED - timedelta(days=1),
    )
    return finding.model_copy(update={"acknowledged": ack})


def _lies(report: Report) -> tuple[Finding, Finding]:
    """What a model said of a volume and of another host, and was not so."""
    volume = next(one for one in report.findings if one.title == "Volume nearly full")
    low = volume.claims[0].model_copy(
        update={
            "id": "f20.c1",
            "host": "db-1",
            "comparator": "<=",
            "value": 20.0,
            "observed": 12.0,
            "remeasured": 97.31,
            "verdict": Verdict.REFUTED,
        }
    )
    shared = {"source": "model", "model": MODEL, "specialist": "services", "doubted": True}
    idle = volume.model_copy(
        update={
            **shared,
            "id": "f20",
            "fingerprint": "1" * 16,
            "title": "The volume is nearly empty",
            "severity": Severity.INFO,
            "verdict": Verdict.REFUTED,
            "claims": (low,),
        }
    )
    far = low.model_copy(
        update={
            "id": "f21.c1",
            "host": "db-2",
            "comparator": ">=",
            "value": 90.0,
            "observed": None,
            "observed_at": None,
            "remeasured": 38.4,
            "evidence": (),
        }
    )
    other = idle.model_copy(
        update={
            "id": "f21",
            "fingerprint": "2" * 16,
            "host": "web-1",
            "title": "The replica's volume is full",
            "subject": "db-2: /var/lib/postgresql",
            "said_severity": Severity.CRITICAL,
            "claims": (far,),
        }
    )
    return idle, other


def _opinion(report: Report) -> Finding:
    """What a model thinks, with a claim that nobody could measure."""
    first = report.findings[0]
    claim = first.claims[0].model_copy(
        update={
            "id": "f22.c1",
            "host": "db-9",
            "observed": None,
            "observed_at": None,
            "remeasured": None,
            "verdict": Verdict.UNVERIFIABLE,
            "reason": "db-9 was not asked in this job",
            "evidence": (),
        }
    )
    return first.model_copy(
        update={
            "id": "f22",
            "fingerprint": "3" * 16,
            "host": "web-1",
            "severity": Severity.INFO,
            "title": "Another host may be busy",
            "subject": "db-9",
            "advice": "",
            "verdict": Verdict.UNVERIFIABLE,
            "claims": (claim,),
            "source": "model",
            "model": MODEL,
        }
    )
