"""A host that gave no sign of life, as one of its peers saw it, in words. Pure."""

from __future__ import annotations

from orchestrator.render.values import moment_text
from orchestrator.render.words import count_text, names_text, one_line
from swarm_tasks.models.outside import LastAudit, OutsideView, seen_text


def label(view: OutsideView) -> str:
    """Whose view it is: never the host's own."""
    return f"seen from outside by {view.seen_by}"


def text(view: OutsideView) -> str:
    """What the peer saw."""
    return one_line(seen_text(view))


def audit_text(audit: LastAudit) -> str:
    """What the host's last audit said. That nothing was found is told with who looked."""
    head = f"{one_line(audit.job)}, {moment_text(audit.at)}"
    if not audit.findings or audit.worst is None:
        return f"{head}: no findings by {names_text(audit.specialists, 4)}"
    found = count_text(audit.findings, "finding")
    gravest = f"the gravest is {audit.worst.value}" if audit.findings > 1 else audit.worst.value
    return f"{head}: {found}, {gravest}: {'; '.join(map(one_line, audit.titles))}"
